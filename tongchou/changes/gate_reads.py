"""What the gate looks at, read for one service at one moment; and what it answered before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from tongchou.alerting.models import Objective
from tongchou.alerting.slo.reads import firing
from tongchou.changes import control_reads, gate
from tongchou.changes.actions import find_service
from tongchou.changes.gate import BudgetLeft, Facts, Rule, Stop
from tongchou.changes.models_control import Change, ChangeState, GateAnswer, GateRule
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.models_calendars import WindowKind
from tongchou.core.refs import ref
from tongchou.core.spans import Span
from tongchou.inventory import holds
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import AttributeValue, Resource

AHEAD = timedelta(days=40)  # so far ahead the next maintenance window is looked for
MAX_AGE = timedelta(hours=1)  # of what was measured of an objective: older is no data


def rules(actor: Actor) -> QuerySet[GateRule]:
    """Return the rules of the gate in the order they are asked; they are common knowledge."""
    check_anywhere(actor, control_reads.VIEW)
    return GateRule.objects.select_related("team").order_by("position", "name")


def answers(actor: Actor) -> QuerySet[GateAnswer]:
    """Return what the gate answered, the newest first: all, or about what the actor's teams own."""
    check_anywhere(actor, control_reads.VIEW)
    found = GateAnswer.objects.select_related("service").order_by("-at", "-id")
    teams = visible_teams(actor)
    return found if teams is None else found.filter(service__owner__in=teams)


def shares(actor: Actor, since: datetime) -> dict[str, int]:
    """Return how many answers there were since a moment, how many of them no, and how many overridden."""
    counted: dict[str, Any] = (
        answers(actor)
        .filter(at__gte=since)
        .aggregate(
            asked=Count("pk"),
            refused=Count("pk", filter=Q(allowed=False)),
            overridden=Count("pk", filter=Q(overridden=True)),
        )
    )
    return {name: int(value) for name, value in counted.items()}


def facts(service: Resource | None, environment: str, now: datetime) -> Facts:
    """Return what the gate looks at. A constant number of queries beside those for windows of the time."""
    graph = load_graph()
    places = [service.pk, *sorted(holds.containers(graph, service.pk))] if service else []
    freezes = control_reads.openings(control_reads.windows_of(WindowKind.FREEZE), Span(now, now + timedelta(seconds=1)))
    mine = [each for each in control_reads.windows_of(WindowKind.MAINTENANCE) if service and service.pk in each[1]]
    own = control_reads.openings(mine, Span(now, now + AHEAD))
    under = list(control_reads.implementing(places, now).filter(state=ChangeState.IMPLEMENT)) if places else []
    return Facts(
        known=service is not None,
        rule=rule_of(service, environment),
        freezes=[
            Stop(each.ref, each.name, each.span.end) for each in freezes if not each.about or each.about & set(places)
        ],
        holds=[
            Stop(ref(each), each.reason[:120], each.until, each.opened_by)
            for each in control_reads.stopping(places, now)
        ],
        has_windows=bool(own),
        in_window=any(each.span.holds(now) for each in own),
        next_window=min((each.span.start for each in own if each.span.start > now), default=None),
        budgets=_budgets(service, now),
        under=[_stop(each) for each in under if not each.broke_glass and control_reads.is_agreed(each)],
        broke_glass=[_stop(each) for each in under if each.broke_glass],
    )


def _stop(row: Change) -> Stop:
    return Stop(ref(row), f"{row.name} {row.title}", row.ends_at)


def rule_of(service: Resource | None, environment: str) -> Rule:
    """Return the first rule that fits; without any a freeze, a hold and a spent budget still say no."""
    words: set[str] = set()
    if service is not None:
        rows = AttributeValue.objects.filter(resource=service, name="criticality")
        words = {str(each) for each in rows.values_list("value", flat=True)}
    for each in GateRule.objects.filter(enabled=True).order_by("position", "name"):
        if each.environment and each.environment != environment:
            continue
        if each.criticality and each.criticality not in words:
            continue
        if each.team_id and (service is None or service.owner_id != each.team_id):
            continue
        return Rule(each.name, each.needs_change, each.needs_window, each.least_budget, each.warn_budget)
    return Rule()


def _budgets(service: Resource | None, now: datetime) -> list[BudgetLeft]:
    """What was measured last of the objectives of the service, without windows of changes where these were left out."""
    if service is None:
        return []
    return budgets_of(list(Objective.objects.filter(service=service.name).order_by("name")), now)


def budgets_of(rows: list[Objective], now: datetime) -> list[BudgetLeft]:
    """Return what was measured last of objectives, without windows of changes where these were left out. One query."""
    pages = firing([each.name for each in rows]) if rows else {}
    found = []
    for row in rows:
        fresh = row.measured_at is not None and now - row.measured_at <= MAX_AGE
        measured = (row.measured.get("without") or row.measured.get("budget") or {}) if fresh else {}
        burning = any(each.severity in ("page", "critical") for each in pages.get(row.name, ()))
        found.append(BudgetLeft(ref(row), row.name, measured.get("left_ratio"), burning))
    return found


def decided(service: Resource, environment: str, now: datetime) -> gate.Verdict:
    """Return the gate's answer for a service that is known; writes nothing."""
    return gate.decide(facts(service, environment, now))


def look(*, service: str, environment: str = "", at: datetime | None = None) -> tuple[Resource | None, gate.Verdict]:
    """Return the service (None when the inventory does not know it) and the gate's answer; writes nothing."""
    row = find_service(service, environment)
    return row, gate.decide(facts(row, environment, at or timezone.now()))


def rule(actor: Actor, rule_id: UUID) -> GateRule | None:
    """Return one rule, None when there is none."""
    return rules(actor).filter(pk=rule_id).first()
