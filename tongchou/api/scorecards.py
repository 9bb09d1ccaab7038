"""Scorecards: a weighted comparison, who wins it, and how firmly."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.named import team
from tongchou.api.paging import Offset, page_of
from tongchou.changes import requirement_reads as reads
from tongchou.changes import scorecard_actions as actions
from tongchou.changes import stated
from tongchou.changes.models_requirements import Scorecard
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref

router = Router(tags=["decisions"])
KIND = "changes.scorecard"


class CriterionRow(Body):
    """A criterion and its weight, a decimal text from 0 on."""

    name: str = Field(max_length=120)
    weight: str


class Cell(Body):
    """A score from 0 to 5 in halves or tenths, a decimal text ("" while it is not given), and why."""

    score: str = ""
    note: str = Field(default="", max_length=1000)


class ScorecardIn(Body):
    """A comparison: `scores` by candidate, then by criterion. One of a requirement is owned like it."""

    title: str = Field(max_length=200)
    purpose: str = Field(default="", max_length=stated.MAX_TEXT)
    criteria: list[CriterionRow] = Field(default_factory=list)
    candidates: list[str] = Field(default_factory=list)
    scores: dict[str, dict[str, Cell]] = Field(default_factory=dict)
    requirement: UUID | None = None
    owner_team: str | None = None
    custom: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> actions.Draft:
        """The same for the action; Invalid for a team nobody knows."""
        told = self.model_dump(exclude={"owner_team", "custom", "version"})
        return actions.Draft(**told, owner_team=team(self.owner_team, "owner_team"))


class ScorecardChange(ScorecardIn):
    """The whole card anew; `version` is the one you read."""

    version: int


class IntervalOut(Schema):
    """From which weight to which the winner stays so (`high` null: however large), and who draws level there."""

    criterion: str
    weight: float
    low: float
    high: float | None
    low_rival: str | None
    high_rival: str | None


class ResultOut(Schema):
    """Weighted sums, best first, and means from 0 to 5; several winners tie. Empty while scores are `missing`."""

    totals: dict[str, float]
    means: dict[str, float]
    winners: list[str]
    missing: list[list[str]]
    intervals: list[IntervalOut]
    breaks: list[str]


class ScorecardOut(Schema):
    """A scorecard in lists."""

    id: UUID
    ref: str
    number: int
    name: str
    title: str
    version: int
    winner: str
    candidates: list[str]
    requirement_id: UUID | None
    owner_team: str | None
    created_at: datetime
    custom: dict[str, Any] = Field(default_factory=dict)


class ScorecardPage(Schema):
    """A page of scorecards."""

    items: list[ScorecardOut]
    count: int


class ScorecardDetail(ScorecardOut):
    """All of it, weighed."""

    purpose: str
    criteria: list[dict[str, str]]
    scores: dict[str, dict[str, dict[str, str]]]
    result: ResultOut
    created_by: str


def _row(row: Scorecard, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "number", "name", "title", "version", "winner", "candidates", "requirement_id", "created_at")
    return {
        **{name: getattr(row, name) for name in same},
        "ref": ref(row),
        "owner_team": row.owner_team.name if row.owner_team else None,
        "custom": shown(row, fields),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _detail(row: Scorecard) -> dict[str, Any]:
    found = actions.weighed(row)
    names = ("criterion", "low_rival", "high_rival")
    return {
        **_row(row),
        **{name: getattr(row, name) for name in ("purpose", "criteria", "scores")},
        "created_by": row.created_by_name,
        "result": {
            "totals": {name: float(value) for name, value in found.totals.items()},
            "means": {name: float(value) for name, value in found.means.items()},
            "winners": found.winners,
            "missing": [list(each) for each in found.missing],
            "breaks": found.breaks,
            "intervals": [
                {
                    **{name: getattr(each, name) for name in names},
                    **{name: _number(getattr(each, name)) for name in ("weight", "low", "high")},
                }
                for each in found.intervals
            ],
        },
    }


@router.get("/scorecards", response=ScorecardPage)
def list_scorecards(request: HttpRequest, q: str = "", limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List scorecards, newest first. cf.<custom field> filters by a custom field."""
    rows = reads.scorecards(actor_of(request))
    if q:
        rows = rows.filter(title__icontains=q)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_row(each, fields) for each in page_of(rows, offset, limit)], "count": rows.count()}


@router.post("/scorecards", response={201: ScorecardDetail})
def add_scorecard(request: HttpRequest, body: ScorecardIn) -> Status[dict[str, Any]]:
    """Write a scorecard down; scores may be missing yet."""
    actor = actor_of(request)
    with transaction.atomic():
        row = actions.add(actor=actor, draft=body.draft())
        custom_values.start(actor, row, KIND, body.custom)
    return Status(201, _detail(reads.scorecard(actor, scorecard_id=row.pk)))


@router.get("/scorecards/{uuid:scorecard_id}", response=ScorecardDetail)
def get_scorecard(request: HttpRequest, scorecard_id: UUID) -> dict[str, Any]:
    """Return one, weighed."""
    return _detail(reads.scorecard(actor_of(request), scorecard_id=scorecard_id))


@router.put("/scorecards/{uuid:scorecard_id}", response=ScorecardDetail)
def change_scorecard(request: HttpRequest, scorecard_id: UUID, body: ScorecardChange) -> dict[str, Any]:
    """Write it anew. 409 design.version when somebody wrote in between."""
    actor = actor_of(request)
    row = reads.scorecard(actor, scorecard_id=scorecard_id)
    with transaction.atomic():
        row = actions.change(actor=actor, card=row, version=body.version, draft=body.draft())
        custom_values.put(actor, row, body.custom)
    return _detail(reads.scorecard(actor, scorecard_id=scorecard_id))


@router.delete("/scorecards/{uuid:scorecard_id}", response={204: None})
def remove_scorecard(request: HttpRequest, scorecard_id: UUID) -> Status[None]:
    """Take it away; the ledger keeps what it was."""
    actor = actor_of(request)
    actions.remove(actor=actor, card=reads.scorecard(actor, scorecard_id=scorecard_id))
    return Status(204, None)
