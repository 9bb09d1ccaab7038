"""The gate: every reason is told, only an emergency overrides a no, and what is not known is never a yes by silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.changes.test_control import agree, draft, of_team, people
from tests.conftest import make_user
from tongchou.alerting.models import Objective
from tongchou.changes import control, control_work, gate, gate_actions, gate_reads, observed
from tongchou.changes.actions import record_deployment
from tongchou.changes.deployment import read
from tongchou.changes.gate import BudgetLeft, Facts, Rule, Stop, decide
from tongchou.changes.models_control import GateAnswer
from tongchou.changes.models_drift import Drift
from tongchou.core import calendars
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Event, Role
from tongchou.core.problems import AccessDenied, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

TESTS = system("tests")
INCIDENT = "incidents.incident:00000000-0000-4000-8000-000000000001"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STOPS = st.lists(
    st.builds(Stop, st.sampled_from(["a:1", "b:2"]), st.just("x"), st.none(), st.sampled_from(["", "a:1"])), max_size=2
)
FACTS = st.builds(
    Facts,
    known=st.booleans(),
    rule=st.builds(
        Rule, st.just("r"), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1]), st.sampled_from([0.2, 0.5])
    ),
    freezes=STOPS,
    holds=STOPS,
    has_windows=st.booleans(),
    in_window=st.booleans(),
    budgets=st.lists(
        st.builds(BudgetLeft, st.just("s:1"), st.just("slo"), st.none() | st.floats(-1, 1), st.booleans()), max_size=2
    ),
    under=STOPS,
    broke_glass=STOPS,
)  # fmt: skip


def test_a_hold_of_an_incident_is_told_with_the_incident_and_what_to_do() -> None:
    by = "incidents.incident:00000000-0000-4000-8000-000000000001"
    holds = [Stop("inventory.hold:1", "INC-7 checkout fails", by=by), Stop("inventory.hold:2", "stocktaking", by="ann")]
    found = decide(Facts(known=True, rule=Rule("r"), holds=holds))
    first, second = found.reasons
    assert not found.allowed
    assert (gate.because_of(first), first.params["by"]) == (by, by)
    assert (gate.because_of(second), "by" in second.params) == ("inventory.hold:2", False)
    with translation.override("en"):
        assert gate.in_words(first.as_json()) == "It is on hold: INC-7 checkout fails."
        assert "lifted when the incident is mitigated" in gate.remedy_of(first.as_json())
        assert gate.remedy_of(second.as_json()).startswith("Ask who placed it")


@settings(max_examples=200)
@given(FACTS)
def test_it_is_no_exactly_when_a_reason_says_so_and_no_emergency_overrides_it(facts: Facts) -> None:
    found = decide(facts)
    against = [each for each in found.reasons if each.weight == gate.DENY]
    assert found.allowed == (not against or bool(facts.broke_glass))
    assert found.overridden == bool(against and facts.broke_glass)
    if facts.freezes or any(each.left is not None and each.left <= 0 for each in facts.budgets):
        assert against
    if facts.rule.needs_change and not facts.under:
        assert "no_change" in {each.code for each in against}
    if not facts.known:
        assert "unknown_service" in {each.code for each in found.reasons}
    for language in ("en", "zh-hans"):
        with translation.override(language):
            assert all("%(" not in gate.in_words(each.as_json()) for each in found.reasons)
            assert all(gate.remedy_of(each.as_json()) for each in against)


def service(**more: Any) -> Resource:
    return inventory.create_resource(actor=TESTS, kind="service", name="orders", **more)


def codes(**more: Any) -> set[str]:
    _row, verdict = gate_actions.ask(actor=TESTS, service="orders", **more)
    return {each.code for each in verdict.reasons if each.weight == gate.DENY}


@pytest.mark.both_databases
@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_freezes_holds_windows_and_budgets_say_no() -> None:
    boss = actor_for_user(make_user("boss", Role.ADMIN))
    orders = service()
    assert codes() == set()
    freeze = calendars.put_window(
        actor=boss, name="sale", kind="freeze", starts_at="2026-03-02T00:00", duration_seconds=86_400, time_zone="UTC"
    )
    assert codes() == {"freeze"}
    calendars.end_window(actor=boss, row=freeze)
    hold = inventory.place_hold(actor=TESTS, resource=orders, kind="deployment", reason="INC-1 is open")
    assert codes() == {"hold"}
    inventory.lift_hold(actor=TESTS, hold=hold)
    gate_actions.put_rule(actor=boss, name="prod", environment="production", needs_window=True, least_budget=0.2)
    assert codes(environment="production") == set()  # no window is defined: a warning, no refusal
    calendars.put_window(
        actor=boss, name="nights", kind="maintenance", starts_at="2026-03-01T20:00", duration_seconds=3600,
        time_zone="UTC", rule="FREQ=DAILY", about=[ref(orders)],
    )  # fmt: skip
    assert codes(environment="production") == {"outside_window"}
    assert codes() == set()
    Objective.objects.create(
        name="orders-ok", title={}, service="orders", error_query="x", total_query="y", target=0.99,
        window_seconds=3600, min_events=0, min_errors=0, measured_at=NOON, measured={"budget": {"left_ratio": 0.1}},
    )  # fmt: skip
    assert codes(environment="production") == {"outside_window", "budget_spent"}
    assert codes() == set()  # the rule of another environment asks less
    Objective.objects.update(measured={"budget": {"left_ratio": -0.1}, "without": {"left_ratio": 0.3}})
    assert codes(environment="production") == {"outside_window"}  # what changes cost is left out
    Objective.objects.update(measured_at=NOON - timedelta(hours=2))
    _row, verdict = gate_actions.ask(actor=TESTS, service="orders")
    assert "budget_unknown" in {each.code for each in verdict.reasons}


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_a_change_opens_it_and_breaking_the_glass_is_a_change_that_is_reviewed() -> None:
    boss = actor_for_user(make_user("boss", Role.ADMIN))
    asks, agrees = people()
    orders = service()
    gate_actions.put_rule(actor=boss, name="all", needs_change=True)
    assert codes() == {"no_change"}
    row = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([orders]))), agrees)
    assert codes() == {"no_change"}  # agreed on is not begun
    control_work.begin(actor=asks, change=row)
    assert codes() == set()
    control_work.finish(actor=asks, change=row, backed_out=True)
    assert codes() == {"no_change"}
    made = gate_actions.break_glass(actor=asks, service="orders", reason="it burns", minutes=30)
    answer, verdict = gate_actions.ask(actor=TESTS, service="orders", version="1.2")
    assert (verdict.allowed, verdict.overridden, answer.overridden) == (True, True, True)
    event = Event.objects.get(verb="gate.overridden")
    assert (event.payload["against"], event.payload["version"]) == (["no_change"], "1.2")
    with time_machine.travel(NOON + timedelta(minutes=31), tick=False):
        assert codes() == {"no_change"}
    control_work.finish(actor=asks, change=made)
    with pytest.raises(AccessDenied):
        control_work.close(actor=asks, change=made, outcome="successful", review="")
    shares = gate_reads.shares(TESTS, NOON - timedelta(days=1))
    assert shares == {"asked": GateAnswer.objects.count(), "refused": 4, "overridden": 1}


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_who_works_for_the_team_of_a_service_may_break_the_glass_for_it_and_no_other() -> None:
    ours, team = of_team("ours")
    theirs, _other = of_team("theirs")
    service(owner=team)
    with pytest.raises(AccessDenied):
        gate_actions.break_glass(actor=theirs, service="orders", reason="it burns")
    made = gate_actions.break_glass(actor=ours, service="orders", reason="it burns")
    assert (made.state, made.team) == ("implement", team)


@pytest.mark.django_db
def test_what_is_not_known_is_said_and_what_is_wrong_is_refused() -> None:
    _row, verdict = gate_actions.ask(actor=TESTS, service="nobody")
    assert [each.code for each in verdict.reasons] == ["unknown_service"]
    viewer = actor_for_user(make_user("reads", Role.VIEWER))
    assert gate_actions.ask(actor=viewer, service="nobody")[0].asked_by_name == "reads"
    with pytest.raises(AccessDenied):
        gate_actions.break_glass(actor=viewer, service="nobody", reason="x")
    with pytest.raises(NotFound):
        gate_actions.break_glass(actor=TESTS, service="nobody", reason="x")
    for wrong in ({"least_budget": 1.5}, {"position": -1}, {"name": " "}):
        with pytest.raises(Invalid):
            gate_actions.put_rule(actor=TESTS, **({"name": "x"} | wrong))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_a_deployment_under_no_change_waits_to_be_explained_where_one_is_wanted() -> None:
    boss = actor_for_user(make_user("boss", Role.ADMIN))
    asks, agrees = people()
    orders = service()

    def deploy(version: str) -> bool:
        at = (NOON - timedelta(minutes=9 - int(version))).isoformat()
        fields = {"service": "orders", "version": version, "delivery_id": version, "finished_at": at}
        report = read(fields, now=NOON)
        row, _new = record_deployment(actor=TESTS, source="ci", report=report)
        return observed.deployed(row=row)

    assert not deploy("1")  # no rule wants a change
    gate_actions.put_rule(actor=boss, name="all", needs_change=True)
    assert deploy("2")
    row = Drift.objects.get()
    assert (row.state, row.expected, row.observed, row.resource_id) == ("open", "1", "2", orders.pk)
    assert deploy("2")
    assert Drift.objects.count() == 1
    Drift.objects.all().delete()
    change = agree(control.ask(actor=asks, change=control.create(actor=asks, draft=draft([orders]))), agrees)
    control_work.begin(actor=asks, change=change)
    assert deploy("3")
    explained = Drift.objects.get()
    assert (explained.state, explained.change_ref) == ("with_change", ref(change))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("placed", "because", "begins", "collides"),
    [
        ({"opened_by": INCIDENT}, "", timedelta(minutes=-5), True),
        ({"opened_by": INCIDENT}, "", timedelta(days=1), False),  # long over by then
        ({"opened_by": INCIDENT}, INCIDENT, timedelta(minutes=-5), False),  # the fix of what it answers
        ({}, "", timedelta(days=1), True),
        ({"until": NOON + timedelta(hours=2)}, "", timedelta(hours=1), True),
        ({"until": NOON + timedelta(hours=2)}, "", timedelta(hours=3), False),
    ],
)
def test_a_hold_is_a_collision_of_the_windows_it_is_in(
    placed: dict[str, Any], because: str, begins: timedelta, collides: bool
) -> None:
    with time_machine.travel(NOON, tick=False):
        asks, _agrees = people()
        service = inventory.create_resource(actor=TESTS, kind="service", name="orders")
        inventory.place_hold(actor=TESTS, resource=service, kind="deployment", reason="INC-7", **placed)
        window = {"starts_at": NOON + begins, "ends_at": NOON + begins + timedelta(hours=1)}
        row = control.create(actor=asks, draft=draft([service], because=because, **window))
        assessed = control.assess(actor=asks, change=row)
        assert ([each["kind"] for each in assessed.conflicts] == ["hold"]) == collides
