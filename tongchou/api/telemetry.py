"""Targets and their health, the store's figures, what the series are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema

from tongchou.api.core import actor_of
from tongchou.api.paging import MAX_OFFSET
from tongchou.core.access import check
from tongchou.telemetry import reads, target_snapshot
from tongchou.telemetry.cardinality import measure

router = Router(tags=["telemetry"])


class TargetOut(Schema):
    """One scraped endpoint and its last scrape."""

    endpoint_id: UUID
    resource_id: UUID
    url: str
    labels: dict[str, str]
    interval_seconds: float
    timeout_seconds: float
    state: Literal["unknown", "up", "down"]
    last_scrape: datetime | None
    last_duration_seconds: float
    last_samples: int
    last_error: str


class TargetList(Schema):
    """Targets, and how many there are in all."""

    items: list[TargetOut]
    count: int


@router.get("/targets", response=TargetList)
def targets(
    request: HttpRequest,
    state: Literal["unknown", "up", "down"] | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> dict[str, Any]:
    """List scraped endpoints by job and instance, with the health of the last scrape."""
    check(actor_of(request), "telemetry.view")
    found = [each for each in target_snapshot.targets() if state is None or each.state == state]
    items = [
        {
            "endpoint_id": each.endpoint_id,
            "resource_id": each.resource_id,
            "url": each.url,
            "labels": each.labels,
            "interval_seconds": each.interval_seconds,
            "timeout_seconds": each.timeout_seconds,
            "state": each.state,
            "last_scrape": datetime.fromtimestamp(each.last_scrape_ms / 1000, UTC) if each.last_scrape_ms else None,
            "last_duration_seconds": each.last_duration_seconds,
            "last_samples": each.last_samples,
            "last_error": each.last_error,
        }
        for each in found[offset : offset + limit]
    ]
    return {"items": items, "count": len(found)}


class StorageOut(Schema):
    """The store's figures. Counters count since the start; what is pending is in the journal, not in the tables."""

    series: int
    samples: int
    bytes_on_disk: int
    parts: int
    days: int
    first_day: datetime | None
    last_day: datetime | None
    window_samples: int
    window_bytes: int
    window_seconds: float
    cache_bytes: int
    ingested_samples: int
    refused_samples: int
    inserts: int
    failed_inserts: int
    insert_seconds: float
    pending_samples: int


@router.get("/telemetry/storage", response=StorageOut)
def storage(request: HttpRequest) -> dict[str, Any]:
    """Say how much is kept, on disk and in memory."""
    check(actor_of(request), "telemetry.view")
    span = reads.day_span()
    return {
        **reads.store_stats(),
        "first_day": span[0] if span else None,
        "last_day": span[1] if span else None,
    }


class Count(Schema):
    """A name and a count."""

    name: str
    count: int


class CardinalityOut(Schema):
    """What the series are made of: metrics by series, labels by values."""

    series: int
    metrics: list[Count]
    labels: list[Count]


@router.get("/telemetry/cardinality", response=CardinalityOut)
def cardinality(request: HttpRequest, limit: Annotated[int, Query(ge=1, le=500)] = 20) -> dict[str, Any]:
    """List the metric names with the most series and the labels with the most values."""
    check(actor_of(request), "telemetry.view")
    found = measure(limit)
    return {
        "series": found.series,
        "metrics": [{"name": name, "count": count} for name, count in found.metrics],
        "labels": [{"name": name, "count": count} for name, count in found.labels],
    }
