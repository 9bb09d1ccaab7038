"""What the neighbourhood of an incident itself measures: shifts of its own series, and the answers of the baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tongchou.incidents.suspects import Change, Pattern, Shifted
from tongchou.inventory.models import Endpoint
from tongchou.telemetry import log_pattern_reads, shift_reads
from tongchou.telemetry.backend import is_open
from tongchou.telemetry.log_reads import moment_of
from tongchou.telemetry.logs.novelty import Novel
from tongchou.telemetry.shifts.derive import Quantity

MAX_TARGETS = 80
MOST_PER_RESOURCE = 12
MOST_BASELINE = 5
MAX_TEMPLATE, MAX_EXAMPLE = 200, 500


@dataclass(slots=True)
class Measured:
    """Shifts by resource, the z-score baseline, and what was looked at (JSON for the page)."""

    shifts: list[Shifted] = field(default_factory=list)
    z_scores: dict[UUID, float] = field(default_factory=dict)
    traffic_known: set[UUID] = field(default_factory=set)
    looked: dict[str, Any] = field(default_factory=dict)


def look(nearest_first: Sequence[UUID], onset: datetime, now: datetime) -> Measured:
    """Read the series of the nearest MAX_TARGETS targets; one query and a bounded number of telemetry reads."""
    places = {resource: place for place, resource in enumerate(nearest_first)}
    rows = Endpoint.objects.filter(resource__in=nearest_first, purpose="metrics").values_list(
        "job", "instance", "resource_id"
    )
    targets = sorted(
        ((job, instance, resource) for job, instance, resource in rows if instance),
        key=lambda row: (places[row[2]], row[0], row[1]),
    )
    kept = targets[:MAX_TARGETS]
    if not kept or not is_open():
        return Measured(looked={"targets": 0, "targets_known": len(targets)})
    report = shift_reads.shifts({(job, instance) for job, instance, _resource in kept}, onset, now)
    by_target: dict[tuple[str, str], list[UUID]] = {}
    for job, instance, resource in kept:
        by_target.setdefault((job, instance), []).append(resource)
    found = Measured(looked=_looked(report, len(targets)))
    found.traffic_known = {resource for target in report.counted for resource in by_target.get(target, ())}
    counts: dict[UUID, int] = {}
    for each in report.found:  # strongest first
        for resource in by_target.get(each.quantity.target, ()):
            counts[resource] = counts.get(resource, 0) + 1
            if counts[resource] <= MOST_PER_RESOURCE or each.quantity.kind == "traffic":
                found.shifts.append(_shifted(resource, each))
    for target, score in report.z_scores.items():
        for resource in by_target.get(target, ()):
            found.z_scores[resource] = max(score, found.z_scores.get(resource, 0.0))
    return found


def _shifted(resource: UUID, found: shift_reads.Found) -> Shifted:
    quantity = found.quantity
    return Shifted(
        resource=resource,
        kind=quantity.kind,
        what=name_of(quantity),
        at=found.at,
        direction=found.direction,
        before=found.before,
        after=found.after,
        unit=quantity.unit,
        strength=found.strength,
        persistence=found.persistence,
        fresh=found.fresh,
        resolution_seconds=found.resolution_seconds,
        facts={
            "query": quantity.query,
            "start": found.start.isoformat(),
            "step": found.step_seconds,
            "points": list(found.points),
            "persistence": round(found.persistence, 2),
        },
    )


def name_of(quantity: Quantity) -> str:
    """The metric's name with the labels that tell it from its siblings, and what was made of it."""
    labels = ",".join(f"{name}={value}" for name, value in quantity.labels if name not in ("service", "env"))
    inside = f"{quantity.metric}{{{labels}}}" if labels else quantity.metric
    return f"{inside} ({quantity.stat})" if quantity.stat in ("p95", "share", "used") else inside


def _looked(report: shift_reads.Report, known: int) -> dict[str, Any]:
    told = asdict(report)
    for left_out in ("found", "z_scores", "counted"):
        told.pop(left_out)
    for name in ("base_from", "scan_from", "until"):
        told[name] = told[name].isoformat() if told[name] else None
    return {**told, "targets_known": known, "shifted": len(report.found)}


def look_at_logs(
    nearest_first: Sequence[UUID], names: Mapping[UUID, str], onset: datetime, now: datetime
) -> tuple[list[Pattern], dict[str, Any]]:
    """New and multiplied log patterns of the nearest resources, and what was looked at. One query, bounded reads.

    A line is a resource's when one of its labels carries the resource's name or its scrape target's instance.
    """
    if not is_open():
        return [], {}
    kept = nearest_first[:MAX_TARGETS]
    sources: dict[str, str] = {}
    rows = Endpoint.objects.filter(resource__in=kept, purpose="metrics").values_list("instance", "resource_id")
    for instance, resource in rows:
        if instance:
            sources.setdefault(instance, str(resource))
    for resource in kept:
        if name := names.get(resource):
            sources.setdefault(name, str(resource))
    report = log_pattern_reads.patterns(sources, onset, now)
    found = [_pattern(each) for each in report.found]
    told = asdict(report)
    told.pop("found")
    for name in ("before_from", "scan_from", "until"):
        told[name] = told[name].isoformat() if told[name] else None
    return found, {**told, "sources": len(sources), "found": len(found)}


def _pattern(found: Novel) -> Pattern:
    search = f'"{found.phrase}"' if found.phrase and '"' not in found.phrase else ""
    return Pattern(
        resource=UUID(found.key),
        template=found.template[:MAX_TEMPLATE],
        level=found.level,
        at=moment_of(found.first_ns),
        count=found.count,
        before=found.expected,
        new=found.new,
        facts={"line": found.example[:MAX_EXAMPLE], "line_id": found.example_id, "search": search},
    )


def nearest_first(
    failing: Iterable[UUID], needs: Mapping[UUID, Mapping[UUID, int]], callers: Mapping[UUID, int]
) -> list[UUID]:
    """The neighbourhood by distance: what fails, then what it needs and who calls it, nearer before farther."""
    distance = dict.fromkeys(failing, 0)
    for resource in list(distance):
        for other, hops in needs.get(resource, {}).items():
            distance[other] = min(hops, distance.get(other, hops))
    for other, hops in callers.items():
        distance[other] = min(hops, distance.get(other, hops))
    return sorted(distance, key=lambda each: (distance[each], str(each)))


def baselines(
    changes: Collection[Change], z_scores: Mapping[UUID, float], names: Mapping[UUID, str], first: datetime | None
) -> dict[str, list[dict[str, Any]]]:
    """What two simple methods would have answered: the latest change, and the largest z-score. Refs, best first."""
    before = [change for change in changes if first is None or change.at <= first]
    before.sort(key=lambda change: (-change.at.timestamp(), change.ref))
    scored = sorted(z_scores.items(), key=lambda pair: (-pair[1], names.get(pair[0], ""), str(pair[0])))
    return {
        "latest_change": [
            {"ref": change.ref, "name": change.title, "rank": rank, "at": change.at.isoformat()}
            for rank, change in enumerate(before[:MOST_BASELINE], start=1)
        ],
        "largest_z": [
            {
                "ref": f"inventory.resource:{resource}",
                "name": names.get(resource, ""),
                "rank": rank,
                "z": round(score, 1),
            }
            for rank, (resource, score) in enumerate(scored[:MOST_BASELINE], start=1)
        ],
    }
