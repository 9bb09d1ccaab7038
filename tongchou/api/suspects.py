"""Why the suspects of an incident rank where they do, with the facts behind every point."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from tongchou.api.core import actor_of
from tongchou.api.incidents import BaselinesOut, ReasonOut
from tongchou.core.access import allows
from tongchou.incidents import reads
from tongchou.incidents.why import Why, why

router = Router(tags=["incidents"])


class ReasonWithFacts(ReasonOut):
    """A reason with what it rests on: `points` and `query` of a series, or `line` and `search` of the log."""

    facts: dict[str, Any]


class WhyOut(Schema):
    """A suspect explained. `lead`: points above the next; `decisive`: reasons each of which alone makes more than that.

    `behind`: points below the first; `against`: what is held against it, each of which alone makes more than that.
    `path`: names from a failing resource, through what each needs, to the suspect.
    """

    rank: int
    ref: str
    kind: str
    name: str
    resource_kind: str
    score: float
    about: list[str]
    reasons: list[ReasonWithFacts]
    path: list[str]
    lead: float | None
    decisive: list[str]
    behind: float
    against: list[str]


class SuspectsOut(Schema):
    """The newest ranking. `looked` says what was read and what was not; `facts` whether you may see telemetry."""

    ranked_at: datetime | None
    facts: bool
    suspects: list[WhyOut]
    baselines: BaselinesOut
    looked: dict[str, Any]


@router.get("/incidents/{uuid:incident_id}/suspects", response=SuspectsOut)
def get_suspects(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    """Return the ranking of an incident with facts, what would change the order, and what simple methods would say."""
    actor = actor_of(request)
    incident = reads.get(actor, incident_id)
    facts = allows(actor, "telemetry.view")
    return {
        "ranked_at": incident.ranked_at,
        "facts": facts,
        "suspects": [_why(each) for each in why(incident, facts=facts)],
        "baselines": reads.baselines(incident),
        "looked": reads.looked(incident),
    }


def _why(each: Why) -> dict[str, Any]:
    names = ("rank", "ref", "kind", "name", "resource_kind", "score", "about")
    order = each.order
    return {
        **{name: getattr(each.suspect, name) for name in names},
        "reasons": [
            {"code": row.code, "text": row.text, "weight": row.weight, "facts": dict(row.facts)}
            for row in each.suspect.reasons
        ],
        "path": each.path,
        "lead": order.lead,
        "decisive": list(order.decisive),
        "behind": order.behind,
        "against": list(order.against),
    }
