"""Every write of the changes room."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes.deployment import Report
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, check
from tongchou.core.problems import Invalid
from tongchou.core.refs import ref
from tongchou.inventory.models import Relation, Resource, ResourceState

_NAME = re.compile(r"\A[a-z0-9][a-z0-9-]{0,62}\Z")
MIN_SECRET_CHARACTERS = 16


def secret_name(source: str) -> str:
    """Return the name under which core.secrets keeps the signing secret of a source."""
    return f"deployments:{source}"


def put_source(*, actor: Actor, name: str, secret: str) -> DeploymentSource:
    """Create a sender of deployments, or give a known one a new signing secret. Event deployment_source.changed."""
    check(actor, "integrations.manage")
    if not _NAME.match(name):
        raise Invalid(
            "deployment_source.name", _("A source's name has lower-case letters, digits and - only, at most 63."),
            field="name", value=name, remedy=_("Rename it, e.g. jenkins."),
        )  # fmt: skip
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise Invalid(
            "deployment_source.secret",
            _("The signing secret has at least %(least)s characters.") % {"least": MIN_SECRET_CHARACTERS},
            field="secret",
            remedy=_("Make one with: openssl rand -hex 32"),
        )
    with transaction.atomic():
        source, created = DeploymentSource.objects.get_or_create(name=name)
        secrets.put(actor=actor, name=secret_name(name), value=secret)
        ledger.record(
            actor=actor,
            verb="deployment_source.changed",
            subject=ref(source),
            payload={"name": name, "created": created},
        )
    return source


def record_deployment(*, actor: Actor, source: str, report: Report) -> tuple[Deployment, bool]:
    """Write down a reported deployment; returns it and whether it is new. Idempotent by (source, delivery_id).

    Event deployment.finished (deployment.started while it runs) about the service and its instances, at the time the
    release began, because that is when it may have begun to hurt. An unknown service is recorded all the same, with
    `service_known` false in the payload: nothing is lost.
    """
    check(actor, "changes.edit")
    with transaction.atomic():
        earlier = Deployment.objects.filter(source=source, delivery_id=report.delivery_id).first()
        if earlier is not None:
            return earlier, False
        service = find_service(report.service, report.environment)
        row = Deployment(
            source=source,
            delivery_id=report.delivery_id,
            service=service,
            service_name=report.service,
            version=report.version,
            previous_version=report.previous_version or _version_before(source, report),
            environment=report.environment,
            status=report.status,
            started_at=report.started_at,
            finished_at=report.finished_at,
            url=report.url,
            actor_name=report.actor,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:  # the same delivery came twice at once
            return Deployment.objects.get(source=source, delivery_id=report.delivery_id), False
        DeploymentSource.objects.filter(name=source).update(last_delivery_at=timezone.now())
        _tell(actor, row)
    return row, True


def find_service(name: str, environment: str = "") -> Resource | None:
    """Return the active service of this name; of several, the one whose label `env` fits, else none (no guess).

    A name that is no service may be another resource's, when just one active resource has it.
    """
    named = list(Resource.objects.filter(name=name, state=ResourceState.ACTIVE).order_by("created_at", "id")[:20])
    services = [each for each in named if each.kind == "service"] or named
    if len(services) > 1 and environment:
        services = [
            each for each in services if environment in (each.labels.get("env"), each.labels.get("environment"))
        ]
    return services[0] if len(services) == 1 else None


def _version_before(source: str, report: Report) -> str:
    """The version of the last finished deployment of the same service and environment before this one."""
    before = Deployment.objects.filter(
        source=source, service_name=report.service, environment=report.environment,
        status="succeeded", started_at__lt=report.started_at,
    )  # fmt: skip
    return before.order_by("-started_at").values_list("version", flat=True).first() or ""


def _tell(actor: Actor, row: Deployment) -> None:
    about = []
    if row.service is not None:
        about = [ref(row.service)]
        instances = Relation.objects.filter(
            to_resource=row.service, type="part_of", valid_to__isnull=True, from_resource__state=ResourceState.ACTIVE
        ).values_list("from_resource_id", flat=True)
        about += [f"inventory.resource:{instance}" for instance in instances]
    ledger.record(
        actor=actor,
        verb="deployment.started" if row.finished_at is None else "deployment.finished",
        subject=ref(row),
        about=about,
        at=row.finished_at or row.started_at,
        payload={
            "title": row.title,
            "service": row.service_name,
            "service_known": row.service_id is not None,
            "version": row.version,
            "previous_version": row.previous_version,
            "environment": row.environment,
            "status": row.status,
            "started_at": row.started_at.isoformat(),
            "finished_at": row.finished_at.isoformat() if row.finished_at else None,
            "source": row.source,
            "deployed_by": row.actor_name,
            "url": row.url,
        },
        dedupe_key=f"deployment:{row.source}:{row.delivery_id}"[:200],
    )
