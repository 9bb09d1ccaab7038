"""Who may do what: actors, permissions, team scope. Deny by default: an unknown permission is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.core.models import ApiToken, Membership, Role, Team, User
from tongchou.core.problems import AccessDenied

RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.APPROVER: 3, Role.ADMIN: 4}

# permission -> least role. A permission that is not here is refused to everybody but the system.
PERMISSIONS: dict[str, Role] = {
    "access.view": Role.ADMIN,
    "access.manage": Role.ADMIN,
    "agent.report": Role.OPERATOR,
    "alerting.edit": Role.OPERATOR,
    "alerting.respond": Role.OPERATOR,
    "alerting.view": Role.VIEWER,
    "approvals.decide": Role.APPROVER,
    "approvals.manage": Role.ADMIN,
    "approvals.view": Role.VIEWER,
    "backups.manage": Role.ADMIN,
    "calendars.edit": Role.OPERATOR,
    "calendars.view": Role.VIEWER,
    "changes.edit": Role.OPERATOR,
    "changes.manage": Role.ADMIN,
    "changes.view": Role.VIEWER,
    "comments.edit": Role.OPERATOR,
    "comments.moderate": Role.ADMIN,
    "execution.resume": Role.APPROVER,
    "execution.stop": Role.OPERATOR,
    "fields.manage": Role.ADMIN,
    "fields.view": Role.VIEWER,
    "incidents.respond": Role.OPERATOR,
    "incidents.view": Role.VIEWER,
    "integrations.manage": Role.ADMIN,
    "inventory.edit": Role.OPERATOR,
    "inventory.manage_kinds": Role.ADMIN,
    "inventory.manage_sources": Role.ADMIN,
    "inventory.view": Role.VIEWER,
    "jobs.manage": Role.ADMIN,
    "jobs.view": Role.VIEWER,
    "ledger.view": Role.VIEWER,
    "platform.manage": Role.ADMIN,
    "platform.view": Role.OPERATOR,
    "runbooks.edit": Role.OPERATOR,
    "runbooks.request": Role.OPERATOR,
    "runbooks.answer": Role.OPERATOR,
    "runbooks.view": Role.VIEWER,
    "secrets.manage": Role.ADMIN,
    "settings.edit": Role.ADMIN,
    "settings.view": Role.VIEWER,
    "storage.view": Role.VIEWER,
    "telemetry.edit": Role.OPERATOR,
    "telemetry.view": Role.VIEWER,
    "telemetry.write": Role.OPERATOR,
    "usage.edit": Role.OPERATOR,
}

# token scope -> the permissions it lets through, by their last word; "all" lets everything through
SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({"view"}),
    "ingest": frozenset({"write"}),
    "agent": frozenset({"report"}),
    "write": frozenset({"view", "write", "edit", "respond", "request", "answer", "stop"}),
    "approve": frozenset({"view", "decide", "resume"}),
    "all": frozenset(),
}


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, a token of a person, or a named part of the platform itself."""

    kind: Literal["user", "token", "system", "nobody"]
    name: str
    user_id: UUID | None = None
    global_role: Role | None = None
    team_roles: dict[UUID, Role] = field(default_factory=dict, hash=False)
    scopes: tuple[str, ...] = ("all",)
    token_id: UUID | None = None


NOBODY = Actor("nobody", "anonymous", scopes=())


def system(name: str) -> Actor:
    """Return the actor for a part of the platform, e.g. system("rule-evaluator"); it may do everything."""
    return Actor("system", name)


def actor_for_user(user: User, *, token: ApiToken | None = None) -> Actor:
    """Return the actor for a signed-in user or one of their tokens. One SQL query."""
    if not user.is_active:
        return NOBODY
    team_roles: dict[UUID, Role] = {}
    global_role: Role | None = None
    held: Iterable[tuple[UUID | None, str]] = Membership.objects.filter(user=user).values_list("team_id", "role")
    for team_id, role in held:
        if team_id is None:
            global_role = Role(role)
        else:
            team_roles[team_id] = Role(role)
    return Actor(
        "token" if token else "user",
        user.username,
        user_id=user.pk,
        global_role=global_role,
        team_roles=team_roles,
        scopes=tuple(token.scopes) if token else ("all",),
        token_id=token.pk if token else None,
    )


def _scope_allows(scopes: tuple[str, ...], permission: str) -> bool:
    word = permission.rpartition(".")[2]
    return any(scope == "all" or word in SCOPES.get(scope, frozenset()) for scope in scopes)


def allows(actor: Actor, permission: str, *, team: Team | UUID | None = None) -> bool:
    """Tell whether `actor` may do `permission` on what `team` owns (None: on what no team owns).

    A global role counts everywhere; a team role only on that team's nouns.
    """
    if actor.kind == "system":
        return True
    least = PERMISSIONS.get(permission)
    if least is None or not _scope_allows(actor.scopes, permission):
        return False
    if actor.global_role is not None and RANK[actor.global_role] >= RANK[least]:
        return True
    team_id = team.pk if isinstance(team, Team) else team
    role = actor.team_roles.get(team_id) if team_id is not None else None
    return role is not None and RANK[role] >= RANK[least]


def allows_anywhere(actor: Actor, permission: str) -> bool:
    """Tell whether `actor` may do `permission` globally or in at least one team (a page that is then scoped)."""
    return allows(actor, permission) or any(allows(actor, permission, team=team) for team in actor.team_roles)


def check(actor: Actor, permission: str, *, team: Team | UUID | None = None) -> None:
    """Raise AccessDenied unless `allows`."""
    if not allows(actor, permission, team=team):
        raise denied(actor, permission)


def check_anywhere(actor: Actor, permission: str) -> None:
    """Raise AccessDenied unless `allows_anywhere`."""
    if not allows_anywhere(actor, permission):
        raise denied(actor, permission)


def check_own(actor: Actor, permission: str) -> None:
    """Raise AccessDenied when a token is too narrow to change what belongs to its own person.

    A person needs no role for what is theirs. Their token needs the scope write or all, or one that lets `permission`
    through, which is what others would need.
    """
    if "write" not in actor.scopes and not _scope_allows(actor.scopes, permission):
        raise denied(actor, permission)


def denied(actor: Actor, permission: str) -> AccessDenied:
    """Build the refusal that says what is missing."""
    least = PERMISSIONS.get(permission)
    if not _scope_allows(actor.scopes, permission):
        remedy = _("Use a token whose scopes include this action.")
    else:
        remedy = _("Ask an administrator for the role that includes this action.")
    return AccessDenied(
        "access.denied",
        _("%(name)s may not do %(permission)s.") % {"name": actor.name, "permission": permission},
        remedy=remedy,
        extra={"permission": permission, "least_role": str(least.value) if least else None},
    )


def visible_teams(actor: Actor) -> list[UUID] | None:
    """Return the teams whose nouns the actor may see; None means all (a global role or the system)."""
    if actor.kind == "system" or actor.global_role is not None:
        return None
    return list(actor.team_roles)


def team_names(actor: Actor) -> list[str]:
    """Return the names of the teams whose nouns the actor may see, at most 500, by name; one query."""
    rows = Team.objects.order_by("name")
    teams = visible_teams(actor)
    if teams is not None:
        rows = rows.filter(pk__in=teams)
    return list(rows.values_list("name", flat=True)[:500])
