"""Named reads of postmortems and improvements: what a person may see follows from the incidents they may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.access import Actor, visible_teams
from tongchou.core.counting import count_of
from tongchou.core.problems import Invalid, NotFound
from tongchou.incidents import reads, reasons
from tongchou.incidents.improvements_proving import zone
from tongchou.incidents.models import (
    ENDED,
    Cause,
    Improvement,
    ImprovementState,
    Incident,
    IncidentState,
    Postmortem,
    PostmortemState,
    Recurrence,
)
from tongchou.incidents.run_time_settings import POSTMORTEM_DAYS, POSTMORTEM_SEVERITIES

QUEUES = ("open", "overdue", "proving", "reopened", "done", "dropped", "all")
# how lists are sorted: name -> columns; "-name" turns the first one round
SORTS: dict[str, tuple[str, ...]] = {
    "due": ("due_on", "priority", "number"),
    "priority": ("priority", "due_on", "number"),
    "number": ("number",),
    "left": ("green_left", "due_on", "number"),
}


def visible(actor: Actor) -> QuerySet[Postmortem]:
    """The postmortems of incidents an actor may see, newest first."""
    rows = Postmortem.objects.select_related("incident").order_by("-created_at", "pk")
    seen = reads.visible(actor)  # also checks that the actor may see any
    return rows if visible_teams(actor) is None else rows.filter(incident__in=seen.order_by().values("pk"))


def listing(actor: Actor, *, state: str | None = None) -> QuerySet[Postmortem]:
    """Visible postmortems with `improvement_count` and `done_count`; one query a page."""
    rows = visible(actor)
    if state is not None:
        if state not in PostmortemState.values:
            raise _unknown_word("state", state, PostmortemState.values)
        rows = rows.filter(state=state)
    return rows.defer("facts", "marks", "went_well", "went_badly", "lucky", "lessons").annotate(
        improvement_count=count_of(Improvement.objects.all(), "postmortem"),
        done_count=count_of(Improvement.objects.filter(state=ImprovementState.DONE), "postmortem"),
    )


def get(actor: Actor, postmortem_id: UUID) -> Postmortem:
    """One visible postmortem; NotFound."""
    return _one(visible(actor).filter(pk=postmortem_id).first())


def of_incident(actor: Actor, number: int) -> Postmortem:
    """The postmortem of a visible incident; NotFound."""
    return _one(visible(actor).filter(incident__number=number).first())


def _one(row: Postmortem | None) -> Postmortem:
    if row is None:
        raise NotFound(
            "postmortem.unknown", _("There is no such postmortem."), remedy=_("GET /api/v1/postmortems lists them.")
        )
    return row


def cause(actor: Actor, cause_id: UUID) -> Cause:
    """One cause of a visible postmortem; NotFound."""
    row = Cause.objects.select_related("postmortem__incident").filter(pk=cause_id).first()
    if row is None or not visible(actor).filter(pk=row.postmortem_id).exists():
        raise NotFound("postmortem.cause_unknown", _("There is no such cause."))
    return row


@dataclass(frozen=True, slots=True)
class Missing:
    """An incident that needs a published postmortem and has none."""

    incident: Incident
    postmortem: Postmortem | None
    due_at: datetime


def required_severities() -> list[str]:
    """The severities of incidents that need a postmortem; one query."""
    return [each.strip() for each in str(settings_store.get(POSTMORTEM_SEVERITIES)).split(",") if each.strip()]


def due_in() -> timedelta:
    """How long after the end of the impact it is due; one query."""
    return timedelta(days=settings_store.get(POSTMORTEM_DAYS))


def missing_rows(actor: Actor) -> QuerySet[Incident]:
    """Visible incidents that are over and need a postmortem that nobody has published, the oldest end first."""
    rows = reads.visible(actor).filter(
        severity__in=required_severities(), state__in=[IncidentState.MITIGATED, IncidentState.RESOLVED]
    )
    rows = rows.filter(Q(postmortem__isnull=True) | Q(postmortem__edition=0))
    return rows.annotate(over_at=Coalesce("mitigated_at", "resolved_at", "opened_at")).order_by("over_at", "number")


def missing(rows: Any, actor: Actor) -> list[Missing]:
    """A page of `missing_rows` with when each is due; three queries."""
    within = due_in()
    found = list(rows)
    written = {each.incident_id: each for each in Postmortem.objects.defer("facts").filter(incident__in=found)}
    return [Missing(each, written.get(each.pk), each.over_at + within) for each in found]


# --- improvements ---------------------------------------------------------------------------------------------------


def improvements(actor: Actor) -> QuerySet[Improvement]:
    """The improvements of visible postmortems, with what lists show."""
    rows = Improvement.objects.select_related(
        "postmortem__incident", "owner", "owner_team", "resource", "cause", "reopened_by"
    ).defer("postmortem__facts", "postmortem__marks")
    seen = reads.visible(actor)
    return rows if visible_teams(actor) is None else rows.filter(postmortem__incident__in=seen.order_by().values("pk"))


def improvement(actor: Actor, *, number: int | None = None, improvement_id: UUID | None = None) -> Improvement:
    """One visible improvement by number or id; NotFound."""
    rows = improvements(actor)
    row = rows.filter(Q(number=number) if number is not None else Q(pk=improvement_id)).first()
    if row is None:
        raise NotFound(
            "improvement.unknown", _("There is no such improvement."), remedy=_("GET /api/v1/improvements lists them.")
        )
    return row


def today() -> date:
    """The day it is where the installation counts days; what is due earlier is overdue."""
    return timezone.now().astimezone(zone()).date()


def in_queue(queue: str, today: date) -> Q:
    """What a queue holds. open: everything that is neither done nor dropped; reopened: of these, what was done once."""
    not_done = ~Q(state__in=ENDED)
    return {
        "open": not_done,
        "overdue": not_done & Q(due_on__lt=today),
        "proving": Q(state=ImprovementState.PROVING),
        "reopened": not_done & Q(reopened_count__gt=0),
        "done": Q(state=ImprovementState.DONE),
        "dropped": Q(state=ImprovementState.DROPPED),
        "all": Q(),
    }[queue]


def improvement_listing(
    actor: Actor,
    *,
    today: date,
    queue: str = "open",
    owner: str = "",
    kind: str = "",
    priority: str = "",
    incident: int | None = None,
    search: str = "",
    sort: str = "due",
) -> QuerySet[Improvement]:
    """A filtered, sorted list; one query a page. `owner`: "me", a username, or "team:" and the name of a team."""
    if queue not in QUEUES:
        raise _unknown_word("queue", queue, QUEUES)
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise _unknown_word("sort", sort, SORTS)
    rows = improvements(actor).filter(in_queue(queue, today))
    if owner == "me":
        rows = rows.filter(Q(owner=actor.user_id) | Q(owner_team__in=list(actor.team_roles)))
    elif owner.startswith("team:"):
        rows = rows.filter(owner_team__name=owner.removeprefix("team:"))
    elif owner:
        rows = rows.filter(owner__username=owner)
    if kind:
        rows = rows.filter(kind=kind)
    if priority:
        rows = rows.filter(priority=priority)
    if incident is not None:
        rows = rows.filter(postmortem__incident__number=incident)
    if search:
        rows = rows.filter(Q(title__icontains=search) | Q(details__icontains=search))
    first, *rest = SORTS[name]
    ordered = F(first).desc(nulls_last=True) if sort.startswith("-") else F(first).asc(nulls_last=True)
    return rows.order_by(ordered, *rest, "pk")


def queue_counts(actor: Actor, today: date) -> dict[str, int]:
    """How many stand in each queue; one query."""
    counts = (
        improvements(actor)
        .order_by()
        .aggregate(
            **{name: Count("pk", filter=in_queue(name, today)) for name in QUEUES if name != "all"}, all=Count("pk")
        )
    )
    return {name: int(counts[name] or 0) for name in QUEUES}


def overdue_count(actor: Actor, today: date) -> int:
    """How many improvements are overdue; one query."""
    rows = Improvement.objects.filter(in_queue("overdue", today))
    if visible_teams(actor) is not None:
        rows = rows.filter(postmortem__incident__in=reads.visible(actor).order_by().values("pk"))
    return rows.count()


def _unknown_word(field: str, value: str, words: Any) -> Invalid:
    return Invalid(
        "improvement.filter" if field != "state" else "postmortem.filter",
        _("This is not one of the words known here."),
        field=field,
        value=value,
        remedy=_("One of: %(words)s.") % {"words": ", ".join(words)},
    )


# --- happened before ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier incident that this one is again, why, and the improvements that were to prevent it."""

    incident: Incident
    reason: str
    reopened: list[str]
    improvements: list[Improvement]
    found_at: datetime


def happened_before(actor: Actor, incident: Incident) -> list[Before]:
    """The earlier incidents of this one that the actor may see, newest first; three queries."""
    rows = Recurrence.objects.filter(incident=incident).select_related("earlier").order_by("-earlier__number")
    rows = rows.filter(earlier__in=reads.visible(actor).order_by().values("pk"))
    return _befores(list(rows), "earlier")


def happened_after(actor: Actor, incident: Incident) -> list[Before]:
    """The later incidents that were this one again, newest first; three queries."""
    rows = Recurrence.objects.filter(earlier=incident).select_related("incident").order_by("-incident__number")
    rows = rows.filter(incident__in=reads.visible(actor).order_by().values("pk"))
    return _befores(list(rows), "incident")


def _befores(rows: list[Recurrence], side: str) -> list[Before]:
    found: dict[UUID, list[Improvement]] = {}
    earlier = [row.earlier_id for row in rows]
    wanted = Improvement.objects.filter(postmortem__incident__in=earlier).order_by("number")
    for each in wanted.select_related("postmortem", "owner", "owner_team").defer("postmortem__facts"):
        found.setdefault(each.postmortem.incident_id, []).append(each)
    return [
        Before(
            incident=getattr(row, side),
            reason=reasons.text(row.reason_code, row.reason_params, texts=reasons.RECURRENCE_TEXTS),
            reopened=list(row.reopened),
            improvements=found.get(row.earlier_id, []),
            found_at=row.found_at,
        )
        for row in rows
    ]
