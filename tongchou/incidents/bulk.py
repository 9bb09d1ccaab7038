"""What many incidents, or many improvements, can be given at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core import nouns
from tongchou.core.access import Actor, visible_teams
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, Input, register
from tongchou.core.models import Team, User
from tongchou.core.problems import Conflict, Invalid, Text
from tongchou.incidents import actions, improvements_actions
from tongchou.incidents.models import ENDED, Improvement, Incident, IncidentState

INCIDENT = "incidents.incident"
IMPROVEMENT = "incidents.improvement"
RESPOND = "incidents.respond"
MOST_PEOPLE = 500


def _acknowledged(row: Incident, _said: Any) -> dict[str, str]:
    if row.state != IncidentState.OPEN:
        raise Conflict("incident.state", _("Only an open incident is acknowledged."), value=row.state)
    return {"state": IncidentState.ACKNOWLEDGED.value}


register(
    Change(
        INCIDENT,
        "acknowledge",
        _("Acknowledge"),
        lambda row: {"state": row.state},
        _acknowledged,
        lambda actor, row, _wanted: actions.acknowledge(actor=actor, incident=row),
        nouns.check_change,
        permission=RESPOND,
    )
)


def _commanded(row: Incident, said: dict[str, str]) -> dict[str, str]:
    if row.state == IncidentState.RESOLVED:
        raise Conflict("incident.state", _("A resolved incident has no commander to take over."), value=row.state)
    return {"commander": said["commander"]}


register(
    Change(
        INCIDENT,
        "command",
        _("Take command"),
        lambda row: {"commander": row.commander.username if row.commander else ""},
        _commanded,
        lambda actor, row, _wanted: actions.take_command(actor=actor, incident=row),
        nouns.check_change,
        read=lambda actor, _form: {"commander": actor.name},
        permission=RESPOND,
    )
)
custom.offer(INCIDENT, RESPOND)


def _open(row: Improvement) -> None:
    if row.state in ENDED:
        raise Conflict(
            "improvement.state", _("It is over already."), value=row.state, remedy=_("Reopen it to change it.")
        )


def _write(actor: Actor, row: Improvement, **facts: Any) -> None:
    draft = replace(improvements_actions.draft_of(row), **facts)
    improvements_actions.change(actor=actor, improvement=row, version=row.version, draft=draft)


def _read_due(_actor: Actor, form: Mapping[str, str]) -> str:
    try:
        day = parse_date(form.get("due", "").strip())
    except ValueError:
        day = None
    if day is None:
        raise Invalid(
            "improvement.due",
            _("A day is wanted."),
            field="due",
            value=form.get("due", "")[:40],
            remedy=_("Write it like 2026-03-01."),
        )
    return day.isoformat()


def _due_after(row: Improvement, said: str) -> str:
    _open(row)
    return said


register(
    Change(
        IMPROVEMENT,
        "due",
        _("Due"),
        lambda row: row.due_on.isoformat(),
        _due_after,
        lambda actor, row, wanted: _write(actor, row, due_on=date.fromisoformat(wanted)),
        nouns.check_change,
        (Input("due", _("Due"), "date", required=True),),
        _read_due,
        reversible=True,
        permission=RESPOND,
    )
)


def _owners(actor: Actor) -> Iterable[tuple[str, Text]]:
    """People and teams: all with a global role, else one's own teams and who is in them."""
    people = User.objects.filter(is_active=True, is_service=False)
    teams = Team.objects.all()
    own = visible_teams(actor)
    if own is not None:
        people = people.filter(memberships__team__in=own).distinct()
        teams = teams.filter(pk__in=own)
    people, teams = people.order_by("username")[:MOST_PEOPLE], teams.order_by("name")[:MOST_PEOPLE]
    return [
        *((f"user:{each.pk}", str(each)) for each in people),
        *((f"team:{each.pk}", each.name) for each in teams),
    ]


def _read_owner(actor: Actor, form: Mapping[str, str]) -> str:
    owner = form.get("owner", "")
    if owner not in dict(_owners(actor)):
        raise Invalid("improvement.owner", _("A person or a team is wanted."), field="owner", value=owner[:60])
    return owner


def _owner(row: Improvement) -> str:
    return f"user:{row.owner_id}" if row.owner_id else f"team:{row.owner_team_id}"


def _owner_after(row: Improvement, said: str) -> str:
    _open(row)
    return said


def _write_owner(actor: Actor, row: Improvement, wanted: str) -> None:
    sort, _colon, key = wanted.partition(":")
    person, team = (UUID(key), None) if sort == "user" else (None, UUID(key))
    _write(actor, row, owner=person, owner_team=team)


register(
    Change(
        IMPROVEMENT,
        "owner",
        pgettext_lazy("improvement", "Owner"),
        _owner,
        _owner_after,
        _write_owner,
        nouns.check_change,
        (Input("owner", pgettext_lazy("improvement", "Owner"), "choice", required=True, choices=_owners),),
        _read_owner,
        reversible=True,
        permission=RESPOND,
    )
)
custom.offer(IMPROVEMENT, RESPOND)
