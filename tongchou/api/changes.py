"""Deployments as release tools reported them, and the senders that may report."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import actions, reads
from tongchou.changes.delivery_reasons import REASONS
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_deliveries import SenderDelivery
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref

router = Router(tags=["changes"])
KIND = "changes.deployment"


class DeploymentOut(Schema):
    """A deployment; `service_known` is false while no resource of the inventory has its service's name."""

    id: UUID
    ref: str
    title: str
    service: str
    service_ref: str | None
    service_known: bool
    version: str
    previous_version: str
    environment: str
    status: str
    source: str
    delivery_id: str
    started_at: datetime
    finished_at: datetime | None
    received_at: datetime
    url: str
    actor: str
    tier: str
    commit: str
    commit_at: datetime | None
    commits: list[dict[str, str]]
    artifact: str
    rollback: bool
    unplanned: bool
    incident: int | None
    custom: dict[str, Any] = Field(default_factory=dict)


class DeploymentPage(Schema):
    """A page of deployments."""

    items: list[DeploymentOut]
    count: int


class RuleIn(Body):
    """Globs that must all fit, and what follows; see the guide's page on deployments."""

    name: str = Field("", max_length=253)
    part: str = Field("", max_length=253)
    environment: str = Field("", max_length=253)
    ref: str = Field("", max_length=253)
    service: str = Field("", max_length=253)
    version: str = Field("", max_length=253)
    to_environment: str = Field("", max_length=253)
    ignore: bool = False


class SenderIn(Body):
    """A sender; what is left out stays as it is. A new one wants the secret: kept encrypted and never shown."""

    secret: str | None = Field(None, min_length=1, max_length=4096)
    format: str | None = Field(None, max_length=20)
    rules: list[RuleIn] | None = Field(None, max_length=100)
    enabled: bool | None = None


class SourceOut(Schema):
    """A sender of deployments, where it posts them, and its rules."""

    name: str
    hook: str
    format: str
    enabled: bool
    rules: list[dict[str, Any]]
    created_at: datetime
    last_delivery_at: datetime | None


class SenderDeliveryOut(Schema):
    """What became of one delivery; nothing of what was in it is kept."""

    at: datetime
    delivery_id: str
    event: str
    verdict: str
    reason: str
    text: str
    field: str
    deployment: str | None


class SenderDeliveryPage(Schema):
    """A page of deliveries."""

    items: list[SenderDeliveryOut]
    count: int


class UnplannedIn(Body):
    """Whether a deployment is unplanned work, and because of which incident (its number)."""

    unplanned: bool
    incident: int | None = Field(None, ge=1, lt=2**31)


class SourcePage(Schema):
    """A page of senders."""

    items: list[SourceOut]
    count: int


def _deployment(row: Deployment, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "title", "version", "previous_version", "environment", "status", "source", "delivery_id")
    times = ("started_at", "finished_at", "received_at", "url")
    more = ("tier", "commit_at", "commits", "artifact", "rollback", "unplanned")
    return {
        **{name: getattr(row, name) for name in (*same, *times, *more)},
        "commit": row.commit_sha,
        "incident": row.incident_number,
        "ref": ref(row),
        "service": row.service_name,
        "service_ref": ref(row.service) if row.service else None,
        "service_known": row.service_id is not None,
        "actor": row.actor_name,
        "custom": shown(row, fields),
    }


def _source(row: DeploymentSource) -> dict[str, Any]:
    return {
        "name": row.name,
        "hook": f"/hooks/deployments/{row.name}",
        "format": row.format,
        "enabled": row.enabled,
        "rules": row.rules,
        "created_at": row.created_at,
        "last_delivery_at": row.last_delivery_at,
    }


@router.get("/deployments", response=DeploymentPage)
def list_deployments(
    request: HttpRequest,
    service: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List deployments, the latest start first; cf.<custom field> filters by a custom field."""
    rows = reads.deployments(actor_of(request), service=service, since=since, until=until)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_deployment(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


@router.get("/deployments/{uuid:deployment_id}", response=DeploymentOut)
def get_deployment(request: HttpRequest, deployment_id: UUID) -> dict[str, Any]:
    """Return one deployment."""
    return _deployment(reads.deployment(actor_of(request), deployment_id))


@router.get("/deployment-sources", response=SourcePage)
def list_sources(request: HttpRequest) -> dict[str, Any]:
    """List the senders; their secrets are never shown."""
    rows = reads.sources(actor_of(request))
    return {"items": [_source(each) for each in rows], "count": len(rows)}


@router.put("/deployment-sources/{name}", response=SourceOut)
def put_source(request: HttpRequest, name: str, body: SenderIn) -> dict[str, Any]:
    """Create a sender, or change its secret, format, rules, or whether it is on."""
    rules = None if body.rules is None else [each.model_dump() for each in body.rules]
    wanted = actions.SenderWanted(secret=body.secret, format=body.format, rules=rules, enabled=body.enabled)
    return _source(actions.configure_sender(actor=actor_of(request), name=name, wanted=wanted))


@router.get("/deployment-sources/{name}/deliveries", response=SenderDeliveryPage)
def list_deliveries(request: HttpRequest, name: str, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List the last deliveries of a sender with their verdicts, the latest first; 300 are kept."""
    actor = actor_of(request)
    rows = reads.deliveries(actor, reads.sender(actor, name))
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_delivery(each) for each in page_of(rows, offset, limit)], "count": rows.count()}


def _delivery(row: SenderDelivery) -> dict[str, Any]:
    same = ("at", "delivery_id", "event", "verdict", "reason", "field")
    return {
        **{name: getattr(row, name) for name in same},
        "text": str(REASONS.get(row.reason, row.reason)),
        "deployment": ref(row.deployment) if row.deployment else None,
    }


@router.post("/deployments/{uuid:deployment_id}/mark", response=DeploymentOut)
def mark_deployment(request: HttpRequest, deployment_id: UUID, body: UnplannedIn) -> dict[str, Any]:
    """Say whether a deployment is unplanned work because of an incident; said again otherwise, it is taken back."""
    actor = actor_of(request)
    row = reads.deployment(actor, deployment_id)
    actions.mark_deployment(actor=actor, deployment=row, unplanned=body.unplanned, incident_number=body.incident)
    return _deployment(row)
