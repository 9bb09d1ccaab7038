"""Reads targets in Prometheus's http_sd format: [{"targets": ["host:port"], "labels": {...}}].

Labels that start with __ steer the scrape and the inventory and never reach a series; see docs on http_sd. What
Prometheus knows: __metrics_path__, __scheme__, __scrape_interval__, __scrape_timeout__, __param_<name>. Ours:
__meta_tongchou_kind, _name, _service, _owner, _relations ("calls:orders,runs_on:host") and _attr_<name>.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import http, secrets
from tongchou.core.problems import Invalid, Unavailable
from tongchou.inventory import checks, kinds
from tongchou.inventory.observation import (
    Observation,
    ObservedEndpoint,
    ObservedRelation,
    ObservedResource,
    service_key,
)

MAX_BYTES = 8_000_000
MAX_TARGETS = 20_000
MAX_LABELS = 100
META = "__meta_tongchou_"
ATTRIBUTE = f"{META}attr_"
PARAMETER = "__param_"
LEAST_SCRAPE_SECONDS = 0.5
MOST_SCRAPE_SECONDS = 86_400.0
# what a service does as a whole, and what one instance of it does
SERVICE_RELATIONS = frozenset({"calls", "stores_in"})

_LABEL = re.compile(r"\A[a-zA-Z_][a-zA-Z0-9_]*\Z")
_TARGET = re.compile(r"\A(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\Z")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class HttpSdSource:
    """The inventory source "http_sd": polls a URL that lists targets."""

    kind: str = "http_sd"
    title: Any = _("Prometheus HTTP service discovery")
    precedence: int = 200
    declares: bool = True  # a discovery document is written by those who run the targets
    interval_seconds: float = 30.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {"type": "string", "title": "URL", "format": "uri"},
            "job": {"type": "string", "title": "job", "description": _("the job label where a target brings none")},
            "scrape_interval_seconds": {"type": "number", "minimum": LEAST_SCRAPE_SECONDS},
            "timeout_seconds": {"type": "number", "minimum": 0.1, "maximum": 60},
            "bearer_secret": {"type": "string", "description": _("name of the secret sent as Authorization: Bearer")},
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Check the settings; raises Invalid naming the field."""
        for name in settings:
            if name not in self.settings_schema["properties"]:
                raise _invalid(_("There is no such setting."), f"settings.{name}", name, _("Remove it."))
        found: dict[str, Any] = {"url": checks.url(_text(settings, "url"), "settings.url")}
        for name in ("job", "bearer_secret"):
            if settings.get(name):
                found[name] = checks.name(_text(settings, name), f"settings.{name}")
        for name, least, most in (
            ("scrape_interval_seconds", 0.5, MOST_SCRAPE_SECONDS),
            ("timeout_seconds", 0.1, 60.0),
        ):
            if settings.get(name) is not None:
                found[name] = checks.seconds(_number(settings, name), field=f"settings.{name}", least=least, most=most)
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask the URL once; raises Unavailable when it does not answer well, Invalid when the answer makes no sense."""
        headers = {"Accept": "application/json"}
        if settings.get("bearer_secret"):
            headers["Authorization"] = f"Bearer {secrets.reveal(settings['bearer_secret'])}"
        url = settings["url"]
        timeout_seconds = float(settings.get("timeout_seconds") or 10.0)
        try:
            answer = http.fetch(
                "GET", url, purpose="http_sd", headers=headers, timeout_seconds=timeout_seconds, max_bytes=MAX_BYTES
            )
        except http.HttpError as error:
            raise Unavailable(
                f"http_sd.{error.reason}",
                _("%(url)s could not be read: %(detail)s") % {"url": url, "detail": error.detail},
                field="settings.url",
                value=url,
                remedy=_("Check that the address answers from this host; nothing known was changed."),
            ) from error
        if answer.status != 200:
            raise Unavailable(
                "http_sd.status",
                _("%(url)s answered %(status)s instead of 200.") % {"url": url, "status": answer.status},
                field="settings.url",
                value=url,
                remedy=_("Check the path and the credentials; nothing known was changed."),
            )
        job = settings.get("job") or source
        interval_seconds = settings.get("scrape_interval_seconds") or django_settings.SCRAPE_INTERVAL_SECONDS
        return parse(answer.body, source=source, job=job, interval_seconds=float(interval_seconds))


SOURCE = HttpSdSource()


def _invalid(detail: Any, field: str, value: object, remedy: Any) -> Invalid:
    return Invalid("http_sd.shape", detail, field=field, value=value, remedy=remedy)


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(_("This setting is text."), f"settings.{name}", value, _("Give it as a JSON string."))
    return value


def _number(settings: Mapping[str, Any], name: str) -> float:
    value = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(_("This setting is a number."), f"settings.{name}", value, _("Give it as a JSON number."))
    return float(value)


def parse(body: bytes, *, source: str, job: str, interval_seconds: float) -> Observation:
    """Turn an http_sd document into an observation; raises Invalid naming the index and field that is wrong."""
    try:
        groups = json.loads(body)
    except (ValueError, RecursionError) as error:
        start = body[:80].decode("utf-8", "replace")
        raise _invalid(_("The answer is not JSON."), "$", start, _("Answer with application/json in UTF-8.")) from error
    if not isinstance(groups, list):
        raise _invalid(
            _("The answer is not a list of target groups."),
            "$",
            type(groups).__name__,
            _('Answer with [{"targets": ["host:port"], "labels": {...}}].'),
        )
    resources: list[ObservedResource] = []
    relations: list[ObservedRelation] = []
    endpoints: list[ObservedEndpoint] = []
    for index, group in enumerate(groups):
        labels = _labels(group, index)
        for place, address in enumerate(_targets(group, index)):
            target = _Target(_address(address, f"[{index}].targets[{place}]"), labels, index, source)
            resources += target.resources()
            relations += target.relations()
            endpoints.append(target.endpoint(job, interval_seconds))
        if len(endpoints) > MAX_TARGETS:
            raise _invalid(
                _("More than %(most)s targets.") % {"most": f"{MAX_TARGETS:,}"},
                f"[{index}]",
                len(endpoints),
                _("Split them over several sources."),
            )
    return Observation(tuple(resources), tuple(relations), tuple(endpoints))


def _targets(group: Any, index: int) -> list[Any]:
    targets = group.get("targets")
    if not isinstance(targets, list):
        raise _invalid(
            _("A target group has a list of targets."),
            f"[{index}].targets",
            type(targets).__name__,
            _('Write "targets": ["host:port"].'),
        )
    return targets


def _labels(group: Any, index: int) -> dict[str, str]:
    if not isinstance(group, dict):
        raise _invalid(
            _("A target group is an object."),
            f"[{index}]",
            type(group).__name__,
            _('Write {"targets": [...], "labels": {...}}.'),
        )
    labels = group.get("labels") or {}
    if not isinstance(labels, dict) or len(labels) > MAX_LABELS:
        raise _invalid(
            _("Labels are an object of at most %(most)s members.") % {"most": MAX_LABELS},
            f"[{index}].labels",
            type(labels).__name__,
            _('Write "labels": {"name": "value"}.'),
        )
    for name, value in labels.items():
        if not _LABEL.match(name):
            raise _invalid(
                _("Not a label name."),
                f"[{index}].labels.{name[:80]}",
                name,
                _("Use letters, digits and _, no digit first."),
            )
        if not isinstance(value, str):
            raise _invalid(
                _("A label's value is text."),
                f"[{index}].labels.{name}",
                json.dumps(value)[:200],
                _("Quote the value."),
            )
    return labels


def _address(address: Any, field: str) -> str:
    match = _TARGET.match(address) if isinstance(address, str) else None
    if match is None or (match.group(1) and not 0 < int(match.group(1)) < 65_536):
        raise _invalid(
            _("A target is host:port, without scheme and path."),
            field,
            address if isinstance(address, str) else json.dumps(address)[:200],
            _("Put the scheme into __scheme__ and the path into __metrics_path__."),
        )
    return str(address)


def duration_seconds(text: str, field: str) -> float:
    """Return the seconds of a Prometheus duration such as 500ms or 1m30s; raises Invalid."""
    parts = _DURATION.findall(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    written = "".join(number + unit for number, unit in parts)
    if written != text or not LEAST_SCRAPE_SECONDS / 5 <= seconds <= MOST_SCRAPE_SECONDS:
        raise _invalid(_("Not a duration between 100ms and 1d."), field, text, _("Write it like 15s or 1m30s."))
    return seconds


@dataclass(frozen=True, slots=True)
class _Target:
    """One address with the labels of its group, read as a thing, its service, its relations and its endpoint."""

    address: str
    labels: Mapping[str, str]
    index: int
    source: str

    def _meta(self, name: str) -> str:
        return self.labels.get(META + name, "").strip()

    def _field(self, label: str) -> str:
        return f"[{self.index}].labels.{label}"

    @property
    def name(self) -> str:
        return self._meta("name") or self.address

    @property
    def key(self) -> str:
        return self._key(self.name)

    def _key(self, name: str) -> str:
        return f"target:{self.source}:{name}"

    @property
    def service(self) -> str:
        return self._meta("service") or self.labels.get("service", "").strip()

    @property
    def plain(self) -> dict[str, str]:
        return {name: value for name, value in self.labels.items() if not name.startswith("__") and value}

    def resources(self) -> list[ObservedResource]:
        attributes: dict[str, Any] = {"address": self.address}
        for name, value in self.labels.items():
            if name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
                attributes[name.removeprefix(ATTRIBUTE)] = value
        labels = {name: value for name, value in self.plain.items() if name not in ("job", "instance")}
        owner = self._meta("owner") or None
        kind = checks.kind(self._meta("kind") or "instance", self._field(f"{META}kind"))
        name = checks.name(self.name, self._field(f"{META}name"))
        found = [ObservedResource(kind, name, (self.key,), attributes, labels, owner)]
        if self.service:
            service = checks.name(self.service, self._field(f"{META}service"))
            found.append(ObservedResource("service", service, (service_key(service),), owner=owner))
        return found

    def relations(self) -> list[ObservedRelation]:
        found = []
        if self.service:
            found.append(ObservedRelation("part_of", ((self.key, service_key(self.service)),)))
        field = self._field(f"{META}relations")
        for part in filter(None, (each.strip() for each in self._meta("relations").split(","))):
            type_, colon, to = part.partition(":")
            if not colon or not to.strip() or kinds.relation(type_) is None:
                raise _invalid(
                    _("A relation is type:name, with one of the known types."),
                    field,
                    part,
                    _("Use one of: %(known)s.") % {"known": ", ".join(sorted(each.name for each in kinds.relations()))},
                )
            found.append(ObservedRelation(type_, self._ends(type_, to.strip())))
        return found

    def _ends(self, type_: str, to: str) -> tuple[tuple[str, str], ...]:
        """From the service to a service where both are, else from this thing to what bears the name."""
        own = ((self.key, self._key(to)), (self.key, f"name:{to}"))
        if type_ not in SERVICE_RELATIONS:
            return own
        return (((service_key(self.service), service_key(to)),) if self.service else ()) + (
            (self.key, service_key(to)),
            *own,
        )

    def endpoint(self, job: str, interval_seconds: float) -> ObservedEndpoint:
        scheme = self.labels.get("__scheme__") or "http"
        if scheme not in ("http", "https"):
            raise _invalid(_("A scheme is http or https."), self._field("__scheme__"), scheme, _("Use one of the two."))
        path = self.labels.get("__metrics_path__") or "/metrics"
        if not path.startswith("/"):
            raise _invalid(
                _("A path starts with /."), self._field("__metrics_path__"), path, _("Write it like /metrics.")
            )
        if text := self.labels.get("__scrape_interval__"):
            interval_seconds = duration_seconds(text, self._field("__scrape_interval__"))
        timeout_seconds = min(10.0, interval_seconds)
        if text := self.labels.get("__scrape_timeout__"):
            timeout_seconds = min(duration_seconds(text, self._field("__scrape_timeout__")), interval_seconds)
        parameters = {n.removeprefix(PARAMETER): v for n, v in sorted(self.labels.items()) if n.startswith(PARAMETER)}
        query = f"?{urlencode(parameters)}" if parameters else ""
        labels = {"job": job, "instance": self.address, **self.plain}
        url = f"{scheme}://{self.address}{path}{query}"
        return ObservedEndpoint(self.key, url, labels, "metrics", interval_seconds, timeout_seconds)
