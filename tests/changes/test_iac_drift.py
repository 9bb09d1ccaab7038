"""Drift: what refresh-only plans saw goes into the list of drift, and what is new is told once a check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.changes.conftest import TESTS, applied, approved, configured, planned
from tongchou.changes import drift_actions, iac_drifting, iac_planning
from tongchou.changes.models_drift import Drift, DriftState
from tongchou.changes.models_iac import Plan, PlanState, Workspace
from tongchou.core import jobs
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.models_talk import InboxItem
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory import identity
from tongchou.inventory.models import Identity

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stub")]
LINEAGE = "57326de1-1d5b-2974-a6f7-4f754df50360"


def drifted(folder: Path, *found: tuple[str, Any, Any], **more: Any) -> None:
    """Let the world be so: (address, before, after)."""
    drift = [
        {
            "address": address,
            "mode": "managed",
            "type": address.partition(".")[0],
            "change": {"actions": ["update"] if after else ["delete"], "before": before, "after": after, **more},
        }
        for address, before, after in found
    ]
    plan = {"format_version": "1.2", "resource_changes": [], "resource_drift": drift, "a key of later": 1}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "state.json").write_text(json.dumps({"version": 4, "serial": 3, "lineage": LINEAGE}))


def told(verb: str) -> list[dict[str, Any]]:
    return list(Event.objects.filter(verb=verb).order_by("pk").values_list("payload", flat=True))


def test_an_alarm_comes_after_as_many_checks_in_a_row_and_once(folder: Path, operator_actor: Actor) -> None:
    workspace = configured(folder, alarm_after=3)
    Workspace.objects.filter(pk=workspace.pk).update(updated_by_id=operator_actor.user_id)
    web = inventory.create_resource(actor=TESTS, kind="vm", name="web-1")
    Identity.objects.create(resource=web, key=identity.key("terraform", LINEAGE, "aws_instance.web"))
    drifted(folder, ("aws_instance.web", {"type": "t3.small"}, {"type": "t3.large"}))
    for count in (1, 2, 3, 4):
        plan = planned(workspace, kind="drift")
        assert plan.state == PlanState.READY, plan.output
        item = Drift.objects.get()
        assert item.consecutive == count
        assert len(told("workspace.drifted")) == (count >= 3)
    assert (item.subject, item.path, item.expected, item.observed) == (
        "aws_instance.web",
        "type",
        "t3.small",
        "t3.large",
    )
    assert (item.resource, item.state, item.source_name) == (web, DriftState.OPEN, "shop")
    assert InboxItem.objects.filter(user_id=operator_actor.user_id, ref=ref(workspace)).exists()
    drifted(folder)
    assert planned(workspace, kind="drift").state == PlanState.EMPTY
    item.refresh_from_db()
    assert item.state == DriftState.CLEARED


def test_a_check_that_fails_says_nothing_about_what_was_seen(folder: Path) -> None:
    workspace = configured(folder, alarm_after=2)
    drifted(folder, ("a.b", {"x": 1}, {"x": 2}))
    planned(workspace, kind="drift")
    (folder / "plan.json").write_text(json.dumps({"fail": "no credentials"}))
    assert planned(workspace, kind="drift").state == PlanState.FAILED
    item = Drift.objects.get()
    assert (item.consecutive, item.cleared_at) == (1, None)


def test_what_is_sensitive_in_drift_is_masked_and_what_is_gone_says_so(folder: Path) -> None:
    workspace = configured(folder)
    before, after = {"pw": "canary-old-1", "n": 1}, {"pw": "canary-new-2", "n": 2}
    drifted(folder, ("a.b", before, after), ("a.c", before, None), before_sensitive={"pw": True}, after_sensitive={})
    planned(workspace, kind="drift")
    assert set(Drift.objects.values_list("subject", "path", "expected", "observed")) == {
        ("a.b", "n", "1", "2"),
        ("a.b", "pw", "(sensitive)", "(sensitive)"),
        ("a.c", "", "(exists)", "(gone)"),
    }
    assert "canary" not in json.dumps(Plan.objects.get().summary)


def test_adopting_applies_the_check_itself(folder: Path, operator_actor: Actor, approver_actor: Actor) -> None:
    workspace = configured(folder, alarm_after=1)
    drifted(folder, ("a.b", {"x": 1}, {"x": 2}))
    check = planned(workspace, operator_actor, kind="drift")
    assert iac_drifting.newest_check(workspace) == check
    item = Drift.objects.get()
    drift_actions.decide(actor=operator_actor, drift_id=item.pk, decision="adopt", reason="it is right so")
    approved(check, operator_actor, approver_actor)
    assert applied(check, operator_actor).state == PlanState.APPLIED
    calls = [json.loads(line)["words"] for line in (folder / "calls.log").read_text().splitlines()]
    assert any(words[0] == "plan" and "-refresh-only" in words for words in calls)


def test_a_schedule_asks_once_and_says_nothing_of_itself(folder: Path) -> None:
    workspace = configured(folder, drift_interval_seconds=600)
    drifted(folder)
    assert iac_planning.schedule_due() == 1
    assert iac_planning.schedule_due() == 0
    jobs.run_due()
    assert Plan.objects.get(workspace=workspace).state == PlanState.EMPTY
    assert not Event.objects.filter(verb__startswith="plan.").exists()


def test_a_schedule_that_fails_says_so_the_first_time(folder: Path) -> None:
    workspace = configured(folder, drift_interval_seconds=600)
    drifted(folder)
    (folder / "plan.json").write_text(json.dumps({"fail": "no credentials"}))
    for _ in range(2):
        Workspace.objects.filter(pk=workspace.pk).update(next_drift_at=workspace.created_at)
        assert iac_planning.schedule_due() == 1
        jobs.run_due()
    assert [each["why"] for each in told("plan.failed")] == ["failed"]
    assert "Error: no credentials" in Plan.objects.filter(workspace=workspace).latest("number").output


def test_an_unknown_format_is_refused(folder: Path) -> None:
    workspace = configured(folder)
    drifted(folder, ("a.b", {"x": "canary-of-format-2"}, {"x": 2}))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "format_version": "2.0"}))
    plan_row = planned(workspace, kind="drift")
    assert plan_row.state == PlanState.FAILED
    assert "2.0" in plan_row.output
    assert "canary" not in plan_row.output
