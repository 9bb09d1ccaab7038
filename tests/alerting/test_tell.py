"""Notifications: each state of a group told once to each channel, whatever receivers do."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.alerting.conftest import Evaluations, Store
from tests.alerting.receiver import Receiver, receiving
from tongchou.alerting import actions, settle, tell
from tongchou.alerting.models import AlertGroup, Channel, Notification
from tongchou.alerting.ports import Outcome
from tongchou.core import jobs, secrets
from tongchou.core.access import Actor
from tongchou.core.models import Event, Job

pytestmark = pytest.mark.both_databases

NOW_RULE = "alert: Now\nexpr: up == 0\nlabels: {severity: page}"
SAMPLE = ({"__name__": "up", "service": "orders"}, 0.0)


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def firing(
    operator_actor: Actor, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> Callable[[bool], None]:
    actions.put_rule_file(actor=operator_actor, name="f", text=rules(NOW_RULE))
    seconds = iter(range(1000))

    def change(up: bool) -> None:
        store.answers["up == 0"] = [] if up else [SAMPLE]
        evaluations.at(next(seconds))
        decide()

    return change


def decide() -> None:
    """What the worker does first: decide what is told, so that its notifications are queued."""
    settle.settle(timezone.now())
    Job.objects.filter(name=tell.SETTLE_JOB).delete()


def channel(actor: Actor, receiver: Receiver, name: str = "ops", timeout: float = 10.0) -> Channel:
    return actions.put_channel(
        actor=actor,
        name=name,
        kind="webhook",
        settings={"url": receiver.url, "timeout_seconds": timeout},
        secret="a secret of this test",
    )


def run_all() -> None:
    """Run what is due, and what waits for a later try, until nothing is left."""
    for _round in range(40):
        Job.objects.filter(state="queued").update(run_at=timezone.now())
        Notification.objects.filter(state="queued").update(next_try_at=timezone.now())
        if not jobs.run_due():
            return


def test_opening_and_closing_are_told_in_order(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        channel(operator_actor, receiver)
        firing(False)
        run_all()
        firing(True)
        run_all()
    assert [(body["status"], body["alerts"][0]["status"]) for body in receiver.bodies()] == [
        ("firing", "firing"),
        ("resolved", "resolved"),
    ]
    assert receiver.bodies()[1]["alerts"][0]["endsAt"] > receiver.bodies()[1]["alerts"][0]["startsAt"]
    told = Event.objects.filter(verb="notification.sent").order_by("pk")
    assert [event.payload["status"] for event in told] == ["firing", "resolved"]
    group = AlertGroup.objects.get()
    assert all(event.abouts.filter(ref=f"alerting.alertgroup:{group.pk}").exists() for event in told)


def test_a_receiver_that_fails_gets_the_same_message_again(
    operator_actor: Actor, firing: Callable[[bool], None]
) -> None:
    with receiving(500, 503) as receiver:
        channel(operator_actor, receiver)
        firing(False)
        run_all()
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _body in receiver.got}) == 1
    notification = Notification.objects.get()
    assert (notification.state, notification.attempts, notification.detail) == ("sent", 3, "HTTP 200")
    assert Event.objects.filter(verb__startswith="notification.").count() == 1
    assert Channel.objects.get().failures == 0


def test_nothing_is_told_twice_after_success(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        channel(operator_actor, receiver)
        firing(False)
        run_all()
        tell.enqueue([(AlertGroup.objects.get(), "firing")])
        run_all()
        firing(False)
        run_all()
    assert len(receiver.got) == 1


def test_a_receiver_that_always_fails_is_given_up_and_said_so(
    operator_actor: Actor, firing: Callable[[bool], None]
) -> None:
    with receiving(*[500] * tell.MAX_ATTEMPTS) as receiver:
        channel(operator_actor, receiver)
        firing(False)
        run_all()
    assert len(receiver.got) == tell.MAX_ATTEMPTS
    assert Notification.objects.get().state == "failed"
    assert Event.objects.get(verb="notification.failed").payload["detail"].startswith("HTTP 500")


def test_a_refusal_that_will_not_change_is_not_repeated(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving(404) as receiver:
        channel(operator_actor, receiver)
        firing(False)
        run_all()
    assert len(receiver.got) == 1
    assert Notification.objects.get().state == "failed"


def test_a_receiver_that_hangs_does_not_keep_the_others_waiting(
    operator_actor: Actor, firing: Callable[[bool], None]
) -> None:
    with receiving(None) as sick, receiving() as well:
        channel(operator_actor, sick, "sick", timeout=0.3)
        channel(operator_actor, well, "well")
        firing(False)
        jobs.run_due()
        assert len(well.got) == 1
        assert Notification.objects.get(channel__name="well").state == "sent"
        waiting = Notification.objects.get(channel__name="sick")
        assert (waiting.state, waiting.attempts) == ("queued", 1)
        assert waiting.next_try_at > timezone.now()


def test_one_worker_at_most_waits_for_a_channel(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        now = timezone.now()
        assert tell.take_channel(one.pk, now) is not None
        assert tell.take_channel(one.pk, now) is None
        firing(False)
        jobs.run_due(limit=50)
        assert receiver.got == []
        held = Job.objects.get(name=tell.JOB, state="queued")
        assert held.run_at > now
        assert tell.take_channel(one.pk, now + tell.hold_time(one) + dt.timedelta(seconds=1)) is not None
        tell.release(one.pk)
        run_all()
        assert len(receiver.got) == 1


def test_a_sick_channel_is_tried_more_and_more_rarely() -> None:
    assert [tell.wait_seconds(failures) for failures in (1, 2, 3, 20)] == [1, 2, 4, tell.MAX_WAIT_SECONDS]


def test_a_disabled_channel_is_silent_and_its_jobs_end(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        firing(False)
        actions.put_channel(actor=operator_actor, name=one.name, kind="webhook", settings=one.settings, enabled=False)
        run_all()
        assert receiver.got == []
        assert not Job.objects.filter(state="queued").exists()
        actions.put_channel(actor=operator_actor, name=one.name, kind="webhook", settings=one.settings, enabled=True)
        run_all()
        assert len(receiver.got) == 1


def test_the_secret_is_never_in_settings_events_or_rows(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        firing(False)
        run_all()
    assert secrets.reveal(actions.secret_name(one)) == "a secret of this test"
    assert not any("a secret of this test" in str(event.payload) for event in Event.objects.all())
    assert "a secret" not in str(Channel.objects.values().get())
    actions.delete_channel(actor=operator_actor, name=one.name)
    assert secrets.names() == []


def test_a_killed_worker_is_followed_by_another_try_of_the_same_message(
    operator_actor: Actor, firing: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        firing(False)
        first = tell.take_channel(one.pk, timezone.now())
        assert first is not None  # and then the process is gone: nothing releases it
        row = jobs.claim("dead worker")
        assert row is not None
        Job.objects.filter(pk=row.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
        Channel.objects.update(busy_until=timezone.now() - dt.timedelta(seconds=1))
        jobs.recover_orphans()
        run_all()
    assert len(receiver.got) == 1
    assert Notification.objects.get().state == "sent"


@pytest.mark.django_db(transaction=True)
def test_two_workers_tell_a_notification_once(
    operator_actor: Actor, firing: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        firing(False)
        barrier = threading.Barrier(4)

        def work() -> None:
            barrier.wait()
            from tongchou.alerting.jobs import tell_channel

            tell_channel({"channel": str(one.pk)})
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run_all()
    assert len(receiver.got) == 1


def test_an_outcome_after_success_changes_nothing(operator_actor: Actor, firing: Callable[[bool], None]) -> None:
    with receiving() as receiver:
        one = channel(operator_actor, receiver)
        firing(False)
        late = Notification.objects.get()
        run_all()
        tell.write_outcome(late, one, Outcome(False, "late"), timezone.now())
    assert Notification.objects.get().state == "sent"
    assert Event.objects.filter(verb__startswith="notification.").count() == 1
