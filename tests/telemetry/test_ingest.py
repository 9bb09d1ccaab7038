"""The way in: what is acknowledged is readable at once, whether it is in the tables, in the journal, or on the way."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tongchou.core.problems import StorageFull, TooMany, Unavailable
from tongchou.telemetry import ingest as ingest_module
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, labels_of
from tongchou.telemetry.store.journal import Journal

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


def test_a_burst_goes_into_the_tables_when_it_is_over(slow, monkeypatch):
    monkeypatch.setattr(ingest_module, "BURST_SAMPLES", 10)
    monkeypatch.setattr(ingest_module, "_LOOK_SECONDS", 0.2)
    telemetry = slow()
    now = telemetry.clock()
    for at in range(9):
        put(telemetry, [now + at], [1.0]).result(30)
    time.sleep(1)
    assert telemetry.ingest.pending_samples == 9, "too few to hurry"
    put(telemetry, [now + 9], [1.0]).result(30)
    deadline = time.monotonic() + 30
    while telemetry.ingest.pending_samples and time.monotonic() < deadline:
        time.sleep(0.05)
    assert telemetry.tables.sizes()["rows"] == 10


def test_senders_who_outrun_the_store_are_answered_later_and_not_refused(slow, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    monkeypatch.setattr(ingest_module, "KEEP_UP_SAMPLES", 4)
    monkeypatch.setattr(ingest_module, "MAX_PENDING_SAMPLES", 8)
    for at in range(20):
        put(telemetry, [now + 10 * at, now + 10 * at + 1], [1.0, 2.0]).result(30)
    assert len(values(telemetry)) == 40
    assert telemetry.ingest.pending_samples <= 8


@pytest.fixture
def writers(monkeypatch):
    """The threads that wrote to the journal, in order; `pause` is what each write takes longer."""
    seen = SimpleNamespace(threads=[], pause=0.0)
    append = Journal.append

    def noted(self, *columns):
        seen.threads.append(threading.current_thread().name)
        time.sleep(seen.pause)
        append(self, *columns)

    monkeypatch.setattr(Journal, "append", noted)
    return seen


HERE, WRITER = "MainThread", "telemetry-ingest"


def test_who_brings_samples_writes_them_when_nothing_has_to_be_waited_for(slow, writers):
    telemetry = slow()
    done = put(telemetry, [telemetry.clock()], [1.0])
    assert done.done()
    assert writers.threads == [HERE]
    assert values(telemetry) == [1.0]


@pytest.mark.parametrize("part", ["ingest", "index"])
def test_who_brings_samples_waits_for_nobody(slow, writers, part):
    telemetry = slow()
    now = telemetry.clock()
    put(telemetry, [now], [1.0]).result(30)
    taken, leave = threading.Event(), threading.Event()

    def stay():
        with getattr(telemetry, part)._lock:
            taken.set()
            leave.wait(30)

    other = threading.Thread(target=stay)
    other.start()
    taken.wait(30)
    row = np.zeros(1, np.int64)  # known: to make a new one is what takes the index
    done = telemetry.submit(row, np.array([now + 1]), np.array([2.0]))
    assert not done.done()
    leave.set()
    other.join()
    done.result(30)
    assert writers.threads == [HERE, WRITER]
    assert values(telemetry) == [1.0, 2.0]


def test_who_brings_samples_waits_for_nobody_who_reads(slow, writers, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    monkeypatch.setattr(telemetry.window, "_together", 1)
    with telemetry.window._lock:  # as a read of many series
        bringing = threading.Thread(target=lambda: put(telemetry, [now], [1.0]).result(30), name="bringing")
        bringing.start()
        bringing.join(30)
        assert not bringing.is_alive()
        assert values(telemetry) == [1.0]
    assert writers.threads == ["bringing"]


def test_a_slow_disk_keeps_the_writer_waiting_and_nobody_else(slow, writers, monkeypatch):
    telemetry = slow()
    now = telemetry.clock()
    writers.pause = 2 * ingest_module.SLOW_WRITE_SECONDS
    assert put(telemetry, [now], [1.0]).done()
    late = put(telemetry, [now + 1], [2.0])
    assert not late.done()
    late.result(30)
    writers.pause = 0.0
    put(telemetry, [now + 2], [3.0]).result(30)
    monkeypatch.setattr(telemetry.ingest, "_disk_is_slow_until", time.monotonic())
    assert put(telemetry, [now + 3], [4.0]).done()
    assert writers.threads == [HERE, WRITER, WRITER, HERE]
    assert values(telemetry) == [1.0, 2.0, 3.0, 4.0]


def test_who_brings_samples_does_not_wait_for_a_platter(telemetry_engine, writers):
    telemetry = Telemetry(telemetry_engine, Options(database="synced", sync_journal=True))
    put(telemetry, [telemetry.clock()], [1.0]).result(30)
    telemetry.close()
    telemetry.tables.drop()
    assert writers.threads == [WRITER]


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
