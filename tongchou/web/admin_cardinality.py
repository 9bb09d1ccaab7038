"""Administration: what the series are made of, how their number grows, who sends them, what of it was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from tongchou.core.access import check
from tongchou.telemetry import cardinality as telemetry
from tongchou.telemetry.backend import backend
from tongchou.telemetry.sources import Source
from tongchou.web.gate import PageRequest, page

SHOWN = 20
SHOWN_SENDERS = 100
SHOWN_REJECTS = 50


@dataclass(frozen=True)
class Line:
    """One name with its number, its share (0 to 100) of all series, and where to look at it."""

    name: str
    count: int
    share: float
    url: str


@page("telemetry.view")
def cardinality(request: PageRequest) -> HttpResponse:
    """The greatest metrics, labels and pairs; growth; senders; refusals with their last example."""
    check(request.actor, "telemetry.view")  # metrics have no owner: a team's role does not open them
    found = telemetry.measure(2 * SHOWN)
    pairs = [each for each in found.pairs if not each[0].startswith("__name__=")]  # the metrics stand beside them
    growth = telemetry.growth()
    senders = telemetry.senders()
    context = {
        "found": found,
        "growth": growth,
        "first_day": datetime.fromtimestamp(growth.first_day * 86_400, UTC) if growth.first_day else None,
        "limit": settings.TELEMETRY_MAX_SERIES,
        "full": 100 * found.series / settings.TELEMETRY_MAX_SERIES,
        "metrics": [_line(name, count, found.series, _of_metric(name)) for name, count in found.metrics[:SHOWN]],
        "labels": [_label(name, count, dict(found.memory).get(name)) for name, count in found.labels[:SHOWN]],
        "pairs": [_line(name, count, found.series, _of_pair(name)) for name, count in pairs[:SHOWN]],
        "senders": [_sender(each, max(growth.active, 1)) for each in senders[:SHOWN_SENDERS]],
        "more_senders": max(0, len(senders) - SHOWN_SENDERS),
        "rejects": _rejects(senders),
        "shared": backend().engine.shared,
    }
    return render(request, "admin/cardinality.html", context)


def _explore(*queries: str) -> str:
    return f"{reverse('web:explore')}?{urlencode([('query', each) for each in queries])}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _of_metric(name: str) -> str:
    return _explore(f"count({{__name__={_quoted(name)}}})", f"{{__name__={_quoted(name)}}}")


def _of_pair(pair: str) -> str:
    name, _equals, value = pair.partition("=")
    return _explore(f"topk(20, count by (__name__) ({{{name}={_quoted(value)}}}))")


def _line(name: str, count: int, series: int, url: str) -> Line:
    return Line(name, count, 100 * count / max(series, 1), url)


def _label(name: str, count: int, memory: int | None) -> dict[str, Any]:
    query = f'topk(20, count by ({name}) ({{{name}!=""}}))'
    return {"name": name, "count": count, "bytes": memory, "url": _explore(query)}


def _at(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None


def _sender(source: Source, active: int) -> dict[str, Any]:
    return {
        "name": source.name,
        "active": source.active,
        "share": 100 * source.active / active,
        "samples": source.samples,
        "rejected": source.rejected_samples,
        "last": _at(source.last_ms),
    }


def _rejects(senders: list[Source]) -> list[dict[str, Any]]:
    """What was refused, the newest first."""
    found = [(source, each) for source in senders for each in source.rejected.values()]
    found.sort(key=lambda each: -each[1].at_ms)
    return [
        {
            "source": source.name,
            "reason": each.reason,
            "samples": each.samples,
            "example": each.example,
            "at": _at(each.at_ms),
        }
        for source, each in found[:SHOWN_REJECTS]
    ]
