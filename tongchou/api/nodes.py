"""The processes that are this platform together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from tongchou.api.core import actor_of
from tongchou.core import nodes
from tongchou.core.access import check

router = Router(tags=["platform"])


class NodeOut(Schema):
    """One process. `lag_seconds`: how old what it knows of other nodes' samples may be; null before it told."""

    name: str
    role: str
    state: str
    version: str
    other_version: bool
    address: str
    store: str
    started_at: datetime
    seen_at: datetime
    duties: list[str]
    running_jobs: int
    clock_skew_seconds: float
    skewed: bool
    lag_seconds: float | None
    pending_samples: float | None


class Nodes(Schema):
    """Every node of the last week, those that are alive first, and the one that answered."""

    items: list[NodeOut]
    answered_by: str


@router.get("/nodes", response=Nodes)
def list_nodes(request: HttpRequest) -> dict[str, Any]:
    """List the nodes: who is alive, in which role, since when, with which duties, how far behind."""
    check(actor_of(request), "platform.view")
    return {"items": [_out(view) for view in nodes.listing()], "answered_by": nodes.own_name()}


def _out(view: nodes.View) -> dict[str, Any]:
    node = view.node
    return {
        "name": node.name,
        "role": node.role,
        "state": view.state,
        "version": node.version,
        "other_version": view.other_version,
        "address": node.address,
        "store": node.store,
        "started_at": node.started_at,
        "seen_at": node.seen_at,
        "duties": view.duties,
        "running_jobs": view.running_jobs,
        "clock_skew_seconds": node.clock_skew_seconds,
        "skewed": view.skewed,
        "lag_seconds": node.figures.get("lag_seconds"),
        "pending_samples": node.figures.get("pending_samples"),
    }
