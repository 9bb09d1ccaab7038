"""The pages of workspaces and plans: lists, one plan from asking to applying, the form; in both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from tests.changes.conftest import TESTS, configured, folder, planned, secret, stub  # noqa: F401  # two are fixtures
from tongchou.changes.models_iac import Plan, PlanState, Workspace
from tongchou.core import approvals, jobs
from tongchou.core.access import Actor
from tongchou.core.models import Approval, Role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stub")]


@pytest.fixture
def shop(folder: Path) -> Workspace:  # noqa: F811  # the fixture
    """A workspace whose plan replaces a database and alters a password."""
    before, after = {"engine": "mysql", "password": "canary-a"}, {"engine": "<b>pg</b>", "password": "canary-b"}
    change = {
        "actions": ["delete", "create"],
        "before": before,
        "after": after,
        "after_sensitive": {"password": True},
        "replace_paths": [["engine"]],
    }
    found = [{"address": "aws_db_instance.main", "type": "aws_db_instance", "mode": "managed", "change": change}]
    drift = [{**found[0], "change": {**change, "actions": ["update"]}}]
    plan = {"format_version": "1.2", "resource_changes": found, "resource_drift": drift}
    (folder / "plan.json").write_text(json.dumps(plan))
    rule = {"rule": "no_replace", "types": ["aws_db_*"], "level": "warn", "reason": "it holds data"}
    return configured(folder, policy=[rule], alarm_after=1)


def test_an_empty_list_says_what_a_workspace_is(browser: Any) -> None:
    page = browser(Role.VIEWER).get(reverse("web:workspaces")).content.decode()
    assert "No workspace yet" in page
    assert "Execution is off" in page


def test_the_list_shows_the_newest_plan_and_drift(
    browser: Any, shop: Workspace, django_assert_max_num_queries: Any
) -> None:
    planned(shop, kind="drift")
    planned(shop)
    person = browser(Role.VIEWER)
    person.get(reverse("web:workspaces"))
    with django_assert_max_num_queries(40):
        page = person.get(reverse("web:workspaces")).content.decode()
    assert "Changes planned" in page
    assert "-/+1" in page
    assert "2 unexplained" in page
    plans = person.get(reverse("web:workspace-plans")).content.decode()
    assert "Drift check" in plans
    assert "canary" not in page + plans


def test_a_plan_is_asked_for_approved_and_applied_on_its_page(
    browser: Any, shop: Workspace, approver_actor: Actor
) -> None:
    person = browser(Role.OPERATOR)
    asked = person.post(reverse("web:workspace-plan-ask", args=["shop"]), {"kind": "plan", "reason": "new engine"})
    plan = Plan.objects.get()
    assert asked["Location"] == reverse("web:workspace-plan", args=[plan.pk])
    jobs.run_due()
    url = reverse("web:workspace-plan", args=[plan.pk])
    seen = person.get(url).content.decode()
    assert "-/+ aws_db_instance.main" in seen
    assert "forces replacement" in seen
    assert "(sensitive) → (sensitive)" in seen
    assert "&lt;b&gt;pg" in seen
    assert "it holds data" in seen
    assert "canary" not in seen
    act = reverse("web:workspace-plan-act", args=[plan.pk, "apply"])
    assert "No valid approval" in person.post(act).content.decode()
    assert person.post(reverse("web:workspace-plan-act", args=[plan.pk, "ask"]), {"reason": "x"}).status_code == 302
    approval = Approval.objects.get()
    assert "Waits for approval" in person.get(url).content.decode()
    inbox = browser(Role.APPROVER).get(reverse("web:approvals") + f"?id={approval.pk}").content.decode()
    assert "shop #1" in inbox
    approvals.approve(actor=approver_actor, approval=approval)
    assert "Apply exactly this plan now?" in person.get(url).content.decode()
    assert person.post(act).status_code == 302
    jobs.run_due()
    plan.refresh_from_db()
    assert plan.state == PlanState.APPLIED
    assert "Apply complete!" in person.get(url + "?part=live").content.decode()
    chinese = browser(Role.VIEWER, "zh-hans").get(url).content.decode()
    assert "已应用" in chinese
    assert "导致替换" in chinese


def test_one_workspace_shows_plans_drift_and_what_it_is(browser: Any, shop: Workspace) -> None:
    planned(shop, kind="drift")
    person = browser(Role.OPERATOR)
    page = person.get(reverse("web:workspace", args=["shop"])).content.decode()
    for words in (
        "aws_db_instance.main",
        "engine",
        "Adopt: write",
        "Revert: plan",
        "replaces what may not be replaced",
    ):
        assert words in page
    assert "canary" not in page
    assert "工作区" in browser(Role.VIEWER, "zh-hans").get(reverse("web:workspace", args=["shop"])).content.decode()
    viewer = browser(Role.VIEWER)
    assert viewer.post(reverse("web:workspace-plan-ask", args=["shop"])).status_code == 403
    assert person.get(reverse("web:workspace", args=["none"])).status_code == 404


def test_a_workspace_is_set_up_changed_and_removed_in_its_form(browser: Any, folder: Path) -> None:  # noqa: F811
    secret("shop-db", "canary-of-a-secret")
    person, url = browser(Role.ADMIN), reverse("web:workspace-new")
    assert str(folder.parent) in person.get(url).content.decode()
    form = {
        "name": "shop",
        "directory": str(folder),
        "program": "terraform",
        "enabled": "on",
        "alarm_after": "3",
        "drift_interval_seconds": "60",
        "timeout_seconds": "600",
        "lock_timeout_seconds": "5",
        "secret_variables": "password = shop-db",
        "policy": '[{"rule": "max_altered", "most": 5, "reason": "small steps"}]',
    }
    refused = person.post(url, {**form, "directory": "/etc"})
    assert refused.status_code == 422
    assert "small steps" in refused.content.decode()
    assert person.post(url, {**form, "policy": "[{"}).status_code == 422
    assert person.post(url, form).status_code == 302
    row = Workspace.objects.get()
    assert (row.secret_variables, row.drift_interval_seconds) == ({"password": "shop-db"}, 3600)
    edit = reverse("web:workspace-edit", args=["shop"])
    shown = person.get(edit).content.decode()
    assert "password = shop-db" in shown
    assert "canary" not in shown
    assert person.post(url, form).status_code == 409
    assert person.post(edit, {**form, "alarm_after": "7"}).status_code == 302
    row.refresh_from_db()
    assert row.alarm_after == 7
    assert browser(Role.OPERATOR).post(edit, form).status_code == 403
    assert person.post(reverse("web:workspace-remove", args=["shop"])).status_code == 302
    assert not Workspace.objects.exists()
