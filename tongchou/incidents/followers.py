"""What happens elsewhere that incidents react to. At least once, in any order: every action here is idempotent."""

from uuid import UUID

from tongchou.core.ledger import follow
from tongchou.core.models import Approval, Event
from tongchou.core.refs import parse
from tongchou.incidents import (
    actions,
    holding,
    improvements_actions,
    improvements_dropping,
    improvements_recurrence,
    ranking,
)
from tongchou.incidents.changes_seen import began_at
from tongchou.incidents.run_time_settings import HOLD_SEVERITY

INCIDENT_KEEPER = holding.KEEPER


@follow("alert.group_opened")
def group_opened(event: Event) -> None:
    """Give the group its incident."""
    _take(event)


@follow("alert.group_changed")
def group_changed(event: Event) -> None:
    """An alert joined the group: its severity, its resources and so the suspects may be others."""
    _take(event)


def _take(event: Event) -> None:
    incident = actions.take_group(actor=INCIDENT_KEEPER, group_id=UUID(parse(event.subject).id))
    if incident is not None:  # it may break more by now, and no event of its own tells that
        holding.keep(incident.pk)


@follow("alert.group_closed")
def group_closed(event: Event) -> None:
    """The group's alerts ended."""
    actions.close_group(actor=INCIDENT_KEEPER, group_id=UUID(parse(event.subject).id))


@follow("deployment.started")
def deployment_started(event: Event) -> None:
    """New evidence, maybe late."""
    ranking.new_change(actor=INCIDENT_KEEPER, at=began_at(event.at, event.payload))


@follow("deployment.finished")
def deployment_finished(event: Event) -> None:
    """New evidence, maybe late."""
    ranking.new_change(actor=INCIDENT_KEEPER, at=began_at(event.at, event.payload))


def _look_for_recurrence(event: Event) -> None:
    improvements_recurrence.look(actor=INCIDENT_KEEPER, incident_id=UUID(parse(event.subject).id))


# What an incident is known by again grows: its groups join one by one, its first suspect is settled when it is over.
for _verb in (
    "incident.opened",
    "incident.group_attached",
    "incident.recovered",
    "incident.mitigated",
    "incident.resolved",
):
    follow(_verb)(_look_for_recurrence)


def _keep_holds(event: Event) -> None:
    holding.keep(UUID(parse(event.subject).id))


# what is broken, how bad it is, whether it is over
for _verb in (
    "incident.opened",
    "incident.group_attached",
    "incident.severity_raised",
    "incident.suspects_ranked",
    "incident.recovered",
    "incident.mitigated",
    "incident.resolved",
    "incident.reopened",
):
    follow(_verb)(_keep_holds)


@follow("setting.changed")
def _hold_severity_changed(event: Event) -> None:
    """Switched off, or to another severity: what is held follows."""
    if event.payload.get("key") == HOLD_SEVERITY:
        holding.keep_all()


def _consent_decided(event: Event) -> None:
    approval = Approval.objects.filter(pk=UUID(parse(event.subject).id)).first()
    if approval is not None and approval.action == improvements_actions.ACTION:
        improvements_actions.consent_decided(approval=approval)
    if approval is not None and approval.action == improvements_dropping.ACTION:
        improvements_dropping.decided(approval=approval)


for _verb in ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled"):
    follow(_verb)(_consent_decided)
