"""Silences: made with a reason and an end, previewed, extended, ended; each step in the ledger."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.alerting.test_settle import end, fire
from tongchou.alerting import settle, silences
from tongchou.alerting.matchers import parse
from tongchou.alerting.models import Alert, Silence
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

HOUR = dt.timedelta(hours=1)


def make(actor: Actor, text: str = 'service="orders"', **kwargs: Any) -> Silence:
    wanted = {"ends_at": timezone.now() + HOUR, "comment": "disk is being replaced", **kwargs}
    return silences.create_silence(actor=actor, matchers=parse(text), **wanted)


def test_a_life_of_a_silence_is_in_the_ledger(operator_actor: Actor) -> None:
    about = f"incidents.incident:{uuid.uuid4()}"
    row = make(operator_actor, about=about)
    assert row.state_at(timezone.now()) == "active"
    silences.extend_silence(actor=operator_actor, silence_id=row.pk, ends_at=row.ends_at + HOUR)
    silences.expire_silence(actor=operator_actor, silence_id=row.pk)
    silences.expire_silence(actor=operator_actor, silence_id=row.pk)
    settle.settle(timezone.now() + 9 * HOUR)
    events = list(Event.objects.filter(verb__startswith="silence.").order_by("pk"))
    assert [event.verb for event in events] == ["silence.created", "silence.extended", "silence.expired"]
    assert all(event.abouts.filter(ref=about).exists() for event in events)
    assert {event.actor_name for event in events} == {operator_actor.name}


def test_states_follow_the_time(operator_actor: Actor) -> None:
    now = timezone.now()
    row = make(operator_actor, starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    assert [row.state_at(now + n * HOUR) for n in (0, 1, 2)] == ["pending", "active", "expired"]
    assert list(silences.silences(state="pending")) == [row]
    assert list(silences.silences(state="active", now=now + HOUR)) == [row]
    assert list(silences.silences(state="expired", now=now + 2 * HOUR)) == [row]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"comment": "  "}, "silence.comment"),
        ({"comment": "x\x00"}, "silence.comment"),
        ({"ends_at": timezone.now() - HOUR}, "silence.ends_at"),
        ({"ends_at": timezone.now() + dt.timedelta(days=400)}, "silence.too_long"),
        ({"ends_at": timezone.now().replace(tzinfo=None) + HOUR}, "silence.time_zone"),
        ({"starts_at": timezone.now() + 2 * HOUR}, "silence.ends_at"),
        ({"about": "inventory.resource:1"}, "silence.about"),
    ],
)
def test_what_does_not_fit_is_refused(operator_actor: Actor, change: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        make(operator_actor, **change)
    assert refused.value.code == code
    assert not Silence.objects.exists()


def test_only_who_may_respond_may_silence(viewer_actor: Actor, operator_actor: Actor) -> None:
    row = make(operator_actor)
    with pytest.raises(AccessDenied):
        make(viewer_actor)
    with pytest.raises(AccessDenied):
        silences.expire_silence(actor=viewer_actor, silence_id=row.pk)
    with pytest.raises(AccessDenied):
        silences.extend_silence(actor=viewer_actor, silence_id=row.pk, ends_at=row.ends_at + HOUR)
    with pytest.raises(AccessDenied):
        silences.preview(actor=viewer_actor, matchers=parse('service="orders"'))


def test_what_has_ended_is_not_extended(operator_actor: Actor) -> None:
    row = make(operator_actor)
    silences.expire_silence(actor=operator_actor, silence_id=row.pk)
    with pytest.raises(Conflict):
        silences.extend_silence(actor=operator_actor, silence_id=row.pk, ends_at=timezone.now() + HOUR)
    with pytest.raises(NotFound):
        silences.expire_silence(actor=operator_actor, silence_id=uuid.uuid4())


def test_the_preview_counts_all_and_lists_some(operator_actor: Actor) -> None:
    for number in range(5):
        fire("orders", f"A{number}")
    fire("catalogue")
    found = silences.preview(actor=operator_actor, matchers=parse('service=~"ord.*"'), limit=2)
    assert (found.count, len(found.alerts)) == (5, 2)
    assert silences.preview(actor=operator_actor, matchers=parse("alertname=A3")).count == 1


def test_the_preview_looks_back_a_day(operator_actor: Actor) -> None:
    """What flapped at night is matched too, by name, the most first; what ended before is not."""
    rows = [fire("orders", name) for name in ("Flaps", "Flaps", "Once", "Old")]
    other = fire("catalogue")
    end(*rows, other)
    Alert.objects.filter(name="Old").update(resolved_at=timezone.now() - dt.timedelta(hours=25))
    Alert.objects.exclude(name="Old").update(resolved_at=timezone.now() - dt.timedelta(hours=23))
    found = silences.preview(actor=operator_actor, matchers=parse("service=orders"))
    assert (found.count, found.ended, found.ended_count, found.looked_back) == (0, {"Flaps": 2, "Once": 1}, 3, True)
    assert list(found.ended) == ["Flaps", "Once"]


def test_a_silence_says_how_many_alerts_it_holds(operator_actor: Actor, django_assert_num_queries: Any) -> None:
    fire("orders", "One")
    fire("orders", "Two")
    fire("catalogue")
    rows = [make(operator_actor), make(operator_actor)]
    settle.settle(timezone.now())
    with django_assert_num_queries(1):
        assert list(silences.held_by(rows).values()) == [2, 2]


def test_extending_and_its_natural_end_at_once_give_one_end(operator_actor: Actor) -> None:
    row = make(operator_actor)
    at = row.ends_at + dt.timedelta(seconds=1)
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def work(what: Any) -> None:
        try:
            barrier.wait(10)
            what()
            outcomes.append("done")
        except Conflict:
            outcomes.append("refused")
        finally:
            connection.close()

    def extend() -> None:
        silences.extend_silence(actor=operator_actor, silence_id=row.pk, ends_at=row.ends_at + HOUR)

    threads = [threading.Thread(target=work, args=(what,)) for what in (extend, lambda: settle.end_silences(at))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row.refresh_from_db()
    ended = Event.objects.filter(verb="silence.expired").count()
    extended = Event.objects.filter(verb="silence.extended").count()
    assert (ended, extended) in {(1, 0), (0, 1)}
    assert (row.expired_at is not None) == bool(ended)
    assert len(outcomes) == 2
