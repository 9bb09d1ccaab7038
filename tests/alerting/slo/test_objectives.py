"""Objectives on a real store: put, measure, alert through the ordinary rules, say how many errors are left, delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.alerting.conftest import START
from tests.alerting.slo.test_rules import SPEC
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups
from tongchou.alerting.models import Alert, Objective, RuleFile
from tongchou.alerting.slo import actions, reads
from tongchou.core import ledger
from tongchou.core.access import Actor, system
from tongchou.core.problems import AccessDenied, Invalid, NotFound
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Hold
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.series import SeriesBlock, labels_of

pytestmark = pytest.mark.django_db
HOUR = 3600
SHORT = dataclasses.replace(SPEC, window_seconds=30 * HOUR, target=0.99)  # 150 s / 12 s, 15 min / 75 s, ...
Write = Callable[[float, Callable[[int], float], Callable[[int], float]], None]


@pytest.fixture
def write(telemetry_db: Telemetry) -> Write:
    """Write `seconds` of counters that end at START, every 5 s: events and errors a second as functions of the second."""

    def make(seconds: float, events: Callable[[int], float], errors: Callable[[int], float]) -> None:
        times = list(range(int(START - seconds), int(START) + 1, 5))
        rows = []
        for code, rate in (("200", lambda at: events(at) - errors(at)), ("503", errors)):
            total, values = 0.0, []
            for at in times:
                total += 5 * rate(at - int(START))
                values.append(total)
            labels = labels_of({"__name__": "http_requests_total", "service": "orders", "code": code})
            rows.append((labels, [at * 1000 for at in times], values))
        append(SeriesBlock.build(rows), actor=system("tests"))

    return make


def at() -> datetime:
    return datetime.fromtimestamp(START, UTC)


def test_a_quiet_service_meets_its_objective(write: Write) -> None:
    write(2 * HOUR, lambda _at: 10.0, lambda _at: 0.01)
    found = reads.measure(SHORT, at())
    assert found.budget.state == "met"
    assert found.budget.events == pytest.approx(72_000, rel=0.02)
    assert found.budget.errors == pytest.approx(72, rel=0.05)
    assert found.budget.left_ratio == pytest.approx(0.9, abs=0.01)
    assert found.budget.covered == pytest.approx(2 / 30, abs=0.01)
    assert [burn.fires for burn in found.burns] == [False] * 4
    assert found.burns[0].long_rate == pytest.approx(0.1, rel=0.05)
    known = [point.left_ratio for point in found.points if point.left_ratio is not None]
    assert known == sorted(known, reverse=True)


def test_no_sample_is_no_data(telemetry_db: Telemetry) -> None:
    found = reads.measure(SHORT, at())
    assert found.budget.state == "no_data"
    assert found.budget.left is None
    assert [burn.long_rate for burn in found.burns] == [None] * 4


def test_requests_without_an_error_series_are_no_data_unless_the_author_says_zero(
    telemetry_db: Telemetry, write: Write
) -> None:
    write(HOUR, lambda _at: 10.0, lambda _at: 0.0)
    unsure = dataclasses.replace(SHORT, error_query="sum(increase(misspelt_total[$window]))")
    assert reads.measure(unsure, at()).budget.state == "no_data"
    assert reads.measure(SHORT, at()).budget.state == "met"


def test_a_fault_pages_through_the_ordinary_rules_and_ends_with_them(write: Write, operator_actor: Actor) -> None:
    write(2 * HOUR, lambda _at: 10.0, lambda second: 4.0 if second > -60 else 0.01)
    actions.put_objective(actor=operator_actor, spec=SHORT)
    for group in load_groups():
        evaluate_group(group, GroupMemory(), START)
    firing = Alert.objects.filter(state="firing")
    assert {alert.labels["long_window"] for alert in firing} == {
        reads_window for reads_window, on in zip(("2m30s", "15m", "1h", "3h"), _fires(), strict=True) if on
    }
    page = firing.get(labels__long_window="2m30s")
    assert page.severity == "critical"
    assert page.labels["service"] == "orders"
    left = reads.measure(SHORT, at()).budget.left
    assert left is not None
    said = int(str(page.annotations["description"]).split(" errors left this 1d6h")[0])
    assert said == pytest.approx(left, rel=0.1)
    assert reads.firing([SHORT.name])[SHORT.name] == list(firing.order_by("active_at", "id"))


def _fires() -> list[bool]:
    return [burn.fires for burn in reads.measure(SHORT, at()).burns]


def test_measuring_keeps_figures_for_lists_and_a_bad_objective_does_not_stop_the_rest(
    write: Write, operator_actor: Actor
) -> None:
    write(HOUR, lambda _at: 10.0, lambda _at: 0.01)
    actions.put_objective(actor=operator_actor, spec=SHORT)
    broken = "sum(increase(http_requests_total[$window])) + on() http_requests_total"
    actions.put_objective(actor=operator_actor, spec=dataclasses.replace(SHORT, name="broken", total_query=broken))
    assert actions.measure_all(actor=system("objectives"), at=at()) == 2
    assert Objective.objects.get(name=SHORT.name).measured["budget"]["state"] == "met"
    assert Objective.objects.get(name="broken").measured["error"]


@pytest.mark.both_databases
def test_putting_the_same_objective_again_changes_nothing(operator_actor: Actor) -> None:
    row = actions.put_objective(actor=operator_actor, spec=SPEC)
    again = actions.put_objective(actor=operator_actor, spec=SPEC)
    assert (again.pk, again.updated_at) == (row.pk, row.updated_at)
    assert len(ledger.events(verbs=["alerting.objective_changed"])) == 1
    assert RuleFile.objects.get().name == "slo-orders-answers"


@pytest.mark.both_databases
def test_a_changed_target_forgets_what_was_measured_and_changes_the_rules(operator_actor: Actor) -> None:
    actions.put_objective(actor=operator_actor, spec=SPEC)
    Objective.objects.update(measured={"budget": {}}, measured_at=at())
    row = actions.put_objective(actor=operator_actor, spec=dataclasses.replace(SPEC, target=0.99))
    row.refresh_from_db()
    assert (row.measured, row.measured_at) == ({}, None)
    assert "> 0.144" in RuleFile.objects.get().text


@pytest.mark.both_databases
def test_deleting_takes_the_rules_along(operator_actor: Actor) -> None:
    actions.put_objective(actor=operator_actor, spec=SPEC)
    actions.delete_objective(actor=operator_actor, name=SPEC.name)
    assert not Objective.objects.exists()
    assert not RuleFile.objects.exists()
    with pytest.raises(NotFound):
        actions.delete_objective(actor=operator_actor, name=SPEC.name)


def test_a_viewer_may_not_and_a_bad_query_is_refused_whole(viewer_actor: Actor, operator_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        actions.put_objective(actor=viewer_actor, spec=SPEC)
    with pytest.raises(Invalid) as refused:
        actions.put_objective(
            actor=operator_actor, spec=dataclasses.replace(SPEC, error_query="sum(increase(a[$window])")
        )
    assert refused.value.field == "error_query"
    assert not Objective.objects.exists()
    assert not RuleFile.objects.exists()


def test_the_time_of_a_change_is_told_with_and_without(write: Write) -> None:
    write(2 * HOUR, lambda _at: 10.0, lambda at: 2.0 if -1200 <= at < -600 else 0.01)
    at = datetime.fromtimestamp(START, UTC)
    spec = dataclasses.replace(SHORT, window_seconds=2 * HOUR)
    plain = reads.measure(spec, at)
    assert (plain.without, plain.excluded_seconds) == (None, 0.0)
    assert plain.budget.state == "missed"
    service = inventory.create_resource(actor=system("tests"), kind="service", name=spec.service)
    Hold.objects.create(
        resource=service, kind="slo_excluded", reason="CHG-1", opened_by="changes.change:1",
        opened_at=at - timedelta(seconds=1260), until=at - timedelta(seconds=540),
    )  # fmt: skip
    found = reads.measure(spec, at)
    assert found.excluded_seconds == 720
    assert found.budget == plain.budget  # what happened is not hidden
    assert found.without is not None
    assert found.without.state == "met"
    assert found.without.events == pytest.approx((plain.budget.events or 0) - 7200, rel=0.02)
    assert found.without.errors == pytest.approx(0.01 * (7200 - 720), rel=0.15)
