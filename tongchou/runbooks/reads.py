"""Named reads: which procedures and runs a person may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.access import Actor, allows, check_anywhere, visible_teams
from tongchou.core.models import Event
from tongchou.core.problems import NotFound
from tongchou.runbooks import journal
from tongchou.runbooks.models import Procedure, Run, RunState

PERMISSION = "runbooks.view"


def procedures(actor: Actor, *, retired: bool = False) -> QuerySet[Procedure]:
    """Procedures by name; they are common knowledge, so everybody who may see any sees all."""
    check_anywhere(actor, PERMISSION)
    found = Procedure.objects.order_by("name")
    return found if retired else found.filter(state="active")


def procedure(actor: Actor, name: str) -> Procedure:
    """One procedure by name, retired ones too; NotFound when there is none."""
    row = procedures(actor, retired=True).filter(name=name).first()
    if row is None:
        raise NotFound(
            "procedure.unknown",
            _("There is no procedure named %(name)s.") % {"name": name},
            field="name",
            value=name,
            remedy=_("GET /api/v1/procedures lists them."),
        )
    return row


def runs(
    actor: Actor, *, states: Iterable[str] | None = None, procedure: str | None = None, about_ref: str | None = None
) -> QuerySet[Run]:
    """Runs, newest first: all, or those on what the actor's teams own and those the actor asked for."""
    check_anywhere(actor, PERMISSION)
    found = Run.objects.select_related("procedure", "version", "approval").order_by("-created_at", "pk")
    teams = visible_teams(actor)
    if teams is not None:
        seen = [team for team in teams if allows(actor, PERMISSION, team=team)]
        mine = Q(target_rows__resource__owner_id__in=seen) | Q(requested_by_id=actor.user_id)
        found = found.filter(mine).distinct()
    if states is not None:
        found = found.filter(state__in=list(states))
    if procedure is not None:
        found = found.filter(procedure__name=procedure)
    if about_ref is not None:
        found = found.filter(about_ref=about_ref)
    return found


def run(actor: Actor, run_id: UUID) -> Run:
    """One visible run with its steps; NotFound for one that is not there or not to be seen."""
    row = runs(actor).prefetch_related("steps").filter(pk=run_id).first()
    if row is None:
        raise NotFound("run.unknown", _("There is no such run."), remedy=_("GET /api/v1/runs lists them."))
    return row


def lock_holder(actor: Actor, row: Run) -> tuple[bool, Run | None]:
    """Whether another run holds the lock that a queued run waits for, and that run if the actor may see it."""
    holder = journal.lock_holder(row) if row.state == RunState.QUEUED else None
    return holder is not None, runs(actor).filter(pk=holder.pk).first() if holder else None


@dataclass(frozen=True)
class Stop:
    """The emergency stop that is on: since when, by whom, why."""

    at: datetime | None
    by: str
    reason: str


def stop() -> Stop | None:
    """The emergency stop, None when it is off. One SQL query while it is off."""
    if not settings_store.get("execution.stopped"):
        return None
    event = Event.objects.filter(verb="execution.stopped").order_by("-pk").first()
    return Stop(event.at, event.actor_name, str(event.payload.get("reason", ""))) if event else Stop(None, "", "")
