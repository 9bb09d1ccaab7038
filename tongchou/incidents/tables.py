"""The lists of incidents, postmortems and improvements."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.owners import owned, owner_name
from tongchou.core.lists.tables import Column, Queue, Table, by_state, chosen, register
from tongchou.incidents import postmortem_reads, reads
from tongchou.incidents.models import (
    Improvement,
    ImprovementKind,
    ImprovementState,
    Incident,
    IncidentState,
    Postmortem,
    PostmortemState,
    Priority,
    Severity,
)

VIEW = "incidents.view"


def _load_incidents(ids: Any) -> QuerySet[Incident]:
    return (
        Incident.objects.filter(pk__in=ids)
        .select_related("commander")
        .defer("ranking")
        .annotate(
            group_count=Count("groups", distinct=True),
            symptom_count=Count("affected", filter=Q(affected__distance=0), distinct=True),
        )
    )


def _lasted(row: Incident) -> float | None:
    end = row.recovered_at or row.resolved_at
    return None if end is None else round((end - row.started_at).total_seconds())


register(
    Table(
        "incidents.incident",
        _("Incidents"),
        VIEW,
        reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",)),
            Column("title", _("Title"), path="title"),
            Column("severity", _("Severity"), "choice", "severity", choices=chosen(Severity)),
            Column("status", _("State"), "choice", "state", choices=chosen(IncidentState)),
            Column("groups", _("Groups"), "number", value=lambda row: row.group_count),
            Column("affected", _("Affected"), "number", value=lambda row: row.symptom_count),
            Column(
                "commander",
                _("Commander"),
                path="commander__username",
                value=lambda row: row.commander.username if row.commander else None,
            ),
            Column("began", _("Began"), "moment", "started_at"),
            Column("lasts", _("Lasts"), "number", value=_lasted, unit="s"),
            Column("opened", _("Opened"), "moment", "opened_at", shown=False),
            Column("mitigated", _("Mitigated at"), "moment", "mitigated_at", shown=False),
            Column("resolved", _("Resolved at"), "moment", "resolved_at", shown=False),
        ),
        sort="-number",
        search=("title",),
        load=_load_incidents,
        queues=(
            Queue("open", _("Open"), lambda rows, _actor: rows.exclude(state=IncidentState.RESOLVED)),
            Queue("resolved", _("Resolved"), lambda rows, _actor: rows.filter(state=IncidentState.RESOLVED)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
        more=custom.columns("incidents.incident"),
    )
)


def _load_postmortems(ids: Any) -> QuerySet[Postmortem]:
    return (
        Postmortem.objects.filter(pk__in=ids)
        .select_related("incident")
        .defer("facts", "marks", "went_well", "went_badly", "lucky", "lessons", "incident__ranking")
        .annotate(
            improvement_count=Count("improvements"),
            done_count=Count("improvements", filter=Q(improvements__state=ImprovementState.DONE)),
        )
    )


register(
    Table(
        "incidents.postmortem",
        _("Postmortems"),
        VIEW,
        lambda actor: postmortem_reads.visible(actor).defer("facts", "marks"),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("incident", _("Incident"), path="incident__title", value=lambda row: str(row.incident)),
            Column("number", _("Number"), "number", "incident__number", shown=False),
            Column("severity", _("Severity"), "choice", "incident__severity", choices=chosen(Severity)),
            Column("status", _("State"), "choice", "state", choices=chosen(PostmortemState)),
            Column("done", _("Improvements done"), "number", value=lambda row: row.done_count),
            Column("improvements", _("Improvements"), "number", value=lambda row: row.improvement_count, shown=False),
            Column("begun", _("Begun"), "moment", "created_at", order=("created_at", "id"), shown=False),
            Column("written", _("Written last"), "moment", "updated_at"),
            Column("writer", _("Written by"), path="updated_by_name", shown=False),
            Column("published", _("Published"), "moment", "published_at"),
        ),
        sort="-begun",
        search=("incident__title", "summary"),
        load=_load_postmortems,
        queues=(
            *by_state(PostmortemState),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
        more=custom.columns("incidents.postmortem"),
    )
)


def _queue(name: str, title: Any) -> Queue:
    return Queue(
        name, title, lambda rows, _actor: rows.filter(postmortem_reads.in_queue(name, postmortem_reads.today()))
    )


def _load_improvements(ids: Any) -> QuerySet[Improvement]:
    return (
        Improvement.objects.filter(pk__in=ids)
        .select_related("postmortem__incident", "owner", "owner_team", "reopened_by")
        .defer("postmortem__facts", "postmortem__marks", "postmortem__incident__ranking", "reopened_by__ranking")
    )


def _mine(rows: QuerySet[Improvement], actor: Actor) -> QuerySet[Improvement]:
    mine = Q(owner=actor.user_id) | Q(owner_team__in=list(actor.team_roles))
    return rows.filter(mine, postmortem_reads.in_queue("open", postmortem_reads.today()))


register(
    Table(
        "incidents.improvement",
        _("Improvements"),
        VIEW,
        postmortem_reads.improvements,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("number", _("Number"), "number", "number", order=("number",), shown=False),
            Column("title", _("Improvement"), path="title"),
            Column(
                "incident",
                _("Incident"),
                "number",
                "postmortem__incident__number",
                value=lambda row: row.postmortem.incident.number,
            ),
            Column("kind", _("Kind"), "choice", "kind", choices=chosen(ImprovementKind)),
            Column(
                "priority",
                _("Priority"),
                "choice",
                "priority",
                choices=chosen(Priority),
                order=("priority", "due_on", "number"),
            ),
            Column("owner", pgettext_lazy("improvement", "Owner"), value=owner_name, narrow=owned),
            Column("due", _("Due"), "date", "due_on", order=("due_on", "priority", "number")),
            Column("status", _("State"), "choice", "state", choices=chosen(ImprovementState)),
            Column(
                "left",
                _("Proof"),
                "number",
                "green_left",
                order=("green_left", "due_on", "number"),
                nullable=True,
                unit=_("days"),
            ),
            Column("details", _("Details"), path="details", shown=False),
            Column("check_query", _("Check"), path="check_query", shown=False),
            Column("check_is", _("Condition"), path="check_is", shown=False),
            Column("green_days", _("Green days"), "number", "green_days", shown=False),
            Column("interval", _("Looked at every"), "number", "interval_seconds", shown=False, unit="s"),
            Column("no_check_reason", _("Why there is no check"), path="no_check_reason", shown=False),
            Column("created", _("Created"), "moment", "created_at", shown=False),
            Column("done", _("Done at"), "moment", "done_at", shown=False),
        ),
        sort="due",
        search=("title", "details"),
        load=_load_improvements,
        queues=(
            _queue("open", _("Not done")),
            Queue("mine", _("Mine and my teams'"), _mine),
            _queue("overdue", _("Overdue")),
            _queue("proving", _("Waiting for proof")),
            _queue("reopened", _("Opened again")),
            _queue("done", _("Done")),
            _queue("dropped", pgettext_lazy("improvement", "Won't do")),
            _queue("all", _("All")),
        ),
        more=custom.columns("incidents.improvement"),
    )
)
