"""Workspaces: only in allowed folders, with secrets that their maker may use, and within their team."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.changes.conftest import TESTS, configured, planned, secret
from tongchou.changes import iac_applying, iac_journal, iac_planning, iac_reads, iac_states, iac_workspaces
from tongchou.changes.iac_workspaces import Wanted
from tongchou.changes.models_iac import Plan, PlanState, Workspace
from tongchou.core import approval_policies, people, settings_store
from tongchou.core.access import Actor, actor_for_user
from tongchou.core.models import Event, Membership, Role, Team
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stub")]


def in_team(name: str, role: Role) -> tuple[Actor, Team]:
    """Somebody with a role in a team of their own."""
    user = people.create_user(actor=TESTS, username=name, password="correct horse battery", role=None)
    team = Team.objects.create(name=f"team-{name}")
    Membership.objects.create(user=user, team=team, role=role)
    return actor_for_user(user), team


@pytest.mark.parametrize("what", ["..", "link", "elsewhere", "missing", "relative", "nul", "root"])
def test_a_folder_outside_of_the_allowed_ones_is_refused(what: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (folder.parent / "out").symlink_to(tmp_path / "secret")
    paths = {
        "..": f"{folder}/../../secret",
        "link": f"{folder.parent}/out",
        "elsewhere": str(tmp_path / "secret"),
        "missing": f"{folder}/none",
        "relative": "shop",
        "nul": f"{folder}\0",
        "root": "/",
    }
    with pytest.raises(Invalid) as refused:
        iac_workspaces.put_workspace(actor=TESTS, name="x", wanted=Wanted(directory=paths[what]))
    assert refused.value.field == "directory"


def test_a_link_put_there_later_is_not_followed(folder: Path, tmp_path: Path) -> None:
    workspace = configured(folder)
    (tmp_path / "other").mkdir()
    folder.rmdir()
    folder.symlink_to(tmp_path / "other")
    plan = planned(workspace)
    assert plan.state == PlanState.FAILED
    assert not (tmp_path / "other" / "calls.log").exists()


@pytest.mark.parametrize("name", ["../x.tfvars", "/etc/x.tfvars", "link.tfvars", "none.tfvars", "-x.tfvars", "main.tf"])
def test_a_variables_file_lies_in_the_folder(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tfvars").write_text("")
    (folder / "link.tfvars").symlink_to(tmp_path / "x.tfvars")
    (folder / "main.tf").write_text("")
    with pytest.raises(Invalid) as refused:
        configured(folder, var_files=[name])
    assert refused.value.field == "var_files[0]"


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "TF_CLI_ARGS", "HOME", "GIT_SSH_COMMAND", "lower", "A-B"])
def test_what_would_change_what_runs_is_not_given(name: str, folder: Path) -> None:
    with pytest.raises(Invalid):
        configured(folder, secret_environment={name: secret("one", "two-three")})


def test_secrets_reach_the_program_under_their_names_and_nothing_else_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PLATFORM", "x")
    (folder / "plan.json").write_text(json.dumps({"format_version": "1.2", "resource_changes": []}))
    workspace = configured(
        folder,
        secret_variables={"password": secret("pw", "canary-1")},
        secret_environment={"AWS_SECRET_ACCESS_KEY": secret("aws", "canary-2")},
    )
    assert planned(workspace).state == PlanState.EMPTY
    names = json.loads((folder / "calls.log").read_text().splitlines()[-1])["names"]
    assert {"TF_VAR_password", "AWS_SECRET_ACCESS_KEY", "TF_DATA_DIR"} <= set(names)
    assert not {"SECRET_OF_THE_PLATFORM", "TONGCHOU_DATA"} & set(names)


def test_which_secrets_are_used_is_for_who_may_manage_them(folder: Path, admin_actor: Actor) -> None:
    secret("shop-db", "value-1")
    admin, team = in_team("wang", Role.ADMIN)
    plain = Wanted(directory=str(folder), owner=team.pk)
    with pytest.raises(AccessDenied):
        iac_workspaces.put_workspace(
            actor=admin, name="x", wanted=Wanted(**{**vars(plain), "secret_variables": {"a": "shop-db"}})
        )
    row = iac_workspaces.put_workspace(actor=admin, name="x", wanted=plain)
    iac_workspaces.put_workspace(
        actor=admin_actor, name="x", wanted=Wanted(**{**vars(plain), "secret_variables": {"a": "shop-db"}})
    )
    (folder / "sub").mkdir()
    with pytest.raises(AccessDenied):  # whoever chooses what runs with a secret may as well have it
        iac_workspaces.put_workspace(
            actor=admin,
            name="x",
            wanted=Wanted(**{**vars(plain), "secret_variables": {"a": "shop-db"}, "directory": str(folder / "sub")}),
        )
    secret("channel:mail", "x-secret")
    with pytest.raises(Invalid):  # belongs to another part of the platform
        configured(folder, secret_variables={"a": "channel:mail"})
    assert iac_reads.workspace(admin, "x") == row


def test_a_team_sees_and_runs_its_own_only(folder: Path) -> None:
    operator, team = in_team("li", Role.OPERATOR)
    stranger, _other = in_team("zhao", Role.ADMIN)
    row = configured(folder, owner=team.pk)
    plan = planned(row, operator)
    assert list(iac_reads.plans(operator)) == [plan]
    assert list(iac_reads.plans(stranger)) == []
    for refused in (
        lambda: iac_reads.workspace(stranger, "shop"),
        lambda: iac_reads.plan(stranger, plan.pk),
    ):
        with pytest.raises(NotFound):
            refused()
    for act in (
        lambda: iac_planning.request_plan(actor=stranger, workspace=row),
        lambda: iac_applying.ask_approval(actor=stranger, plan=plan),
        lambda: iac_applying.apply_plan(actor=stranger, plan=plan),
        lambda: iac_applying.discard_plan(actor=stranger, plan=plan),
        lambda: iac_applying.stop_apply(actor=stranger, plan=plan),
        lambda: iac_workspaces.remove_workspace(actor=stranger, workspace=row),
        lambda: iac_workspaces.put_workspace(actor=operator, name="shop", wanted=Wanted(directory=str(folder))),
    ):
        with pytest.raises(AccessDenied):
            act()


@pytest.mark.parametrize(("key", "value"), [("execution.enabled", False), ("execution.stopped", True)])
def test_nothing_runs_while_execution_is_off(key: str, value: bool, folder: Path) -> None:
    workspace = configured(folder, drift_interval_seconds=600)
    settings_store.put(actor=TESTS, key=key, value=value)
    with pytest.raises(Conflict):
        iac_planning.request_plan(actor=TESTS, workspace=workspace)
    assert iac_planning.schedule_due() == 0
    assert not (folder / "calls.log").exists()


def changing(folder: Path, *actions: str) -> None:
    """Let the next plan do something to a database."""
    change = {"actions": list(actions), "before": {"x": 1}, "after": {"x": 2}}
    found = [{"address": "aws_db_instance.a", "type": "aws_db_instance", "mode": "managed", "change": change}]
    (folder / "plan.json").write_text(json.dumps({"format_version": "1.2", "resource_changes": found}))


def test_a_denied_plan_is_not_applied_unless_a_policy_of_approvals_says_who_may(
    folder: Path, admin_actor: Actor
) -> None:
    changing(folder, "delete", "create")
    rule = {"rule": "no_replace", "types": ["aws_db_*"], "reason": "it holds data"}
    plan = planned(configured(folder, policy=[rule]))
    assert (plan.state, plan.verdict) == (PlanState.READY, "deny")
    assert plan.findings[0]["about"] == ["aws_db_instance.a"]
    with pytest.raises(Conflict, match=r"plan\.denied"):
        iac_applying.ask_approval(actor=admin_actor, plan=plan)
    approval_policies.put_policy(
        actor=TESTS,
        name="databases",
        action="changes.plan.apply",
        conditions={"verdict": ["deny"]},
        needs=[{"who": "role:admin", "count": 2}],
    )
    approval = iac_applying.ask_approval(actor=admin_actor, plan=plan)
    assert approval.scope["verdict"] == "deny"
    assert approval.scope["destroys"] == 1


def test_what_makes_another_plan_outdates_those_there_are(folder: Path) -> None:
    changing(folder, "update")
    plan = planned(configured(folder))
    configured(folder, alarm_after=5)
    plan.refresh_from_db()
    assert plan.state == PlanState.READY
    configured(folder, alarm_after=5, terraform_workspace="blue")
    plan.refresh_from_db()
    assert (plan.state, plan.outcome) == (PlanState.OUTDATED, {"code": "workspace_changed"})


def test_a_workspace_goes_with_its_plans_but_not_while_one_is_under_way(folder: Path) -> None:
    changing(folder, "update")
    workspace = configured(folder)
    plan = planned(workspace)
    busy = Plan.objects.create(workspace=workspace, number=9, state=PlanState.APPLYING, requested_by_name="x")
    with pytest.raises(Conflict):
        iac_workspaces.remove_workspace(actor=TESTS, workspace=workspace)
    busy.delete()
    iac_workspaces.remove_workspace(actor=TESTS, workspace=workspace)
    assert not Workspace.objects.exists()
    assert not Plan.objects.filter(pk=plan.pk).exists()
    assert Event.objects.filter(verb="workspace.removed").exists()


def test_the_same_settings_again_change_nothing(folder: Path) -> None:
    configured(folder)
    configured(folder)
    assert Event.objects.filter(verb="workspace.changed").count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": "bash"},
        {"terraform_workspace": "a b"},
        {"drift_interval_seconds": 10},
        {"alarm_after": 0},
        {"timeout_seconds": 99_999},
        {"secret_variables": {"a": "no-such"}},
        {"policy": [{"rule": "x"}]},
    ],
)
def test_what_will_not_do_is_refused(wrong: dict[str, Any], folder: Path) -> None:
    with pytest.raises(Invalid):
        configured(folder, **wrong)


def test_there_is_no_way_back_from_what_was_applied() -> None:
    for state in PlanState:
        reached = iac_states.TRANSITIONS.get(state, ())
        assert PlanState.READY not in reached or state == PlanState.RUNNING
        assert PlanState.APPLYING not in reached or state == PlanState.READY
    assert all(state in {*iac_states.TRANSITIONS, *iac_states.ENDED} for state in PlanState)


def test_a_move_there_is_not_is_a_mistake_in_the_code(folder: Path) -> None:
    plan = Plan.objects.create(workspace=configured(folder), number=1, state=PlanState.APPLIED, requested_by_name="x")
    with pytest.raises(RuntimeError):
        iac_journal.move(plan, PlanState.APPLYING)
