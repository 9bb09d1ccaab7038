"""The way in: what is acknowledged is readable at once, whether it is in the tables, in the journal, or on the way."""

from __future__ import annotations

import os
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
from tongchou.telemetry.window import Window

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


def test_a_burst_that_goes_on_is_not_cut_into_small_inserts(slow, monkeypatch):
    monkeypatch.setattr(ingest_module, "BURST_SAMPLES", 10)
    monkeypatch.setattr(ingest_module, "_LOOK_SECONDS", 0.5)
    telemetry = slow()
    now, until = telemetry.clock(), time.monotonic() + 3
    at = 0
    while time.monotonic() < until:
        at += 1
        put(telemetry, [now + at], [1.0]).result(30)
        time.sleep(0.02)
        assert telemetry.ingest.counts.inserts == 0


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
    """The threads that wrote to the journal, in order; `pause` is what the disk takes longer."""
    seen = SimpleNamespace(threads=[], pause=0.0)
    writev = os.writev

    def noted(*given):
        seen.threads.append(threading.current_thread().name)
        time.sleep(seen.pause)
        return writev(*given)

    monkeypatch.setattr(os, "writev", noted)
    return seen


HERE, WRITER = "MainThread", "telemetry-ingest"


def known(telemetry, writers):
    """The time of a first sample of a series; those that follow have nothing to teach anybody."""
    now = telemetry.clock()
    put(telemetry, [now], [1.0]).result(30)
    assert writers.threads == [WRITER], "a new series"
    writers.threads.clear()
    return now


def test_who_brings_samples_writes_them_when_nothing_has_to_be_waited_for(slow, writers):
    telemetry = slow()
    now = known(telemetry, writers)
    done = put(telemetry, [now + 1], [2.0])
    assert done.done()
    assert writers.threads == [HERE]
    assert values(telemetry) == [1.0, 2.0]


@pytest.mark.parametrize("part", ["ingest", "index"])
def test_who_brings_samples_waits_for_nobody(slow, writers, part):
    telemetry = slow()
    now = known(telemetry, writers)
    taken, leave = threading.Event(), threading.Event()

    def stay():
        with getattr(telemetry, part)._lock:
            taken.set()
            leave.wait(30)

    other = threading.Thread(target=stay)
    other.start()
    taken.wait(30)
    row = np.zeros(1, np.int64)  # not by its labels: that asks the index
    done = telemetry.submit(row, np.array([now + 1]), np.array([2.0]))
    assert not done.done()
    leave.set()
    other.join()
    done.result(30)
    assert writers.threads == [WRITER]
    assert values(telemetry) == [1.0, 2.0]


def test_readers_do_not_wait_for_the_disk(slow, writers):
    telemetry = slow()
    now = known(telemetry, writers)
    writers.pause = 3.0
    bringing = threading.Thread(target=lambda: put(telemetry, [now + 1], [2.0]).result(30), name="bringing")
    bringing.start()
    deadline = time.monotonic() + 30
    while not writers.threads and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    assert len(telemetry.index.find(EVERY)) == 1
    assert time.monotonic() - began < 2
    assert writers.threads == ["bringing"]
    bringing.join(30)
    assert values(telemetry) == [1.0, 2.0]


def test_who_brings_samples_waits_for_nobody_who_reads_and_does_not_tidy_up_after_them(slow, writers, monkeypatch):
    telemetry = slow()
    now = known(telemetry, writers)
    tidied = []
    settle = Window._settle
    monkeypatch.setattr(
        Window, "_settle", lambda self: (tidied.append(threading.current_thread().name), settle(self))[1]
    )
    monkeypatch.setattr(telemetry.window, "_together", 5)

    def bring():
        for at in range(1, 20):
            put(telemetry, [now + at], [2.0]).result(30)

    with telemetry.window._lock:  # as a read of many series
        bringing = threading.Thread(target=bring, name="bringing")
        bringing.start()
        bringing.join(30)
        assert not bringing.is_alive()
        assert tidied == []
    deadline = time.monotonic() + 30
    while telemetry.window._queued_samples and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(tidied) == {WRITER}
    assert set(writers.threads) == {"bringing"}
    assert values(telemetry) == [1.0] + [2.0] * 19


@pytest.mark.parametrize(("busy", "who"), [(False, HERE), (True, WRITER)])
def test_who_brings_samples_lays_them_into_pages_while_the_processor_is_free(slow, writers, monkeypatch, busy, who):
    telemetry = slow()
    now = known(telemetry, writers)
    monkeypatch.setattr(ingest_module, "BUSY_SECONDS", 0.0 if busy else 3600.0)
    monkeypatch.setattr(telemetry.window, "_together", 1)
    tidied = []
    settle = Window._settle
    monkeypatch.setattr(
        Window, "_settle", lambda self: (tidied.append(threading.current_thread().name), settle(self))[1]
    )
    put(telemetry, [now + 1], [2.0]).result(30)
    deadline = time.monotonic() + 30
    while not tidied and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tidied[0] == who
    assert values(telemetry) == [1.0, 2.0]


def test_a_slow_disk_keeps_the_writer_waiting_and_nobody_else(slow, writers, monkeypatch):
    telemetry = slow()
    now = known(telemetry, writers)
    writers.pause = 2 * ingest_module.SLOW_WRITE_SECONDS
    assert put(telemetry, [now + 1], [2.0]).done()
    monkeypatch.setattr(ingest_module, "SLOW_DISK_SECONDS", 3600.0)
    late = put(telemetry, [now + 2], [3.0])
    assert not late.done()
    late.result(30)
    writers.pause = 0.0
    assert telemetry.ingest._leave_to_writer_until > time.monotonic() + 600, "seen by the writer too"
    put(telemetry, [now + 3], [4.0]).result(30)
    monkeypatch.setattr(telemetry.ingest, "_leave_to_writer_until", time.monotonic())
    assert put(telemetry, [now + 4], [5.0]).done()
    assert writers.threads == [HERE, WRITER, WRITER, HERE]
    assert values(telemetry) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_busy_processor_is_no_slow_disk_but_the_writer_waits_for_it_for_a_moment(slow, writers, monkeypatch):
    telemetry = slow()
    now = known(telemetry, writers)
    monkeypatch.setattr(ingest_module, "BUSY_PAUSE_TIMES", 600)
    monkeypatch.setattr(ingest_module, "SLOW_DISK_SECONDS", 3600.0)
    queue = Window.queue

    def slowly(self, *given, **more):
        time.sleep(2 * ingest_module.SLOW_WRITE_SECONDS)
        return queue(self, *given, **more)

    monkeypatch.setattr(Window, "queue", slowly)
    for at in (1, 2):
        put(telemetry, [now + at], [2.0]).result(30)
    assert writers.threads == [HERE, WRITER]
    assert telemetry.ingest._leave_to_writer_until < time.monotonic() + 600


def test_who_brings_samples_does_not_wait_for_a_platter(telemetry_engine, writers):
    telemetry = Telemetry(telemetry_engine, Options(database="synced", sync_journal=True))
    now = known(telemetry, writers)
    put(telemetry, [now + 1], [2.0]).result(30)
    telemetry.close()
    telemetry.tables.drop()
    assert writers.threads == [WRITER]


def test_who_comes_while_the_store_closes_is_told(slow, writers, monkeypatch):
    telemetry = slow()
    now = known(telemetry, writers)
    first = telemetry.ingest._check_room
    turns = iter([True, False])

    def late(samples):
        first(samples)
        if next(turns):
            telemetry.close()

    monkeypatch.setattr(telemetry.ingest, "_check_room", late)
    with pytest.raises(Unavailable):
        put(telemetry, [now + 1], [2.0])
    assert writers.threads == []
    assert values(slow()) == [1.0]


def test_an_error_nobody_expected_is_told_and_the_next_samples_are_taken(slow, writers, monkeypatch):
    telemetry = slow()
    now = known(telemetry, writers)
    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", lambda *_given: 1 // 0)
        for i in ("1", "2"):  # here, and in the writer
            with pytest.raises(ZeroDivisionError):
                put(telemetry, [now + 1], [2.0], i=i).result(30)
    for i in ("1", "2"):
        put(telemetry, [now + 2], [3.0], i=i).result(30)
    assert values(telemetry) == [1.0, 3.0, 3.0]


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
