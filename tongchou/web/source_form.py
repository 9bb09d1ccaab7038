"""The settings of a source as a form that follows its schema (the part of JSON Schema that sources use). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.problems import Invalid

PREFIX = "set-"
_LONG_TEXT = 5000  # a text that may be longer (a certificate) has several lines
# how a setting is called where its schema has no title; the name that files and the API use stands beside it
TITLES: dict[str, str | Promise] = {
    "addresses": gettext_lazy("Addresses"),
    "attributes": gettext_lazy("Attributes"),
    "auth": gettext_lazy("Authentication"),
    "auth_secret": gettext_lazy("Secret of authentication"),
    "bearer_secret": gettext_lazy("Secret of the bearer token"),
    "ca_certificate": gettext_lazy("CA certificate"),
    "closed_counts": gettext_lazy("Refusing counts as in use"),
    "cluster": gettext_lazy("Cluster"),
    "community_secret": gettext_lazy("Secret of the community"),
    "concurrency": gettext_lazy("At once"),
    "connections": gettext_lazy("Connections"),
    "conntrack": gettext_lazy("Connections that passed"),
    "node": gettext_lazy("Node"),
    "role_kinds": gettext_lazy("Kinds of roles"),
    "smart": gettext_lazy("Health of disks (SMART)"),
    "raid": gettext_lazy("Software RAID"),
    "lvm": gettext_lazy("LVM"),
    "zfs": gettext_lazy("ZFS"),
    "custom_fields": gettext_lazy("Custom fields"),
    "disks": gettext_lazy("Disks"),
    "emails": gettext_lazy("E-mail addresses"),
    "filesystems": gettext_lazy("File systems"),
    "in_cluster": gettext_lazy("Runs inside the cluster"),
    "interfaces": gettext_lazy("Network interfaces"),
    "keys": gettext_lazy("Identity keys"),
    "kind": gettext_lazy("Kind of the rows"),
    "kind_column": gettext_lazy("Column of the kind"),
    "kinds": gettext_lazy("Words for kinds"),
    "kubeconfig_secret": gettext_lazy("Secret of the kubeconfig"),
    "labels": gettext_lazy("Labels"),
    "listeners": gettext_lazy("Listening ports"),
    "max_age_hours": gettext_lazy("Oldest file (hours)"),
    "max_age_seconds": gettext_lazy("Silent after (seconds)"),
    "mysql_secret": gettext_lazy("Secret of MariaDB and MySQL logins"),
    "name_column": gettext_lazy("Column of the name"),
    "names": gettext_lazy("Names from DNS"),
    "networks": gettext_lazy("Networks"),
    "others": gettext_lazy("Other resources"),
    "owner_column": gettext_lazy("Column of the owner"),
    "owner_tag": gettext_lazy("Tag of the owner"),
    "people": gettext_lazy("People"),
    "pods": gettext_lazy("Pods"),
    "port": gettext_lazy("Port"),
    "port_state": gettext_lazy("State of interfaces"),
    "ports": gettext_lazy("Ports"),
    "postgresql_secret": gettext_lazy("Secret of PostgreSQL logins"),
    "priv_secret": gettext_lazy("Secret of encryption"),
    "rate": gettext_lazy("Connections a second"),
    "relations": gettext_lazy("Relations"),
    "retries": gettext_lazy("Retries"),
    "runtime_api": gettext_lazy("Runtime API"),
    "schemas": gettext_lazy("Tables of databases"),
    "scrape": gettext_lazy("Scrape the targets too"),
    "scrape_interval_seconds": gettext_lazy("Scrape every (seconds)"),
    "service_label": gettext_lazy("Label of the service"),
    "socket": gettext_lazy("Socket"),
    "tags": gettext_lazy("Tags"),
    "tenant_is_owner": gettext_lazy("Tenant is the owner"),
    "this_host": gettext_lazy("This host"),
    "timeout_seconds": gettext_lazy("Patience (seconds)"),
    "tls_ports": gettext_lazy("Ports with TLS"),
    "token_secret": gettext_lazy("Secret of the token"),
    "uri": gettext_lazy("URI"),
    "user": gettext_lazy("User"),
    "version": gettext_lazy("Version"),
}


@dataclass(frozen=True, slots=True)
class Input:
    """One setting as it is drawn; `key` is its name in files and the API.

    `widget` is text, number, flag, choice, lines, pairs, area or json.
    """

    name: str
    key: str
    title: str
    help: str
    widget: str
    text: str
    required: bool
    invalid: bool
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    placeholder: str = ""


def inputs(schema: Mapping[str, Any], settings: Mapping[str, Any], *, wrong: str = "") -> list[Input]:
    """Return what is drawn for each property; `wrong` names the setting that was refused ("settings.url")."""
    required = schema.get("required", ())
    return [
        _input(name, rule, settings.get(name), required=name in required, wrong=wrong)
        for name, rule in schema["properties"].items()
    ]


def _input(name: str, rule: Mapping[str, Any], value: Any, *, required: bool, wrong: str) -> Input:
    widget = _widget(rule)
    usual = rule.get("default")
    shown = usual if value is None and widget == "flag" else value
    return Input(
        name=f"{PREFIX}{name}",
        key=name,
        title=str(rule.get("title") or TITLES.get(name, name)),
        help=str(rule.get("description") or ""),
        widget=widget,
        text=_text(widget, shown),
        required=required,
        invalid=wrong.removeprefix("settings.").partition("[")[0].partition(".")[0] == name,
        choices=tuple(str(each) for each in rule.get("enum", ())),
        least=rule.get("minimum"),
        most=rule.get("maximum"),
        placeholder="" if usual in (None, "", [], {}) else _text(widget, usual).replace("\n", ", "),
    )


def _widget(rule: Mapping[str, Any]) -> str:
    type_ = rule["type"]
    if "enum" in rule:
        return "choice"
    if type_ in ("integer", "number"):
        return "number"
    if type_ == "boolean":
        return "flag"
    if type_ == "array" and rule.get("items", {}).get("type") in ("string", "integer"):
        return "lines"
    more = rule.get("additionalProperties")
    if type_ == "object" and isinstance(more, Mapping) and more.get("type") == "string":
        return "pairs"
    if type_ == "string":
        return "area" if rule.get("maxLength", 0) > _LONG_TEXT else "text"
    return "json"


def _text(widget: str, value: Any) -> str:
    if value is None:
        return ""
    if widget == "lines" and isinstance(value, list):
        return "\n".join(str(each) for each in value)
    if widget == "pairs" and isinstance(value, Mapping):
        return "\n".join(f"{key} = {each}" for key, each in value.items())
    if widget == "flag":
        return "true" if value in (True, "true") else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def posted(schema: Mapping[str, Any], post: QueryDict) -> dict[str, Any]:
    """Return the settings a form says; what is left empty is left out. Raises Invalid naming the field."""
    found: dict[str, Any] = {}
    for name, rule in schema["properties"].items():
        text = post.get(f"{PREFIX}{name}", "").strip()
        if text:
            found[name] = _value(name, _widget(rule), rule, text)
    return found


def _value(name: str, widget: str, rule: Mapping[str, Any], text: str) -> Any:
    if widget == "flag":
        return text == "true"
    if widget == "lines":
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return [_whole(name, line) for line in lines] if rule["items"]["type"] == "integer" else lines
    if widget == "pairs":
        return dict(_pair(name, line) for line in text.splitlines() if line.strip())
    if widget in ("text", "area") or rule["type"] == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        says = _("Give a number.") if widget == "number" else _("Give it as JSON.")
        raise _invalid(name, text, says) from None


def _whole(name: str, line: str) -> int:
    if not (line.isascii() and line.isdigit() and len(line) < 10):
        raise _invalid(name, line, _("Give whole numbers, one a line."))
    return int(line)


def _pair(name: str, line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals or not key.strip():
        raise _invalid(name, line, _("Write one a line, as: name = value."))
    return key.strip(), value.strip()


def _invalid(name: str, value: str, remedy: str) -> Invalid:
    detail = _("This setting cannot be read.")
    return Invalid("source.settings", detail, field=f"settings.{name}", value=value[:200], remedy=remedy)
