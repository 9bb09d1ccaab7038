"""Every write about incidents that people or alert groups cause; the ranking of suspects is written in `ranking`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.models import AlertGroup
from tongchou.core import comments, jobs, ledger
from tongchou.core.access import Actor, allows, check, denied
from tongchou.core.models import Event, User
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.incidents import affected, correlate, intake, policy, severity, topology
from tongchou.incidents.changes_seen import RESOURCE
from tongchou.incidents.models import AffectedResource, Incident, IncidentGroup, IncidentState, Numbering
from tongchou.inventory.graph import Graph, load_graph

RANK_JOB = "incidents.rank_suspects"
DEBOUNCE = timedelta(seconds=1)
SETTLE = timedelta(seconds=20)
MAX_NOTE = 8000
PERMISSION = "incidents.respond"


# --- what alert groups cause ------------------------------------------------------------------------------------


def take_group(*, actor: Actor, group_id: UUID) -> Incident | None:
    """Give an alert group its incident: the one it is in, one it belongs to, or a new one; below the minimum None.

    Idempotent and safe in any order: the group's row in IncidentGroup is unique, and "join or open" is one decision at
    a time (the Numbering row is locked). Events incident.opened or incident.group_attached, incident.reopened.
    """
    check(actor, PERMISSION)
    group = AlertGroup.objects.filter(pk=group_id).first()
    if group is None:
        return None
    facts = intake.facts(group)
    graph = load_graph()
    rules = policy.current()
    linked = IncidentGroup.objects.filter(group=group).select_related("incident").first()
    if linked is None and not severity.at_least(facts.severity, rules.min_severity):
        return None
    with transaction.atomic():
        if linked is None:
            _lock_numbering()
            linked = IncidentGroup.objects.filter(group=group).select_related("incident").first()
        incident = linked.incident if linked else _place(actor, facts, graph, rules)
        incident = Incident.objects.select_for_update().get(pk=incident.pk)
        _note_group(actor, incident, facts)
        affected.refresh(incident, graph)
        _recover_if_over(actor, incident)
        if linked is None:
            rank_soon(incident, settle=True)
        else:
            rank_soon(incident)
    return incident


def _lock_numbering() -> Numbering:
    Numbering.objects.get_or_create(pk=1)
    return Numbering.objects.select_for_update().get(pk=1)


def _place(actor: Actor, facts: intake.GroupFacts, graph: Graph, rules: policy.Policy) -> Incident:
    """Join, reopen or open. Under the lock of the Numbering row."""
    previous = intake.last_incident(facts.key, but=facts.id)
    if previous is not None:
        verdict = policy.on_return(
            started_at=facts.started_at,
            recovered_at=previous.recovered_at,
            resolved_at=previous.resolved_at,
            within=rules.reopen_within,
        )
        if verdict != "new episode":
            ended_at = previous.resolved_at or previous.recovered_at or facts.started_at
            minutes = max(0, round((facts.started_at - ended_at).total_seconds() / 60))
            return _attach(actor, previous, facts, "returned", {"minutes": minutes})
    incidents = intake.open_incidents(facts.started_at, rules.join.span)
    involved = facts.resources.union(*(member.resources for each in incidents for member in each.members))
    hops = topology.hops_in(topology.needs(graph, involved))
    join = correlate.find(facts.member, incidents, hops, rules.join, intake.names(graph, incidents, facts))
    if join is not None:
        return _attach(actor, Incident.objects.get(pk=join.incident), facts, join.code, dict(join.params))
    return _open(actor, facts, previous)


def _open(actor: Actor, facts: intake.GroupFacts, previous: Incident | None) -> Incident:
    number = _lock_numbering().last + 1
    Numbering.objects.filter(pk=1).update(last=number)
    incident = Incident.objects.create(
        number=number, title=facts.title, severity=facts.severity, started_at=facts.started_at, previous=previous
    )
    _link(incident, facts, "opened", {})
    ledger.record(
        actor=actor,
        verb="incident.opened",
        subject=ref(incident),
        about=[_group_ref(facts.id), *_resource_refs(facts.resources), *([ref(previous)] if previous else [])],
        payload={
            "number": number,
            "name": incident.name,
            "title": incident.title,
            "severity": incident.severity,
            "started_at": incident.started_at.isoformat(),
            "previous": previous.name if previous else None,
        },
    )
    return incident


def _attach(actor: Actor, incident: Incident, facts: intake.GroupFacts, code: str, params: dict[str, Any]) -> Incident:
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    _link(incident, facts, code, params)
    ledger.record(
        actor=actor,
        verb="incident.group_attached",
        subject=ref(incident),
        about=[_group_ref(facts.id), *_resource_refs(facts.resources)],
        payload={"title": facts.title, "reason_code": code, "reason_params": params},
    )
    if incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED):
        _back_to_work(actor, incident, automatic=True, comment="")
    Incident.objects.filter(pk=incident.pk).update(recovered_at=None)
    return incident


def _link(incident: Incident, facts: intake.GroupFacts, code: str, params: dict[str, Any]) -> None:
    IncidentGroup.objects.create(
        incident=incident, group_id=facts.id, started_at=facts.started_at, reason_code=code, reason_params=params
    )


def _note_group(actor: Actor, incident: Incident, facts: intake.GroupFacts) -> None:
    """Bring the incident up to what the group says now: start, end, severity (which only rises).

    An alert that fired after the incident's end says that it is not over.
    """
    IncidentGroup.objects.filter(group_id=facts.id).update(started_at=facts.started_at)
    if facts.closed_at is not None:
        IncidentGroup.objects.filter(group_id=facts.id, closed_at__isnull=True).update(closed_at=facts.closed_at)
    ended_at = incident.resolved_at or incident.mitigated_at
    if ended_at is not None and facts.last_fired_at is not None and facts.last_fired_at > ended_at:
        _back_to_work(actor, incident, automatic=True, comment="")  # new alerts in an old group are never swallowed
    if facts.started_at < incident.started_at:
        incident.started_at = facts.started_at
        Incident.objects.filter(pk=incident.pk).update(started_at=facts.started_at)
    worst = severity.worst([incident.severity, facts.severity])
    if worst != incident.severity:
        payload = {"before": incident.severity, "after": worst}
        incident.severity = worst
        Incident.objects.filter(pk=incident.pk).update(severity=worst)
        record(actor, incident, "incident.severity_raised", payload)


def close_group(*, actor: Actor, group_id: UUID) -> Incident | None:
    """Note that an alert group closed; with the last one the incident has recovered and counts as mitigated.

    None when the group has no incident (yet): `take_group` sees the closed group when its turn comes. Idempotent.
    """
    check(actor, PERMISSION)
    link = IncidentGroup.objects.filter(group_id=group_id).select_related("group").first()
    if link is None or link.group.closed_at is None:
        return None
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=link.incident_id)
        IncidentGroup.objects.filter(pk=link.pk, closed_at__isnull=True).update(closed_at=link.group.closed_at)
        _recover_if_over(actor, incident)
    return incident


def _recover_if_over(actor: Actor, incident: Incident) -> None:
    """Under the incident's row lock: when no group is open any more, the impact has ended (a person resolves)."""
    closed = list(IncidentGroup.objects.filter(incident=incident).values_list("closed_at", flat=True))
    if not closed or None in closed:
        return
    ended_at = max(at for at in closed if at is not None)
    won = (
        Incident.objects.filter(pk=incident.pk, recovered_at__isnull=True)
        .exclude(state=IncidentState.RESOLVED)
        .update(recovered_at=ended_at, mitigated_at=Coalesce("mitigated_at", ended_at), state=IncidentState.MITIGATED)
    )
    if won:
        incident.refresh_from_db()
        minutes = round((ended_at - incident.started_at).total_seconds() / 60, 1)
        record(actor, incident, "incident.recovered", {"minutes": minutes, "recovered_at": ended_at.isoformat()})


# --- what people do ---------------------------------------------------------------------------------------------


def acknowledge(*, actor: Actor, incident: Incident) -> Incident:
    """Take care of an open incident; a person becomes its commander when it has none. Event incident.acknowledged.

    Raises Conflict when it is not open (any more): somebody else was faster, or it is over.
    """
    check_respond(actor, incident)
    now = timezone.now()
    with transaction.atomic():
        won = Incident.objects.filter(pk=incident.pk, state=IncidentState.OPEN).update(
            state=IncidentState.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by_name=actor.name
        )
        incident.refresh_from_db()
        if not won:
            raise _wrong_state(incident, _("Only an open incident can be acknowledged."))
        if actor.user_id is not None and User.objects.filter(pk=actor.user_id).exists():
            Incident.objects.filter(pk=incident.pk, commander__isnull=True).update(commander=actor.user_id)
            incident.refresh_from_db()
        record(actor, incident, "incident.acknowledged", {})
    return incident


def take_command(*, actor: Actor, incident: Incident) -> Incident:
    """Make the person who asks its commander. Event incident.commander_changed.

    Raises Conflict when it is resolved or theirs already, Invalid when it is no person who asks.
    """
    check_respond(actor, incident)
    person = User.objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    if person is None:
        raise Invalid("incident.commander", _("Only a person takes command."), remedy=_("Sign in and try again."))
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=incident.pk)
        before = incident.commander
        if incident.state == IncidentState.RESOLVED or before == person:
            raise _wrong_state(incident, _("It is resolved, or under your command already."))
        Incident.objects.filter(pk=incident.pk).update(commander=person)
        incident.refresh_from_db()
        record(actor, incident, "incident.commander_changed", {"before": before.username if before else None})
    return incident


def mitigate(*, actor: Actor, incident: Incident, comment: str = "") -> Incident:
    """Say that the impact has ended, alerts or not. Event incident.mitigated; Conflict when it is over."""
    check_respond(actor, incident)
    comment = _comment(comment)
    with transaction.atomic():
        won = Incident.objects.filter(
            pk=incident.pk, state__in=[IncidentState.OPEN, IncidentState.ACKNOWLEDGED]
        ).update(state=IncidentState.MITIGATED, mitigated_at=timezone.now())
        incident.refresh_from_db()
        if not won:
            raise _wrong_state(incident, _("Only an open or acknowledged incident can be mitigated."))
        record(actor, incident, "incident.mitigated", {"comment": comment})
    return incident


def resolve(*, actor: Actor, incident: Incident, comment: str = "", force: bool = False) -> Incident:
    """Close an incident for good. Event incident.resolved.

    Raises Conflict while an alert group is open, unless `force` with a comment that says why.
    """
    check_respond(actor, incident)
    comment = _comment(comment)
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=incident.pk)
        if incident.state == IncidentState.RESOLVED:
            raise _wrong_state(incident, _("It is resolved already."))
        still_open = IncidentGroup.objects.filter(incident=incident, closed_at__isnull=True).count()
        if still_open and not (force and comment):
            raise Conflict(
                "incident.alerts_firing",
                _("%(count)s alert groups of it are still open.") % {"count": still_open},
                remedy=_("Wait until they close, or resolve with force and a comment that says why."),
            )
        now = timezone.now()
        Incident.objects.filter(pk=incident.pk).update(
            state=IncidentState.RESOLVED, resolved_at=now, mitigated_at=Coalesce("mitigated_at", now)
        )
        incident.refresh_from_db()
        record(actor, incident, "incident.resolved", {"comment": comment, "alerts_open": still_open})
    return incident


def reopen(*, actor: Actor, incident: Incident, comment: str = "") -> Incident:
    """Open a mitigated or resolved incident again. Event incident.reopened; Conflict when it is open."""
    check_respond(actor, incident)
    comment = _comment(comment)
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=incident.pk)
        if incident.state not in (IncidentState.MITIGATED, IncidentState.RESOLVED):
            raise _wrong_state(incident, _("It is open already."))
        _back_to_work(actor, incident, automatic=False, comment=comment)
        rank_soon(incident)
    return incident


def _back_to_work(actor: Actor, incident: Incident, *, automatic: bool, comment: str) -> None:
    """Under the incident's row lock."""
    Incident.objects.filter(pk=incident.pk).update(
        state=IncidentState.OPEN,
        mitigated_at=None,
        resolved_at=None,
        acknowledged_at=None,
        acknowledged_by_name="",
    )
    before = incident.state
    incident.refresh_from_db()
    record(actor, incident, "incident.reopened", {"comment": comment, "before": before, "automatic": automatic})


def add_note(*, actor: Actor, incident: Incident, text: str) -> Event:
    """Write a comment on the incident, which its timeline shows; returns its event comment.added. Raises Invalid."""
    check_respond(actor, incident)
    _comment, event = comments.add(actor=actor, on=ref(incident), text=text)
    return event


# --- shared by the above ----------------------------------------------------------------------------------------


def record(actor: Actor, incident: Incident, verb: str, payload: dict[str, Any]) -> Event:
    """Write an event about the incident and all that it affects, inside the caller's transaction."""
    resources = (
        AffectedResource.objects.filter(incident=incident)
        .order_by("distance", "id")
        .values_list("resource_id", flat=True)
    )
    about = [f"{RESOURCE}{resource}" for resource in resources[:400]]
    return ledger.record(
        actor=actor, verb=verb, subject=ref(incident), about=about, payload={"name": incident.name, **payload}
    )


def rank_soon(incident: Incident, *, settle: bool = False) -> None:
    """Have the suspects ranked, at once and, with `settle`, again when alerts and telemetry have caught up.

    Calls within a second share one run.
    """
    now = timezone.now()
    payload = {"incident_id": str(incident.pk)}
    jobs.enqueue(
        RANK_JOB, payload, run_at=now + (timedelta() if settle else DEBOUNCE), unique_key=f"{RANK_JOB}:{incident.pk}"
    )
    if settle:
        jobs.enqueue(RANK_JOB, payload, run_at=now + SETTLE, unique_key=f"{RANK_JOB}:{incident.pk}:settled")


def check_respond(actor: Actor, incident: Incident) -> None:
    """Raise AccessDenied unless the actor may respond everywhere, or for a team that owns something affected."""
    if allows(actor, PERMISSION):
        return
    owners = AffectedResource.objects.filter(incident=incident, resource__owner__isnull=False)
    if not any(
        allows(actor, PERMISSION, team=team) for team in set(owners.values_list("resource__owner_id", flat=True))
    ):
        raise denied(actor, PERMISSION)


def _wrong_state(incident: Incident, detail: Any) -> Conflict:
    return Conflict(
        "incident.state",
        detail,
        field="state",
        value=incident.state,
        remedy=_("Load it again: its state has changed."),
        extra={"state": incident.state, "acknowledged_by": incident.acknowledged_by_name},
    )


def _comment(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_NOTE:
        raise Invalid(
            "incident.comment", _("A comment has at most %(most)s characters.") % {"most": MAX_NOTE}, field="comment"
        )
    return text


def _group_ref(group_id: UUID) -> str:
    return f"alerting.alertgroup:{group_id}"


def _resource_refs(resources: frozenset[UUID]) -> list[str]:
    return [f"{RESOURCE}{resource}" for resource in sorted(resources, key=str)]
