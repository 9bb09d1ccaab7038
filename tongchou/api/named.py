"""People and teams that a body names: their ids, or the refusal that names the field."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Team, User
from tongchou.core.problems import Invalid


def person(username: str | None, field: str) -> UUID | None:
    """Return the id of a person who can sign in; None of no name."""
    if not username:
        return None
    return people_named([username], field)[0].pk


def people_named(usernames: Sequence[str], field: str) -> list[User]:
    """Return the people of these names; Invalid for the first that is not there. One query."""
    known = {each.username: each for each in User.objects.filter(username__in=usernames, is_active=True)}
    missing = next((each for each in usernames if each not in known), None)
    if missing is not None:
        raise Invalid("people.unknown", _("There is no such person."), field=field, value=missing[:150])
    return [known[each] for each in dict.fromkeys(usernames)]


def team(name: str | None, field: str) -> UUID | None:
    """Return the id of a team; None of no name."""
    if not name:
        return None
    pk = Team.objects.filter(name=name).values_list("pk", flat=True).first()
    if pk is None:
        raise Invalid("people.unknown", _("There is no such team."), field=field, value=name[:150])
    return pk
