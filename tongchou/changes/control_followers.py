"""What happens elsewhere that change control reacts to. At least once, in any order: every action is idempotent."""

from uuid import UUID

from tongchou.changes import (
    catalogue_actions,
    control,
    control_work,
    observed,
)
from tongchou.changes.models import Deployment
from tongchou.core.ledger import follow
from tongchou.core.models import Approval, Event
from tongchou.core.refs import parse


def _consent_decided(event: Event) -> None:
    approval = Approval.objects.filter(pk=UUID(parse(event.subject).id)).first()
    if approval is not None:
        control.decided(approval=approval)
        catalogue_actions.decided(approval=approval)


for _verb in ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled"):
    follow(_verb)(_consent_decided)


def _run_moved(event: Event) -> None:
    control_work.follow_run(run_id=UUID(parse(event.subject).id))


for _verb in ("run.succeeded", "run.failed", "run.cancelled", "run.retried"):
    follow(_verb)(_run_moved)


@follow("deployment.finished")
def deployment_finished(event: Event) -> None:
    """A deployment under no change, where one is wanted, is to be explained."""
    row = Deployment.objects.select_related("service").filter(pk=UUID(parse(event.subject).id)).first()
    if row is not None:
        observed.deployed(row=row)
