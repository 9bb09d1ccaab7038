"""Rules evaluated into alerts, groups, events and series, on the database."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from tests.alerting.conftest import START, Evaluations, Store
from tongchou.alerting import actions, reads
from tongchou.alerting.models import Alert, AlertGroup, Rule, RuleGroup
from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import Invalid
from tongchou.core.refs import ref
from tongchou.telemetry.series import is_stale

pytestmark = pytest.mark.both_databases

DOWN = """alert: InstanceDown
expr: up == 0
for: 5s
labels: {severity: critical, service: "{{ $labels.job }}"}
annotations: {summary: "{{ $labels.instance }} of {{ $labels.job }} is down, value {{ $value }}"}
"""
SAMPLE = ({"__name__": "up", "job": "orders", "instance": "a:1"}, 0.0)

Rules = Callable[..., str]


def verbs(prefix: str = "alert.") -> list[str]:
    return list(Event.objects.filter(verb__startswith=prefix).order_by("pk").values_list("verb", flat=True))


@pytest.fixture
def down(db: None, operator_actor: Actor, rules: Rules, store: Store) -> Store:
    actions.put_rule_file(actor=operator_actor, name="shop.yml", text=rules(DOWN))
    store.answers["up == 0"] = [SAMPLE]
    return store


def test_a_rule_file_becomes_a_firing_alert_in_an_open_group(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    pending = Alert.objects.get()
    assert (pending.state, pending.group, verbs()) == ("pending", None, [])
    evaluations.at(4)
    assert Alert.objects.get().state == "pending"
    evaluations.at(5)
    alert = Alert.objects.get()
    assert alert.state == "firing"
    assert alert.labels == {
        "alertname": "InstanceDown", "job": "orders", "instance": "a:1", "severity": "critical", "service": "orders",
    }  # fmt: skip
    assert alert.annotations == {"summary": "a:1 of orders is down, value 0"}
    assert alert.active_at.timestamp() == START
    group = AlertGroup.objects.get()
    assert (group.key, group.labels, group.state) == ('{service="orders"}', {"service": "orders"}, "open")
    assert alert.group == group
    assert verbs() == ["alert.fired", "alert.group_opened"]
    opened = Event.objects.get(verb="alert.group_opened")
    assert opened.subject == ref(group)
    assert opened.payload["started_at"] == alert.active_at.isoformat()
    assert opened.payload["alerts"][0]["alert"] == ref(alert)


def test_an_alert_that_goes_on_is_told_once(down: Store, evaluations: Evaluations) -> None:
    for second in range(20):
        evaluations.at(second)
    assert verbs() == ["alert.fired", "alert.group_opened"]
    assert Alert.objects.count() == 1


def test_the_end_of_the_last_alert_closes_the_group(down: Store, evaluations: Evaluations) -> None:
    for second in (0, 5):
        evaluations.at(second)
    down.answers["up == 0"] = []
    evaluations.at(6)
    alert, group = Alert.objects.get(), AlertGroup.objects.get()
    assert (alert.state, alert.resolved_at.timestamp() if alert.resolved_at else 0) == ("resolved", START + 6)
    assert group.state == "closed"
    assert verbs() == ["alert.fired", "alert.group_opened", "alert.resolved", "alert.group_closed"]


def test_an_alert_that_comes_back_is_a_new_occurrence_in_a_new_group(down: Store, evaluations: Evaluations) -> None:
    for second, samples in ((0, [SAMPLE]), (5, [SAMPLE]), (6, []), (7, [SAMPLE]), (12, [SAMPLE])):
        down.answers["up == 0"] = samples
        evaluations.at(second)
    assert sorted(Alert.objects.values_list("state", flat=True)) == ["firing", "resolved"]
    assert sorted(AlertGroup.objects.values_list("state", flat=True)) == ["closed", "open"]


def test_a_second_alert_of_the_service_joins_the_open_group(down: Store, evaluations: Evaluations) -> None:
    other = ({**SAMPLE[0], "instance": "b:1"}, 0.0)
    for second in (0, 5):
        evaluations.at(second)
    down.answers["up == 0"] = [SAMPLE, other]
    evaluations.at(6)
    evaluations.at(11)
    assert AlertGroup.objects.count() == 1
    assert verbs() == ["alert.fired", "alert.group_opened", "alert.fired", "alert.group_changed"]
    down.answers["up == 0"] = [other]
    evaluations.at(12)
    assert AlertGroup.objects.get().state == "open"
    down.answers["up == 0"] = []
    evaluations.at(13)
    assert AlertGroup.objects.get().state == "closed"


def test_pending_that_goes_away_leaves_nothing(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    down.answers["up == 0"] = []
    evaluations.at(1)
    assert not Alert.objects.exists()
    assert verbs() == []


def test_for_goes_on_after_a_restart_in_the_middle(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    evaluations.at(3)
    evaluations.restart()
    evaluations.at(4)
    assert Alert.objects.get().state == "pending"
    evaluations.at(5)
    assert Alert.objects.get().state == "firing"


def test_a_pause_does_not_count_towards_for(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    evaluations.at(3)
    evaluations.restart()
    evaluations.at(60)
    assert Alert.objects.get().state == "pending"
    evaluations.at(62)
    assert Alert.objects.get().state == "firing"


def test_after_more_than_an_hour_for_begins_again(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    evaluations.at(4)
    evaluations.restart()
    evaluations.at(4000)
    evaluations.at(4004)
    assert Alert.objects.get().state == "pending"
    evaluations.at(4005)
    assert Alert.objects.get().state == "firing"


def test_a_firing_alert_survives_a_restart_without_a_second_event(down: Store, evaluations: Evaluations) -> None:
    for second in (0, 5):
        evaluations.at(second)
    evaluations.restart()
    evaluations.at(9)
    assert Alert.objects.get().state == "firing"
    assert verbs() == ["alert.fired", "alert.group_opened"]


def test_after_a_long_stop_nothing_is_resolved_before_data_can_be_back(down: Store, evaluations: Evaluations) -> None:
    for second in (0, 5):
        evaluations.at(second)
    evaluations.restart()
    down.answers["up == 0"] = []
    evaluations.at(1000)
    assert Alert.objects.get().state == "firing"
    evaluations.at(1061)
    assert Alert.objects.get().state == "resolved"


def test_the_series_of_prometheus_are_written_and_ended(down: Store, evaluations: Evaluations) -> None:
    evaluations.at(0)
    evaluations.at(5)
    down.answers["up == 0"] = []
    evaluations.at(6)
    by_name = [(labels["__name__"], labels.get("alertstate"), ts, v) for labels, ts, v in down.written]
    first = round(START * 1000)
    assert by_name[:2] == [("ALERTS", "pending", first, 1.0), ("ALERTS_FOR_STATE", None, first, START)]
    stale = [row for row in by_name if math.isnan(row[3])]
    assert [(row[:3]) for row in stale] == [
        ("ALERTS", "pending", first + 5000),
        ("ALERTS", "firing", first + 6000),
        ("ALERTS_FOR_STATE", None, first + 6000),
    ]
    assert all(is_stale(__import__("numpy").array([row[3]]))[0] for row in stale)


def test_a_rule_that_fails_is_visible_and_keeps_its_state(down: Store, evaluations: Evaluations) -> None:
    for second in (0, 5):
        evaluations.at(second)
    down.fail("up == 0")
    evaluations.at(6)
    rule, group = Rule.objects.get(), RuleGroup.objects.get()
    assert (rule.health, rule.last_error, group.last_error) == ("err", "the query failed", "the query failed")
    assert Alert.objects.get().state == "firing"
    down.answers["up == 0"] = [SAMPLE]
    evaluations.at(7)
    rule.refresh_from_db()
    assert (rule.health, rule.last_error) == ("ok", "")


def test_a_failing_rule_does_not_stop_the_others_of_its_group(
    db: None, operator_actor: Actor, rules: Rules, store: Store, evaluations: Evaluations
) -> None:
    text = rules("record: a:b\nexpr: broken", "alert: Now\nexpr: vector(1)")
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    store.fail("broken")
    store.answers["vector(1)"] = [({}, 1.0)]
    evaluations.at(0)
    assert Alert.objects.get().state == "firing"
    assert AlertGroup.objects.get().key == '{alertname="Now"}'


def test_equal_labels_after_templating_are_an_error_not_a_wrong_alert(
    db: None, operator_actor: Actor, rules: Rules, store: Store, evaluations: Evaluations
) -> None:
    text = rules('alert: Same\nexpr: up == 0\nlabels: {instance: "all"}')
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    store.answers["up == 0"] = [SAMPLE, ({**SAMPLE[0], "instance": "b:1"}, 0.0)]
    evaluations.at(0)
    assert not Alert.objects.exists()
    assert "same labelset" in Rule.objects.get().last_error


def test_a_recording_rule_writes_and_ends_its_series(
    db: None, operator_actor: Actor, rules: Rules, store: Store, evaluations: Evaluations
) -> None:
    text = rules("record: job:up:sum\nexpr: sum by (job) (up)\nlabels: {team: shop}")
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    store.answers["sum by (job) (up)"] = [({"job": "orders"}, 3.0), ({"job": "cache"}, 1.0)]
    evaluations.at(0)
    store.answers["sum by (job) (up)"] = [({"job": "orders"}, 2.0)]
    evaluations.at(1)
    at = round(START * 1000)
    assert ({"__name__": "job:up:sum", "job": "orders", "team": "shop"}, at, 3.0) in store.written
    ended = [labels["job"] for labels, ts, value in store.written if ts == at + 1000 and math.isnan(value)]
    assert ended == ["cache"]


def test_a_store_that_takes_nothing_does_not_stop_alerts(down: Store, evaluations: Evaluations) -> None:
    down.refuse = actions.unknown_file("disk full")
    for second in (0, 5):
        evaluations.at(second)
    assert Alert.objects.get().state == "firing"
    assert "disk full" in RuleGroup.objects.get().last_error


def test_a_rule_that_stays_keeps_its_alerts_when_the_file_changes(
    down: Store, evaluations: Evaluations, operator_actor: Actor, rules: Rules
) -> None:
    for second in (0, 5):
        evaluations.at(second)
    rule = Rule.objects.get()
    text = rules("record: x:y\nexpr: up", DOWN.replace("for: 5s", "for: 7s"))
    actions.put_rule_file(actor=operator_actor, name="shop.yml", text=text)
    evaluations.at(6)
    assert Alert.objects.get().rule == rule
    rule.refresh_from_db()
    assert (rule.position, rule.for_seconds) == (1, 7.0)
    assert verbs() == ["alert.fired", "alert.group_opened"]


def test_removing_the_rule_resolves_its_alert_and_says_why(
    down: Store, evaluations: Evaluations, operator_actor: Actor
) -> None:
    for second in (0, 5):
        evaluations.at(second)
    actions.delete_rule_file(actor=operator_actor, name="shop.yml")
    assert Alert.objects.get().state == "resolved"
    assert AlertGroup.objects.get().state == "closed"
    assert Event.objects.get(verb="alert.resolved").payload["reason"] == "rule_removed"
    evaluations.at(6)
    assert [rule.retired_at is not None for rule in Rule.objects.all()] == [True]


def test_infinite_and_absent_values_are_kept_as_text(down: Store, evaluations: Evaluations) -> None:
    down.answers["up == 0"] = [(SAMPLE[0], math.inf), ({**SAMPLE[0], "instance": "b:1"}, math.nan)]
    for second in (0, 5):
        evaluations.at(second)
    assert sorted(Alert.objects.values_list("value_text", flat=True)) == ["inf", "nan"]
    json.dumps([event.payload for event in Event.objects.all()], allow_nan=False)


def test_counts_and_worst_states_for_pages(down: Store, evaluations: Evaluations) -> None:
    for second in (0, 5):
        evaluations.at(second)
    assert reads.counts_by_severity() == {"critical": 1}
    assert [group.firing for group in reads.open_groups()] == [1]
    rule = reads.rules().get()
    assert (rule.firing, rule.pending) == (1, 0)
    assert [alert.name for alert in reads.rule_history(rule.pk)] == ["InstanceDown"]


def test_the_setting_decides_what_is_one_group(down: Store, evaluations: Evaluations, admin_actor: Actor) -> None:
    settings_store.put(actor=admin_actor, key="alerting.group_by", value=["job", "instance"])
    down.answers["up == 0"] = [SAMPLE, ({**SAMPLE[0], "instance": "b:1"}, 0.0)]
    for second in (0, 5):
        evaluations.at(second)
    assert sorted(AlertGroup.objects.values_list("key", flat=True)) == [
        '{instance="a:1", job="orders"}',
        '{instance="b:1", job="orders"}',
    ]
    for bad in (["not a label"], [5]):
        with pytest.raises(Invalid):
            settings_store.put(actor=admin_actor, key="alerting.group_by", value=bad)
