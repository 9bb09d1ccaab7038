"""Which groups are told, held and released, over time; nothing is lost on the way."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from tongchou.alerting import actions, groups, jobs, settle, silences, tell
from tongchou.alerting.matchers import parse
from tongchou.alerting.models import Alert, AlertGroup, AlertResource, Channel, Notification, Rule, Silence
from tongchou.core import settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Event, Job
from tongchou.core.problems import Problem
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Relation, Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

ACTOR = system("tests")
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """The clock stands still at NOW; turns are given their time."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def nothing_is_down(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The targets that do not answer, by their labels; the test fills it."""
    down: list[dict[str, str]] = []
    monkeypatch.setattr(settle, "instant_vector", lambda _query: [type("S", (), {"labels": each}) for each in down])
    return down


@pytest.fixture(autouse=True)
def channel(db: None) -> Channel:
    return Channel.objects.create(name="ops", kind="webhook", settings={"url": "http://127.0.0.1:9/"})


def fire(service: str, name: str = "A", severity: str = "warning", about: Resource | None = None) -> Alert:
    rule, _made = Rule.objects.get_or_create(kind="alert", name=name, position=0, expr="x")
    alert = Alert(
        rule=rule,
        fingerprint=f"{Alert.objects.count():016x}",
        name=name,
        severity=severity,
        labels={"alertname": name, "service": service, "severity": severity},
        state="firing",
        active_at=NOW,
        fired_at=NOW,
    )
    with transaction.atomic():
        alert.save()
        groups.change(actor=ACTOR, fired=[alert], resolved=[], at=NOW)
    if about is not None:
        AlertResource.objects.get_or_create(alert=alert, resource=about)
    return alert


def end(*alerts: Alert) -> None:
    with transaction.atomic():
        rows = list(Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).select_related("group"))
        groups.change(actor=ACTOR, fired=[], resolved=rows, at=timezone.now())


def told(service: str | None = None) -> list[tuple[str, str]]:
    rows = Notification.objects.order_by("created_at", "round", "status")
    if service is not None:
        rows = rows.filter(group__labels__service=service)
    return [(row.status, row.reason) for row in rows]


def silence(text: str, seconds: float = 3600, start: float | None = None) -> Silence:
    return silences.create_silence(
        actor=ACTOR,
        matchers=parse(text),
        starts_at=None if start is None else later(start),
        ends_at=later(seconds),
        comment="a test",
    )


def test_a_group_is_told_once_and_its_end_too() -> None:
    alert = fire("orders")
    settle.settle(NOW)
    settle.settle(later(20))
    end(alert)
    settle.settle(later(30))
    assert told() == [("firing", "opened"), ("resolved", "closed")]


def test_what_ended_before_anybody_decided_is_told_all_the_same() -> None:
    alert = fire("orders")
    end(alert)
    settle.settle(NOW)
    settle.settle(later(20))
    assert told() == [("firing", "opened"), ("resolved", "closed")]


def test_a_silenced_group_is_recorded_and_not_told_and_its_end_neither() -> None:
    made = silence('service="orders"')
    alert = fire("orders")
    settle.settle(later(1))
    alert.refresh_from_db()
    group = AlertGroup.objects.get()
    assert told() == []
    assert (alert.state, alert.suppressed, alert.suppressed_by) == (
        "firing",
        "silenced",
        [f"alerting.silence:{made.pk}"],
    )
    assert (group.state, group.held_by) == ("open", "silenced")
    assert Event.objects.get(verb="alert.group_held").payload["by"] == "silenced"
    assert Event.objects.filter(verb="alert.group_opened").count() == 1
    end(alert)
    settle.settle(later(2))
    assert told() == []


def test_leftovers_are_told_when_the_silence_ends() -> None:
    silence('service="orders"', seconds=60)
    fire("orders")
    settle.settle(later(1))
    settle.settle(later(59))
    assert told() == []
    settle.settle(later(61))
    assert told() == [("firing", "leftover")]
    assert Event.objects.filter(verb="silence.expired").count() == 1
    assert Event.objects.filter(verb="alert.group_released").count() == 1
    settle.settle(later(62))
    assert told() == [("firing", "leftover")]
    assert Event.objects.filter(verb="silence.expired").count() == 1


def test_leftovers_are_told_when_somebody_ends_the_silence() -> None:
    made = silence('service="orders"')
    fire("orders")
    settle.settle(later(1))
    Job.objects.all().delete()
    silences.expire_silence(actor=ACTOR, silence_id=made.pk)
    assert Job.objects.filter(name=tell.SETTLE_JOB, state="queued").count() == 1
    settle.settle(later(2))
    assert told() == [("firing", "leftover")]


def test_a_group_told_before_is_told_again_after_a_silence_and_its_end_is_never_held() -> None:
    alert = fire("orders")
    settle.settle(NOW)
    silence('service="orders"', seconds=60)
    settle.settle(later(10))
    settle.settle(later(70))
    assert told() == [("firing", "opened"), ("firing", "leftover")]
    silence('service="orders"', seconds=3600)
    settle.settle(later(80))
    end(alert)
    settle.settle(later(90))
    assert told()[-1] == ("resolved", "closed")
    message = tell.message_for(Notification.objects.get(status="resolved"), Channel.objects.get())
    assert [each.fingerprint for each in message.alerts] == [alert.fingerprint]


def test_a_group_of_which_one_alert_is_not_silenced_is_told_without_the_others() -> None:
    silence('alertname="Quiet"')
    fire("orders", "Quiet")
    loud = fire("orders", "Loud")
    settle.settle(later(1))
    assert told() == [("firing", "opened")]
    message = tell.message_for(Notification.objects.get(), Channel.objects.get())
    assert [each.labels["alertname"] for each in message.alerts] == [loud.name]


def test_a_pending_silence_holds_nothing_yet() -> None:
    silence('service="orders"', start=600, seconds=1200)
    fire("orders")
    settle.settle(later(1))
    assert told() == [("firing", "opened")]


def test_a_silence_survives_a_restart_and_there_is_no_storm_after_it() -> None:
    silence('service=~"orders|catalogue"', seconds=3600)
    fire("orders")
    fire("catalogue")
    settle.settle(later(1))
    # A new process has nothing but the database, and its first turn is the periodic one.
    jobs.look_at_groups()
    assert told() == []
    assert {alert.suppressed for alert in Alert.objects.all()} == {"silenced"}


def test_an_inhibited_group_waits_for_the_end_of_what_inhibits_it(admin_actor: Actor) -> None:
    rule = {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": []}
    settings_store.put(actor=admin_actor, key="alerting.inhibit_rules", value=[rule])
    source = fire("database", "Down", "critical")
    target = fire("orders", "Slow", "warning")
    settle.settle(NOW)
    target.refresh_from_db()
    assert (target.suppressed, target.suppressed_by) == ("inhibited", [f"alerting.alert:{source.pk}"])
    assert told("orders") == []
    assert told("database") == [("firing", "opened")]
    end(source)
    settle.settle(later(10))
    settle.settle(later(100))
    assert told("orders") == []
    settle.settle(later(131))
    assert told("orders") == [("firing", "leftover")]


@pytest.mark.parametrize(
    "value",
    [
        ["x"],
        [{"source_matchers": ["a=b"]}],
        [{"source_matchers": ["a=b"], "target_matchers": ["("], "equal": []}],
        [{"source_matchers": ["a=b"], "target_matchers": ["a=c"], "equal": ["0"]}],
        [{"source_matchers": ["a=b"], "target_matchers": ["a=c"], "other": 1}],
        [{"source_matchers": "a=b", "target_matchers": ["a=c"]}],
    ],
)
def test_inhibit_rules_with_a_mistake_are_refused(admin_actor: Actor, value: list[Any]) -> None:
    with pytest.raises(Problem):
        settings_store.put(actor=admin_actor, key="alerting.inhibit_rules", value=value)


@pytest.fixture
def needing() -> Callable[[str, str], tuple[Resource, Resource]]:
    def make(dependant: str, needed: str) -> tuple[Resource, Resource]:
        a, _made = Resource.objects.get_or_create(kind="service", name=dependant)
        b, _made = Resource.objects.get_or_create(kind="service", name=needed)
        Relation.objects.create(from_resource=a, to_resource=b, type="calls", source="test", origin="declared")
        return a, b

    return make


def test_dependants_of_what_is_down_are_told_with_it(needing: Callable[[str, str], tuple[Resource, Resource]]) -> None:
    orders, database = needing("orders", "database")
    cause = fire("database", "Down", "critical", database)
    effect = fire("orders", "Errors", "critical", orders)
    settle.settle(NOW)
    effect.refresh_from_db()
    group = AlertGroup.objects.get(labels__service="database")
    assert told("orders") == []
    assert told("database") == [("firing", "opened")]
    assert (effect.suppressed, effect.suppressed_by) == ("explained", [f"alerting.alertgroup:{group.pk}"])
    assert group.explains == 1
    message = tell.message_for(Notification.objects.get(), Channel.objects.get())
    assert [(each.group_key, each.alerts) for each in message.explained] == [('{}:{service="orders"}', 1)]
    # The events others live on are there for both.
    assert Event.objects.filter(verb="alert.group_opened").count() == 2
    # One more is explained: said in the next update.
    fire("orders", "Slow", "warning", orders)
    settle.settle(later(299))
    assert told("database") == [("firing", "opened")]
    settle.settle(later(301))
    assert told("database") == [("firing", "opened"), ("firing", "update")]
    # The cause ends: the dependants have two minutes to end as well.
    end(cause)
    settle.settle(later(310))
    assert told("orders") == []
    settle.settle(later(431))
    assert told("orders") == [("firing", "leftover")]


def test_dependants_that_end_with_their_cause_are_never_told(
    needing: Callable[[str, str], tuple[Resource, Resource]],
) -> None:
    orders, database = needing("orders", "database")
    cause = fire("database", "Down", "critical", database)
    effect = fire("orders", "Errors", "critical", orders)
    settle.settle(NOW)
    end(cause)
    settle.settle(later(10))
    end(effect)
    for seconds in (20, 200, 20_000):
        settle.settle(later(seconds))
    assert told("orders") == []
    assert told("database") == [("firing", "opened"), ("resolved", "closed")]


def test_a_setting_and_the_monitoring_itself_end_that(
    admin_actor: Actor, needing: Callable[[str, str], tuple[Resource, Resource]]
) -> None:
    own, database = needing("tongchou", "database")
    orders, _same = needing("orders", "database")
    fire("database", "Down", "critical", database)
    fire("tongchou", "Own", "warning", own)
    fire("orders", "Errors", "warning", orders)
    settle.settle(NOW)
    assert told("tongchou") == [("firing", "opened")]
    assert told("orders") == []
    settings_store.put(actor=admin_actor, key="alerting.hold_dependants", value=False)
    settle.settle(later(200))
    settle.settle(later(400))
    assert told("orders") == [("firing", "leftover")]


def test_what_does_not_answer_is_down_whatever_its_severity(
    needing: Callable[[str, str], tuple[Resource, Resource]],
    nothing_is_down: list[dict[str, str]],
) -> None:
    _orders, database = needing("orders", "database")
    host = Resource.objects.create(kind="host", name="h1")
    Relation.objects.create(from_resource=database, to_resource=host, type="runs_on", source="t", origin="declared")
    fire("h1", "Slow", "warning", host)
    fire("database", "Slow", "warning", database)
    nothing_is_down.append({"host": "h1"})
    settle.settle(NOW)
    assert told("database") == []
    assert told("h1") == [("firing", "opened")]


def test_reminders_until_somebody_has_seen_it(operator_actor: Actor) -> None:
    fire("orders")
    settle.settle(NOW)
    settle.settle(later(14_399))
    assert told() == [("firing", "opened")]
    settle.settle(later(14_401))
    assert told() == [("firing", "opened"), ("firing", "repeat")]
    actions.acknowledge_group(actor=operator_actor, group_id=AlertGroup.objects.get().pk)
    settle.settle(later(40_000))
    assert len(told()) == 2


def test_an_acknowledgement_for_a_time_ends_and_reminders_go_on(operator_actor: Actor) -> None:
    fire("orders")
    settle.settle(NOW)
    group = AlertGroup.objects.get()
    actions.acknowledge_group(actor=operator_actor, group_id=group.pk, for_seconds=20_000)
    settle.settle(later(19_999))
    group.refresh_from_db()
    assert (len(told()), group.acknowledged_by_name) == (1, "operator")
    settle.settle(later(20_001))
    group.refresh_from_db()
    assert told() == [("firing", "opened"), ("firing", "repeat")]
    assert (group.acknowledged_at, group.acknowledged_until, group.acknowledged_by_name) == (None, None, "")
    ended = Event.objects.get(verb="alert.group_unacknowledged")
    assert ended.payload == {"key": group.key, "of": "operator", "expired": True}
    settle.settle(later(20_002))
    assert Event.objects.filter(verb="alert.group_unacknowledged").count() == 1


def test_an_acknowledgement_is_taken_back_and_given_again(operator_actor: Actor, viewer_actor: Actor) -> None:
    fire("orders")
    settle.settle(NOW)
    key = AlertGroup.objects.get().pk
    actions.acknowledge_group(actor=operator_actor, group_id=key)
    settle.settle(later(20_000))
    assert len(told()) == 1
    with pytest.raises(Problem):
        actions.unacknowledge_group(actor=viewer_actor, group_id=key)
    for _time in range(2):
        actions.unacknowledge_group(actor=operator_actor, group_id=key)
    settle.settle(later(20_001))
    assert told()[-1] == ("firing", "repeat")
    with time_machine.travel(later(20_010), tick=False):
        actions.acknowledge_group(actor=operator_actor, group_id=key, note="again")
    settle.settle(later(60_000))
    assert len(told()) == 2
    verbs = [row.verb for row in Event.objects.filter(verb__contains="acknowledged").order_by("at", "id")]
    assert sorted(verbs) == ["alert.group_acknowledged"] * 2 + ["alert.group_unacknowledged"]


@pytest.mark.parametrize("seconds", [0, 59, float("inf"), float("nan"), 3e6])
def test_a_time_of_an_acknowledgement_that_does_not_fit_is_refused(operator_actor: Actor, seconds: float) -> None:
    fire("orders")
    with pytest.raises(Problem) as caught:
        actions.acknowledge_group(actor=operator_actor, group_id=AlertGroup.objects.get().pk, for_seconds=seconds)
    assert caught.value.field == "for_seconds"


def test_an_alert_that_joins_is_told_at_the_interval() -> None:
    fire("orders", "One")
    settle.settle(NOW)
    fire("orders", "Two")
    settle.settle(later(100))
    assert len(told()) == 1
    settle.settle(later(300))
    assert told() == [("firing", "opened"), ("firing", "update")]


def test_quiet_turns_write_nothing(django_assert_num_queries: Any) -> None:
    fire("orders")
    settle.settle(NOW)
    events = Event.objects.count()
    with django_assert_num_queries(15) as seen:
        settle.settle(later(10))
    assert not [each for each in seen.captured_queries if each["sql"].startswith(("UPDATE", "INSERT"))]
    assert Event.objects.count() == events


def test_many_workers_tell_a_group_once() -> None:
    fire("orders")
    barrier = threading.Barrier(4)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait(10)
            settle.settle(NOW)
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert told() == [("firing", "opened")]


def test_what_changed_between_reading_and_writing_is_decided_in_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    silence('alertname="Quiet"')
    fire("orders", "Quiet")
    read = settle._down_and_needs

    def join_meanwhile(views: Any) -> Any:
        monkeypatch.setattr(settle, "_down_and_needs", read)
        fire("orders", "Loud")
        return read(views)

    monkeypatch.setattr(settle, "_down_and_needs", join_meanwhile)
    settle.settle(later(1))
    assert told() == []
    assert AlertGroup.objects.get().settled_at is None
    assert Job.objects.filter(name=tell.SETTLE_JOB, state="queued").exists()
    settle.settle(later(2))
    assert told() == [("firing", "opened")]


def test_a_hold_holds_what_stands_in_it_and_nothing_else_and_what_fires_after_it_pages_at_once() -> None:
    host = Resource.objects.create(kind="host", name="web-1")
    instance = Resource.objects.create(kind="instance", name="orders-1")
    service = Resource.objects.create(kind="service", name="orders")
    Relation.objects.create(from_resource=instance, to_resource=host, type="runs_on", source="t")
    Relation.objects.create(from_resource=instance, to_resource=service, type="part_of", source="t")
    change = "changes.change:00000000-0000-0000-0000-000000000001"
    inventory.place_hold(
        actor=ACTOR, resource=host, kind="quiet", reason="CHG-1 New kernel", until=later(600), opened_by=change
    )
    inside = fire("orders", about=instance)
    outside = fire("basket", name="B", about=service)
    settle.settle(NOW)
    inside.refresh_from_db()
    outside.refresh_from_db()
    assert (inside.suppressed, len(inside.suppressed_by)) == ("held", 1)
    assert inside.suppressed_by[0].startswith("inventory.hold:")
    assert outside.suppressed == ""
    assert [each.group.key for each in Notification.objects.select_related("group")] == [outside.group.key]
    settle.settle(later(599))
    assert Notification.objects.filter(group=inside.group).count() == 0
    settle.settle(later(600))  # the window is over: not a second later, and no process had to lift anything
    told = Notification.objects.get(group=inside.group)
    assert told.reason == "leftover"
