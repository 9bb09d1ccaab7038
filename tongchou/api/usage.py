"""What incidents cost, with every number that went into the figure."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from tongchou.api.core import actor_of
from tongchou.core.access import check
from tongchou.incidents import impact as incident_impact
from tongchou.incidents import reads
from tongchou.usage import words
from tongchou.usage.impact import expected_curve, from_json
from tongchou.usage.models import Impact

router = Router(tags=["usage"])


class SeriesOut(Schema):
    """Money per second at the end of each step; the band holds four of five single steps."""

    times: list[datetime]
    actual: list[float | None]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]


class ImpactOut(Schema):
    """The revenue lost; amounts are decimal texts. `computable` false has a reason instead of figures."""

    computable: bool
    reason: str
    reason_code: str
    final: bool
    begins_at: datetime
    ends_at: datetime
    currency: str
    lost: Decimal | None
    low: Decimal | None
    high: Decimal | None
    expected: Decimal | None
    actual: Decimal | None
    caught_up: Decimal | None
    query: str
    method: str
    lag_seconds: float | None
    facts: dict[str, Any]
    sentence: dict[str, str]
    series: SeriesOut | None
    assessed_at: datetime


def _out(row: Impact) -> dict[str, Any]:
    same = ("final", "begins_at", "ends_at", "currency", "lost", "low", "high", "expected", "actual", "caught_up")
    return {
        **{name: getattr(row, name) for name in (*same, "query", "method", "assessed_at")},
        "computable": row.lost is not None,
        "reason": words.reason(row),
        "reason_code": row.reason,
        "lag_seconds": row.inputs.get("lag_seconds"),
        "facts": row.inputs.get("facts", {}),
        "sentence": words.sentences(row),
        "series": _series(row),
    }


def _series(row: Impact) -> dict[str, Any] | None:
    if "series" not in row.inputs:
        return None
    inputs = from_json(row.inputs["series"])
    expected, low, high = expected_curve(inputs)
    begin = datetime.fromisoformat(row.inputs["grid_start"])
    return {
        "times": [begin + timedelta(seconds=inputs.step_seconds * (at + 1)) for at in range(len(inputs.actual))],
        "actual": list(inputs.actual),
        "expected": expected,
        "low": low,
        "high": high,
    }


@router.get("/incidents/{uuid:incident_id}/impact", response=ImpactOut)
def get_impact(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """What the incident cost: the kept figure when it is final, else computed now."""
    return _out(incident_impact.of(reads.get(actor_of(request), incident_id)))


@router.post("/incidents/{uuid:incident_id}/impact", response=ImpactOut)
def assess_impact(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """Compute it from telemetry again and keep it with its inputs."""
    actor = actor_of(request)
    incident = reads.get(actor, incident_id)
    check(actor, "usage.edit")
    return _out(incident_impact.assess(actor=actor, incident=incident))
