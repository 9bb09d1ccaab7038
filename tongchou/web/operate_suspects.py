"""Operate: why each suspect of an incident ranks where it does. Every point with the fact behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from tongchou.core.access import allows
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref
from tongchou.incidents import reads
from tongchou.incidents.models import Incident
from tongchou.incidents.units import shown
from tongchou.incidents.why import Why, why
from tongchou.inventory import kinds
from tongchou.web import incident_room
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import Link, resolve

BAR_WIDTH = 200.0
SPARK_WIDTH, SPARK_HEIGHT = 260.0, 40.0
PAD = 3.0
MOST_SAID = 3
AROUND = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Bar:
    """A step of the waterfall in the units of its drawing: where it begins, how wide it is, whether it takes points."""

    x: float
    width: float
    takes: bool


@dataclass(frozen=True, slots=True)
class Spark:
    """A small curve: pieces between gaps as SVG points, where the shift and the first symptom are, the extremes."""

    pieces: list[str]
    onset_x: float | None
    symptom_x: float | None
    low: str
    high: str


def bars(points: Sequence[float], scale: float) -> list[Bar]:
    """The waterfall of points, each beginning where the one before ended; `scale` is drawing units a point. Pure."""
    found = []
    at = 0.0
    for each in points:
        start, end = sorted((at, at + each))
        found.append(Bar(round(start * scale, 1), round(max(1.0, (end - start) * scale), 1), each < 0))
        at += each
    return found


def extent(points: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest running sum of a waterfall, 0 included. Pure."""
    low = high = at = 0.0
    for each in points:
        at += each
        low, high = min(low, at), max(high, at)
    return low, high


def spark(facts: Mapping[str, Any], unit: str, symptom: datetime) -> Spark | None:
    """The curve of a shift's facts; None without points. Pure."""
    values = facts.get("points")
    if not isinstance(values, list) or not any(isinstance(each, int | float) for each in values):
        return None
    known = [float(each) for each in values if each is not None]
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    across = (SPARK_WIDTH - 2 * PAD) / max(1, len(values) - 1)

    def point(place: int, value: float) -> str:
        y = SPARK_HEIGHT - PAD - (value - low) / span * (SPARK_HEIGHT - 2 * PAD)
        return f"{PAD + place * across:.1f},{y:.1f}"

    pieces: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(point(place, float(value)))
    drawn = [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece]
    start, step = datetime.fromisoformat(facts["start"]), float(facts["step"])

    def place_of(at: datetime) -> float | None:
        x = PAD + (at - start).total_seconds() / step * across
        return round(x, 1) if PAD <= x <= SPARK_WIDTH - PAD else None

    return Spark(
        drawn, place_of(datetime.fromisoformat(facts["at"])), place_of(symptom), shown(low, unit), shown(high, unit)
    )


def _fact(reason: reads.ReasonView, incident: Incident) -> dict[str, Any]:
    """What a reason rests on, ready to draw: a curve with a link to the metrics, or a line with one to the logs."""
    facts = reason.facts
    window = {
        "from": round((incident.started_at - AROUND).timestamp() * 1000),
        "to": round((incident.started_at + AROUND).timestamp() * 1000),
    }
    if "query" in facts:
        begin = datetime.fromisoformat(facts["start"])
        end = begin + timedelta(seconds=float(facts["step"]) * len(facts.get("points", ())))
        window = {"from": round(begin.timestamp() * 1000), "to": round(end.timestamp() * 1000)}
        url = f"{reverse('web:explore')}?{urlencode({'query': facts['query'], **window})}"
        return {"spark": spark(facts, reason.unit, incident.started_at), "query": facts["query"], "url": url}
    if "line" in facts:
        url = f"{reverse('web:logs')}?{urlencode({'query': facts.get('search', ''), **window})}"
        return {"line": facts["line"], "url": url}
    return {}


def _greatest(reasons: Sequence[reads.ReasonView], codes: Sequence[str]) -> list[reads.ReasonView]:
    """The MOST_SAID of these reasons with the most points: a close race is decided by everything."""
    return sorted((each for each in reasons if each.code in codes), key=lambda each: -abs(each.weight))[:MOST_SAID]


def _suspect(each: Why, links: Mapping[str, Link], low: float, scale: float, incident: Incident) -> dict[str, Any]:
    suspect = each.suspect
    points = [reason.weight for reason in suspect.reasons]
    steps = bars(points, scale)
    return {
        "suspect": suspect,
        "link": links[suspect.ref],
        "about": [links[about] for about in suspect.about[:4]],
        "kind": kinds.kind(suspect.resource_kind).title if suspect.resource_kind else _("Change"),
        "path": each.path,
        "order": each.order,
        "decisive": _greatest(suspect.reasons, each.order.decisive),
        "against": _greatest(suspect.reasons, each.order.against),
        "bare": incident_room.bare(suspect),
        "rows": [
            {"reason": reason, "bar": bar, "x": round(bar.x - low * scale, 1), **_fact(reason, incident)}
            for reason, bar in zip(suspect.reasons, steps, strict=True)
        ],
        "zero": round(-low * scale, 1),
    }


def _left_out(looked: Mapping[str, Any]) -> list[str]:
    """What the ranking did not look at, in words."""
    metrics, logs = looked.get("metrics") or {}, looked.get("logs") or {}
    said = []
    known, read = metrics.get("targets_known", 0), metrics.get("targets", 0)
    if known > read:
        said.append(_("%(count)s farther targets") % {"count": known - read})
    words = {
        "series_capped": _("series beyond the limit of one read"),
        "deadline": _("what was not read in time"),
        "refused": _("metrics: the store refused the read"),
        "no_samples": _("metrics: there are no samples of this time"),
        "no_base": _("metrics: too little is known of the time before"),
    }
    said += [words[note] for note in dict.fromkeys(metrics.get("notes", ())) if note in words]
    words = {
        "lines_capped": _("log lines of the fault beyond the newest 4,000"),
        "lines_capped_before": _("log lines before beyond the newest 4,000"),
        "no_lines_before": _("logs: there are no lines before to compare with"),
        "refused": _("logs: the store refused the read"),
        "deadline": _("logs that were not read in time"),
    }
    return said + [words[note] for note in dict.fromkeys(logs.get("notes", ())) if note in words]


def _moments(told: Mapping[str, Any]) -> dict[str, datetime | None]:
    return {
        name: datetime.fromisoformat(told[name]) if told.get(name) else None
        for name in ("base_from", "before_from", "scan_from", "until")
    }


@page("incidents.view")
def incident_suspects(request: PageRequest, number: int) -> HttpResponse:
    """Every suspect with its points, their facts, what would have changed the order. `?part=live`: the body alone."""
    found = reads.visible(request.actor).filter(number=number).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound("incident.unknown", _("There is no such incident."), remedy=_("Open the list of incidents."))
    incident = reads.get(request.actor, found)
    facts = allows(request.actor, "telemetry.view")
    explained = why(incident, facts=facts)
    extents = [extent([reason.weight for reason in each.suspect.reasons]) for each in explained]
    low, high = min((each[0] for each in extents), default=0.0), max((each[1] for each in extents), default=1.0)
    scale = BAR_WIDTH / max(1.0, high - low)
    baselines, looked = reads.baselines(incident), reads.looked(incident)
    links = resolve(
        [
            *(each.suspect.ref for each in explained),
            *(about for each in explained for about in each.suspect.about),
            *(row["ref"] for rows in baselines.values() for row in rows),
        ]
    )
    suspects = [_suspect(each, links, low, scale, incident) for each in explained]
    context = {
        "incident": incident,
        "ref": ref(incident),
        "suspects": [each for each in suspects if not each["bare"]],
        "bare": [each for each in suspects if each["bare"]],
        "facts": facts,
        "baselines": {
            name: [{"row": row, "link": links[row["ref"]]} for row in rows] for name, rows in baselines.items()
        },
        "metrics": (looked.get("metrics") or {}),
        "metric_times": _moments(looked.get("metrics") or {}),
        "logs": (looked.get("logs") or {}),
        "log_times": _moments(looked.get("logs") or {}),
        "looked": looked,
        "left_out": _left_out(looked),
        "bar_width": int(BAR_WIDTH),
        "spark_width": int(SPARK_WIDTH),
        "spark_height": int(SPARK_HEIGHT),
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/suspects_live.html" if part else "operate/suspects.html", context)
