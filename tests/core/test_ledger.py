from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from tongchou.core import jobs, ledger
from tongchou.core.access import system
from tongchou.core.models import Event, EventAbout, Job, JobState

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")
SEEN: list[int] = []


@ledger.follow("test.happened")
def remember(event: Event) -> None:
    SEEN.append(event.pk)


def test_an_event_without_a_transaction_is_refused(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="inside transaction"):
        ledger.record(actor=ACTOR, verb="test.happened", subject="core.user:1")


def test_the_subject_is_always_in_the_index_and_only_once() -> None:
    with transaction.atomic():
        event = ledger.record(
            actor=ACTOR, verb="test.quiet", subject="core.user:1", about=["core.user:1", "core.team:2"]
        )
    assert sorted(event.abouts.values_list("ref", flat=True)) == ["core.team:2", "core.user:1"]
    assert [each.pk for each in ledger.events(about="core.team:2")] == [event.pk]


def test_a_repeated_dedupe_key_writes_nothing_and_returns_the_first() -> None:
    with transaction.atomic():
        first = ledger.record(actor=ACTOR, verb="test.happened", subject="core.user:1", dedupe_key="once")
        again = ledger.record(actor=ACTOR, verb="test.happened", subject="core.user:2", dedupe_key="once")
    assert again.pk == first.pk
    assert Job.objects.filter(event=first).count() == 1


def test_followers_run_once_for_each_event_after_the_commit() -> None:
    SEEN.clear()
    with transaction.atomic():
        event = ledger.record(actor=ACTOR, verb="test.happened", subject="core.user:1")
    jobs.run_due()
    jobs.run_due()
    assert [event.pk] == SEEN


def test_a_rolled_back_cause_leaves_neither_event_nor_job() -> None:
    with pytest.raises(ValueError, match="no"), transaction.atomic():
        ledger.record(actor=ACTOR, verb="test.happened", subject="core.user:1")
        raise ValueError("no")
    assert not Event.objects.exists()
    assert not Job.objects.filter(state=JobState.QUEUED).exists()


def test_tail_finds_an_event_that_commits_after_one_with_a_higher_id() -> None:
    with transaction.atomic():
        early = ledger.record(actor=ACTOR, verb="test.quiet", subject="core.user:1")
        late = ledger.record(actor=ACTOR, verb="test.quiet", subject="core.user:1")
    seen = {late.pk: late.recorded_at}  # the reader has met the later id already
    assert [each.pk for each in ledger.tail(seen=seen)] == [early.pk]


def test_what_was_seen_of_a_burst_does_not_hide_what_comes_next() -> None:
    seen: dict[int, datetime] = {}
    with transaction.atomic():
        burst = [ledger.record(actor=ACTOR, verb="test.quiet", subject="core.user:1") for _ in range(7)]
    for expected in (burst[:3], burst[3:6], burst[6:], []):
        fresh = ledger.tail(seen=seen, limit=3)
        assert [each.pk for each in fresh] == [each.pk for each in expected]
        seen.update({each.pk: each.recorded_at for each in fresh})


def test_the_tail_looks_further_back_when_it_is_told_to() -> None:
    with transaction.atomic():
        event = ledger.record(actor=ACTOR, verb="test.quiet", subject="core.user:1")
    Event.objects.filter(pk=event.pk).update(recorded_at=event.recorded_at - timedelta(seconds=60))
    assert ledger.tail(seen={}) == []
    assert [each.pk for each in ledger.tail(seen={}, seconds=70)] == [event.pk]


def test_record_many_makes_the_same_rows_as_record() -> None:
    with transaction.atomic():
        one = ledger.record(
            actor=ACTOR, verb="test.quiet", subject="core.user:1", about=["core.team:1"], payload={"a": 1}
        )
    assert EventAbout.objects.filter(event=one).count() == 2
    assert one.payload == {"a": 1}
    assert (one.actor_kind, one.actor_name) == ("system", "tests")
