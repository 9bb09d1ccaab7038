"""The evaluator's loop, and one evaluation against the real store."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from tests.alerting.conftest import START, Evaluations, Store
from tongchou.alerting import actions, apply, duties, groups
from tongchou.alerting.duties import Evaluator, GroupMemory, evaluate_group, load_groups
from tongchou.alerting.evaluate import RuleView, may_read
from tongchou.alerting.models import Alert, AlertGroup, Rule, RuleGroup
from tongchou.core import settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Event
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.reads import instant_vector
from tongchou.telemetry.series import SeriesBlock, labels_of

RULE = "alert: Down\nexpr: up == 0\nfor: 2s\nlabels: {severity: page}"
SAMPLE = ({"__name__": "up", "job": "orders"}, 0.0)


class Pool:
    """Takes work and does it only when told."""

    def __init__(self) -> None:
        self.given: list[tuple[str, float]] = []
        self.futures: list[Future[None]] = []

    def submit(self, _function: object, group: Any, _memory: object, at: float) -> Future[None]:
        self.given.append((group.name, at))
        self.futures.append(Future())
        return self.futures[-1]


def tick(evaluator: Evaluator, pool: Pool, now: float) -> None:
    evaluator.tick(pool, now)  # type: ignore[arg-type]  # the part of an executor that is used


@pytest.fixture
def pool(db: None, operator_actor: Actor, rules: Callable[..., str], store: Store) -> Pool:
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    return Pool()


def test_a_group_runs_once_an_interval_at_its_own_offset(pool: Pool) -> None:
    evaluator = Evaluator()
    for number in range(50):
        tick(evaluator, pool, START + number * 0.1)
        if pool.futures and not pool.futures[-1].done():
            pool.futures[-1].set_result(None)
    times = [at for _name, at in pool.given]
    assert len(times) in (5, 6)
    assert [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)] == [1.0] * (len(times) - 1)


def test_times_that_pass_during_an_evaluation_are_counted_as_missed(pool: Pool) -> None:
    evaluator = Evaluator()
    for number in range(40):
        tick(evaluator, pool, START + number * 0.1)
    assert len(pool.given) == 1
    pool.futures[0].set_result(None)
    for number in range(40, 60):
        tick(evaluator, pool, START + number * 0.1)
    memory = next(iter(evaluator._memory.values()))
    assert len(pool.given) == 2
    assert memory.missed == 3


def test_a_fault_of_one_group_does_not_stop_it_for_good(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Evaluator()
    tick(evaluator, pool, START)
    tick(evaluator, pool, START + 1)
    pool.futures[-1].set_exception(ZeroDivisionError("a fault of ours"))
    given = len(pool.given)
    tick(evaluator, pool, START + 2)
    assert len(pool.given) == given + 1
    assert "failed" in caplog.text


def test_missed_times_and_duration_are_shown(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store
) -> None:
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    memory = GroupMemory(missed=4)
    evaluate_group(load_groups()[0], memory, START)
    group = RuleGroup.objects.get()
    assert (group.missed_iterations, group.evaluated_at.timestamp() if group.evaluated_at else 0) == (4, START)
    assert group.duration_seconds is not None


def test_groups_without_an_interval_take_the_setting(
    db: None, operator_actor: Actor, admin_actor: Actor, store: Store
) -> None:
    actions.put_rule_file(actor=operator_actor, name="f", text="groups:\n- name: g\n  rules: [{alert: A, expr: up}]\n")
    assert load_groups()[0].interval_seconds == 15.0
    settings_store.put(actor=admin_actor, key="alerting.evaluation_interval_seconds", value=60)
    assert load_groups()[0].interval_seconds == 60.0


def test_killed_in_the_middle_of_writing_nothing_happened_and_the_next_time_it_does(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    store.answers["up == 0"] = [SAMPLE]
    evaluations.at(0)
    real = groups._resolve

    def killed(*_args: object) -> None:
        raise OperationalError("killed")

    monkeypatch.setattr(groups, "_resolve", killed)
    with pytest.raises(OperationalError):
        evaluations.at(2)
    assert Alert.objects.get().state == "pending"
    assert not AlertGroup.objects.exists()
    assert not Event.objects.filter(verb__startswith="alert.").exists()
    monkeypatch.setattr(groups, "_resolve", real)
    evaluations.restart()
    for second in (3, 4):
        evaluations.at(second)
    assert Alert.objects.get().state == "firing"
    assert Event.objects.filter(verb="alert.group_opened").count() == 1


def test_quiet_evaluations_write_nothing(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    evaluations.at(0)
    view = load_groups()[0]
    memory = next(iter(evaluations.memory.values()))
    with django_assert_max_num_queries(1):
        evaluate_group(view, memory, START + 1)


def test_a_thousand_pending_alerts_are_written_in_few_queries(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, django_assert_max_num_queries: Any
) -> None:
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    store.answers["up == 0"] = [({"instance": str(number)}, 0.0) for number in range(1000)]
    with django_assert_max_num_queries(60):
        evaluate_group(load_groups()[0], GroupMemory(), START)
    assert Alert.objects.count() == 1000


def test_two_evaluators_at_once_tell_an_alert_once(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    store.answers["up == 0"] = [SAMPLE]
    evaluations.at(0)
    real, rival = apply.load_active, Evaluations()

    def overtaken(group_id: UUID) -> Any:
        found = real(group_id)
        monkeypatch.setattr(apply, "load_active", real)
        rival.at(
            2
        )  # a second evaluator, whose lease ran out without its knowing, writes between our read and our write
        return found

    monkeypatch.setattr(apply, "load_active", overtaken)
    evaluations.at(2)
    assert Event.objects.filter(verb="alert.fired").count() == 1
    store.answers["up == 0"] = []
    monkeypatch.setattr(apply, "load_active", overtaken)
    evaluations.at(3)
    assert Event.objects.filter(verb="alert.resolved").count() == 1
    assert Event.objects.filter(verb="alert.group_closed").count() == 1


def test_rules_after_a_recording_rule_read_what_it_wrote_in_few_writes(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    text = rules(
        "record: a:one\nexpr: up", "record: a:two\nexpr: up", "alert: Other\nexpr: down > 1",
        "alert: Reads\nexpr: a:one > 0", "alert: Reads2\nexpr: a:two > 0",
    )  # fmt: skip
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    store.answers["up"] = [SAMPLE]
    seen: list[tuple[str, int]] = []
    real = duties.instant_vector
    monkeypatch.setattr(
        duties, "instant_vector", lambda q, at, **_more: seen.append((q, len(store.written))) or real(q, at)
    )
    evaluations.at(0)
    assert seen == [("up", 0), ("up", 0), ("down > 1", 0), ("a:one > 0", 2), ("a:two > 0", 2)]


@pytest.mark.parametrize(
    ("expr", "reads"),
    [
        ("sum(a:b) > 1", True),
        ("a:bc > 1", False),
        ("rate(x[5m])", False),
        ('{job="x"}', True),
        ('sum({job="x"})', True),
        ('up{job="x"}', False),
        ('{__name__=~"a.*"}', True),
    ],
)
def test_tells_which_expressions_may_read_a_recorded_metric(expr: str, reads: bool) -> None:
    view = RuleView("alert", "A", expr, 0, 0, {}, {})
    assert may_read(view, {"a:b"}) is reads


def test_a_clock_set_back_does_not_stop_evaluation(pool: Pool) -> None:
    evaluator = Evaluator()
    tick(evaluator, pool, START + 7200)
    tick(evaluator, pool, START + 7201)
    given = len(pool.given)
    for number in range(3):
        for future in pool.futures:
            if not future.done():
                future.set_result(None)
        tick(evaluator, pool, START + number)
    assert len(pool.given) > given


def test_more_alerts_than_a_rule_may_have_fail_it(
    db: None, operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> None:
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(RULE))
    store.answers["up == 0"] = [({"n": str(number)}, 0.0) for number in range(10_001)]
    evaluations.at(0)
    assert not Alert.objects.exists()
    assert "aggregate" in Rule.objects.get().last_error


def series(name: str, at_ms: int, value: float, **labels: str) -> SeriesBlock:
    return SeriesBlock.build([(labels_of({"__name__": name, **labels}), [at_ms], [value])])


def test_only_rules_that_give_something_are_asked_one_by_one(
    db: None, telemetry_db: Telemetry, operator_actor: Actor, rules: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time() * 1000)
    for number in range(12):
        append(series(f"up{number}", now, float(number != 5), job="orders"), actor=system("tests"))
    text = rules(
        *(f"alert: Down{number}\nexpr: up{number} == 0" for number in range(12)),
        "record: down:sum\nexpr: sum by (job) (up5 == bool 0)",
        *(f"alert: Much{number}\nexpr: down:sum > {number}" for number in range(3)),
    )
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    asked: list[str] = []

    def ask(query: str, *at: Any, **shared: Any) -> Any:
        asked.append(query)
        return instant_vector(query, *at, **shared)

    monkeypatch.setattr(duties, "instant_vector", ask)
    memory = GroupMemory()
    for second in (1, 2):
        asked.clear()
        evaluate_group(load_groups()[0], memory, now / 1000 + second)
        assert asked == ["up5 == 0", "sum by (job) (up5 == bool 0)", "down:sum > 0"]
    assert sorted(Alert.objects.values_list("name", "state")) == [("Down5", "firing"), ("Much0", "firing")]
    assert set(Rule.objects.values_list("health", flat=True)) == {"ok"}
    assert Rule.objects.filter(duration_seconds=Rule.objects.get(name="Down0").duration_seconds).count() == 11
    append(series("up5", now + 2500, 1.0, job="orders"), actor=system("tests"))
    evaluate_group(load_groups()[0], memory, now / 1000 + 3)
    assert set(Alert.objects.values_list("state", flat=True)) == {"resolved"}


@pytest.mark.django_db(transaction=True)
def test_a_real_duty_fires_on_a_real_store(
    telemetry_db: Telemetry, operator_actor: Actor, rules: Callable[..., str]
) -> None:
    tests = system("tests")
    text = rules(
        "record: job:up:min\nexpr: min by (job) (up)",
        "alert: Down\nexpr: job:up:min == 0\nfor: 1s\nlabels: {service: '{{ $labels.job }}'}\n"
        'annotations: {summary: \'{{ with query "up" }}{{ . | first | label "job" }}{{ end }} is {{ $value }}\'}',
    )
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    append(series("up", int(time.time() * 1000), 0.0, job="orders", instance="a:1"), actor=tests)
    stop = threading.Event()

    def hold() -> None:
        duties.run(stop)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        wait_until(lambda: AlertGroup.objects.filter(state="open").exists())
        wait_until(lambda: bool(instant_vector('ALERTS{alertstate="firing"}')))
        append(series("up", int(time.time() * 1000), 1.0, job="orders", instance="a:1"), actor=tests)
        wait_until(lambda: AlertGroup.objects.filter(state="closed").exists())
        wait_until(lambda: not instant_vector("ALERTS"))
    finally:
        stop.set()
        thread.join()
    alert = Alert.objects.get()
    assert (alert.state, alert.annotations) == ("resolved", {"summary": "orders is 0"})
    assert AlertGroup.objects.get().key == '{service="orders"}'
    assert [rule.health for rule in Rule.objects.all()] == ["ok", "ok"]
    assert [sample.value for sample in instant_vector("job:up:min")] == [1.0]


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
