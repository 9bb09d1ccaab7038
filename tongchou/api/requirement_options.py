"""The options of a requirement, how available their structures are, and the choice of one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.decisions import DecisionDetail, decision_detail
from tongchou.changes import availability, decision_actions, option_actions, outline, stated
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_requirements import Option
from tongchou.changes.option_draft import FIGURES, Draft
from tongchou.core.access import check_anywhere
from tongchou.core.nouns import row as noun_row

router = Router(tags=["requirements"])


class ResourceRow(Body):
    """A proposed resource: a new one (`kind`, `name`, `count`) or an `existing` one by id, and its part in it.

    `role`: single, active, standby, n_plus_1, k_of_n, quorum or replica.
    """

    kind: str = ""
    name: str = Field(default="", max_length=200)
    count: int = 1
    role: str = "single"
    existing: str = ""


class ChangeRow(Body):
    """A proposed change: what is to be done, and the place in the order."""

    title: str = Field(max_length=200)
    what: str = Field(default="", max_length=8000)
    order: int | None = None


class RiskRow(Body):
    """A risk: likelihood and impact from 1 (low) to 5 (high), and what is done about it."""

    risk: str = Field(max_length=500)
    likelihood: int = Field(ge=1, le=5)
    impact: int = Field(ge=1, le=5)
    mitigation: str = Field(default="", max_length=2000)


class OptionIn(Body):
    """One way to meet a requirement. Figures are decimal texts; each needs its source in `sources`, by its name.

    `structure` is an outline of blocks and parts (see the guide), out of which the availability is worked out.
    `lead_days` are days until it is there; money is in `currency`.
    """

    name: str = Field(max_length=120)
    summary: str = Field(default="", max_length=stated.MAX_TEXT)
    resources: list[ResourceRow] = Field(default_factory=list)
    changes: list[ChangeRow] = Field(default_factory=list)
    risks: list[RiskRow] = Field(default_factory=list)
    structure: str = Field(default="", max_length=outline.MAX_CHARACTERS)
    capex: str | None = None
    opex_monthly: str | None = None
    currency: str = ""
    energy_kwh_monthly: str | None = None
    co2e_kg_monthly: str | None = None
    lead_days: int | None = None
    sources: dict[str, str] = Field(default_factory=dict)

    def draft(self) -> Draft:
        """The same for the action."""
        return Draft(**self.model_dump(exclude={"version"}))


class OptionChange(OptionIn):
    """The whole option anew; `version` is the one you read."""

    version: int


class ChooseIn(Body):
    """What the decision record says. Left out, it takes the title, need and summary of what is chosen."""

    title: str = Field(default="", max_length=200)
    context: str = Field(default="", max_length=stated.MAX_TEXT)
    decision: str = Field(default="", max_length=stated.MAX_TEXT)
    consequences: str = Field(default="", max_length=stated.MAX_TEXT)


class StructureIn(Body):
    """An outline to be worked out."""

    structure: str = Field(max_length=outline.MAX_CHARACTERS)


class WeaknessOut(Schema):
    """A part: minutes a year gained were it perfect, and lost were it down twice as often."""

    name: str
    count: int
    gained_minutes: float
    doubled_minutes: float


class AnswerOut(Schema):
    """What a structure comes to; null while parts have no figure (`missing`). Weakest part first."""

    availability: float | None
    downtime_minutes_per_year: float | None
    missing: list[str]
    weakest: list[WeaknessOut]


class ProposalOut(Schema):
    """A structure out of the inventory's relations, to be edited; `left_out`: how many resources are not in it."""

    structure: str
    left_out: int


class OptionOut(Schema):
    """An option with all that is proposed, and what it comes to."""

    id: UUID
    ref: str
    requirement_id: UUID
    name: str
    summary: str
    version: int
    resources: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    risks: list[dict[str, Any]]
    structure: str
    capex: str | None
    opex_monthly: str | None
    currency: str
    energy_kwh_monthly: str | None
    co2e_kg_monthly: str | None
    lead_days: int | None
    sources: dict[str, str]
    computed: AnswerOut


def _option(row: Option) -> dict[str, Any]:
    same = ("id", "requirement_id", "name", "summary", "version", "resources", "changes", "risks", "structure")
    money = [name for name in FIGURES if name != "lead_days"]
    return {
        **{name: getattr(row, name) for name in (*same, "currency", "lead_days", "sources")},
        **{name: None if getattr(row, name) is None else stated.plain(getattr(row, name)) for name in money},
        "ref": f"changes.option:{row.pk}",
        "computed": _answer(row.computed),
    }


def _answer(computed: dict[str, Any]) -> dict[str, Any]:
    share = computed.get("availability")
    return {
        "availability": share,
        "downtime_minutes_per_year": None if share is None else availability.downtime_minutes(share),
        "missing": computed.get("missing", []),
        "weakest": computed.get("weakest", []),
    }


@router.get("/requirements/{uuid:requirement_id}/options", response=list[OptionOut])
def list_options(request: HttpRequest, requirement_id: UUID) -> list[dict[str, Any]]:
    """List the options of a requirement, in their order."""
    row = reads.requirement(actor_of(request), requirement_id=requirement_id)
    return [_option(each) for each in row.options.all()]


@router.post("/requirements/{uuid:requirement_id}/options", response={201: OptionOut})
def add_option(request: HttpRequest, requirement_id: UUID, body: OptionIn) -> Status[dict[str, Any]]:
    """Add an option, before the requirement is decided."""
    actor = actor_of(request)
    row = reads.requirement(actor, requirement_id=requirement_id)
    return Status(201, _option(option_actions.add(actor=actor, requirement=row, draft=body.draft())))


@router.get("/requirement-options/{uuid:option_id}", response=OptionOut)
def get_option(request: HttpRequest, option_id: UUID) -> dict[str, Any]:
    """Return one option."""
    return _option(reads.option(actor_of(request), option_id))


@router.put("/requirement-options/{uuid:option_id}", response=OptionOut)
def change_option(request: HttpRequest, option_id: UUID, body: OptionChange) -> dict[str, Any]:
    """Write it anew. 409 design.version when somebody wrote in between."""
    actor = actor_of(request)
    row = reads.option(actor, option_id)
    return _option(option_actions.change(actor=actor, option=row, version=body.version, draft=body.draft()))


@router.delete("/requirement-options/{uuid:option_id}", response={204: None})
def remove_option(request: HttpRequest, option_id: UUID) -> Status[None]:
    """Take an option away, before the requirement is decided."""
    actor = actor_of(request)
    option_actions.remove(actor=actor, option=reads.option(actor, option_id))
    return Status(204, None)


@router.post("/requirement-options/{uuid:option_id}/choose", response=DecisionDetail)
def choose_option(request: HttpRequest, option_id: UUID, body: ChooseIn) -> dict[str, Any]:
    """Choose it: writes the decision record and makes the proposed changes. Repeated, it makes no second ones."""
    actor = actor_of(request)
    made = decision_actions.choose(actor=actor, option=reads.option(actor, option_id), **body.model_dump())
    return decision_detail(reads.decision(actor, decision_id=made.pk))


@router.post("/availability/compute", response=AnswerOut)
def compute_availability(request: HttpRequest, body: StructureIn) -> dict[str, Any]:
    """Work an outline out. Keeps nothing."""
    check_anywhere(actor_of(request), reads.VIEW)
    node = outline.read(body.structure)
    return _answer(asdict(availability.answer(node)) if node is not None else {})


@router.get("/availability/proposal", response=ProposalOut)
def propose_structure(request: HttpRequest, resource_id: UUID) -> dict[str, Any]:
    """Return a structure out of what a resource needs now; "?" where nothing was measured."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    found = reads.proposal(actor, noun_row(actor, f"inventory.resource:{resource_id}"))
    return {"structure": outline.write(found.node), "left_out": found.left_out}
