"""Named reads of changes for the API and the pages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_deliveries import SenderDelivery
from tongchou.core.access import Actor, check, check_anywhere, visible_teams
from tongchou.core.problems import NotFound

PERMISSION = "changes.view"


def deployments(
    actor: Actor, *, service: str | None = None, since: datetime | None = None, until: datetime | None = None
) -> QuerySet[Deployment]:
    """Return the deployments an actor may see, the latest start first, with their service; by service name and time."""
    check_anywhere(actor, PERMISSION)
    found = Deployment.objects.select_related("service").order_by("-started_at", "-id")
    teams = visible_teams(actor)
    if teams is not None:
        found = found.filter(service__owner__in=teams)
    if service:
        found = found.filter(service_name=service)
    if since or until:
        span = (Q(started_at__gte=since) if since else Q()) & (Q(started_at__lte=until) if until else Q())
        found = found.filter(span)
    return found


def deployment(actor: Actor, deployment_id: UUID) -> Deployment:
    """Return one deployment; raises NotFound for one that is not there or not to be seen."""
    found = deployments(actor).filter(pk=deployment_id).first()
    if found is None:
        raise NotFound("deployment.unknown", _("There is no such deployment."))
    return found


def sources(actor: Actor) -> list[DeploymentSource]:
    """Return the senders of deployments, by name."""
    check(actor, PERMISSION)
    return list(DeploymentSource.objects.order_by("name"))


def sender(actor: Actor, name: str) -> DeploymentSource:
    """Return one sender; raises NotFound."""
    check(actor, PERMISSION)
    found = DeploymentSource.objects.filter(name=name[:80]).first()
    if found is None:
        raise NotFound("deployment_source.unknown", _("There is no such sender."))
    return found


def deliveries(actor: Actor, row: DeploymentSource) -> QuerySet[SenderDelivery]:
    """Return what a sender delivered and what became of it, the latest first."""
    check(actor, PERMISSION)
    return SenderDelivery.objects.filter(source=row).select_related("deployment__service").order_by("-id")
