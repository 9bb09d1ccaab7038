"""Groups of a directory or an identity provider become roles: given, changed and taken away at every sign-in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import RANK, Actor, check
from tongchou.core.models import Membership, Origin, Role, Team, User
from tongchou.core.people import administrators
from tongchou.core.refs import ref

MAX_RULES = 1000


@dataclass(frozen=True)
class Rule:
    """Members of `group` hold `role`: everywhere, or on what `team` (a name) owns."""

    group: str
    role: Role
    team: str | None


def _rule(line: str) -> Rule | str:
    """Return the rule, or what is wrong with the line. The last = divides: a distinguished name has some of its own."""
    group, equals, rest = line.rpartition("=")
    role, _at, team = rest.partition("@")
    role, group = role.strip(), group.strip()
    if not equals or not group:
        return "form"
    if role not in Role.values:
        return "role"
    if "@" in rest and not team.strip():
        return "form"
    return Rule(group, Role(role), team.strip() or None)


def parse(lines: Iterable[str]) -> list[Rule]:
    """Return the rules of `group = role` and `group = role @ team` lines; lines that are none are left out."""
    return [each for each in map(_rule, lines) if isinstance(each, Rule)]


def wrong(lines: Sequence[Any]) -> str | Promise | None:
    """Return what is wrong with the first line that is no rule, or names a team that does not exist."""
    if len(lines) > MAX_RULES:
        return _("At most %(most)s lines.") % {"most": MAX_RULES}
    known = set(Team.objects.values_list("name", flat=True))
    for line in lines:
        found = _rule(line) if isinstance(line, str) else "form"
        words = {"line": str(line)[:100], "roles": ", ".join(Role.values)}
        if found == "role":
            return _("“%(line)s” names no role; the roles are %(roles)s.") % words
        if isinstance(found, str):
            return _("“%(line)s” is not of the form: group = role, or group = role @ team.") % words
        if found.team is not None and found.team not in known:
            return _("“%(line)s” names a team that does not exist.") % words
    return None


def wanted(groups: Iterable[str], rules: Iterable[Rule]) -> dict[str | None, Rule]:
    """Return the strongest rule for each team (None: everywhere) of somebody in these groups. Pure; case counts not."""
    held = {each.casefold() for each in groups}
    found: dict[str | None, Rule] = {}
    for rule in rules:
        if rule.group.casefold() in held and (rule.team not in found or RANK[rule.role] > RANK[found[rule.team].role]):
            found[rule.team] = rule
    return found


def apply(*, actor: Actor, user: User, source: Origin, groups: Iterable[str], rules: Iterable[Rule]) -> None:
    """Make the roles that `source` gave a person what their groups say now. Event user.role_changed for each change.

    A role given here by an administrator, or by another source, stays as it is. The last active administrator keeps
    that role: the platform must not lock everybody out because of a group.
    """
    check(actor, "access.manage")
    teams = {each.name: each.pk for each in Team.objects.all()}
    target: dict[UUID | None, Rule] = {}
    for name, rule in wanted(groups, rules).items():
        if name is None or name in teams:
            target[teams[name] if name is not None else None] = rule
    with transaction.atomic():
        held = {each.team_id: each for each in Membership.objects.select_related("team").filter(user=user)}
        for team_id in {*held, *target}:
            row, chosen = held.get(team_id), target.get(team_id)
            if row is not None and row.source != source:
                continue
            if (
                row is not None
                and chosen is not None
                and (row.role, row.source_group) == (chosen.role, chosen.group[:255])
            ):
                continue
            if _last_admin(row, chosen):
                continue
            _change(actor, user, source, team_id, row, chosen)


def _last_admin(row: Membership | None, rule: Rule | None) -> bool:
    if row is None or row.team_id is not None or row.role != Role.ADMIN or (rule and rule.role is Role.ADMIN):
        return False
    return not administrators().exclude(pk=row.pk).exists()


def _change(
    actor: Actor, user: User, source: Origin, team_id: UUID | None, row: Membership | None, rule: Rule | None
) -> None:
    if rule is None:
        if row is not None:
            row.delete()
    else:
        fresh = {"role": rule.role, "source": source, "source_group": rule.group[:255], "reviewed_at": None}
        team = Team.objects.get(pk=team_id) if team_id is not None else None
        Membership.objects.update_or_create(user=user, team=team, defaults={**fresh, "reviewed_by_name": ""})
    ledger.record(
        actor=actor,
        verb="user.role_changed",
        subject=ref(user),
        about=[f"core.team:{team_id}"] if team_id else [],
        payload={
            "username": user.username,
            "team": str(team_id) if team_id else None,
            "old": row.role if row else None,
            "new": rule.role.value if rule else None,
            "source": source.value,
            "group": rule.group if rule else (row.source_group if row else None),
        },
    )
