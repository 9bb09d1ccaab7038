"""A dry run: everything resolved, or every reason why not."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runbooks.test_procedure import GOOD, dump
from tongchou.runbooks import procedure
from tongchou.runbooks.plan import Execution, Plan, judge, make_plan
from tongchou.runbooks.planned import Target

A = Target("inventory.resource:a", "database", "db-a", {"role": "standby"}, {"control_url": "http://a:1"})
B = replace(A, ref="inventory.resource:b", name="db-b", attributes={"control_url": "http://b:2/"})
ON = Execution(enabled=True, targets=("*",))


def plan(**more: Any) -> Plan:
    given: dict[str, Any] = {
        "params": {"version": "1.2"},
        "targets": [A],
        "incident_number": None,
        "execution": ON,
        "secret_names": ["control"],
        "inspect": {"http": lambda _kind, _step: []},
    }
    return make_plan(procedure.parse(dump(more.pop("data", GOOD))), **{**given, **more})


def codes(found: Plan) -> list[str]:
    return [reason.code for reason in found.refusals]


def test_every_step_is_resolved_target_by_target_and_secrets_stay_closed() -> None:
    found = plan(targets=[A, B])
    assert codes(found) == []
    assert [(step.name, step.target_name) for step in found.steps] == [
        (name, target) for target in ("db-a", "db-b") for name in ("look", "sure", "do", "wait")
    ]
    assert [step.input["url"] for step in found.steps if step.kind == "http"] == [
        "http://a:1/promote",
        "http://b:2/promote",
    ]
    http = found.steps[2].input
    assert http["body"] == {"version": "1.2", "n": 1}
    assert http["headers"] == {"Authorization": "Bearer ${secret.control}"}
    assert found.steps[0].input["query"] == "rate(x[5m])"
    assert [check.query for check in found.checks] == ['up{job="db-a"} == 0', 'up{job="db-b"} == 0']


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"execution": Execution(enabled=False, targets=("*",))}, "execution_off"),
        ({"execution": Execution(enabled=True, targets=("db-z", "role=primary"))}, "target_not_allowed"),
        ({"targets": []}, "no_target"),
        ({"targets": [A, A]}, "target_twice"),
        ({"targets": [A, B, replace(A, ref="inventory.resource:c")]}, "too_many_targets"),
        ({"targets": [replace(A, active=False)]}, "target_gone"),
        ({"params": {}}, "parameter_missing"),
        ({"params": {"version": "1.2", "extra": 1}}, "parameter_unknown"),
        ({"params": {"version": "1.2; rm"}}, "parameter_wrong"),
        ({"params": {"version": "1.2", "count": True}}, "parameter_wrong"),
        ({"params": {"version": "1.2", "count": "3"}}, "parameter_wrong"),
        ({"params": {"version": 1.2}}, "parameter_wrong"),
        ({"params": {"version": "1.2", "mode": "reckless"}}, "parameter_wrong"),
        ({"params": {"version": "1.2", "window": "5 minutes"}}, "parameter_wrong"),
        ({"targets": [replace(A, attributes={})]}, "template"),
        ({"secret_names": []}, "secret_missing"),
        ({"inspect": {}}, "kind_unknown"),
        ({"inspect": {"http": lambda _kind, _step: ["no"]}}, "step_refused"),
    ],
)
def test_a_plan_says_why_not(more: dict[str, Any], code: str) -> None:
    found = plan(**more)
    assert code in codes(found)
    assert all(str(reason) and "%(" not in str(reason) for reason in found.refusals)


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("db-a", True),
        ("role=standby", True),
        ("kind=database, role=standby", True),
        ("kind=cache,role=standby", False),
        ("role", False),
        ("role=", False),
        ("", False),
        ("=", False),
        ("db-", False),
        ("*", True),
    ],
)
def test_a_target_is_allowed_by_name_or_by_every_label_of_a_selector(entry: str, allowed: bool) -> None:
    assert Execution(enabled=True, targets=(entry,)).allows(A) is allowed


def test_the_switches_do_not_bind_a_procedure_that_only_reads() -> None:
    data = {**GOOD, "grade": "read", "steps": GOOD["steps"][:2], "max_targets": 0, "preconditions": []}
    del (data := copy.deepcopy(data))["steps"][1]
    assert codes(plan(data=data, targets=[], execution=Execution())) == []


def test_an_incident_number_is_there_or_the_plan_says_so() -> None:
    data = copy.deepcopy(GOOD)
    data["steps"][2]["http"]["body"] = {"incident": "${incident.number}"}
    assert codes(plan(data=data)) == ["template"]
    assert plan(data=data, incident_number=12).steps[2].input["body"] == {"incident": 12}


def test_the_hash_covers_procedure_parameters_targets_and_what_they_resolve_to() -> None:
    base = plan()
    assert base.content_hash == plan().content_hash
    moved = replace(A, attributes={"control_url": "http://elsewhere:1"})
    others = [
        plan(params={"version": "1.3"}),
        plan(targets=[B]),
        plan(targets=[moved]),
        plan(targets=[replace(A, name="renamed")]),
        plan(data={**GOOD, "max_targets": 3}),
        plan(data={**GOOD, "preconditions": []}),
    ]
    assert len({base.content_hash, *(other.content_hash for other in others)}) == 7


@given(st.lists(st.floats(), max_size=4))
def test_a_precondition_is_judged_by_values_and_nothing_is_not_a_yes(values: list[float]) -> None:
    checks = plan().checks
    assert bool(judge(checks, [values])) == (not values)
    assert [reason.code for reason in judge(checks, ["the store is gone"])] == ["precondition_unknown"]
