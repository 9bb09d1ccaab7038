"""The functions and objects Alertmanager gives notification templates (template/template.go of Alertmanager)."""

from __future__ import annotations

import datetime as dt
import json
import urllib.parse
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tongchou.alerting.gotemplate import humanize
from tongchou.alerting.gotemplate.errors import Unfit
from tongchou.alerting.gotemplate.formatting import MAX_TEXT_CHARACTERS
from tongchou.alerting.gotemplate.functions import Function, FunctionSet, bounded
from tongchou.alerting.gotemplate.gotime import GoTime, between, format_time
from tongchou.alerting.gotemplate.prometheus import matches, replace_all, title
from tongchou.alerting.gotemplate.values import StringMap, Struct


class KV(StringMap):
    """Labels or annotations with Alertmanager's methods: SortedPairs, Remove, Names, Values."""

    __slots__ = ()

    def sorted_pairs(self) -> list[Struct]:
        """Pairs of Name and Value, alertname first, the rest by name."""
        keys = sorted(self, key=lambda key: (key != "alertname", key))
        return [Struct("template.Pair", {"Name": key, "Value": self[key]}) for key in keys]

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """What a template may call on it."""
        return {
            "SortedPairs": self.sorted_pairs,
            "Remove": lambda names: KV({key: value for key, value in self.items() if key not in names}),
            "Names": lambda: [pair.fields["Name"] for pair in self.sorted_pairs()],
            "Values": lambda: [pair.fields["Value"] for pair in self.sorted_pairs()],
        }


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """One alert of a notification."""

    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    generator_url: str
    fingerprint: str


class Alerts(list[object]):
    """The alerts of a notification: a list whose Firing and Resolved are lists of those in that state."""

    __slots__ = ()

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """What a template may call on it."""
        return {
            state: lambda state=state: [
                each for each in self if isinstance(each, Struct) and each.fields["Status"] == state.lower()
            ]
            for state in ("Firing", "Resolved")
        }


def alerts_list(alerts: Iterable[Struct]) -> Alerts:
    """The Alerts of a notification's data."""
    return Alerts(alerts)


def alert_struct(alert: NotifiedAlert) -> Struct:
    """An alert as a template sees it."""
    zero = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    return Struct(
        "template.Alert",
        {
            "Status": alert.status,
            "Labels": KV(alert.labels),
            "Annotations": KV(alert.annotations),
            "StartsAt": GoTime(alert.starts_at),
            "EndsAt": GoTime(alert.ends_at or zero),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": alert.fingerprint,
        },
    )


def functions(now: dt.datetime) -> FunctionSet:
    """The set for a notification made at ``now``."""
    return {"since": Function(lambda at: between(GoTime(now), at), ("time",)), **_PURE}


def _join(separator: str, parts: list[str]) -> str:
    if sum(len(part) for part in parts) + len(separator) * len(parts) > MAX_TEXT_CHARACTERS:
        raise Unfit(f"text is longer than {MAX_TEXT_CHARACTERS} characters")
    return separator.join(parts)


def _zone(name: str, at: GoTime) -> GoTime:
    try:
        return GoTime(at.at.astimezone(zoneinfo.ZoneInfo(name)))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Unfit(f"unknown time zone {name}") from None


_PURE: FunctionSet = {
    "toUpper": Function(lambda text: text.upper(), ("string",)),
    "toLower": Function(lambda text: text.lower(), ("string",)),
    "title": Function(title, ("string",)),
    "trimSpace": Function(lambda text: text.strip(), ("string",)),
    "join": Function(_join, ("string", "strings")),
    "match": Function(matches, ("string", "string")),
    "safeHtml": Function(lambda text: text, ("string",)),
    "safeUrl": Function(lambda text: text, ("string",)),
    "urlUnescape": Function(urllib.parse.unquote_plus, ("string",)),
    "reReplaceAll": Function(replace_all, ("string", "string", "string")),
    "stringSlice": Function(lambda *parts: list(parts), ("*string",)),
    "date": Function(lambda layout, at: format_time(at.at, layout), ("string", "time")),
    "tz": Function(_zone, ("string", "time")),
    "humanizeDuration": Function(humanize.humanize_duration, ("any",)),
    "toJson": Function(lambda text: bounded(json.dumps(text, ensure_ascii=False)), ("string",)),
}
