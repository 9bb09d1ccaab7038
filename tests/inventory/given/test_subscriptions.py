"""Subscriptions on a real receiver: order, ids, signatures, retries, what stops them, and what a crash repeats."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.alerting.receiver import Receiver, receiving
from tongchou.core import seal, settings_store
from tongchou.core.access import system
from tongchou.core.models import Event, Job
from tongchou.core.problems import Invalid
from tongchou.inventory import actions, jobs
from tongchou.inventory.given import outbox, sending, subscriptions
from tongchou.inventory.given.subscriptions import Wanted
from tongchou.inventory.models import Resource
from tongchou.inventory.models_given import Delivery, Subscription

pytestmark = pytest.mark.django_db
ACTOR = system("tests")
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]


def subscribed(url: str, *, name: str = "it", **more: Any) -> Subscription:
    wanted = Wanted(**{"url": url, "secret": SECRET, "verbs": ("resource.*",), **more})
    return subscriptions.create(actor=ACTOR, name=name, wanted=wanted)


def host(name: str, kind: str = "host") -> Resource:
    return actions.create_resource(actor=ACTOR, kind=kind, name=name)


def sent(row: Subscription) -> bool:
    """Seal what was recorded and let the subscription work, whatever it was to wait for."""
    while seal.seal_pending():
        pass
    Subscription.objects.filter(pk=row.pk).update(next_try_at=None)
    return sending.work(row.pk)


def parsed(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """A CloudEvent of either mode, by a reader of the test's own."""
    if headers["content-type"].startswith("application/cloudevents+json"):
        event = json.loads(body)
    else:
        event = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        event |= {"datacontenttype": headers["content-type"], "data": json.loads(body)}
    assert event["specversion"] == "1.0"
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
    assert all(name.isascii() and name.isalnum() and name.islower() for name in event)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert headers["webhook-id"] == event["id"]
    return dict(event)


def events(receiver: Receiver) -> list[dict[str, Any]]:
    return [parsed(headers, body) for headers, body in receiver.got]


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_every_change_is_told_in_order_as_a_cloud_event(mode: str) -> None:
    host("before")
    while seal.seal_pending():
        pass
    with receiving() as receiver:
        row = subscribed(receiver.url, mode=mode)
        thing = host("web-1")
        actions.update_resource(actor=ACTOR, resource=thing, labels={"env": "生产"})
        actions.retire_resource(actor=ACTOR, resource=thing)
        sent(row)
        found = events(receiver)
    assert [each["type"] for each in found] == [
        f"io.tongchou.resource.{verb}" for verb in ("created", "changed", "gone")
    ]
    assert {each["subject"] for each in found} == {f"inventory.resource:{thing.pk}"}
    assert found[0]["data"]["resources"][0]["name"] == "web-1"
    assert "生产" in json.dumps(found[1]["data"]["payload"], ensure_ascii=False)
    numbers = [int(each["id"].partition("-")[0]) for each in found]
    assert [Event.objects.get(pk=number).verb for number in numbers] == [
        each["type"].removeprefix("io.tongchou.") for each in found
    ]


def test_only_wanted_events_and_kinds_are_told() -> None:
    with receiving() as receiver:
        row = subscribed(receiver.url, verbs=("resource.created",), kinds=("database",))
        thing = host("db", "database")
        host("box")
        actions.retire_resource(actor=ACTOR, resource=thing)
        sent(row)
        found = events(receiver)
    assert [(each["type"], each["data"]["resources"][0]["name"]) for each in found] == [
        ("io.tongchou.resource.created", "db")
    ]


def test_fifty_events_delivered_twice_are_recognised() -> None:
    with receiving() as receiver:
        row = subscribed(receiver.url)
        for number in range(50):
            host(f"h{number}")
        sent(row)
        for delivery in Delivery.objects.filter(subscription=row):
            subscriptions.redeliver(actor=ACTOR, delivery=delivery)
        sent(row)
        bodies: dict[str, set[bytes]] = {}
        for headers, body in receiver.got:
            bodies.setdefault(parsed(headers, body)["id"], set()).add(body)
        assert len(receiver.got) == 100
    assert len(bodies) == 50
    assert all(len(each) == 1 for each in bodies.values()), "the same bytes at every try"


def test_a_crash_after_sending_repeats_with_the_same_id_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_a: Any) -> bool:
        raise Killed

    with receiving() as receiver:
        row = subscribed(receiver.url)
        for number in range(3):
            host(f"h{number}")
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(sending, "_delivered", killed)
            sent(row)
        sent(row)
        ids = [each["id"] for each in events(receiver)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert list(dict.fromkeys(ids)) == sorted(set(ids), key=lambda each: int(each.partition("-")[0]))


def test_a_failure_holds_back_what_comes_after_it_and_is_tried_again_later() -> None:
    with receiving(500, None) as receiver:
        row = subscribed(receiver.url)
        for name in ("a", "b"):
            host(name)
        assert not sent(row)
        assert len(receiver.got) == 1
        row.refresh_from_db()
        assert row.failures == 1
        assert row.next_try_at is not None
        assert row.next_try_at > timezone.now() - timedelta(seconds=1)
        Subscription.objects.filter(pk=row.pk).update(next_try_at=timezone.now() + timedelta(minutes=1))
        assert not sending.work(row.pk), "not before its time"
        receiver.statuses.clear()
        sent(row)
        names = [each["data"]["resources"][0]["name"] for each in events(receiver)]
    assert names == ["a", "a", "b"]
    row.refresh_from_db()
    assert (row.failures, row.last_error) == (0, "")


def test_what_is_never_taken_is_refused_and_the_next_is_sent() -> None:
    with receiving(422) as receiver:
        row = subscribed(receiver.url)
        for name in ("a", "b"):
            host(name)
        sent(row)
    assert list(Delivery.objects.order_by("id").values_list("state", "status")) == [("refused", 422), ("sent", 200)]


def test_failures_in_a_row_stop_it_with_a_notice_and_nothing_is_lost() -> None:
    settings_store.put(actor=ACTOR, key=sending.STOP_AFTER, value=3)
    with receiving(503, 503, 503) as receiver:
        row = subscribed(receiver.url)
        host("a")
        for _try in range(4):
            sent(row)
        row.refresh_from_db()
        assert not row.enabled
        assert row.stopped_at is not None
        assert Event.objects.filter(verb="subscription.stopped").count() == 1
        host("b")
        sent(row)
        assert len(receiver.got) == 3
        subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(enabled=True))
        sent(row)
        names = [each["data"]["resources"][0]["name"] for each in events(receiver)[3:]]
    assert names == ["a", "b"]


def test_gone_stops_it_at_once_and_a_person_who_switches_off_is_told_of_nothing_in_between() -> None:
    with receiving(410) as receiver:
        row = subscribed(receiver.url)
        host("a")
        sent(row)
        row.refresh_from_db()
        assert row.stopped_at is not None
        subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(enabled=True))
        sent(row)
        subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(enabled=False))
        host("between")
        while seal.seal_pending():
            pass
        subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(enabled=True))
        host("after")
        sent(row)
        names = [each["data"]["resources"][0]["name"] for each in events(receiver)]
    assert names == ["a", "a", "after"]


def test_what_retention_prunes_before_it_was_read_is_counted_and_told() -> None:
    def seal_all() -> None:
        while seal.seal_pending():
            pass

    with receiving() as receiver:
        with time_machine.travel("2026-01-10T00:00:00Z"):
            row = subscribed(receiver.url)
            host("read")
            sent(row)
            Subscription.objects.filter(pk=row.pk).update(enabled=False, stopped_at=timezone.now())
            host("lost-1")
            seal_all()
        with time_machine.travel("2026-02-10T00:00:00Z"):
            host("lost-2")
            seal_all()
        with time_machine.travel("2026-03-10T00:00:00Z"):
            host("kept")
            seal_all()
            seal.prune(actor=ACTOR, before_month="2026-03")
            row.refresh_from_db()
            events_lost, month = outbox.lost(row, outbox.pruned_months())
            assert (events_lost, month) == (2, "2026-02")
            subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(enabled=True))
            sent(row)
            row.refresh_from_db()
            assert (row.lost_events, row.lost_month) == (events_lost, "2026-02")
            assert outbox.lost(row, outbox.pruned_months()) == (events_lost, "2026-02"), "counted once"
            assert Event.objects.filter(verb="subscription.lost").count() == 1
            names = [each["data"]["resources"][0]["name"] for each in events(receiver)]
            subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(mode="binary"))
            row.refresh_from_db()
            assert outbox.lost(row, outbox.pruned_months()) == (0, "")
    assert names == ["read", "kept"]


PLACES = st.tuples(st.sampled_from(["", "2026-01", "2026-02", "2026-03"]), st.integers(-1, 4))
MONTHS = st.dictionaries(st.sampled_from(["2026-01", "2026-02"]), st.integers(1, 5)).map(
    lambda each: sorted(each.items())
)


@given(PLACES, MONTHS)
def test_what_was_not_read_is_what_lies_behind_the_place(place: tuple[str, int], months: list[tuple[str, int]]) -> None:
    behind = [(month, at) for month, count in months for at in range(count) if (month, at) > place]
    assert outbox.unread(place, months) == (len(behind), behind[-1][0] if behind else "")


def test_addresses_that_may_not_be_reached_are_not(settings: Any) -> None:
    settings.HTTP_ALLOW = []
    with receiving() as receiver:
        row = subscribed(receiver.url)
        host("a")
        sent(row)
        assert receiver.got == []
    row.refresh_from_db()
    assert "loopback" in row.last_error
    with receiving(302) as receiver:
        settings.HTTP_ALLOW = ["127.0.0.0/8"]
        subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(url=receiver.url, secret=SECRET))
        sent(row)
        assert len(receiver.got) == 1, "a redirect is not followed"


def test_two_workers_do_not_send_at_once() -> None:
    row = subscribed("http://127.0.0.1:9/")
    now = timezone.now()
    assert sending.take(row.pk, now) is not None
    assert sending.take(row.pk, now) is None
    assert sending.take(row.pk, now + timedelta(seconds=sending.HOLD_SECONDS + 1)) is not None, "a dead worker's hold"


def test_secrets_are_nowhere_and_dropped_when_it_goes_elsewhere() -> None:
    row = subscribed("https://a.example.org/hook/0123456789abcdef0123", headers={"X-Api-Key": "canary-key"})
    actions.create_resource(actor=ACTOR, kind="host", name="x", attributes={"os": "debian"})
    actions.set_attributes(actor=ACTOR, resource=Resource.objects.get(name="x"), values={"db_password": "canary-77"})
    while seal.seal_pending():
        pass
    outbox.fill(row)
    told = repr(list(Event.objects.filter(verb__startswith="subscription").values_list("payload", flat=True)))
    assert SECRET not in told
    assert "canary" not in told
    assert "0123456789abcdef" not in told
    assert "canary" not in repr(list(Delivery.objects.values_list("body", flat=True)))
    masked = subscriptions.shown_url(row)
    row = subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(url=masked))
    assert row.secret == SECRET
    assert row.target["url"].endswith("0123456789abcdef0123")
    row = subscriptions.change(actor=ACTOR, subscription=row, wanted=Wanted(url="https://b.example.org/"))
    assert row.secret is None


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"url": "ftp://x"}, "url"), ({"url": "http://u:p@x/"}, "url"), ({"url": "http://x/\n"}, "url"),
        ({"verbs": ("nothing.*",)}, "verbs"), ({"verbs": ()}, "verbs"), ({"kinds": ("A b",)}, "kinds"),
        ({"mode": "batch"}, "mode"), ({"secret": "short"}, "secret"), ({"secret": "whsec_%"}, "secret"),
        ({"headers": {"ce-id": "x"}}, "headers.ce-id"), ({"headers": {"X-A": "a\nb"}}, "headers.X-A"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_field(more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        subscribed(**{"url": "https://a.example.org/", **more})
    assert refusal.value.field == field


def test_those_with_news_or_something_that_waits_are_found_by_three_queries(django_assert_num_queries: Any) -> None:
    behind, waiting, off, quiet = (
        subscribed("http://127.0.0.1:9/", name=name) for name in ("behind", "waiting", "off", "quiet")
    )
    host("a")
    while seal.seal_pending():
        pass
    outbox.fill(waiting)
    for row in (off, quiet):
        month, position = outbox.head()
        Subscription.objects.filter(pk=row.pk).update(month=month, position=position)
    Subscription.objects.filter(pk=off.pk).update(enabled=False, month="", position=-1)
    with django_assert_num_queries(3):
        found = sending.with_work(timezone.now())
    assert set(found) == {behind.pk, waiting.pk}


def test_it_is_woken_when_there_is_news_and_the_log_is_forgotten() -> None:
    with receiving() as receiver:
        row = subscribed(receiver.url)
        while seal.seal_pending():
            pass
        sent(row)
        jobs.deliver_due()
        assert not Job.objects.filter(name=subscriptions.JOB).exists()
        host("a")
        while seal.seal_pending():
            pass
        jobs.deliver_due()
        assert Job.objects.filter(name=subscriptions.JOB).count() == 1
        jobs.deliver({"subscription": str(row.pk)})
        assert len(receiver.got) == 1
    Delivery.objects.update(finished_at=timezone.now() - timedelta(days=15))
    jobs.forget_deliveries()
    assert not Delivery.objects.exists()
