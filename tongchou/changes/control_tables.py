"""The list of changes."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes import change_states, control_reads
from tongchou.changes.models_control import Change, ChangeKind, ChangeState, Outcome, RiskLevel
from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, chosen, register


def _load_changes(ids: Any) -> QuerySet[Change]:
    return (
        Change.objects.filter(pk__in=ids)
        .select_related("team", "assignee")
        .defer("description", "backout", "verification", "review", "risk_reasons", "conflicts")
        .annotate(
            touched_count=Count("touched", distinct=True),
            task_count=Count("tasks", distinct=True),
            done_count=Count("tasks", filter=Q(tasks__state__in=("done", "skipped")), distinct=True),
        )
    )


def _waiting(rows: QuerySet[Change], _actor: Actor) -> QuerySet[Change]:
    return rows.exclude(state__in=change_states.OVER)


register(
    Table(
        "changes.change",
        _("Changes"),
        "changes.view",
        control_reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",)),
            Column("title", _("Title"), path="title"),
            Column("kind", _("Kind"), "choice", "kind", choices=chosen(ChangeKind)),
            Column("status", _("State"), "choice", "state", choices=chosen(ChangeState)),
            Column("risk", _("Risk"), "choice", "risk", choices=chosen(RiskLevel)),
            Column("starts", _("Window begins"), "moment", "starts_at"),
            Column("ends", _("Window ends"), "moment", "ends_at"),
            Column("touches", _("Touches"), "number", value=lambda row: row.touched_count),
            Column("done", _("Tasks done"), "number", value=lambda row: row.done_count, shown=False),
            Column("tasks", _("Tasks"), "number", value=lambda row: row.task_count, shown=False),
            Column("team", _("Team"), path="team__name", value=lambda row: row.team.name if row.team else None),
            Column(
                "assignee",
                _("Assignee"),
                path="assignee__username",
                value=lambda row: row.assignee.username if row.assignee else None,
            ),
            Column("environment", _("Environment"), path="environment", shown=False),
            Column("outcome", _("Outcome"), "choice", "outcome", choices=chosen(Outcome)),
            Column("by", _("Requested by"), path="requested_by_name", shown=False),
            Column("created", _("Created"), "moment", "created_at", shown=False),
            Column("closed", _("Closed"), "moment", "closed_at", shown=False),
        ),
        sort="-number",
        search=("title",),
        load=_load_changes,
        queues=(
            Queue("open", pgettext_lazy("queue", "Open"), _waiting),
            Queue("mine", _("Mine"), lambda rows, actor: _waiting(rows, actor).filter(assignee_id=actor.user_id)),
            Queue("review", _("To be reviewed"), lambda rows, _actor: rows.filter(state=ChangeState.REVIEW)),
            Queue("closed", _("Closed"), lambda rows, _actor: rows.filter(state__in=change_states.OVER)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
        more=custom.columns("changes.change"),
    )
)
