"""Every write of the changes room."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes.deployment import Report
from tongchou.changes.fold import FIELDS, Folded, fold, told_of
from tongchou.changes.mapping import read_rules
from tongchou.changes.models import Deployment, DeploymentSource, DeploymentStatus, SenderFormat
from tongchou.core import ledger, nouns, secrets
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
    """Create a sender of plain signed deliveries, or give a known one a new secret. Event deployment_source.changed."""
    return configure_sender(actor=actor, name=name, wanted=SenderWanted(secret=secret))


@dataclass(frozen=True, slots=True)
class SenderWanted:
    """What a sender shall be; None leaves it as it is. A new one wants a secret, and is plain unless told."""

    secret: str | None = None
    format: str | None = None
    rules: list[dict[str, Any]] | None = None
    enabled: bool | None = None


def configure_sender(*, actor: Actor, name: str, wanted: SenderWanted) -> DeploymentSource:
    """Create or change a sender of deployments. Event deployment_source.changed, without the secret."""
    check(actor, "integrations.manage")
    if not _NAME.match(name):
        raise Invalid(
            "deployment_source.name", _("A source's name has lower-case letters, digits and - only, at most 63."),
            field="name", value=name, remedy=_("Rename it, e.g. jenkins."),
        )  # fmt: skip
    if wanted.format is not None and wanted.format not in SenderFormat.values:
        raise Invalid(
            "deployment_source.format",
            _("One of: %(words)s.") % {"words": ", ".join(SenderFormat.values)},
            field="format",
            value=wanted.format,
        )
    rules = None if wanted.rules is None else read_rules(wanted.rules)
    with transaction.atomic():
        source, created = DeploymentSource.objects.get_or_create(name=name)
        if created or wanted.secret is not None:
            _put_secret(actor, name, wanted.secret or "")
        given = {"format": wanted.format, "rules": rules, "enabled": wanted.enabled}
        changes = {
            field: value for field, value in given.items() if value is not None and value != getattr(source, field)
        }
        if changes:
            DeploymentSource.objects.filter(pk=source.pk).update(**changes)
            source.refresh_from_db()
        ledger.record(
            actor=actor,
            verb="deployment_source.changed",
            subject=ref(source),
            payload={"name": name, "created": created, **changes, "secret_changed": wanted.secret is not None},
        )
    return source


def _put_secret(actor: Actor, name: str, secret: str) -> None:
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise Invalid(
            "deployment_source.secret",
            _("The signing secret has at least %(least)s characters.") % {"least": MIN_SECRET_CHARACTERS},
            field="secret",
            remedy=_("Make one with: openssl rand -hex 32"),
        )
    secrets.put(actor=actor, name=secret_name(name), value=secret)


def record_deployment(*, actor: Actor, source: str, report: Report) -> tuple[Deployment, bool]:
    """Write down what is told of a deployment; returns it and whether it is new. Idempotent, and in any order.

    Of all reports with one (source, delivery_id) one row is made (fold.py). Event deployment.started when it is first
    seen running, deployment.finished when it ends (and when a later report says it ended otherwise), about the service
    and its instances. An unknown service is recorded all the same, with `service_known` false: nothing is lost.
    """
    check(actor, "changes.edit")
    with transaction.atomic():
        row = _locked(source, report.delivery_id)
        created = row is None
        if row is None:
            row = Deployment(source=source, delivery_id=report.delivery_id)
            _apply(row, fold(None, {}, report))
            try:
                with transaction.atomic():
                    row.save(force_insert=True)
            except IntegrityError:  # the same deployment came twice at once
                row, created = _locked(source, report.delivery_id), False
                if row is None:
                    raise
        if created:
            DeploymentSource.objects.filter(name=source).update(last_delivery_at=timezone.now())
            derive_versions_before(row, since=row.started_at)
            _tell(actor, row)
        else:
            _renew(actor, row, report)
    return row, created


def _locked(source: str, delivery_id: str) -> Deployment | None:
    return (
        Deployment.objects.select_for_update(of=("self",))
        .select_related("service")
        .filter(source=source, delivery_id=delivery_id)
        .first()
    )


def _renew(actor: Actor, row: Deployment, report: Report) -> None:
    """Fold one more report into a deployment that is there; told on the ledger when its state is another one now."""
    values = {name: getattr(row, name) for name in (*FIELDS, "started_at", "finished_at")}
    folded = fold(values, row.told, report)
    if not folded.changed:
        if folded.told != row.told:
            Deployment.objects.filter(pk=row.pk).update(told=folded.told)
        return
    earliest = min(row.started_at, folded.changed.get("started_at", row.started_at))
    old_service = {"service_name": row.service_name, "environment": row.environment}
    _apply(row, folded)
    Deployment.objects.filter(pk=row.pk).update(**folded.changed, told=folded.told, service=row.service)
    derive_versions_before(row, since=earliest)
    if old_service != {"service_name": row.service_name, "environment": row.environment}:
        _derive_after(Deployment.objects.filter(source=row.source, **old_service), row, earliest)
    if "status" in folded.changed:
        _tell(actor, row)


def _apply(row: Deployment, folded: Folded) -> None:
    for name, value in folded.changed.items():
        setattr(row, name, value)
    row.told = folded.told
    if {"service_name", "environment"} & set(folded.changed):
        row.service = find_service(row.service_name, row.environment)


PERSON = "9"  # a person's word stands after every report of a sender


def mark_deployment(*, actor: Actor, deployment: Deployment, unplanned: bool, incident_number: int | None) -> None:
    """Say that a deployment is unplanned work because of an incident (or, with False, that it is not).

    Event deployment.marked with old and new. What its sender says afterwards does not overrule it.
    """
    nouns.check_change(actor, deployment)
    number = incident_number if unplanned else None
    if number is not None and not 1 <= number < 2**31:
        raise Invalid("deployment.field", _("The number of an incident is wanted, such as INC-7."), field="incident")
    with transaction.atomic():
        row = Deployment.objects.select_for_update().get(pk=deployment.pk)
        if (row.unplanned, row.incident_number) == (unplanned, number):
            return
        told = (row.told or told_of({name: getattr(row, name) for name in FIELDS})) | {
            "unplanned": PERSON,
            "incident_number": PERSON,
        }
        Deployment.objects.filter(pk=row.pk).update(unplanned=unplanned, incident_number=number, told=told)
        ledger.record(
            actor=actor,
            verb="deployment.marked",
            subject=ref(row),
            payload={
                "title": row.title,
                "unplanned": [row.unplanned, unplanned],
                "incident": [row.incident_number, number],
            },
        )
    deployment.refresh_from_db()


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


NEIGHBOURS = 50  # deployments looked at that may come after one that was told late


def derive_versions_before(row: Deployment, *, since: datetime) -> None:
    """Write the version before, where no sender stated it, of a deployment and of those it is the one before of now."""
    neighbours = Deployment.objects.filter(
        source=row.source, service_name=row.service_name, environment=row.environment
    )
    if not row.told.get("previous_version") and (row.told or not row.previous_version):
        before = _version_before(neighbours, row)
        if before != row.previous_version:
            row.previous_version = before
            Deployment.objects.filter(pk=row.pk).update(previous_version=before)
    _derive_after(neighbours, row, since)


def _derive_after(neighbours: QuerySet[Deployment], row: Deployment, since: datetime) -> None:
    """Those that began later, up to and with the next one that succeeded after this one."""
    later = neighbours.filter(started_at__gt=since).exclude(pk=row.pk).order_by("started_at", "delivery_id")
    for each in later.defer("commits", "custom")[:NEIGHBOURS]:
        if each.told and not each.told.get("previous_version"):
            before = _version_before(neighbours, each)
            if before != each.previous_version:
                Deployment.objects.filter(pk=each.pk).update(previous_version=before)
        if each.status == DeploymentStatus.SUCCEEDED and each.started_at > row.started_at:
            break


def _version_before(neighbours: QuerySet[Deployment], row: Deployment) -> str:
    """The version of the last finished deployment of the same service and environment before this one."""
    before = neighbours.filter(status=DeploymentStatus.SUCCEEDED, started_at__lt=row.started_at)
    return before.order_by("-started_at", "-delivery_id").values_list("version", flat=True).first() or ""


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
            "rollback": row.rollback,
            "unplanned": row.unplanned,
            "incident": row.incident_number,
            "commit": row.commit_sha,
        },
    )
