"""What happens elsewhere that releases react to. At least once, in any order: every action is idempotent."""

from uuid import UUID

from django.db import transaction

from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Release
from tongchou.changes.quiet import KEEPER
from tongchou.changes.release import actions, artefacts, engine, setup
from tongchou.core.ledger import follow
from tongchou.core.models import Approval, Event
from tongchou.core.refs import parse
from tongchou.runbooks import consented
from tongchou.runbooks.models import Run


def _consent_decided(event: Event) -> None:
    approval = Approval.objects.filter(pk=UUID(parse(event.subject).id)).first()
    if approval is not None:
        actions.decided(approval=approval)
        setup.decided(approval=approval)


for _verb in ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled"):
    follow(_verb)(_consent_decided)


def _end_consent(release: Release, run_id: UUID) -> None:
    """A release never goes on with a run that failed, but with another one; tried again by itself, it asks anew."""
    with transaction.atomic():
        consented.end(actor=KEEPER, failed=Run.objects.filter(pk=run_id), because=f"{release.name} {release.title}")


def _run_ended(event: Event) -> None:
    """A run of a release has ended: it goes on at once, not with the next tick of the clock."""
    about = Run.objects.filter(pk=UUID(parse(event.subject).id)).values_list("about_ref", flat=True).first() or ""
    if about.startswith("changes.release:"):
        release = Release.objects.filter(pk=UUID(parse(about).id)).first()
        if release is not None:
            if event.verb == "run.failed":
                _end_consent(release, UUID(parse(event.subject).id))
            engine.advance(release.pk)


for _verb in ("run.succeeded", "run.failed", "run.cancelled"):
    follow(_verb)(_run_ended)


@follow("deployment.finished")
def know_version(event: Event) -> None:
    """What was deployed is a version that can be rolled out again."""
    row = Deployment.objects.select_related("service").filter(pk=UUID(parse(event.subject).id)).first()
    if row is not None:
        artefacts.deployed(deployment=row)
