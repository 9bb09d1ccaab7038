"""Ranks the suspects of an incident anew and writes the ranking down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tongchou.core.access import Actor, check
from tongchou.incidents import actions, affected, evidence, policy, scoring, suspects
from tongchou.incidents.changes_seen import RESOURCE
from tongchou.incidents.models import Incident, IncidentState, Suspect, SuspectKind
from tongchou.inventory.graph import load_graph

TOP = 3


def recompute_suspects(*, actor: Actor, incident_id: UUID) -> list[Suspect]:
    """Gather the evidence, rank, replace the ranking; returns it. A resolved incident keeps its last one.

    Event incident.suspects_ranked only when the order of the first three changed. Of two that run at once the one with
    the newer evidence stays. Telemetry is read before the transaction.
    """
    check(actor, actions.PERMISSION)
    incident = Incident.objects.filter(pk=incident_id).exclude(state=IncidentState.RESOLVED).first()
    if incident is None:
        return []
    read_at = timezone.now()
    case = evidence.gather(incident, look_back=policy.look_back(), now=read_at)
    ranked = scoring.rank(case.evidence)
    graph = load_graph()
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        if incident.ranked_at is not None and incident.ranked_at > read_at:
            return list(incident.suspects.all())
        rows = [_row(incident, place, each, case) for place, each in enumerate(ranked, start=1)]
        before = list(incident.suspects.order_by("rank").values_list("ref", flat=True))
        incident.suspects.all().delete()
        Suspect.objects.bulk_create(rows)
        Incident.objects.filter(pk=incident_id).update(
            ranked_at=read_at, ranking={"looked": dict(case.looked), "baselines": dict(case.baselines)}
        )
        affected.refresh(incident, graph, causes=_causes(ranked, case))
        if before[:TOP] != [row.ref for row in rows[:TOP]] and rows:
            _tell(actor, incident, rows)
    return rows


def _row(incident: Incident, place: int, ranked: suspects.Ranked, case: evidence.Case) -> Suspect:
    event = ranked.kind == "event"
    about: frozenset[UUID] = frozenset()
    if event:
        about = next(change.resources for change in case.evidence.changes if change.ref == ranked.key)
    return Suspect(
        incident=incident,
        rank=place,
        ref=str(ranked.key) if event else f"{RESOURCE}{ranked.key}",
        kind=SuspectKind.EVENT if event else SuspectKind.RESOURCE,
        title=ranked.title[:300],
        score=ranked.score,
        reasons=[_reason(each) for each in ranked.reasons],
        event_id=case.events.get(str(ranked.key)) if event else None,
        about=[f"{RESOURCE}{resource}" for resource in sorted(about, key=str)],
    )


def _reason(reason: suspects.Reason) -> dict[str, Any]:
    row: dict[str, Any] = {"code": reason.code, "weight": reason.weight, "params": dict(reason.params)}
    return row | {"facts": dict(reason.facts)} if reason.facts else row


def _causes(ranked: Sequence[suspects.Ranked], case: evidence.Case) -> set[UUID]:
    """The resource in the first place; of a change in the first place what it changed and now fails."""
    if not ranked:
        return set()
    first = ranked[0]
    if isinstance(first.key, UUID):
        return {first.key}
    changed = next(change.resources for change in case.evidence.changes if change.ref == first.key)
    return set(changed & case.symptoms)


def _tell(actor: Actor, incident: Incident, rows: Sequence[Suspect]) -> None:
    top = [{"ref": row.ref, "kind": row.kind, "title": row.title, "score": row.score} for row in rows[:TOP]]
    actions.record(
        actor, incident, "incident.suspects_ranked", {"first": rows[0].title, "score": rows[0].score, "top": top}
    )


def new_change(*, actor: Actor, at: datetime) -> int:
    """Have every unresolved incident that a change at this time may explain ranked again; return how many."""
    check(actor, actions.PERMISSION)
    window = policy.look_back() + timedelta(minutes=5)
    with transaction.atomic():
        found = Incident.objects.exclude(state=IncidentState.RESOLVED).filter(started_at__gte=at - timedelta(hours=24))
        touched = [each for each in found if at - window <= each.started_at <= at + window]
        for incident in touched:
            actions.rank_soon(incident)
    return len(touched)
