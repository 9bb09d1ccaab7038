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
from tongchou.changes.models import Deployment, DeploymentSource
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
    custom: dict[str, Any] = Field(default_factory=dict)


class DeploymentPage(Schema):
    """A page of deployments."""

    items: list[DeploymentOut]
    count: int


class SenderIn(Body):
    """The secret with which the sender signs; kept encrypted and never shown."""

    secret: str = Field(min_length=1, max_length=4096)


class SourceOut(Schema):
    """A sender of deployments and where it posts them."""

    name: str
    hook: str
    created_at: datetime
    last_delivery_at: datetime | None


class SourcePage(Schema):
    """A page of senders."""

    items: list[SourceOut]
    count: int


def _deployment(row: Deployment, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "title", "version", "previous_version", "environment", "status", "source", "delivery_id")
    times = ("started_at", "finished_at", "received_at", "url")
    return {
        **{name: getattr(row, name) for name in (*same, *times)},
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
    """Create a sender, or give it a new secret."""
    return _source(actions.put_source(actor=actor_of(request), name=name, secret=body.secret))
