"""Gathers what is known about an incident for the ranking: alerts, graph, ledger, `up`. A bounded number of queries."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from tongchou.alerting.models import Alert
from tongchou.core.models import Event, EventAbout
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.incidents import measured, severity, topology
from tongchou.incidents.changes_seen import (
    CHANGE_VERBS,
    RESOURCE,
    began_at,
    kind_of,
    ref_of,
    repeats,
    title_of,
    version_changed,
)
from tongchou.incidents.models import Incident, Suspect
from tongchou.incidents.suspects import Change, Evidence, Outage, Symptom
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import Endpoint
from tongchou.telemetry import reads as telemetry
from tongchou.telemetry.backend import is_open

log = logging.getLogger(__name__)

MAX_ALERTS = 1000
MAX_CHANGES = 200
MAX_TARGETS = 200
UP_BEFORE = timedelta(minutes=5)
UP_AFTER = timedelta(minutes=5)
UP_STEPS = 300


@dataclass(frozen=True, slots=True)
class Case:
    """Evidence, and what is needed to write its ranking down: change ref -> its newest event's id.

    `looked` says what was read and what was not; `baselines` what two simple methods would have answered.
    """

    evidence: Evidence
    events: Mapping[str, int]
    symptoms: frozenset[UUID]
    callers: Mapping[UUID, int]
    looked: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, Any] = field(default_factory=dict)


def gather(incident: Incident, *, look_back: timedelta, now: datetime) -> Case:
    """Read all evidence of an incident as it is at `now`. Telemetry that does not answer is left out."""
    graph = load_graph()
    symptoms = _symptoms(incident)
    failing = frozenset(symptom.resource for symptom in symptoms)
    if not failing:
        return Case(Evidence([]), {}, failing, {})
    needs = topology.needs(graph, failing)
    callers = topology.callers(graph, failing)
    relevant = failing.union(callers, *needs.values())
    onset = min(symptom.active_at for symptom in symptoms)
    changes, events = _changes(incident, relevant, since=onset - look_back, until=now)
    near = measured.nearest_first(failing, needs, callers)
    found = measured.look(near, onset, now)
    involved = {r for change in changes for r in change.resources}
    needs |= topology.needs(graph, involved.union(each.resource for each in found.shifts) - failing)
    names = _names(graph, {*relevant, *involved})
    outages = _outages(relevant - set(callers), onset, now)
    patterns, logs = measured.look_at_logs(near, names, onset, now)
    evidence = Evidence(
        symptoms=symptoms,
        outages=outages,
        changes=changes,
        needs=needs,
        names=names,
        shifts=found.shifts,
        patterns=patterns,
        wholes=topology.wholes(graph, relevant),
        traffic_known=found.traffic_known,
    )
    looked = {"metrics": found.looked, "logs": logs, "resources": len(relevant), "changes": len(changes)}
    return Case(evidence, events, failing, callers, looked, measured.baselines(changes, found.z_scores, names, onset))


def _names(graph: Graph, resources: Iterable[UUID]) -> dict[UUID, str]:
    return {resource: graph.nodes[resource].name for resource in resources if resource in graph}


def _symptoms(incident: Incident) -> list[Symptom]:
    """The alerts of the incident's groups by the resources they are about; of too many the earliest."""
    alerts = (
        Alert.objects.filter(group__incident_link__incident=incident)
        .select_related("rule")
        .only("name", "active_at", "rule__expr")
        .order_by("active_at", "id")
        .prefetch_related("resources")[:MAX_ALERTS]
    )
    found = []
    for alert in alerts:
        measure = severity.measure(alert.rule.expr, alert.name)
        found += [Symptom(row.resource_id, alert.name, alert.active_at, measure) for row in alert.resources.all()]
    return found


def _changes(
    incident: Incident, relevant: Collection[UUID], *, since: datetime, until: datetime
) -> tuple[list[Change], dict[str, int]]:
    """Changes about relevant resources, and every deployment; what answered this incident itself is no suspect."""
    near = EventAbout.objects.filter(ref__in=[f"{RESOURCE}{resource}" for resource in relevant]).values("event_id")
    answers = EventAbout.objects.filter(ref=ref(incident)).values("event_id")
    events = list(
        Event.objects.filter(verb__in=CHANGE_VERBS, at__gte=since, at__lte=until)
        .filter(Q(verb__startswith="deployment.") | Q(pk__in=near))
        .exclude(pk__in=answers)
        .order_by("-at", "-pk")[:MAX_CHANGES]
    )
    about: dict[int, set[UUID]] = {event.pk: set() for event in events}
    rows = EventAbout.objects.filter(event__in=events, ref__startswith=RESOURCE).values_list("event_id", "ref")
    for event_id, resource in rows:
        about[event_id].add(UUID(resource.removeprefix(RESOURCE)))
    newest: dict[str, Event] = {}
    released = _released(events, about)
    for event in events:  # newest first: of a start and its end, the end knows more
        if not repeats(event.payload, {v for resource in about[event.pk] for v in released.get(resource, ())}):
            newest.setdefault(ref_of(event.pk, event.subject), event)
    past = _past(incident, {r for event in newest.values() for r in about[event.pk]}, since)
    changes = [_change(change_ref, event, frozenset(about[event.pk]), past) for change_ref, event in newest.items()]
    return changes, {change_ref: event.pk for change_ref, event in newest.items()}


def _released(events: Iterable[Event], about: Mapping[int, Iterable[UUID]]) -> dict[UUID, set[str]]:
    """The versions that deployments brought to each resource."""
    found: dict[UUID, set[str]] = {}
    for event in events:
        if event.verb.startswith("deployment."):
            for resource in about[event.pk]:
                found.setdefault(resource, set()).add(str(event.payload.get("version")))
    return found


def _change(change_ref: str, event: Event, resources: frozenset[UUID], past: Mapping[UUID, tuple[int, int]]) -> Change:
    kind = kind_of(event.verb, event.payload)
    records = [past[resource] for resource in resources if resource in past]
    return Change(
        ref=change_ref,
        title=title_of(event.verb, event.payload),
        kind=kind,
        at=began_at(event.at, event.payload),
        resources=resources,
        version_changed=version_changed(event.payload),
        past=max(records, default=(0, 0)) if kind == "deployment" else (0, 0),
    )


def _past(incident: Incident, resources: Collection[UUID], before: datetime) -> dict[UUID, tuple[int, int]]:
    """For each resource: how many earlier deployments, and how many of them led the suspects of another incident."""
    refs = [f"{RESOURCE}{resource}" for resource in resources]
    earlier = EventAbout.objects.filter(ref__in=refs, event__verb="deployment.finished", event__at__lt=before)
    blamed = Suspect.objects.filter(rank=1, kind="event").exclude(incident=incident).values("event_id")
    counted = earlier.values("ref").annotate(total=Count("pk"), bad=Count("pk", filter=Q(event_id__in=blamed)))
    return {UUID(row["ref"].removeprefix(RESOURCE)): (row["total"], row["bad"]) for row in counted}


def _outages(resources: Collection[UUID], onset: datetime, now: datetime) -> list[Outage]:
    """Gaps of `up` around the onset; none when the telemetry store is not open here or refuses."""
    targets = list(
        Endpoint.objects.filter(resource__in=resources, purpose="metrics").values_list("job", "instance", "resource_id")
    )
    if not targets or not is_open():
        return []
    start, end = onset - UP_BEFORE, min(now, onset + UP_AFTER)
    step_seconds = max(1.0, (end - start).total_seconds() / UP_STEPS)
    try:
        lines = telemetry.range_matrix(_query({instance for _job, instance, _id in targets}), start, end, step_seconds)
    except Problem as problem:
        log.warning("suspects are ranked without `up`: %s", problem)
        return []
    found = []
    for line in lines:
        gaps = outages_in(line.times.tolist(), start, end, step_seconds)
        for job, instance, resource in targets:
            if (job, instance) == (line.labels.get("job", ""), line.labels.get("instance", "")):
                found += [Outage(resource, since, until, from_start) for since, until, from_start in gaps]
    return found


def _query(instances: Collection[str]) -> str:
    if len(instances) > MAX_TARGETS:
        return "up == 0"
    alternatives = "|".join(_escaped(instance) for instance in sorted(instances))
    return f'up{{instance=~"{alternatives}"}} == 0'


def _escaped(text: str) -> str:
    """A label value as a regular expression inside a PromQL string: all but letters and digits escaped for both."""
    return "".join(each if each.isalnum() or each in "-_:/" else f"\\\\x{{{ord(each):x}}}" for each in text)


def outages_in(
    times_ms: Sequence[int], start: datetime, end: datetime, step_seconds: float
) -> list[tuple[datetime, datetime | None, bool]]:
    """Return (since, until, from_start) of the gaps that the steps at which `up` was 0 form. Pure.

    A gap that reaches the last step goes on (until None); one from the first step on has an unknown beginning.
    """
    step_ms = step_seconds * 1000
    first_ms, last_ms = start.timestamp() * 1000, end.timestamp() * 1000
    runs: list[list[float]] = []
    for at in times_ms:
        if runs and at - runs[-1][1] <= 1.5 * step_ms:
            runs[-1][1] = at
        else:
            runs.append([at, at])
    return [
        (_at(since), None if until + step_ms > last_ms else _at(until + step_ms), since - first_ms < step_ms)
        for since, until in runs
    ]


def _at(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
