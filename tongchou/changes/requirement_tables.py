"""The lists of requirements, decision records and scorecards."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes import requirement_reads
from tongchou.changes.models_requirements import (
    DataClass,
    Decision,
    DecisionStatus,
    Requirement,
    RequirementState,
    Scorecard,
)
from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.owners import owned, owner_name
from tongchou.core.lists.tables import Column, Queue, Table, by_state, chosen, register


def _mine(rows: QuerySet[Requirement], actor: Actor) -> QuerySet[Requirement]:
    mine = Q(owner=actor.user_id) | Q(owner_team__in=list(actor.team_roles))
    return rows.filter(mine, state__in=requirement_reads.LATE_STATES)


def _late(rows: QuerySet[Requirement], _actor: Actor) -> QuerySet[Requirement]:
    return rows.filter(state__in=requirement_reads.LATE_STATES, wanted_on__lt=timezone.localdate())


register(
    Table(
        "changes.requirement",
        _("Requirements"),
        "changes.view",
        requirement_reads.requirements,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",), shown=False),
            Column("title", _("Requirement"), path="title"),
            Column("status", _("State"), "choice", "state", choices=chosen(RequirementState)),
            Column("owner", pgettext_lazy("requirement", "Owner"), value=owner_name, narrow=owned),
            Column("wanted", _("Wanted by"), "date", "wanted_on", order=("wanted_on", "number"), nullable=True),
            Column("options", _("Options"), "number", value=lambda row: row.option_count),
            Column("budget", _("Budget"), "number", "budget"),
            Column("currency", _("Currency"), path="currency"),
            Column("slo", _("Availability wanted"), "number", "slo_percent", unit="%"),
            Column("rto", "RTO", "number", "rto_minutes", shown=False, unit="min"),
            Column("rpo", "RPO", "number", "rpo_minutes", shown=False, unit="min"),
            Column("data", _("Class of data"), "choice", "data_class", choices=chosen(DataClass), shown=False),
            Column("mlps", _("MLPS level"), "number", "mlps_level", shown=False),
            Column("need", _("Business need"), path="need", shown=False),
            Column("drivers", _("Drivers"), value=lambda row: "; ".join(row.drivers), shown=False),
            Column("accepted", _("Accepted at"), "moment", "accepted_at", shown=False),
            Column("created", _("Created"), "moment", "created_at", shown=False),
        ),
        sort="-number",
        search=("title", "need"),
        load=requirement_reads.listed,
        queues=(
            Queue(
                "open",
                pgettext_lazy("queue", "Open"),
                lambda rows, _actor: rows.filter(state__in=requirement_reads.LATE_STATES),
            ),
            Queue("mine", _("Mine and my teams'"), _mine),
            Queue("late", _("Overdue"), _late),
            *by_state(RequirementState),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        more=custom.columns("changes.requirement"),
    )
)


def _decision_queue(status: DecisionStatus) -> Queue:
    return Queue(status.value, status.label, lambda rows, _actor: rows.filter(status=status.value))


register(
    Table(
        "changes.decision",
        _("Decision records"),
        "changes.view",
        requirement_reads.decisions,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",), shown=False),
            Column("title", _("Decision record"), path="title"),
            Column("status", _("State"), "choice", "status", choices=chosen(DecisionStatus)),
            Column(
                "requirement",
                _("Requirement"),
                "number",
                "requirement__number",
                value=lambda row: row.requirement.number if row.requirement else None,
            ),
            Column("option", _("Option"), path="option__name", value=lambda row: row.option.name if row.option else ""),
            Column("team", _("Team"), path="owner_team__name"),
            Column("by", _("Decided by"), path="decided_by_name"),
            Column("decided", _("Decided"), "moment", "decided_at"),
            Column("context", _("Context"), path="context", shown=False),
            Column("decision", pgettext_lazy("design", "Decision"), path="decision", shown=False),
            Column("consequences", _("Consequences"), path="consequences", shown=False),
            Column("created", _("Created"), "moment", "created_at", shown=False),
        ),
        sort="-number",
        search=("title", "context", "decision"),
        load=lambda ids: Decision.objects.filter(pk__in=ids).select_related("requirement", "option", "owner_team"),
        queues=(
            Queue("all", _("All"), lambda rows, _actor: rows),
            *(_decision_queue(each) for each in DecisionStatus),
        ),
        more=custom.columns("changes.decision"),
    )
)


def _names(row: Any) -> str:
    return ", ".join(row.candidates)


register(
    Table(
        "changes.scorecard",
        _("Scorecards"),
        "changes.view",
        requirement_reads.scorecards,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",), shown=False),
            Column("title", _("Scorecard"), path="title"),
            Column("winner", _("Best"), path="winner"),
            Column("candidates", _("Candidates"), value=_names),
            Column(
                "requirement",
                _("Requirement"),
                "number",
                "requirement__number",
                value=lambda row: row.requirement.number if row.requirement else None,
            ),
            Column("team", _("Team"), path="owner_team__name"),
            Column("purpose", _("Purpose"), path="purpose", shown=False),
            Column("created", _("Created"), "moment", "created_at"),
        ),
        sort="-number",
        search=("title", "purpose", "winner"),
        load=lambda ids: Scorecard.objects.filter(pk__in=ids).select_related("requirement", "owner_team"),
        more=custom.columns("changes.scorecard"),
    )
)
