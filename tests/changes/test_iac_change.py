"""A plan that a change carries out: bound to its file, applied only while that is being implemented in its window."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.changes.conftest import applied, approved, configured, planned
from tongchou.changes import control_reads, iac_applying, iac_change
from tongchou.changes.models_control import Change, ChangeState
from tongchou.changes.models_iac import Plan, PlanState
from tongchou.core.access import Actor
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stub")]


@pytest.fixture
def plan(folder: Path, operator_actor: Actor, approver_actor: Actor) -> Plan:
    """An approved plan."""
    change = {"actions": ["update"], "before": {"x": 1}, "after": {"x": 2}}
    found = [{"address": "a.b", "type": "a", "mode": "managed", "change": change}]
    (folder / "plan.json").write_text(json.dumps({"format_version": "1.2", "resource_changes": found}))
    row = planned(configured(folder), operator_actor)
    approved(row, operator_actor, approver_actor)
    return row


def test_a_change_is_made_once_and_bound_to_the_plan_file(plan: Plan, operator_actor: Actor) -> None:
    change = iac_change.make_change(actor=operator_actor, plan=plan)
    assert change.bound == [{"what": "plan", "ref": ref(plan), "sha256": plan.sha256}]
    assert iac_change.make_change(actor=operator_actor, plan=plan) == change
    assert Change.objects.count() == 1
    assert plan.name in change.title


@pytest.mark.parametrize("wrong", ["state", "early", "over", "window", "bound", "agreed", ""])
def test_it_is_applied_only_while_the_change_is_being_implemented(
    wrong: str, plan: Plan, operator_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = iac_change.make_change(actor=operator_actor, plan=plan)
    now = timezone.now()
    begins, ends = now - timedelta(minutes=5), now + timedelta(minutes=5)
    fields: dict[str, Any] = {"state": ChangeState.IMPLEMENT, "starts_at": begins, "ends_at": ends}
    fields |= {
        "state": {"state": ChangeState.SCHEDULED},
        "early": {"state": ChangeState.IMPLEMENT, "starts_at": now + timedelta(minutes=1)},
        "over": {"ends_at": now - timedelta(seconds=1)},
        "window": {"ends_at": None},
        "bound": {"bound": [{"what": "plan", "ref": ref(plan), "sha256": "0" * 64}]},
    }.get(wrong, {})
    Change.objects.filter(pk=change.pk).update(**fields)
    monkeypatch.setattr(control_reads, "is_agreed", lambda _change: wrong != "agreed")
    if wrong:
        with pytest.raises(Conflict, match=r"plan\.change"):
            iac_applying.apply_plan(actor=operator_actor, plan=plan)
        plan.refresh_from_db()
        assert plan.state == PlanState.READY
    else:
        assert applied(plan, operator_actor).state == PlanState.APPLIED
