"""One open group for a key, whoever opens it at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tongchou.alerting import groups
from tongchou.alerting.models import Alert, AlertGroup, Rule
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.core.refs import ref
from tongchou.inventory.models import Endpoint, Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

ACTOR = system("tests")


def firing(number: int, **labels: str) -> Alert:
    rule, _made = Rule.objects.get_or_create(kind="alert", name="A", position=0, expr="x")
    all_labels = {"alertname": "A", "service": "orders", "n": str(number), **labels}
    return Alert(
        rule=rule, fingerprint=f"{number:016x}", name="A", severity="warning", labels=all_labels, state="firing",
        active_at=timezone.now(), fired_at=timezone.now(),
    )  # fmt: skip


def fire(*alerts: Alert) -> None:
    with transaction.atomic():
        Alert.objects.bulk_create(alerts)
        groups.change(actor=ACTOR, fired=alerts, resolved=[], at=timezone.now())


def resolve(*alerts: Alert) -> None:
    with transaction.atomic():
        rows = list(Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).select_related("group"))
        groups.change(actor=ACTOR, fired=[], resolved=rows, at=timezone.now())


def test_the_database_refuses_a_second_open_group() -> None:
    fire(firing(1))
    group = AlertGroup.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertGroup.objects.create(key=group.key, started_at=timezone.now())


def test_many_threads_open_one_group() -> None:
    firing(0)
    barrier = threading.Barrier(8)
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            alert = firing(number)
            barrier.wait(10)
            fire(alert)
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    run(work, 8)
    assert faults == []
    assert AlertGroup.objects.filter(state="open").count() == 1
    assert AlertGroup.objects.get().alerts.count() == 8
    verbs = list(Event.objects.values_list("verb", flat=True))
    assert (verbs.count("alert.group_opened"), verbs.count("alert.group_changed")) == (1, 7)


def test_opening_and_closing_at_once_leaves_no_firing_alert_in_a_closed_group() -> None:
    for _round in range(3):
        old = firing(1000 + _round)
        fire(old)
        barrier = threading.Barrier(2)
        faults: list[BaseException] = []

        def work(number: int, old: Alert = old, barrier: Any = barrier, faults: Any = faults) -> None:
            try:
                barrier.wait(10)
                if number:
                    fire(firing(2000 + _round))  # noqa: B023
                else:
                    resolve(old)
            except BaseException as fault:
                faults.append(fault)
            finally:
                connection.close()

        run(work, 2)
        assert faults == []
        assert not Alert.objects.filter(state="firing", group__state="closed").exists()
        assert not Alert.objects.filter(state="firing", group__isnull=True).exists()
        resolve(*Alert.objects.filter(state="firing"))
        assert not AlertGroup.objects.filter(state="open").exists()


def run(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_events_are_about_the_resources_the_labels_mean() -> None:
    service = Resource.objects.create(kind="service", name="orders", source="t")
    instance = Resource.objects.create(kind="instance", name="orders-1", source="t")
    Endpoint.objects.create(resource=instance, url="http://a:1/metrics", job="orders", instance="a:1", source="t")
    fire(firing(1, job="orders", instance="a:1"), firing(2))
    fired = {event.payload["labels"]["n"]: event for event in Event.objects.filter(verb="alert.fired")}
    assert fired["1"].abouts.filter(ref=ref(instance)).exists()
    assert fired["2"].abouts.filter(ref=ref(service)).exists()
    opened = Event.objects.get(verb="alert.group_opened")
    assert set(opened.payload["resources"]) == {ref(instance), ref(service)}
    assert opened.abouts.filter(ref=ref(service)).exists()
    resolve(*Alert.objects.all())
    closed = Event.objects.get(verb="alert.group_closed")
    assert closed.abouts.filter(ref=ref(instance)).exists()


def test_a_storm_of_alerts_are_one_group_in_one_transaction() -> None:
    fire(*[firing(number) for number in range(300)])
    group = AlertGroup.objects.get()
    assert group.alerts.count() == 300
    opened = Event.objects.get(verb="alert.group_opened")
    assert (len(opened.payload["alerts"]), opened.payload["alerts_count"]) == (groups.MAX_ALERTS_TOLD, 300)
