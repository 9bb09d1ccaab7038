"""People and teams from a file: roles as by hand, no password ever, all rows or none, and what has a way back."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_user
from tests.importing import done, edited, errors, exported, planned, plans, told, undone
from tests.web.foreign import member_of
from tongchou.core import people, tokens
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.lists import batches, imports, reading
from tongchou.core.models import Event, Membership, Origin, Role, Team, User
from tongchou.core.models_lists import Batch
from tongchou.core.problems import AccessDenied, Conflict, Problem

pytestmark = pytest.mark.both_databases
SYSTEM = system("tests")
PEOPLE = "core.user"
TEAMS = "core.team"


@pytest.fixture(autouse=True)
def _english() -> None:
    translation.activate("en")


def state() -> dict[str, Any]:
    """Everybody as the list shows them."""
    held = Membership.objects.select_related("user", "team")
    roles = sorted((each.user.username, each.team.name if each.team else "", each.role) for each in held)
    return {
        "people": sorted(User.objects.values_list("username", "display_name", "is_active")),
        "roles": roles,
        "teams": sorted(Team.objects.values_list("name", flat=True)),
    }


def test_people_come_with_roles_and_teams_and_without_a_password(admin_actor: Actor) -> None:
    done(admin_actor, TEAMS, "name\nshop\n运维\n")
    batch = done(
        admin_actor,
        PEOPLE,
        'username,display_name,role,teams\nzhang,张三,viewer,"运维=operator, shop=viewer"\nli,,,"{""shop"": ""admin""}"\n',
    )
    assert plans(batch) == ["create", "create"]
    zhang = User.objects.get(username="zhang")
    assert not zhang.has_usable_password()
    assert not zhang.is_service
    assert zhang.display_name == "张三"
    held = {(each.team.name if each.team else "", each.role) for each in zhang.memberships.select_related("team")}
    assert held == {("", "viewer"), ("运维", "operator"), ("shop", "viewer")}
    assert Event.objects.filter(verb="user.created", correlation_id=str(batch.pk), actor_name="admin").count() == 2
    # an administrator gives the password afterwards, as to anybody
    people.set_password(actor=admin_actor, user=zhang, password="correct horse battery", must_change=True)
    before = state()
    assert plans(planned(admin_actor, PEOPLE, exported(admin_actor, PEOPLE))) == ["unchanged"] * 3
    assert state() == before


def test_an_export_that_was_changed_is_imported_and_undone(admin_actor: Actor) -> None:
    done(admin_actor, TEAMS, "name\nshop\nops\n")
    done(admin_actor, PEOPLE, "username,role,teams\na,viewer,shop=viewer\nb,operator,\n")
    before = state()
    file = edited(
        exported(admin_actor, PEOPLE),
        lambda row: {"display_name": "A", "teams": "ops=admin", "active": "false"} if row["username"] == "a" else {},
    )
    batch = done(admin_actor, PEOPLE, file, "people.json")
    assert sorted(plans(batch)) == ["change", "unchanged", "unchanged"]
    assert state() != before
    held = Membership.objects.filter(user__username="a", team__isnull=False)
    assert list(held.values_list("team__name", flat=True)) == ["ops"]
    assert not User.objects.get(username="a").is_active
    assert undone(admin_actor, batch) == {"undone": 1}
    assert state() == before


def test_a_role_of_a_directory_that_the_file_leaves_stays_the_directory_s(admin_actor: Actor) -> None:
    done(admin_actor, TEAMS, "name\nshop\nops\n")
    done(admin_actor, PEOPLE, "username,teams\na,shop=operator\n")
    Membership.objects.filter(user__username="a").update(source=Origin.LDAP, source_group="cn=shop")
    done(admin_actor, PEOPLE, 'username,teams\na,"shop=operator, ops=viewer"\n')
    held = Membership.objects.filter(user__username="a").order_by("team__name")
    assert list(held.values_list("team__name", "source")) == [("ops", "local"), ("shop", "ldap")]


def test_who_was_made_by_somebody_else_meanwhile_is_not_taken_away_by_the_undo(admin_actor: Actor) -> None:
    batch = planned(admin_actor, PEOPLE, "username,role\na,viewer\nb,viewer\n")
    people.create_user(actor=SYSTEM, username="a", password=None, role=Role.VIEWER)
    batch = batches.start(actor=admin_actor, batch=batch)
    assert errors(batch) == {}
    assert undone(admin_actor, batch) == {"undone": 1}
    assert list(User.objects.filter(is_active=False).values_list("username", flat=True)) == ["b"]


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_narrower_token_does_and_undoes_nothing_that_its_person_planned(admin_actor: Actor, scope: str) -> None:
    admin = User.objects.get(username="admin")
    row, _text = tokens.create(actor=SYSTEM, user=admin, name="t", scopes=[scope], expires_at=None)
    narrow = actor_for_user(admin, token=row)
    batch = planned(admin_actor, PEOPLE, "username,role\na,admin\n")
    with pytest.raises(AccessDenied):
        batches.start(actor=narrow, batch=batches.get(narrow, batch.pk))
    assert not User.objects.filter(username="a").exists()
    batch = batches.start(actor=admin_actor, batch=batch)
    with pytest.raises(AccessDenied):
        batches.undo(actor=narrow, batch=batch)
    assert User.objects.get(username="a").is_active


def test_what_was_changed_since_is_left_by_the_undo(admin_actor: Actor) -> None:
    batch = done(admin_actor, PEOPLE, "username,role\na,viewer\nb,viewer\n")
    people.set_role(actor=SYSTEM, user=User.objects.get(username="a"), role=Role.OPERATOR)
    assert undone(admin_actor, batch) == {"undone": 1, "kept": 1}
    assert batch.rows.get(result="kept").label == "a"
    told_ = told(batch, result="kept")
    assert (told_["field"], told_["value"]) == ("role", "operator")
    assert "in between" in told_["detail"]
    assert User.objects.get(username="a").is_active
    kept_out = User.objects.get(username="b")
    assert not kept_out.is_active
    assert not kept_out.memberships.exists()


def test_wrong_rows_are_told_by_number_and_field_and_nothing_is_written(admin_actor: Actor) -> None:
    text = (
        "username,role,teams,active,service\n"
        "good,viewer,,,\n"
        "bad name!,viewer,,,\n"
        "a,emperor,,,\n"
        "b,,nowhere=viewer,,\n"
        "c,,,maybe,\n"
        "d,,,,true\n"
        "good,operator,,,\n"
        ",viewer,,,\n"
    )
    before = state()
    batch = planned(admin_actor, PEOPLE, text)
    assert errors(batch) == {
        3: "username",
        4: "role",
        5: "teams",
        6: "active",
        7: "service",
        8: "",
        9: "username",
    }
    assert all((row.error or {}).get("detail") for row in batch.rows.filter(plan="refused"))
    assert "viewer" in told(batch, number=4)["remedy"]
    with pytest.raises(Conflict, match=r"import.refused"):
        batches.start(actor=admin_actor, batch=batch)
    assert state() == before
    batch.refresh_from_db()
    assert batch.state == "planned"


@pytest.mark.parametrize("column", ["password", "密码", "Password", "initial password", "user_pwd", "新密码（必填）"])
def test_a_file_with_passwords_is_refused_before_anything_of_it_is_kept(admin_actor: Actor, column: str) -> None:
    sheet = reading.read("p.csv", f"username,{column}\na,hunter2hunter2\n".encode())
    for act in (imports.hold, imports.dry_run):
        with pytest.raises(Problem, match=r"import.never"):
            act(actor=admin_actor, kind=PEOPLE, sheet=sheet, file_name="p.csv")
    assert not Batch.objects.exists()


def test_one_row_that_cannot_be_written_leaves_none(admin_actor: Actor) -> None:
    batch = planned(admin_actor, PEOPLE, "username,role\na,viewer\nadmin,viewer\nz,viewer\n")
    assert plans(batch) == ["create", "change", "create"]  # that it is the last administrator is known when it is done
    before = state()
    batches.start(actor=admin_actor, batch=batch)
    assert state() == before
    assert list(batch.rows.order_by("number").values_list("result", flat=True)) == ["", "failed", ""]
    assert "last administrator" in told(batch, number=3)["detail"]
    assert not Event.objects.filter(verb="user.created", correlation_id=str(batch.pk)).exists()
    assert not batches.may_undo(batch)


def test_what_is_done_is_what_was_shown(admin_actor: Actor) -> None:
    batch = planned(admin_actor, PEOPLE, "username,role\na,viewer\n")
    other = planned(admin_actor, PEOPLE, "username,role\na,admin\n")
    assert batch.values["digest"] != other.values["digest"]
    with pytest.raises(Conflict, match=r"import.other"):
        batches.start(actor=admin_actor, batch=other, digest=batch.values["digest"])
    batch.rows.update(after={"username": "a", "role": "admin"})
    with pytest.raises(Conflict, match=r"import.other"):
        batches.start(actor=admin_actor, batch=batch)
    assert not User.objects.filter(username="a").exists()
    batches.start(actor=admin_actor, batch=other, digest=other.values["digest"])
    assert User.objects.get(username="a").memberships.get().role == "admin"


def test_only_administrators_of_the_whole_installation_import(operator_actor: Actor) -> None:
    shop = people.create_team(actor=SYSTEM, name="shop")
    for actor in (operator_actor, actor_for_user(member_of(shop, Role.ADMIN))):
        for kind, text in ((PEOPLE, "username\nx\n"), (TEAMS, "name\nx\n")):
            with pytest.raises(AccessDenied):
                planned(actor, kind, text)


def test_who_lost_the_right_meanwhile_writes_nothing(admin_actor: Actor) -> None:
    make_user("other", Role.ADMIN)
    batch = planned(admin_actor, TEAMS, "name\na\nb\n")
    Membership.objects.filter(user__username="admin").update(role=Role.VIEWER)
    batches.start(actor=admin_actor, batch=batch)
    assert not Team.objects.exists()
    assert batch.rows.get(result="failed").number == 2


def test_teams_are_made_once_and_stay(admin_actor: Actor) -> None:
    batch = done(admin_actor, TEAMS, "name\nshop\n=cmd\n")
    assert set(Team.objects.values_list("name", flat=True)) == {"shop", "=cmd"}
    assert not batches.may_undo(batch)
    assert plans(planned(admin_actor, TEAMS, exported(admin_actor, TEAMS))) == ["unchanged", "unchanged"]
    assert errors(planned(admin_actor, TEAMS, f"name\n{'x' * 121}\n")) == {2: "name"}


def test_more_rows_than_are_written_at_once_are_refused(admin_actor: Actor) -> None:
    with pytest.raises(Problem, match=r"import.too_many_whole"):
        planned(admin_actor, TEAMS, "name\n" + "".join(f"t{n}\n" for n in range(batches.MAX_WHOLE + 1)))


# --- properties -------------------------------------------------------------------------------------------------------

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROLES = st.sampled_from(["viewer", "operator", "approver"])
SHOWN = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=8)
EVERYBODY = st.dictionaries(
    st.from_regex(r"\A[a-z0-9_@+.-]{1,8}\Z").filter(lambda name: name != "admin"),
    st.tuples(
        SHOWN, st.none() | ROLES, st.dictionaries(st.sampled_from(["shop", "运,维", "=a"]), ROLES), st.booleans()
    ),
    min_size=1,
    max_size=4,
)


@given(EVERYBODY, st.sampled_from(["csv", "xlsx", "json"]))
@FEW
def test_whoever_is_exported_is_imported_without_a_change(admin_actor: Actor, made: Any, format_: str) -> None:
    User.objects.exclude(username="admin").delete()
    for name in ("shop", "运,维", "=a"):
        Team.objects.get_or_create(name=name)
    for username, (shown, role, teams, active) in made.items():
        user = people.create_user(
            actor=SYSTEM, username=username, password=None, role=role and Role(role), display_name=shown
        )
        for team, held in teams.items():
            people.set_role(actor=SYSTEM, user=user, role=Role(held), team=Team.objects.get(name=team))
        people.set_active(actor=SYSTEM, user=user, active=active)
    batch = planned(admin_actor, PEOPLE, exported(admin_actor, PEOPLE, format_), f"x.{format_}")
    assert [
        (row.label, row.plan, row.before, row.after, row.error) for row in batch.rows.exclude(plan="unchanged")
    ] == []
    assert batch.rows.count() == len(made) + 1
