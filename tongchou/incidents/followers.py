"""What happens elsewhere that incidents react to. At least once, in any order: every action here is idempotent."""

from uuid import UUID

from tongchou.core.access import system
from tongchou.core.ledger import follow
from tongchou.core.models import Event
from tongchou.core.refs import parse
from tongchou.incidents import actions, ranking
from tongchou.incidents.changes_seen import began_at

INCIDENT_KEEPER = system("incident-keeper")


@follow("alert.group_opened")
def group_opened(event: Event) -> None:
    """Give the group its incident."""
    actions.take_group(actor=INCIDENT_KEEPER, group_id=UUID(parse(event.subject).id))


@follow("alert.group_changed")
def group_changed(event: Event) -> None:
    """An alert joined the group: its severity, its resources and so the suspects may be others."""
    actions.take_group(actor=INCIDENT_KEEPER, group_id=UUID(parse(event.subject).id))


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
