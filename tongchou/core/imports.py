"""How a record of a file becomes a person with their roles, or a team. Known by user name, and by the team's name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from tongchou.core import people
from tongchou.core.access import Actor, check
from tongchou.core.lists.importers import Importer, ImportField, Values, register
from tongchou.core.lists.reading import yes
from tongchou.core.models import Membership, Role, Team, User
from tongchou.core.problems import Invalid, Problem

MANAGE = "access.manage"
MAX_TEAMS = 100  # of one person
PASSWORDS = frozenset({"password", "passwd", "pwd", "passphrase", "secret", "密码", "口令"})

PERSON = (
    ImportField("username", _("User name"), required=True),
    ImportField("display_name", _("Shown name")),
    ImportField("role", _("Role everywhere"), help=_("viewer, operator, approver or admin; empty: none")),
    ImportField("teams", _("Teams"), help=_("team=role, divided by commas; or as JSON; all the person shall have")),
    ImportField("active", _("May sign in"), help=_("true or false")),
    ImportField("service", _("Service account"), help=_("false; service accounts are made on their own page")),
)


def _role(text: str, field: str) -> str | None:
    if text and text not in Role.values:
        raise Invalid(
            "role.unknown",
            _("There is no role %(name)s.") % {"name": text[:50]},
            field=field,
            value=text[:50],
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(Role.values)},
        )
    return text or None


def _pairs(text: str) -> dict[str, str]:
    """Team names with roles, as JSON or as `team=role, team=role`."""
    unreadable = Invalid(
        "import.teams",
        _("The teams cannot be read."),
        field="teams",
        value=text[:100],
        remedy=_("Write them like shop=operator, ops=viewer."),
    )
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            raise unreadable from None
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise unreadable
        return {str(name).strip(): role.strip() for name, role in found.items()}
    pairs = [each.rpartition("=") for each in text.split(",") if each.strip()]
    if not all(name.strip() and between for name, between, _role in pairs):
        raise unreadable
    return {name.strip(): role.strip() for name, _between, role in pairs}


def _teams(text: str) -> dict[str, str]:
    wanted = _pairs(text)
    if len(wanted) > MAX_TEAMS:
        raise Invalid("import.teams", _("At most %(most)s teams.") % {"most": MAX_TEAMS}, field="teams")
    known = set(Team.objects.filter(name__in=wanted).values_list("name", flat=True))
    for name, role in wanted.items():
        if name not in known:
            raise Invalid(
                "team.unknown",
                _("There is no team of this name."),
                field="teams",
                value=name[:120],
                remedy=_("Import the teams first, or correct the name."),
            )
        if not role:
            raise Invalid("role.unknown", _("A role in the team is wanted."), field="teams", value=name[:120])
        _role(role, "teams")
    return wanted


def _read_person(_actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"username": record["username"].strip()}
    user = User(username=values["username"], display_name=record.get("display_name", "").strip())
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid("user.field", " ".join(messages), field=field, value=record.get(field, "")[:200]) from error
    if "display_name" in record:
        values["display_name"] = user.display_name
    if "role" in record:
        values["role"] = _role(record["role"].strip().lower(), "role")
    if "teams" in record:
        values["teams"] = _teams(record["teams"])
    for name in ("active", "service"):
        if record.get(name):
            values[name] = yes(record[name], name)
    return values


def _find_people(_actor: Actor, many: Sequence[Values]) -> list[Any]:
    rows = User.objects.filter(username__in=[each["username"] for each in many]).prefetch_related("memberships__team")
    by_name = {each.username: each for each in rows}
    return [_person(values, by_name.get(values["username"])) for values in many]


def _person(values: Values, found: User | None) -> User | Problem | None:
    if "service" in values and values["service"] != (found is not None and found.is_service):
        return Invalid(
            "import.service",
            _("An import makes people, and turns nobody into a service account or back."),
            field="service",
            value=values["service"],
            remedy=_("Make service accounts on their own page."),
        )
    return found


def _now_person(row: User) -> Values:
    held = list(row.memberships.select_related("team"))
    return {
        "username": row.username,
        "display_name": row.display_name,
        "role": next((each.role for each in held if each.team_id is None), None),
        "teams": {each.team.name: each.role for each in held if each.team is not None},
        "active": row.is_active,
        "service": row.is_service,
    }


def _give_teams(actor: Actor, user: User, wanted: Mapping[str, str]) -> None:
    """Give the person these roles in teams; those they have in others end. A role that stays stays whose it was."""
    teams = {each.name: each for each in Team.objects.filter(name__in=wanted)}
    held = Membership.objects.filter(user=user, team__isnull=False).select_related("team")
    had = {each.team.name: each.role for each in held if each.team is not None}
    for name, role in wanted.items():
        if had.get(name) != role:  # given here it would be local, and the directory would not take it away any more
            people.set_role(actor=actor, user=user, role=Role(role), team=teams[name])
    for each in held.exclude(team__name__in=list(wanted)):
        people.set_role(actor=actor, user=user, role=None, team=each.team)


def _create_person(actor: Actor, values: Values) -> User:
    """Without a password: an administrator sets one before anybody signs in with it, or they come by single sign-on."""
    role = values.get("role")
    user = people.create_user(
        actor=actor,
        username=values["username"],
        password=None,
        role=Role(role) if role else None,
        display_name=values.get("display_name", ""),
    )
    _give_teams(actor, user, values.get("teams") or {})
    if values.get("active") is False:
        people.set_active(actor=actor, user=user, active=False)
    return user


def _change_person(actor: Actor, row: User, values: Values) -> None:
    if "display_name" in values:
        people.set_preferences(actor=actor, user=row, display_name=values["display_name"])
    if "role" in values:
        people.set_role(actor=actor, user=row, role=Role(values["role"]) if values["role"] else None)
    if "teams" in values:
        _give_teams(actor, row, values["teams"])
    if "active" in values:
        people.set_active(actor=actor, user=row, active=values["active"])


def _keep_out(actor: Actor, row: User) -> None:
    """The way back of a person who was made: they keep no role and cannot sign in. The row stays, for the ledger."""
    for each in list(row.memberships.select_related("team")):
        people.set_role(actor=actor, user=row, role=None, team=each.team)
    people.set_active(actor=actor, user=row, active=False)


def _read_team(_actor: Actor, record: Mapping[str, str]) -> Values:
    name = record["name"].strip()
    if not name or len(name) > people.MAX_TEAM_NAME:
        raise people.bad_team_name(name)
    return {"name": name}


def _find_teams(_actor: Actor, many: Sequence[Values]) -> list[Any]:
    by_name = {each.name: each for each in Team.objects.filter(name__in=[each["name"] for each in many])}
    return [by_name.get(each["name"]) for each in many]


register(
    Importer(
        "core.user",
        _("People"),
        MANAGE,
        lambda: PERSON,
        _read_person,
        _find_people,
        _now_person,
        lambda values: str(values["username"]),
        _create_person,
        _change_person,
        _keep_out,
        lambda actor, _row: check(actor, MANAGE),
        no_way_back=_(
            "A person who is imported has no password: an administrator sets one, or they come by single sign-on. "
            "Undone, they have no role and are kept out; people are not deleted."
        ),
        unowned=True,
        never=PASSWORDS,
        why_never=_("Passwords are never read from a file."),
    )
)
register(
    Importer(
        "core.team",
        _("Teams"),
        MANAGE,
        lambda: (ImportField("name", _("Name"), required=True, help=_("1 to 120 characters")),),
        _read_team,
        _find_teams,
        lambda row: {"name": row.name},
        lambda values: str(values["name"]),
        lambda actor, values: people.create_team(actor=actor, name=values["name"]),
        None,
        None,
        lambda actor, _row: check(actor, MANAGE),
        no_way_back=_("Teams that were made stay: there is no way back."),
        unowned=True,
    )
)
