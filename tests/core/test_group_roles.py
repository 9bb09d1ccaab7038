"""Groups become roles: the strongest rule of each team, local roles untouched, the last administrator kept."""

from __future__ import annotations

import pytest

from tests.conftest import make_user
from tongchou.core import group_roles, people
from tongchou.core.access import system
from tongchou.core.group_roles import Rule
from tongchou.core.models import Event, Membership, Origin, Role, User

SYSTEM = system("tests")


def test_lines_are_read_and_a_distinguished_name_is_a_group() -> None:
    lines = ["ops = operator", "cn=Leads,ou=groups,dc=x = approver @ shop", "nonsense", "ops = emperor"]
    assert group_roles.parse(lines) == [
        Rule("ops", Role.OPERATOR, None),
        Rule("cn=Leads,ou=groups,dc=x", Role.APPROVER, "shop"),
    ]


def test_the_strongest_rule_of_each_team_wins_and_case_does_not_count() -> None:
    rules = group_roles.parse(["a = viewer", "b = approver", "a = operator @ shop", "c = admin"])
    found = group_roles.wanted(["A", "B"], rules)
    assert {team: rule.role for team, rule in found.items()} == {None: Role.APPROVER, "shop": Role.OPERATOR}
    assert group_roles.wanted([], rules) == {}


@pytest.mark.both_databases
def test_roles_follow_the_groups_and_local_ones_stay(db: None) -> None:
    make_user("root", Role.ADMIN)
    shop = people.create_team(actor=SYSTEM, name="shop")
    people.create_team(actor=SYSTEM, name="bank")
    amy = people.create_user(actor=SYSTEM, username="amy", password=None, role=None, origin=Origin.LDAP)
    people.set_role(actor=SYSTEM, user=amy, role=Role.VIEWER, team=shop)
    rules = group_roles.parse(["ops = operator", "ops = approver @ shop", "ops = viewer @ bank", "x = viewer @ gone"])

    def apply(*groups: str) -> dict[str | None, str]:
        group_roles.apply(actor=SYSTEM, user=amy, source=Origin.LDAP, groups=groups, rules=rules)
        rows = Membership.objects.filter(user=amy).select_related("team")
        return {each.team.name if each.team else None: each.role for each in rows}

    assert apply("ops", "x") == {None: "operator", "bank": "viewer", "shop": "viewer"}
    before = Event.objects.count()
    apply("ops", "x")
    assert Event.objects.count() == before  # nothing changed, nothing is told
    assert apply() == {"shop": "viewer"}


def test_the_last_administrator_stays_one(db: None) -> None:
    amy = people.create_user(actor=SYSTEM, username="amy", password=None, role=None, origin=Origin.OIDC)
    rules = group_roles.parse(["boss = admin"])
    group_roles.apply(actor=SYSTEM, user=amy, source=Origin.OIDC, groups=["boss"], rules=rules)
    group_roles.apply(actor=SYSTEM, user=amy, source=Origin.OIDC, groups=[], rules=rules)
    assert Membership.objects.get(user=amy).role == "admin"
    make_user("root", Role.ADMIN)
    group_roles.apply(actor=SYSTEM, user=amy, source=Origin.OIDC, groups=[], rules=rules)
    assert not Membership.objects.filter(user=User.objects.get(pk=amy.pk)).exists()
