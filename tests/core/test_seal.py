from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.core import ledger, seal
from tongchou.core.access import system
from tongchou.core.models import Event, EventAbout, Seal, Segment

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")
PAYLOADS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8),
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12),
    max_size=4,
)


def make(count: int, payload: dict[str, Any] | None = None) -> list[Event]:
    with transaction.atomic():
        return [
            ledger.record(
                actor=ACTOR,
                verb="test.sealed",
                subject=f"core.user:{i}",
                about=["core.team:1"],
                payload=payload or {"n": i},
            )
            for i in range(count)
        ]


@given(payload=PAYLOADS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_payload_verifies_after_sealing(payload: dict[str, Any]) -> None:
    make(2, payload)
    seal.seal_pending()
    assert seal.verify() == []


TAMPER = {
    "payload": lambda e: Event.objects.filter(pk=e.pk).update(payload={"n": "other"}),
    "verb": lambda e: Event.objects.filter(pk=e.pk).update(verb="test.other"),
    "subject": lambda e: Event.objects.filter(pk=e.pk).update(subject="core.user:other"),
    "actor": lambda e: Event.objects.filter(pk=e.pk).update(actor_name="somebody"),
    "at": lambda e: Event.objects.filter(pk=e.pk).update(at=e.at + timedelta(microseconds=1)),
    "recorded_at": lambda e: Event.objects.filter(pk=e.pk).update(recorded_at=e.recorded_at - timedelta(days=1)),
    "correlation": lambda e: Event.objects.filter(pk=e.pk).update(correlation_id="x"),
    "dedupe": lambda e: Event.objects.filter(pk=e.pk).update(dedupe_key=f"x{e.pk}"),
    "about added": lambda e: EventAbout.objects.create(event=e, ref="core.team:9"),
    "about removed": lambda e: EventAbout.objects.filter(event=e, ref="core.team:1").delete(),
    "seal hash": lambda e: Seal.objects.filter(event=e).update(hash="f" * 64),
    "seal removed": lambda e: Seal.objects.filter(event=e).delete(),
    "event removed": lambda e: (
        EventAbout.objects.filter(event=e).delete(),
        Seal.objects.filter(event=e).delete(),
        e.delete(),
    ),
}


@pytest.mark.parametrize("what", TAMPER)
@given(count=st.integers(1, 6), data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tampering_with_a_sealed_row_is_found(what: str, count: int, data: st.DataObject) -> None:
    with transaction.atomic():
        events = make(count)
        seal.seal_pending()
        assert seal.verify() == []
        TAMPER[what](events[data.draw(st.integers(0, count - 1))])
        assert seal.verify() != []
        transaction.set_rollback(True)


def test_rewriting_the_whole_chain_without_the_key_is_found() -> None:
    events = make(3)
    seal.seal_pending()
    segment = Segment.objects.get()
    Event.objects.filter(pk=events[0].pk).update(verb="test.other")
    head = segment.previous_head
    for each in segment.seals.order_by("position"):
        event = Event.objects.get(pk=each.event_id)
        head = seal.link(head, event, event.abouts.values_list("ref", flat=True))
        Seal.objects.filter(pk=each.pk).update(hash=head)
    Segment.objects.filter(pk=segment.pk).update(head=head)
    assert [each.what for each in seal.verify()] == ["signature does not fit the head"]


def test_pruning_whole_months_keeps_what_is_left_provable() -> None:
    january = datetime(2026, 1, 20, tzinfo=UTC)
    for months in range(3):
        make(4)
        seal.seal_pending(now=january + timedelta(days=31 * months))
    before = Segment.objects.order_by("month").values_list("head", flat=True)
    heads = list(before)
    assert seal.prune(actor=ACTOR, before_month="2026-03") == 8
    assert seal.verify() == []
    assert list(Segment.objects.order_by("month").values_list("head", flat=True)) == heads
    Segment.objects.filter(month="2026-02").update(head="0" * 64)  # a pruned month's head is still bound
    assert seal.verify() != []


def test_a_clock_set_back_does_not_break_the_chain() -> None:
    make(2)
    seal.seal_pending(now=datetime(2026, 5, 1, tzinfo=UTC))
    make(2)
    seal.seal_pending(now=datetime(2026, 4, 1, tzinfo=UTC))
    assert Segment.objects.count() == 1
    assert seal.verify() == []


def test_the_unsealed_lag_counts_what_waits() -> None:
    make(3)
    assert seal.unsealed_count() == 3
    seal.seal_pending(now=timezone.now())
    assert seal.unsealed_count() == 0


def test_what_is_sealed_while_the_chain_is_walked_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    make(3)
    seal.seal_pending()
    walk, more = seal._abouts_of, [4, 2]

    def sealing(ids: list[int]) -> Any:
        found = walk(ids)
        monkeypatch.setattr(seal, "_abouts_of", walk)  # to seal asks for them, too
        if more:
            make(more.pop())
            seal.seal_pending()
        monkeypatch.setattr(seal, "_abouts_of", sealing)
        return found

    monkeypatch.setattr(seal, "_abouts_of", sealing)
    assert seal.verify() == []
    monkeypatch.setattr(seal, "_abouts_of", walk)
    assert more == []
    last = Seal.objects.order_by("-position")[0]
    Seal.objects.filter(pk=last.pk).delete()  # what is really missing is still told
    assert [each.what for each in seal.verify()] != []
