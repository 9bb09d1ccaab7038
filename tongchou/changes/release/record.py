"""Tells of a release as deployments, so that timelines, delivery performance and the grid of versions know of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from tongchou.changes.actions import record_deployment
from tongchou.changes.deployment import Report
from tongchou.changes.models import DeploymentStatus
from tongchou.changes.models_release import Release, ReleaseItem
from tongchou.core.access import system

SOURCE = "tongchou"
EXECUTOR = system("release-executor")


def _report(release: Release, item: ReleaseItem, **more: Any) -> Report:
    facts: dict[str, Any] = {
        "delivery_id": f"{release.name}:{item.position}",
        "service": item.service.name,
        "version": item.artefact.version,
        "previous_version": item.previous_version,
        "environment": release.environment.name,
        "url": "",
        "actor": release.started_by_name,
        "at": timezone.now(),
        "commit_sha": item.artefact.commit_sha,
        "commit_at": item.artefact.commit_at,
        "artifact": item.artefact.reference,
    }
    return Report(**{**facts, **more})


def began(release: Release, item: ReleaseItem) -> None:
    """Tell that a service is being deployed: once, with its first batch. In the caller's transaction."""
    if item.deployment_id is not None:
        return
    now = timezone.now()
    report = _report(release, item, status=DeploymentStatus.RUNNING.value, started_at=now, finished_at=None)
    row, _created = record_deployment(actor=EXECUTOR, source=SOURCE, report=report)
    ReleaseItem.objects.filter(pk=item.pk, started_at__isnull=True).update(started_at=now)
    ReleaseItem.objects.filter(pk=item.pk).update(deployment=row)
    item.deployment = row


def ended(release: Release, item: ReleaseItem, status: DeploymentStatus) -> None:
    """Tell how the deployment of a service ended. In the caller's transaction."""
    now = timezone.now()
    since: datetime = item.started_at or now
    record_deployment(
        actor=EXECUTOR,
        source=SOURCE,
        report=_report(release, item, status=status.value, started_at=since, finished_at=now),
    )


def went_back(release: Release, item: ReleaseItem) -> None:
    """Tell that the version before is there again: a deployment of its own, marked as a way back."""
    now = timezone.now()
    report = _report(
        release,
        item,
        delivery_id=f"{release.name}:{item.position}:back",
        version=item.previous_version,
        previous_version=item.artefact.version,
        status=DeploymentStatus.SUCCEEDED.value,
        started_at=now,
        finished_at=now,
        commit_sha="",
        commit_at=None,
        artifact="",
        rollback=True,
    )
    record_deployment(actor=EXECUTOR, source=SOURCE, report=report)
