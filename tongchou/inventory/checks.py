"""Checks what people, callers and sources state before it is written; every refusal names the field.

Pure, but for the relation types that people defined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.inventory import kinds
from tongchou.inventory.observation import MAX_KEY, MAX_KIND, MAX_LABEL_VALUE, MAX_NAME, Observation

_KIND = re.compile(r"\A[a-z][a-z0-9_]{0,63}\Z")
_LABEL = re.compile(r"\A[A-Za-z_][A-Za-z0-9_./-]{0,119}\Z")
_RELATION = re.compile(r"\A[a-z][a-z0-9_]{0,63}\Z")
MAX_LABELS = 100
MAX_ATTRIBUTES = 200
MAX_VALUE_CHARACTERS = 16_384


def kind(value: str, field: str = "kind") -> str:
    """Return a legal kind, or raise Invalid."""
    if not _KIND.match(value):
        raise Invalid(
            "inventory.kind",
            _("A kind has lower-case letters, digits and _, and at most %(most)s characters.") % {"most": MAX_KIND},
            field=field,
            value=value,
            remedy=_("Write it like load_balancer."),
        )
    return value


def name(value: str, field: str = "name") -> str:
    """Return a name without outer blanks, or raise Invalid."""
    value = value.strip()
    if not value or len(value) > MAX_NAME or not value.isprintable():
        raise Invalid(
            "inventory.name",
            _("A name has 1 to %(most)s printable characters.") % {"most": MAX_NAME},
            field=field,
            value=value[:80],
            remedy=_("Shorten it, or remove line breaks and control characters."),
        )
    return value


def labels(value: Mapping[str, str], field: str = "labels") -> dict[str, str]:
    """Return legal labels, or raise Invalid."""
    if len(value) > MAX_LABELS:
        raise Invalid(
            "inventory.labels",
            _("At most %(most)s labels, not %(count)s.") % {"most": MAX_LABELS, "count": len(value)},
            field=field,
            remedy=_("Keep what you search by; put the rest into attributes."),
        )
    for label, text in value.items():
        if not _LABEL.match(label):
            raise Invalid(
                "inventory.label_name",
                _("A label's name starts with a letter or _, then letters, digits and _ . / - (at most 120)."),
                field=f"{field}.{label[:80]}",
                value=label,
                remedy=_("Rename the label."),
            )
        if not isinstance(text, str) or len(text) > MAX_LABEL_VALUE:
            raise Invalid(
                "inventory.label_value",
                _("A label's value is text of at most %(most)s characters.") % {"most": MAX_LABEL_VALUE},
                field=f"{field}.{label}",
                value=text,
                remedy=_("Shorten it, or make it an attribute."),
            )
    return dict(value)


def attributes(value: Mapping[str, Any], field: str = "attributes") -> dict[str, Any]:
    """Return legal attributes (name -> JSON value), or raise Invalid."""
    if len(value) > MAX_ATTRIBUTES:
        raise Invalid(
            "inventory.attributes",
            _("At most %(most)s attributes, not %(count)s.") % {"most": MAX_ATTRIBUTES, "count": len(value)},
            field=field,
            remedy=_("Put lists into one attribute with a JSON value."),
        )
    for attribute, content in value.items():
        if not _LABEL.match(attribute):
            raise Invalid(
                "inventory.attribute_name",
                _("An attribute's name starts with a letter or _, then letters, digits and _ . / - (at most 120)."),
                field=f"{field}.{attribute[:80]}",
                value=attribute,
                remedy=_("Rename the attribute."),
            )
        try:
            size = len(json.dumps(content, allow_nan=False))
        except (TypeError, ValueError):
            size = MAX_VALUE_CHARACTERS + 1
        if size > MAX_VALUE_CHARACTERS:
            raise Invalid(
                "inventory.attribute_value",
                _("An attribute's value is JSON of at most %(most)s characters.")
                % {"most": f"{MAX_VALUE_CHARACTERS:,}"},
                field=f"{field}.{attribute}",
                remedy=_("Shorten the value; NaN and infinity are not JSON."),
            )
    return dict(value)


def relation_type(value: str, field: str = "type") -> str:
    """Return a relation type, or raise Invalid that lists the known ones."""
    if kinds.relation(value) is None:
        raise Invalid(
            "inventory.relation_type",
            _("There is no relation type of this name."),
            field=field,
            value=value,
            remedy=_("Use one of: %(known)s.") % {"known": ", ".join(sorted(each.name for each in kinds.relations()))},
        )
    return value


def url(value: str, field: str = "url") -> str:
    """Return an http(s) URL with a host and without credentials, or raise Invalid."""
    try:
        parts = urlsplit(value)
        legal = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and len(value) <= 2000
        _port = parts.port
    except ValueError:
        legal = False
    if not legal:
        raise Invalid(
            "inventory.url",
            _("Not an http:// or https:// URL with a host and without a password in it."),
            field=field,
            value=value[:200],
            remedy=_("Write it like http://10.0.0.5:9100/metrics."),
        )
    return value


def seconds(value: float, *, field: str, least: float, most: float) -> float:
    """Return a duration within [least, most] seconds, or raise Invalid."""
    if not least <= value <= most:
        raise Invalid(
            "inventory.seconds",
            _("Between %(least)s and %(most)s seconds.") % {"least": f"{least:g}", "most": f"{most:g}"},
            field=field,
            value=value,
            remedy=_("Choose a value in that range."),
        )
    return value


def whole(value: Any, *, field: str, least: int, most: int) -> int:
    """Return a whole number within [least, most], or raise Invalid."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(
            "inventory.whole_number",
            _("A whole number from %(least)s to %(most)s.") % {"least": least, "most": most},
            field=field,
            value=value,
            remedy=_("Choose a value in that range."),
        )
    return value


def attribute_precedence(value: Mapping[str, Any], *, most: int, field: str = "attribute_precedence") -> dict[str, int]:
    """Return legal precedences by the name of an attribute, "owner" or "name"; raise Invalid for the first other."""
    attributes(value, field)
    return {name: whole(each, field=f"{field}.{name}", least=1, most=most) for name, each in sorted(value.items())}


def observation(seen: Observation) -> Observation:
    """Return what a source saw if all of it can be written, else raise Invalid naming the first thing that cannot."""
    for place, each in enumerate(seen.resources):
        field = f"resources[{place}]"
        kind(each.kind, f"{field}.kind")
        name(each.name, f"{field}.name")
        labels(each.labels, f"{field}.labels")
        attributes(each.attributes, f"{field}.attributes")
        if not each.keys or any(not key or len(key) > MAX_KEY for key in each.keys):
            raise Invalid(
                "inventory.identity_key",
                _("A resource needs identity keys of 1 to %(most)s characters.") % {"most": MAX_KEY},
                field=f"{field}.keys",
                value=each.name,
                remedy=_("Shorten the names the source reports."),
            )
    for place, relation in enumerate(seen.relations):
        relation_type(relation.type, f"relations[{place}].type")
    for place, endpoint in enumerate(seen.endpoints):
        url(endpoint.url, f"endpoints[{place}].url")
        labels(endpoint.labels, f"endpoints[{place}].labels")
    return seen
