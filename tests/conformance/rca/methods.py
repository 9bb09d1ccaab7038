"""The methods that are compared. Each gets a case and gives services, the likeliest first; ties by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np

from tests.conformance.rca.cases import Case
from tongchou.incidents.scoring import rank
from tongchou.incidents.suspects import Evidence, Shifted, Symptom
from tongchou.telemetry.shift_reads import z_scores
from tongchou.telemetry.shifts.detect import detect

MAX_HOPS = 6  # as topology.MAX_HOPS, which needs the database
START = datetime(2026, 1, 1, tzinfo=UTC)
APPLICATION = "the application"  # what fails in a set that does not say where it hurts: it needs every service


def identity(service: str) -> UUID:
    """The resource that stands for a service."""
    return uuid5(NAMESPACE_URL, f"rca:{service}")


def evidence_of(case: Case) -> Evidence:
    """The product's evidence: its own detector over the case's series, the case's graph, one alert where it hurts."""
    floors = np.array([each.floor for each in case.series])
    shifts = []
    for shift in detect(case.base, case.scan, floor=floors):
        series = case.series[shift.row]
        if series.bad not in (0, shift.direction):
            continue
        shifts.append(
            Shifted(
                identity(series.service),
                series.kind,
                series.name,
                _at(case, shift.onset),
                shift.direction,
                shift.before,
                shift.after,
                series.unit,
                shift.strength,
                shift.persistence,
                shift.fresh,
                case.step_seconds,
            )
        )
    symptom = case.symptom or APPLICATION
    measure = "errors" if case.fault.startswith("availability") else "latency" if case.symptom else "other"
    needs = {identity(service): _reached(case, service) for service in {*case.services, symptom}}
    names = {identity(service): service for service in {*case.services, symptom}}
    return Evidence(
        [Symptom(identity(symptom), "alert", _at(case, case.first_step), measure)],
        needs=needs,
        names=names,
        shifts=shifts,
    )  # type: ignore[arg-type]  # one of the measures


def _at(case: Case, step: int) -> datetime:
    return START + timedelta(seconds=step * case.step_seconds)


def _reached(case: Case, service: str) -> dict[UUID, int]:
    """What a service needs, by hops; without topology the application needs every service and they need nobody."""
    if case.calls is None:
        return {identity(each): 1 for each in case.services} if service == APPLICATION else {}
    hops = {service: 0}
    queue = [service]
    for node in queue:
        for other in sorted(case.calls.get(node, ())):
            if other not in hops and hops[node] < MAX_HOPS:
                hops[other] = hops[node] + 1
                queue.append(other)
    return {identity(other): steps for other, steps in hops.items() if other != service}


def tongchou(case: Case) -> list[str]:
    """The product's ranking."""
    evidence = evidence_of(case)
    ranked = rank(evidence, limit=1000)
    found = [evidence.names[suspect.key] for suspect in ranked if isinstance(suspect.key, UUID)]
    return [service for service in found if service in set(case.services)]


def latest_change(_case: Case) -> list[str]:
    """The newest change before the first symptom. The sets record no changes, so there is no answer."""
    return []


def largest_z(case: Case) -> list[str]:
    """The greatest shift of a mean in standard deviations, over all series of a service."""
    best: dict[str, float] = {}
    if case.base.shape[1]:
        for series, score in zip(case.series, z_scores(case.base, case.scan).tolist(), strict=True):
            best[series.service] = max(score, best.get(series.service, 0.0))
    allowed = set(case.services)
    return [name for name in sorted(best, key=lambda each: (-best[each], each)) if name in allowed]


METHODS: Mapping[str, Callable[[Case], list[str]]] = {
    "tongchou": tongchou,
    "latest change": latest_change,
    "largest z": largest_z,
}
