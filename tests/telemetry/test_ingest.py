"""The way in: what is acknowledged is readable at once, whether it is in the tables, in the journal, or on the way."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from tongchou.core.problems import StorageFull, TooMany, Unavailable
from tongchou.telemetry import ingest as ingest_module
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, labels_of

DAY = 86_400_000
EVERY = [Matcher("__name__", "=", "m")]


def put(telemetry, ts, v, i="1"):
    row = telemetry.row(labels_of({"__name__": "m", "i": i}))
    ts = np.array(ts, np.int64)
    return telemetry.submit(np.full(len(ts), row, np.int64), ts, np.array(v, np.float64))


def values(telemetry, start=-10 * DAY, end=DAY):
    now = telemetry.clock()
    return telemetry.select(EVERY, now + start, now + end, limits=Limits()).v.tolist()


@pytest.fixture
def slow(telemetry_engine):
    """A database whose flusher does nothing by itself."""
    number = np.random.default_rng().integers(0, 2**40)
    opened = []

    def opener():
        opened.append(Telemetry(telemetry_engine, Options(database=f"slow_{number}", flush_seconds=3600.0)))
        return opened[-1]

    yield opener
    for each in opened:
        each.close()
    opened[0].tables.drop()


def test_old_samples_are_readable_before_and_after_they_reach_the_tables(slow):
    telemetry = slow()
    now = telemetry.clock()
    put(telemetry, [now - 5 * DAY, now - 5 * DAY + 1], [1.0, 2.0]).result(30)
    assert telemetry.tables.sizes()["rows"] == 0
    assert values(telemetry) == [1.0, 2.0]
    assert values(telemetry, -5 * DAY - 300_000, -5 * DAY - 200_000) == []
    telemetry.flush()
    assert telemetry.tables.sizes()["rows"] == 2
    assert telemetry.ingest.pending_samples == 0
    assert values(telemetry) == [1.0, 2.0]


def test_senders_who_outrun_the_store_are_answered_later_and_not_refused(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    monkeypatch.setattr(ingest_module, "KEEP_UP_SAMPLES", 4)
    monkeypatch.setattr(ingest_module, "MAX_PENDING_SAMPLES", 8)
    for at in range(20):
        put(telemetry, [now + 10 * at, now + 10 * at + 1], [1.0, 2.0]).result(30)
    assert len(values(telemetry)) == 40
    assert telemetry.ingest.pending_samples <= 8


def test_what_waited_while_the_disk_stood_still_is_written_in_groups_of_a_bounded_size(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    monkeypatch.setattr(ingest_module, "MAX_INSERT_SAMPLES", 4)
    groups = telemetry.ingest.counts.groups
    with telemetry.ingest._lock:  # the writer waits with the first
        waiting = [put(telemetry, [now + 10 * at, now + 10 * at + 1], [1.0, 2.0]) for at in range(9)]
        time.sleep(0.1)
    for each in waiting:
        each.result(30)
    assert 4 <= telemetry.ingest.counts.groups - groups <= 6, "one or more at first, then two at a time"
    assert len(values(telemetry)) == 18


def test_a_window_that_the_system_has_no_room_for_is_refused_by_name(telemetry_engine):
    with pytest.raises(Unavailable) as refused:
        Telemetry(telemetry_engine, Options(database="too_large", window_max_bytes=2**56))
    telemetry_engine.execute("DROP DATABASE too_large SYNC")
    assert (refused.value.field, refused.value.value) == ("TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES", str(2**56))
    assert refused.value.remedy


def test_a_process_that_never_flushed_leaves_everything_to_the_next(slow):
    first = slow()
    now = first.clock()
    put(first, [now - 5 * DAY, now - 1000], [1.0, 2.0]).result(30)
    put(first, [now], [3.0], i="2").result(30)
    # the first is not closed, as if it had been killed: nothing of it reached the tables
    assert first.tables.sizes()["rows"] == 0
    second = slow()
    assert values(second) == [1.0, 2.0, 3.0]
    assert second.window.sample_count == 2
    second.flush()
    assert second.tables.sizes()["rows"] == 3
    third = slow()
    assert values(third) == [1.0, 2.0, 3.0]
    assert third.ingest.pending_samples == 0
    assert third.row(labels_of({"__name__": "m", "i": "2"})) == second.row(labels_of({"__name__": "m", "i": "2"}))


def test_while_the_tables_take_nothing_the_journal_does_and_they_catch_up(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()

    def full(*args):
        raise StorageFull("telemetry.storage_full", "full")

    with monkeypatch.context() as broken:
        broken.setattr(telemetry.tables, "insert_samples", full)
        for step in range(3):
            put(telemetry, [now - 5 * DAY + step], [float(step)]).result(30)
            with pytest.raises(StorageFull):
                telemetry.flush()
        assert values(telemetry) == [0.0, 1.0, 2.0]
        broken.setattr(ingest_module, "MAX_PENDING_SAMPLES", 3)
        with pytest.raises(StorageFull):
            put(telemetry, [now], [9.0])
    telemetry.flush()
    assert telemetry.tables.sizes()["rows"] == 3
    assert values(telemetry) == [0.0, 1.0, 2.0]
    assert telemetry.ingest.counts.failed_inserts == 3


def test_a_journal_that_cannot_be_written_is_told_to_every_waiter_and_nothing_is_shown(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()

    def full(*args):
        raise StorageFull("telemetry.storage_full", "full")

    with monkeypatch.context() as broken:
        broken.setattr(telemetry.ingest._journal, "append", full)
        waiting = [put(telemetry, [now + step], [1.0]) for step in range(3)]
        for each in waiting:
            with pytest.raises(StorageFull):
                each.result(30)
    assert values(telemetry) == []
    put(telemetry, [now], [2.0]).result(30)
    assert values(telemetry) == [2.0]


def test_too_much_waiting_is_refused_until_it_is_written(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    monkeypatch.setattr(ingest_module, "MAX_PENDING_SAMPLES", 2)
    put(telemetry, [now, now + 1, now + 2], [1.0] * 3).result(30)  # one alone may be larger than the limit
    with pytest.raises(TooMany, match="busy"):
        put(telemetry, [now], [1.0])
    telemetry.flush()
    put(telemetry, [now + 3], [1.0]).result(30)


def test_after_close_nothing_is_taken_and_everything_is_in_the_tables(telemetry_engine):
    telemetry = Telemetry(telemetry_engine, Options(database="closing", flush_seconds=3600.0))
    put(telemetry, [telemetry.clock()], [1.0])
    telemetry.close()
    assert telemetry.tables.sizes()["rows"] == 1
    with pytest.raises(Unavailable, match="closing"):
        put(telemetry, [1], [1.0])
    telemetry.tables.drop()


def test_readers_never_miss_a_sample_while_it_moves(slow):
    telemetry = slow()
    now = telemetry.clock()
    stop = threading.Event()
    seen: list[int] = []
    missing: list[str] = []

    def read():
        while not stop.is_set():
            floor = seen[-1] if seen else 0
            found = len(values(telemetry))
            if found < floor:
                missing.append(f"{found} of {floor}")

    readers = [threading.Thread(target=read) for _reader in range(2)]
    for reader in readers:
        reader.start()
    for step in range(60):
        put(telemetry, [now - 5 * DAY + step], [1.0]).result(30)
        seen.append(step + 1)
        if step % 3 == 0:
            telemetry.flush()
    stop.set()
    for reader in readers:
        reader.join()
    assert missing == []
