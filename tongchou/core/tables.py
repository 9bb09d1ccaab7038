"""The lists of people, tokens, jobs, approvals and events."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core.lists.tables import Column, Queue, Table, by_state, chosen, register
from tongchou.core.models import ApiToken, Approval, ApprovalState, Event, Job, JobState, Team, User

OPEN = (JobState.DEAD, JobState.RUNNING, JobState.QUEUED)


def _role(row: User) -> str | None:
    return next((each.role for each in row.memberships.all() if each.team_id is None), None)


def _teams(row: User) -> dict[str, str]:
    return {each.team.name: each.role for each in row.memberships.all() if each.team is not None}


def _people(ids: Any) -> QuerySet[User]:
    return User.objects.filter(pk__in=ids).prefetch_related("memberships__team")


register(
    Table(
        "core.user",
        _("People"),
        "access.view",
        lambda _actor: User.objects.all(),
        (
            Column("username", _("User name"), path="username", order=("username",)),
            Column("display_name", _("Shown name"), path="display_name"),
            Column("role", _("Role everywhere"), value=_role),
            Column("teams", _("Teams"), "labels", value=_teams),
            Column("active", _("May sign in"), "yes", "is_active"),
            Column("service", _("Service account"), "yes", "is_service", shown=False),
            Column("last_login", _("Last sign-in"), "moment", "last_login"),
            Column("joined", _("Created"), "moment", "date_joined", shown=False),
        ),
        sort="username",
        search=("username", "display_name"),
        load=_people,
        unowned=True,
    )
)
register(
    Table(
        "core.team",
        _("Teams"),
        "access.view",
        lambda _actor: Team.objects.all(),
        (
            Column("name", _("Name"), path="name", order=("name",)),
            Column("people", _("People"), "number", value=lambda row: row.people),
            Column("created", _("Created"), "moment", "created_at"),
        ),
        sort="name",
        search=("name",),
        load=lambda ids: Team.objects.filter(pk__in=ids).annotate(people=Count("memberships")),
        unowned=True,
    )
)
register(
    Table(
        "core.apitoken",
        _("API tokens"),
        "access.view",
        lambda _actor: ApiToken.objects.all(),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("token", _("Token"), path="name"),
            Column("prefix", _("Begins with"), path="prefix", shown=False),
            Column("user", _("Whose"), path="user__username", value=lambda row: row.user.username),
            Column("scopes", _("Scopes"), value=lambda row: ", ".join(row.scopes)),
            Column("revoked", _("Revoked"), "moment", "revoked_at"),
            Column("used", _("Last used"), "moment", "last_used_at"),
            Column("expires", _("Expires"), "moment", "expires_at"),
            Column("created", _("Created"), "moment", "created_at", order=("created_at", "id"), shown=False),
        ),
        sort="-created",
        search=("name", "user__username"),
        load=lambda ids: ApiToken.objects.filter(pk__in=ids).select_related("user"),
        unowned=True,
    )
)
register(
    Table(
        "core.job",
        _("Jobs"),
        "jobs.view",
        lambda _actor: Job.objects.all(),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("status", _("State"), "choice", "state", choices=chosen(JobState)),
            Column("name", _("Job"), path="name"),
            Column("tries", _("Tries"), "number", "attempts"),
            Column("due", _("Due"), "moment", "run_at"),
            Column("worker", _("Worker"), path="worker"),
            Column("created", _("Created"), "moment", "created_at", order=("created_at", "id"), shown=False),
            Column("finished", _("Finished"), "moment", "finished_at", shown=False),
            Column("error", _("Error"), path="error", shown=False),
        ),
        sort="-created",
        search=("name", "error"),
        queues=(
            Queue("", _("Not done"), lambda rows, _actor: rows.filter(state__in=OPEN)),
            *by_state(JobState),
        ),
        queue_word="state",
        unowned=True,
    )
)
register(
    Table(
        "core.approval",
        _("Approvals"),
        "approvals.view",
        lambda _actor: Approval.objects.all(),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("status", _("State"), "choice", "state", choices=chosen(ApprovalState)),
            Column("action", _("Action"), path="action"),
            Column("subject", _("Subject"), path="subject"),
            Column("reason", _("Why"), path="reason"),
            Column("by", _("Asked by"), path="requested_by_name"),
            Column("asked", _("Asked"), "moment", "requested_at", order=("requested_at", "id")),
            Column("decider", _("Decided by"), path="decided_by_name"),
            Column("decided", _("Decided"), "moment", "decided_at"),
            Column("comment", _("Comment"), path="comment", shown=False),
        ),
        sort="-asked",
        search=("action", "requested_by_name", "reason"),
        queues=(
            Queue(
                "pending",
                pgettext_lazy("approvals", "Pending"),
                lambda rows, _actor: rows.filter(state=ApprovalState.PENDING),
            ),
            Queue("decided", _("Decided"), lambda rows, _actor: rows.exclude(state=ApprovalState.PENDING)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
        unowned=True,
    )
)


def _about(rows: QuerySet[Event], operator: str, value: str) -> QuerySet[Event]:
    return rows.exclude(abouts__ref=value) if operator == "not" else rows.filter(abouts__ref=value)


def _verb(rows: QuerySet[Event], operator: str, value: str) -> QuerySet[Event]:
    """A verb matches from its start, so that the index finds it."""
    return rows.exclude(verb=value) if operator == "not" else rows.filter(verb__startswith=value)


register(
    Table(
        "core.event",
        _("Event ledger"),
        "ledger.view",
        lambda _actor: Event.objects.all(),
        (
            Column("id", _("Number"), "number", "id", order=("id",), shown=False),
            Column("time", _("Time"), "moment", "at"),
            Column("actor", _("Who"), path="actor_name"),
            Column("verb", _("What"), value=lambda row: row.verb, narrow=_verb),
            Column("subject", _("Subject"), path="subject"),
            Column("about", _("About"), narrow=_about, shown=False),
            Column("payload", _("Details"), value=lambda row: row.payload, shown=False),
            Column("correlation", _("Correlation id"), path="correlation_id", shown=False),
        ),
        sort="-id",
        unowned=True,
    )
)
