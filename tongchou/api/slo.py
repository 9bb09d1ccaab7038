"""Objectives: what a service promises, how much of its error budget is left, how fast that goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.alerting.durations import format_seconds, parse_seconds
from tongchou.alerting.models import Objective
from tongchou.alerting.slo import actions, reads, rules
from tongchou.alerting.slo.budget import allowed_seconds
from tongchou.alerting.slo.spec import Spec
from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.core.access import check_anywhere
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.problems import Invalid

router = Router(tags=["slo"])
KIND = "alerting.objective"


class ObjectiveIn(Body):
    """An objective. The queries count events over `$window` and give numbers of events, not rates."""

    title: dict[str, str] | str
    service: str = Field(min_length=1, max_length=200)
    error_query: str = Field(min_length=1, max_length=10_000)
    total_query: str = Field(min_length=1, max_length=10_000)
    target: float
    window: str = "30d"
    min_events: int = Field(default=100, le=2_000_000_000)
    min_errors: int = Field(default=3, le=2_000_000_000)
    custom: dict[str, Any] = Field(default_factory=dict)


class BudgetOut(Schema):
    """The window's budget in events. All None with the state no_data; `covered` is the share of it that has data."""

    state: str
    events: float | None
    errors: float | None
    good_ratio: float | None
    allowed: float | None
    left: float | None
    left_ratio: float | None
    covered: float


class BurnOut(Schema):
    """A pair of windows: its rule fires when both rates are over `factor` and enough happened in the long window."""

    urgency: str
    budget_share: float
    factor: float
    long_window: str
    short_window: str
    long_rate: float | None
    short_rate: float | None
    events: float | None
    fires: bool
    reachable: bool


class ForecastOut(Schema):
    """When the budget is empty at the rate of the last `rate_seconds`.

    `state`: "empties" (in `empty_in_seconds`), "lasts" (never at this rate), "empty" (already), "unknown" (too few
    events to say).
    """

    state: str
    rate_seconds: float
    burn_rate: float | None
    empty_in_seconds: float | None


class ObjectiveOut(Schema):
    """An objective with what was measured last; `budget` is None before the first time."""

    id: UUID
    name: str
    title: dict[str, str]
    service: str
    error_query: str
    total_query: str
    target: float
    window: str
    window_seconds: int
    allowed_seconds: float
    min_events: int
    min_errors: int
    rule_file: str
    budget: BudgetOut | None
    forecast: ForecastOut | None
    measured_at: datetime | None
    error: str | None
    updated_at: datetime
    updated_by: str
    custom: dict[str, Any] = Field(default_factory=dict)


class ObjectiveList(Schema):
    """Objectives by service and name."""

    items: list[ObjectiveOut]
    count: int


class StatusOut(Schema):
    """An objective measured now. `without`: its budget without windows of changes, together `excluded_seconds` long."""

    name: str
    at: datetime
    budget: BudgetOut
    burn: list[BurnOut]
    forecast: ForecastOut
    excluded_seconds: float
    without: BudgetOut | None


class BurnDownOut(Schema):
    """How much of the budget was left, as a share of it, after each part of the window; None where data is missing."""

    name: str
    times: list[datetime]
    left_ratio: list[float | None]
    step_seconds: int


def _row(row: Objective, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "name", "title", "service", "error_query", "total_query", "target", "window_seconds", "min_events")
    return {
        **{name: getattr(row, name) for name in same},
        "min_errors": row.min_errors,
        "window": format_seconds(row.window_seconds),
        "allowed_seconds": allowed_seconds(row.target, row.window_seconds),
        "rule_file": rules.file_name(row.name),
        "budget": row.measured.get("budget"),
        "forecast": row.measured.get("forecast"),
        "error": row.measured.get("error"),
        "measured_at": row.measured_at,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by_name,
        "custom": shown(row, fields),
    }


@router.get("/slos", response=ObjectiveList)
def list_objectives(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List objectives with what was measured last; cf.<custom field> filters by a custom field."""
    check_anywhere(actor_of(request), "alerting.view")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows, fields = custom_values.filtered(request, reads.objectives(), KIND), fields_of(KIND)
    return {"items": [_row(each, fields) for each in rows[offset : offset + limit]], "count": rows.count()}


@router.get("/slos/{name}", response=ObjectiveOut)
def get_objective(request: HttpRequest, name: str) -> dict[str, Any]:
    """One objective."""
    check_anywhere(actor_of(request), "alerting.view")
    return _row(reads.get(name))


@router.put("/slos/{name}", response=ObjectiveOut)
def put_objective(request: HttpRequest, name: str, body: ObjectiveIn) -> dict[str, Any]:
    """Create or change an objective; its burn-rate rules come into force with it."""
    try:
        window = parse_seconds(body.window)
    except ValueError as error:
        raise Invalid(
            "slo.window", str(error), field="window", value=body.window, remedy=_("Write 30d or 12h.")
        ) from None
    fields = body.dict(exclude={"window", "title", "custom"})
    title = {"en": body.title} if isinstance(body.title, str) else body.title
    spec = Spec(name=name, title=title, window_seconds=int(window), **fields)
    actor = actor_of(request)
    with transaction.atomic():
        new = not Objective.objects.filter(name=name).exists()
        row = actions.put_objective(actor=actor, spec=spec)
        row = custom_values.start(actor, row, KIND, body.custom) if new else custom_values.put(actor, row, body.custom)
    return _row(row)


@router.delete("/slos/{name}", response={204: None})
def delete_objective(request: HttpRequest, name: str) -> Status[None]:
    """Remove an objective and its rules; their alerts are resolved."""
    actions.delete_objective(actor=actor_of(request), name=name)
    return Status(204, None)


def _measured(request: HttpRequest, name: str) -> reads.Measured:
    check_anywhere(actor_of(request), "alerting.view")
    return reads.measure(reads.spec_of(reads.get(name)), timezone.now())


@router.get("/slos/{name}/status", response=StatusOut)
def get_status(request: HttpRequest, name: str) -> dict[str, Any]:
    """Measure the budget and the burn rates now."""
    found = _measured(request, name)
    burns = [
        {
            "urgency": each.pair.urgency,
            "budget_share": each.pair.budget_share,
            "factor": each.pair.factor,
            "long_window": format_seconds(each.pair.long_seconds),
            "short_window": format_seconds(each.pair.short_seconds),
            **{field: getattr(each, field) for field in ("long_rate", "short_rate", "events", "fires", "reachable")},
        }
        for each in found.burns
    ]
    return {
        "name": name,
        "at": found.at,
        "budget": found.budget,
        "burn": burns,
        "forecast": found.forecast,
        "excluded_seconds": found.excluded_seconds,
        "without": found.without,
    }


@router.get("/slos/{name}/burn-down", response=BurnDownOut)
def get_burn_down(request: HttpRequest, name: str) -> dict[str, Any]:
    """Measure how the budget went down over the window that ends now."""
    check_anywhere(actor_of(request), "alerting.view")
    spec = reads.spec_of(reads.get(name))
    points = reads.points(spec, timezone.now())
    return {
        "name": name,
        "times": [datetime.fromtimestamp(each.at_ms / 1000, UTC) for each in points],
        "left_ratio": [each.left_ratio for each in points],
        "step_seconds": reads.slice_seconds(spec.window_seconds),
    }
