from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import (
    NOBODY,
    PERMISSIONS,
    RANK,
    SCOPES,
    Actor,
    allows,
    allows_anywhere,
    check,
    system,
    visible_teams,
)
from tongchou.core.models import Role
from tongchou.core.problems import AccessDenied

TEAM, OTHER = uuid.uuid4(), uuid.uuid4()


def person(
    role: Role | None = None, team_roles: dict[uuid.UUID, Role] | None = None, scopes: tuple[str, ...] = ("all",)
) -> Actor:
    return Actor("user", "somebody", uuid.uuid4(), role, team_roles or {}, scopes)


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_nobody_may_do_nothing(permission: str) -> None:
    assert not allows(NOBODY, permission)
    assert not allows(person(), permission)


def test_an_unknown_permission_is_refused_to_everybody() -> None:
    assert not allows(person(Role.ADMIN), "inventory.no_such_thing")
    with pytest.raises(AccessDenied):
        check(person(Role.ADMIN), "inventory.no_such_thing")


@given(permission=st.sampled_from(sorted(PERMISSIONS)), low=st.sampled_from(Role), high=st.sampled_from(Role))
def test_a_higher_role_may_do_all_a_lower_one_may(permission: str, low: Role, high: Role) -> None:
    if RANK[low] <= RANK[high] and allows(person(low), permission):
        assert allows(person(high), permission)


@given(
    permission=st.sampled_from(sorted(PERMISSIONS)), scope=st.sampled_from(sorted(SCOPES)), role=st.sampled_from(Role)
)
def test_a_token_never_may_more_than_its_person(permission: str, scope: str, role: Role) -> None:
    if allows(person(role, scopes=(scope,)), permission):
        assert allows(person(role), permission)


def test_a_read_token_of_an_admin_only_reads() -> None:
    token = person(Role.ADMIN, scopes=("read",))
    assert allows(token, "inventory.view")
    assert not allows(token, "inventory.edit")
    assert not allows(token, "approvals.decide")
    assert not allows(token, "access.manage")


def test_a_team_role_counts_on_that_teams_nouns_only() -> None:
    actor = person(team_roles={TEAM: Role.OPERATOR})
    assert allows(actor, "inventory.edit", team=TEAM)
    assert not allows(actor, "inventory.edit", team=OTHER)
    assert not allows(actor, "inventory.edit")
    assert allows_anywhere(actor, "inventory.edit")
    assert visible_teams(actor) == [TEAM]
    assert visible_teams(person(Role.VIEWER)) is None
    assert visible_teams(system("x")) is None


def test_a_refusal_names_the_least_role() -> None:
    with pytest.raises(AccessDenied) as caught:
        check(person(Role.VIEWER), "runbooks.request")
    assert caught.value.as_dict()["least_role"] == "operator"
    assert caught.value.status == 403
