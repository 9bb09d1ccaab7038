"""Who may be spoken to about a noun: people and teams by name, asked of the noun's own room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q
from django.utils.translation import gettext_lazy as _

from tongchou.core import nouns
from tongchou.core.access import Actor, actor_for_user
from tongchou.core.models import Membership, Team, User
from tongchou.core.problems import AccessDenied, Invalid, NotFound
from tongchou.core.refs import parse

MAX_MENTIONS = 20
MAX_TEAM = 200  # people of one team that are told
OFFERED = 8
LOOKED_AT = 60


@dataclass(frozen=True, slots=True)
class Told:
    """The names that were understood, and the people behind them."""

    names: list[str] = field(default_factory=list)
    users: list[UUID] = field(default_factory=list)


NOBODY_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Offer:
    """A name that may be written after @."""

    name: str
    title: str
    kind: str


def may_see(user: User, ref: str) -> bool:
    """Tell whether a person may see the noun now."""
    return nouns.sees(actor_for_user(user), ref)


def seen_of(actor: Actor, refs: Iterable[str]) -> dict[str, Any]:
    """Return the rows of those refs the actor may see; one query a sort of noun."""
    wanted: dict[str, dict[str, str]] = {}
    for text in set(refs):
        try:
            parsed = parse(text)
            UUID(parsed.id)
        except ValueError:
            continue
        wanted.setdefault(f"{parsed.room}.{parsed.noun}", {})[parsed.id] = text
    found: dict[str, Any] = {}
    for kind, ids in wanted.items():
        try:
            rows = nouns.noun(kind).rows(actor).filter(pk__in=list(ids))
            found |= {ids[str(row.pk)]: row for row in rows}
        except (NotFound, AccessDenied):
            continue
    return found


def mentioned(ref: str, names: Sequence[str]) -> Told:
    """Return who stands behind these names; a word that is nobody's name stays a word.

    Raises Invalid for somebody who may not see the noun: they would be told of nothing, or of what is not theirs.
    """
    if not names:
        return NOBODY_TOLD
    people = {row.username: row for row in User.objects.filter(username__in=names, is_active=True)}
    teams = {row.name: row for row in _teams().filter(name__in=[name for name in names if name not in people])}
    known = [name for name in names if name in people or name in teams]
    if len(known) > MAX_MENTIONS:
        raise Invalid(
            "mention.many",
            _("A text speaks to at most %(most)s people and teams.") % {"most": MAX_MENTIONS},
            field="text",
            value=len(known),
            remedy=_("Name a team instead."),
        )
    users: dict[UUID, None] = {}
    for name in known:
        reached = [people[name]] if name in people else _members(teams[name])
        allowed = [user for user in reached if may_see(user, ref)]
        if not allowed:
            raise Invalid(
                "mention.unseen",
                _("%(name)s may not see this, so nobody would be told.") % {"name": name},
                field="text",
                value=name,
                remedy=_("Leave the @ out, or ask an administrator to give them a role that sees it."),
            )
        users |= dict.fromkeys(user.pk for user in allowed)
    return Told(known, list(users))


def _teams() -> Any:
    members = Membership.objects.filter(user__is_active=True).select_related("user")[:MAX_TEAM]
    return Team.objects.prefetch_related(Prefetch("memberships", queryset=members, to_attr="active"))


def _members(team: Team) -> list[User]:
    active: Collection[Membership] = team.active  # type: ignore[attr-defined]  # of _teams
    return [each.user for each in active]


def offers(ref: str, begin: str) -> list[Offer]:
    """Return people and teams whose name begins so and who may see the noun, for type-ahead; at most OFFERED."""
    begin = begin.strip()[:60]
    people = User.objects.filter(
        Q(username__istartswith=begin) | Q(display_name__istartswith=begin), is_active=True, is_service=False
    )
    found: list[Offer] = []
    for user in people.order_by("username")[:LOOKED_AT]:
        if len(found) == OFFERED:
            return found
        if may_see(user, ref):
            found.append(Offer(user.username, str(user), "person"))
    for team in _teams().filter(name__istartswith=begin).order_by("name")[:OFFERED]:
        if len(found) < OFFERED and any(may_see(user, ref) for user in _members(team)):
            found.append(Offer(team.name, team.name, "team"))
    return found
