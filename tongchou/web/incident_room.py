"""What stands around an incident in its room: pure choices about times, queries and charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tongchou.incidents.models import Incident
from tongchou.incidents.reads import ReasonView, SuspectView

LEAD = timedelta(minutes=15)
TAIL = timedelta(minutes=15)
LOG_LEAD = timedelta(minutes=5)
LOG_TAIL = timedelta(minutes=15)
AT_ONCE = 3
# reasons that follow from the graph alone: a suspect with no other has nothing recorded against it
NO_EVIDENCE = frozenset({"not_failing", "explains", "hop", "already_explained"})
MOST_CHARTS = 8
MOST_OF_ONE = 2
MOST_TERMS = 16
PRESETS = (("15m", 900), ("1h", 3600), ("4h", 14_400), ("12h", 43_200), ("1d", 86_400), ("7d", 604_800))


def ended_at(incident: Incident) -> datetime | None:
    """Return when the impact ended, as alerts or a person said first; None while it lasts."""
    ends = [each for each in (incident.recovered_at, incident.mitigated_at, incident.resolved_at) if each is not None]
    return min(ends, default=None)


def preset_for(incident: Incident, now: datetime) -> str:
    """Return the shortest range of the picker that shows the beginning and a while before it."""
    wanted = (now - incident.started_at + LEAD / 3).total_seconds()
    return next((name for name, seconds in PRESETS if seconds >= wanted), "30d")


def span(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    """Return the time an incident that is over is looked at: from a while before its beginning to one after its end."""
    return incident.started_at - LEAD, min(now, (ended_at(incident) or now) + TAIL)


@dataclass(frozen=True, slots=True)
class TellingChart:
    """A query whose line says something about the incident: of what, why it is shown, where its thing is."""

    title: str
    query: str
    why: str
    ref: str = ""
    rank: int = 0


def bare(suspect: SuspectView) -> bool:
    """Tell whether nothing is recorded against a suspect; the first is always looked at."""
    return suspect.rank > 1 and NO_EVIDENCE.issuperset(reason.code for reason in suspect.reasons)


def fold(rank: int, reasons: Sequence[ReasonView]) -> tuple[list[ReasonView], list[ReasonView]]:
    """Split a suspect's reasons into those read at once, in their order, and those behind a fold.

    The first suspect shows all; the others their weightiest few: at night one reads down the list of names first.
    """
    if rank == 1 or len(reasons) <= AT_ONCE + 1:  # a fold for one line saves nothing
        return list(reasons), []
    weightiest = sorted(range(len(reasons)), key=lambda at: (-abs(reasons[at].weight), at))[:AT_ONCE]
    shown = [reason for at, reason in enumerate(reasons) if at in weightiest]
    return shown, [reason for at, reason in enumerate(reasons) if at not in weightiest]


def telling(suspects: Iterable[SuspectView], rules: Iterable[tuple[str, str]]) -> list[TellingChart]:
    """Return at most MOST_CHARTS charts: what alerts measure, then the shifts that speak against suspects, best first.

    `rules` are (name, measured expression) of the incident's alerts. No suspect has more than MOST_OF_ONE.
    """
    found: dict[str, TellingChart] = {}
    for name, query in rules:
        if len(found) < MOST_CHARTS // 2:
            found.setdefault(query, TellingChart(name, query, ""))
    for suspect in suspects:
        own = 0
        for reason in sorted(suspect.reasons, key=lambda each: -each.weight):
            measured = reason.facts.get("query")
            if not isinstance(measured, str) or not measured or measured in found or own >= MOST_OF_ONE:
                continue
            if len(found) >= MOST_CHARTS:
                return list(found.values())
            own += 1
            found[measured] = TellingChart(suspect.name, measured, reason.text, suspect.ref, suspect.rank)
    return list(found.values())


def log_query(names: Mapping[str, Sequence[str]]) -> str:
    """Return a search for lines of any of these: field -> values, e.g. service, host, instance. "" for nothing."""
    terms = [
        f'{field}:"{_quoted(value)}"'
        for field, values in names.items()
        for value in dict.fromkeys(values)
        if value.strip() and value.isprintable()  # the search takes no control characters
    ]
    terms = terms[:MOST_TERMS]
    return f"({' OR '.join(terms)})" if len(terms) > 1 else "".join(terms)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def fitting_alerts(matchers: Iterable[Mapping[str, Sequence[str]]], alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the alerts (labels) a procedure's matchers fit, each once, in order: why it is suggested."""
    wanted = list(matchers)
    names: dict[str, None] = {}
    for labels in alerts:
        if any(all(labels.get(name) in values for name, values in each.items()) for each in wanted):
            names.setdefault(str(labels.get("alertname", "")), None)
    return list(names)
