"""DORA's five metrics, per service, and the deployments behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.assurance.dora import Number, Row
from tongchou.assurance.dora_reads import ServiceFive, dora
from tongchou.assurance.dora_words import METRICS, number_of, why

router = Router(tags=["dora"])


class NumberOut(Schema):
    """A metric: null with a reason where it is not defined. `unit`: s, per_day, or share (of 1)."""

    value: float | None
    unit: str
    reason: str
    text: str
    known: int
    of: int


class ServiceOut(Schema):
    """The five of one service over some days; `since` is its first deployment that is known."""

    key: str
    service: str
    service_ref: str | None
    days: int
    deployments: int
    since: datetime | None
    incidents_unnamed: int
    unplanned_unexplained: int
    lead_time: NumberOut
    frequency: NumberOut
    recovery_time: NumberOut
    fail_rate: NumberOut
    rework_rate: NumberOut


class DoraPage(Schema):
    """The services, by name."""

    items: list[ServiceOut]
    count: int


class RowOut(Schema):
    """A deployment and what it gives to the five. Times in seconds."""

    ref: str
    title: str
    at: datetime
    succeeded: bool
    lead_times: list[float]
    commits_untimed: int
    failed: bool
    incidents: list[int]
    recovery_time: float | None
    rework: bool
    unplanned: bool
    because_of: int | None


class RowPage(Schema):
    """Deployments behind the numbers of a service."""

    items: list[RowOut]
    count: int


def _number(metric: str, number: Number) -> dict[str, Any]:
    return {
        "value": number.value,
        "unit": METRICS[metric][1],
        "reason": number.reason,
        "text": why(metric, number),
        "known": number.known,
        "of": number.of,
    }


def _service(each: ServiceFive) -> dict[str, Any]:
    return {
        "key": each.key,
        "service": each.name,
        "service_ref": f"inventory.resource:{each.service_id}" if each.service_id else None,
        "days": each.five.days,
        "deployments": len(each.five.rows),
        "since": each.since,
        "incidents_unnamed": each.incidents_unnamed,
        "unplanned_unexplained": each.five.unplanned_unexplained,
        **{metric: _number(metric, number_of(each.five, metric)) for metric in METRICS},
    }


def _row(row: Row) -> dict[str, Any]:
    told = row.deployed
    return {
        "ref": f"changes.deployment:{told.id}",
        "title": told.title,
        "at": told.at,
        "succeeded": told.succeeded,
        "lead_times": list(row.lead_seconds),
        "commits_untimed": row.commits_untimed,
        "failed": row.failed,
        "incidents": [each.number for each in told.blames],
        "recovery_time": row.recovery_seconds,
        "rework": row.rework,
        "unplanned": told.unplanned,
        "because_of": told.incident_number,
    }


@router.get("/dora", response=DoraPage)
def list_dora(request: HttpRequest, days: int = 30, service: str = "") -> dict[str, Any]:
    """DORA's five of each service over the last 7, 30 or 90 days; `service` is a key of an answer. Never blended."""
    found = dora(actor_of(request), days=days, now=timezone.now(), key=service)
    return {"items": [_service(each) for each in found], "count": len(found)}


@router.get("/dora/deployments", response=RowPage)
def list_dora_deployments(
    request: HttpRequest, service: str, days: int = 30, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """The deployments behind the numbers of one service, the latest first."""
    found = dora(actor_of(request), days=days, now=timezone.now(), key=service)
    rows = found[0].five.rows if found else ()
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_row(each) for each in rows[offset : offset + limit]], "count": len(rows)}
