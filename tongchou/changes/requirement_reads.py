"""Named reads of requirements, their options, decisions and scorecards, scoped by team."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.slo.reads import objectives
from tongchou.changes import requirement_draft, verdicts
from tongchou.changes.models_requirements import (
    Decision,
    Option,
    Participant,
    Requirement,
    RequirementState,
    Scorecard,
)
from tongchou.changes.proposed_structure import Measured, Proposal, propose
from tongchou.changes.requirement_draft import Draft
from tongchou.core.access import Actor, allows, check_anywhere, visible_teams
from tongchou.core.problems import NotFound
from tongchou.inventory import reads as inventory
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource
from tongchou.inventory.weakness import least_needed, service_kinds

VIEW, EDIT = "changes.view", "changes.edit"
LATE_STATES = (RequirementState.DRAFT, RequirementState.IN_REVIEW, RequirementState.ACCEPTED, RequirementState.DECIDED)


def _of_teams(actor: Actor) -> Q:
    teams = visible_teams(actor)
    return Q() if teams is None else Q(owner_team__in=teams)


def requirements(actor: Actor) -> QuerySet[Requirement]:
    """Return the requirements an actor may see: of their teams, and those they are asked about."""
    check_anywhere(actor, VIEW)
    found = _of_teams(actor)
    if found and actor.user_id is not None:
        found |= Q(Exists(Participant.objects.filter(requirement=OuterRef("pk"), user_id=actor.user_id)))
    return Requirement.objects.filter(found).select_related("owner", "owner_team", "approval").order_by("-number")


def listed(ids: Iterable[Any]) -> QuerySet[Requirement]:
    """Return the rows of a page of the list."""
    rows = Requirement.objects.filter(pk__in=list(ids)).select_related("owner", "owner_team")
    return rows.annotate(option_count=Count("options")).defer("checklist", "need", "load")


def requirement(actor: Actor, *, requirement_id: UUID | None = None, number: int | None = None) -> Requirement:
    """Return one; raises NotFound for one that is not there or not to be seen."""
    wanted = Q(pk=requirement_id) if requirement_id is not None else Q(number=number)
    found = requirements(actor).filter(wanted).first() if (number or 0) < 2**31 else None
    if found is None:
        raise NotFound("requirement.unknown", _("There is no such requirement, or your teams do not own it."))
    return found


def option(actor: Actor, option_id: UUID) -> Option:
    """Return one option of a requirement the actor may see; NotFound otherwise."""
    rows = Option.objects.select_related("requirement__owner_team", "requirement__owner", "requirement__approval")
    found = rows.filter(pk=option_id, requirement__in=requirements(actor).order_by()).first()
    if found is None:
        raise NotFound("option.unknown", _("There is no such option."))
    return found


def decisions(actor: Actor) -> QuerySet[Decision]:
    """Return the decision records an actor may see."""
    check_anywhere(actor, VIEW)
    return (
        Decision.objects.filter(_of_teams(actor))
        .select_related("requirement", "option", "owner_team", "supersedes")
        .prefetch_related("superseded_by")
        .order_by("-number")
    )


def decision(actor: Actor, *, decision_id: UUID | None = None, number: int | None = None) -> Decision:
    """Return one; NotFound otherwise."""
    wanted = Q(pk=decision_id) if decision_id is not None else Q(number=number)
    found = decisions(actor).filter(wanted).first() if (number or 0) < 2**31 else None
    if found is None:
        raise NotFound("decision.unknown", _("There is no such decision record, or your teams do not own it."))
    return found


def scorecards(actor: Actor) -> QuerySet[Scorecard]:
    """Return the scorecards an actor may see."""
    check_anywhere(actor, VIEW)
    return Scorecard.objects.filter(_of_teams(actor)).select_related("requirement", "owner_team").order_by("-number")


def scorecard(actor: Actor, *, scorecard_id: UUID | None = None, number: int | None = None) -> Scorecard:
    """Return one; NotFound otherwise."""
    wanted = Q(pk=scorecard_id) if scorecard_id is not None else Q(number=number)
    found = scorecards(actor).filter(wanted).first() if (number or 0) < 2**31 else None
    if found is None:
        raise NotFound("scorecard.unknown", _("There is no such scorecard, or your teams do not own it."))
    return found


# --- one requirement, worked out ------------------------------------------------------------------------------------


def draft_of(row: Requirement) -> Draft:
    """The requirement in the form in which it is changed. One query (its services)."""
    same = [name for name in Draft.__dataclass_fields__ if name not in ("owner", "owner_team", "services")]
    services = sorted(row.services.values_list("pk", flat=True))
    return Draft(
        **{name: getattr(row, name) for name in same},
        owner=row.owner_id,
        owner_team=row.owner_team_id,
        services=services,
    )


def content_hash(row: Requirement) -> str:
    """What an acceptance of the requirement, as it is now, is bound to."""
    return requirement_draft.content_hash(draft_of(row), row.number)


def wanted(row: Requirement) -> verdicts.Wanted:
    """What it asks of every option."""
    return verdicts.Wanted(row.slo_percent, row.wanted_on, row.budget, row.currency, row.budget_months)


def offered(row: Option) -> verdicts.Offered:
    """What an option states."""
    return verdicts.Offered(row.availability, row.lead_days, row.capex, row.opex_monthly, row.currency)


@dataclass(frozen=True)
class Compared:
    """An option with what is judged about it; `exposure` is the largest likelihood times impact of its risks."""

    option: Option
    verdicts: list[verdicts.Verdict]
    meets: bool | None
    cost: Any
    exposure: int
    chosen: bool


def compared(row: Requirement, today: date | None = None) -> list[Compared]:
    """Return its options side by side, in their order. Two queries."""
    chosen = set(row.decisions.filter(status="accepted", option__isnull=False).values_list("option_id", flat=True))
    found = []
    for each in row.options.all():
        judged = verdicts.judge(wanted(row), offered(each), today or timezone.localdate())
        found.append(
            Compared(
                each,
                judged,
                verdicts.meets(judged),
                verdicts.cost(offered(each), row.budget_months),
                max((int(risk["likelihood"]) * int(risk["impact"]) for risk in each.risks), default=0),
                each.pk in chosen,
            )
        )
    return found


def participants(row: Requirement) -> QuerySet[Participant]:
    """Return who was asked, in order."""
    return row.participants.select_related("user")


def services_seen(actor: Actor, row: Requirement) -> tuple[list[Resource], int]:
    """Return the services it concerns that the actor may see, and how many others there are."""
    seen = list(row.services.filter(pk__in=inventory.visible(actor).values("pk")).order_by("name"))
    return seen, row.services.count() - len(seen)


def proposal(actor: Actor, resource: Resource) -> Proposal:
    """Return a structure out of what the resource needs now, with what objectives measured of it and them."""
    graph = load_graph()
    if resource.pk not in graph:
        raise NotFound("resource.inactive", _("This resource is not in service, so it needs nothing."))
    reached = [resource.pk, *graph.downstream(resource.pk)]
    seen = frozenset(
        set(reached)
        if allows(actor, "inventory.view")
        else inventory.visible(actor).filter(pk__in=reached).values_list("pk", flat=True)
    )
    serving = service_kinds()
    services = [graph.nodes[each] for each in reached if each in seen and graph.nodes[each].kind in serving]
    often = Counter(each.name for each in services)
    measured = _measured({each.name: each.id for each in services if often[each.name] == 1})
    return propose(graph, resource.pk, least=least_needed(), measured=measured, seen=seen)


def _measured(services: Mapping[str, UUID]) -> dict[UUID, Measured]:
    """What objectives measured of services, by their names; of several the worst."""
    found: dict[UUID, Measured] = {}
    for row in objectives().filter(service__in=list(services)):
        good = (row.measured.get("budget") or {}).get("good_ratio")
        if good is None or not 0 <= good <= 1:
            continue
        days = row.window_seconds // 86_400
        said = Measured(good, f"objective {row.name}, {days} d, {row.measured_at:%Y-%m-%d}")
        before = found.get(services[row.service])
        if before is None or said.availability < before.availability:
            found[services[row.service]] = said
    return found
