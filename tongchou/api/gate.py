"""The gate: may a service be deployed to now? For pipelines; its rules, what it answered, the emergency."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.changes import control_reads, gate, gate_actions, gate_reads
from tongchou.changes.models_control import GateAnswer, GateRule
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref

router = Router(tags=["changes"])


class GateReasonOut(Schema):
    """A reason. `weight`: deny, warn or info; `remedy`: what to do about it."""

    code: str
    weight: str
    text: str
    remedy: str
    ref: str
    params: dict[str, Any]


class GateVerdictOut(Schema):
    """The answer. `overridden`: there are reasons against it, and an emergency change overrides them."""

    allowed: bool
    overridden: bool
    service: str
    service_ref: str | None
    environment: str
    version: str
    rule: str
    reasons: list[GateReasonOut]
    asked_at: datetime


class GlassIn(Body):
    """An emergency: for which service, why, for how many minutes deployments pass."""

    service: str = Field(max_length=253)
    reason: str = Field(max_length=2000)
    minutes: int = Field(default=60, ge=1, le=gate_actions.MAX_GLASS_MINUTES)
    environment: str = Field(default="", max_length=80)


class GlassOut(Schema):
    """The emergency change that was made and begun; it is reviewed afterwards."""

    change: str
    number: int
    ends_at: datetime


class GateRuleIn(Body):
    """What is asked of a deployment; "" fits every environment, criticality and team. Shares are 0 to 1."""

    position: int = Field(default=100, ge=0, le=10_000)
    environment: str = Field(default="", max_length=80)
    criticality: str = Field(default="", max_length=40)
    team: str = Field(default="", max_length=120)
    needs_change: bool = False
    needs_window: bool = False
    least_budget: float = Field(default=0.0, ge=0, le=1)
    warn_budget: float = Field(default=0.25, ge=0, le=1)
    enabled: bool = True


class GateRuleOut(GateRuleIn):
    """A rule of the gate. Of several that fit, the one of the lowest position counts, alone."""

    id: UUID
    name: str


class AnswersOut(Schema):
    """What the gate answered lately, and how often in the last 30 days it was asked, refused and was overridden."""

    items: list[GateVerdictOut]
    count: int
    asked: int
    refused: int
    overridden: int


def _answer(row: GateAnswer, rule: str = "") -> dict[str, Any]:
    return {
        "allowed": row.allowed,
        "overridden": row.overridden,
        "service": row.service_name,
        "service_ref": f"inventory.resource:{row.service_id}" if row.service_id else None,
        "environment": row.environment,
        "version": row.version,
        "rule": rule,
        "reasons": [{**each, "text": gate.in_words(each), "remedy": gate.remedy_of(each)} for each in row.reasons],
        "asked_at": row.at,
    }


def _rule(row: GateRule) -> dict[str, Any]:
    same = ("id", "name", "position", "environment", "criticality", "needs_change", "needs_window", "enabled")
    return {
        **{name: getattr(row, name) for name in (*same, "least_budget", "warn_budget")},
        "team": row.team.name if row.team else "",
    }


@router.get("/gate", response=GateVerdictOut)
def ask_gate(
    request: HttpRequest,
    service: Annotated[str, Query(min_length=1, max_length=253)],
    environment: Annotated[str, Query(max_length=80)] = "",
    version: Annotated[str, Query(max_length=120)] = "",
) -> dict[str, Any]:
    """Say whether the service may be deployed to now, with every reason. Always 200: read `allowed`."""
    row, verdict = gate_actions.ask(actor=actor_of(request), service=service, environment=environment, version=version)
    return _answer(row, verdict.rule)


@router.post("/gate/break-glass", response={201: GlassOut})
def break_glass(request: HttpRequest, body: GlassIn) -> Status[dict[str, Any]]:
    """Let deployments of a service pass for some minutes, by an emergency change that is reviewed afterwards."""
    row = gate_actions.break_glass(actor=actor_of(request), **body.model_dump())
    return Status(201, {"change": ref(row), "number": row.number, "ends_at": row.ends_at})


@router.get("/gate/answers", response=AnswersOut)
def list_answers(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List what the gate answered, the newest first."""
    actor = actor_of(request)
    rows = gate_reads.answers(actor)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    shares = gate_reads.shares(actor, timezone.now() - timedelta(days=30))
    return {"items": [_answer(each) for each in page_of(rows, offset, limit)], "count": rows.count(), **shares}


@router.get("/gate/rules", response=list[GateRuleOut])
def list_rules(request: HttpRequest) -> list[dict[str, Any]]:
    """List the rules of the gate, in the order they are asked."""
    return [_rule(each) for each in gate_reads.rules(actor_of(request))]


@router.put("/gate/rules/{name}", response=GateRuleOut)
def put_rule(request: HttpRequest, name: str, body: GateRuleIn) -> dict[str, Any]:
    """Make the rule of this name, or replace what it says."""
    fields = body.model_dump(exclude={"team"})
    team = control_reads.team_called(body.team)
    return _rule(gate_actions.put_rule(actor=actor_of(request), name=name, team=team, **fields))


@router.delete("/gate/rules/{name}", response={204: None})
def remove_rule(request: HttpRequest, name: str) -> Status[None]:
    """Remove a rule."""
    actor = actor_of(request)
    row = gate_reads.rules(actor).filter(name=name).first()
    if row is None:
        raise NotFound("gate.rule", _("There is no such rule."), field="name", value=name[:120])
    gate_actions.remove_rule(actor=actor, row=row)
    return Status(204, None)
