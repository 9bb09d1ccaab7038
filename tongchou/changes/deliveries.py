"""Takes deliveries of senders, each once, and keeps a bounded log of what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from tongchou.changes.actions import record_deployment
from tongchou.changes.deployment import Report
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_deliveries import SenderDelivery, Verdict
from tongchou.changes.told import Ignored
from tongchou.core.access import Actor, check
from tongchou.core.problems import Problem

KEPT = 300  # lines for each sender
UNPROVEN_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Taken:
    """The deployment a delivery told of (None: it is gone since), and whether the delivery made it."""

    deployment: Deployment | None
    created: bool
    duplicate: bool = False


def take(*, actor: Actor, sender: DeploymentSource, delivery_id: str, event: str, report: Report) -> Taken:
    """Write down what a delivery tells, once: a repeated one is a line in the log and changes nothing.

    The log's line and the deployment are one transaction: of two that come at once, one waits and is a duplicate.
    """
    check(actor, "changes.edit")
    try:
        with transaction.atomic():
            line = SenderDelivery.objects.create(
                source=sender, delivery_id=delivery_id, event=event[:80], verdict=Verdict.ACCEPTED
            )
            row, created = record_deployment(actor=actor, source=sender.name, report=report)
            SenderDelivery.objects.filter(pk=line.pk).update(deployment=row)
            DeploymentSource.objects.filter(pk=sender.pk).update(last_delivery_at=timezone.now())
            _prune(sender)
    except IntegrityError:
        earlier = SenderDelivery.objects.filter(source=sender, delivery_id=delivery_id, verdict=Verdict.ACCEPTED)
        first = earlier.select_related("deployment__service").first()
        if first is None:
            raise
        _note(sender, delivery_id=delivery_id, event=event, verdict=Verdict.DUPLICATE, deployment=first.deployment)
        return Taken(first.deployment, created=False, duplicate=True)
    return Taken(row, created)


def was_taken(sender: DeploymentSource, delivery_id: str) -> bool:
    """Whether a delivery was accepted before, as far as the log goes back."""
    accepted = SenderDelivery.objects.filter(source=sender, delivery_id=delivery_id, verdict=Verdict.ACCEPTED)
    found: bool = accepted.exists()
    return found


def note_ignored(*, actor: Actor, sender: DeploymentSource, delivery_id: str, told: Ignored, event: str) -> None:
    """Write down that a delivery told of no deployment, and why. It may come again and be taken then."""
    check(actor, "changes.edit")
    _note(sender, delivery_id=delivery_id, event=event, verdict=Verdict.IGNORED, reason=told.reason)
    DeploymentSource.objects.filter(pk=sender.pk).update(last_delivery_at=timezone.now())


def note_refused(*, actor: Actor, sender: DeploymentSource, problem: Problem) -> None:
    """Write down why a proven delivery was refused: code and field, never a value."""
    check(actor, "changes.edit")
    _note(sender, delivery_id="", verdict=Verdict.REFUSED, reason=problem.code, field=(problem.field or "")[:80])


def note_unproven(*, actor: Actor, sender: DeploymentSource, reason: str) -> None:
    """Write down that somebody could not prove it: one line a reason, renewed at most every ten seconds.

    So strangers can neither fill the log nor push others' lines out of it.
    """
    check(actor, "changes.edit")
    now = timezone.now()
    line = {"source": sender, "verdict": Verdict.REFUSED, "reason": reason, "delivery_id": ""}
    last = SenderDelivery.objects.filter(**line).order_by("-id").first()
    if last is None:
        SenderDelivery.objects.create(**line, at=now)
    else:
        SenderDelivery.objects.filter(pk=last.pk, at__lt=now - UNPROVEN_EVERY).update(at=now)


def _note(sender: DeploymentSource, **line: object) -> None:
    with transaction.atomic():
        SenderDelivery.objects.create(source=sender, **line)
        _prune(sender)


def _prune(sender: DeploymentSource) -> None:
    lines = SenderDelivery.objects.filter(source=sender).order_by("-id").values_list("pk", flat=True)
    last = list(lines[KEPT : KEPT + 1])
    if last:
        SenderDelivery.objects.filter(source=sender, pk__lte=last[0]).delete()
