"""Several processes on one store: each sees what the others were told is kept, and all agree which series is which.

Two `Telemetry` on one server stand for two processes: they share nothing but the server and the numbers.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time

import numpy as np
import pytest

from tests.clickhouse_http import ClickHouse
from tests.served import free_port
from tests.telemetry_fixtures import Numbers
from tongchou.core.problems import Unavailable
from tongchou.telemetry import follow_feed, shared_ingest
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, labels_of
from tongchou.telemetry.store.server import ServerEngine, address_of

DAY = 86_400_000
EVERY = [Matcher("__name__", "=", "m")]
_databases = itertools.count(1)


def label(i):
    return labels_of({"__name__": "m", "i": str(i)})


def put(telemetry, i, ts, v):
    rows = np.array([telemetry.row(label(i))])
    return telemetry.submit(rows, np.array([ts]), np.array([float(v)]))


def values(telemetry, start=-10 * DAY):
    now = telemetry.clock()
    block = telemetry.select(EVERY, now + start, now + DAY, limits=Limits())
    return sorted((dict(labels)["i"], block.samples(at)[1].tolist()) for at, labels in enumerate(block.labels))


@pytest.fixture
def node(clickhouse):
    """Opens processes on one database."""
    options = Options(database=f"shared_{next(_databases)}", retention_days=3650, shared_linger_seconds=0.0)
    numbers, opened = Numbers(), []

    def opener():
        opened.append(Telemetry(ServerEngine(address_of(clickhouse.url)), options, numbering=numbers))
        return opened[-1]

    yield opener
    for each in opened:
        each.close()
    opened[0].tables.drop()
    for each in opened:
        each.engine.close()


def test_what_one_was_told_is_kept_the_other_reads_whatever_its_time(node):
    one, two = node(), node()
    now = one.clock()
    put(one, "a", now, 1).result(30)
    put(one, "a", now - 5 * DAY, 2).result(30)
    put(two, "b", now, 3).result(30)
    began = time.monotonic()
    while values(two) != [("a", [2.0, 1.0]), ("b", [3.0])]:
        assert time.monotonic() - began < 10, values(two)
        time.sleep(0.02)
    print(f"seen by the other process after {time.monotonic() - began:.2f} s")
    while values(one) != [("a", [2.0, 1.0]), ("b", [3.0])]:
        assert time.monotonic() - began < 10
        time.sleep(0.02)
    assert two.window.sample_count == 2, "the newest are in memory"
    assert values(node()) == values(one), "a process that starts later reads the same"


def test_series_made_by_two_at_once_are_the_same_series(node):
    one, two = node(), node()
    now = one.clock()
    barrier = threading.Barrier(2)

    def write(telemetry, offset):
        for i in range(20):
            barrier.wait(30)
            put(telemetry, i, now + offset, offset).result(30)

    threads = [threading.Thread(target=write, args=each) for each in ((one, 0), (two, 1))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    one.follower.look()
    two.follower.look()
    for telemetry in (one, two, node()):
        assert values(telemetry) == sorted((str(i), [0.0, 1.0]) for i in range(20))
    sids = [telemetry.index.sids(np.array([telemetry.row(label(i)) for i in range(20)])) for telemetry in (one, two)]
    assert sids[0].tolist() == sids[1].tolist()
    assert len(set(sids[0].tolist())) == 20


def test_numbers_go_on_above_what_the_store_holds_when_the_database_was_replaced(clickhouse, node):
    one = node()
    put(one, "a", one.clock(), 1).result(30)
    again = Telemetry(ServerEngine(address_of(clickhouse.url)), one.options, numbering=Numbers())  # all forgotten
    put(again, "b", again.clock(), 2).result(30)
    assert values(again, -DAY) == [("a", [1.0]), ("b", [2.0])]
    again.close()
    again.engine.close()


def test_a_batch_is_shown_once_and_looking_again_adds_nothing(node):
    one, two = node(), node()
    for step in range(5):
        put(one, "a", one.clock() + step, step).result(30)
    for _again in range(3):
        one.follower.look()
        two.follower.look()
    assert one.window.sample_count == two.window.sample_count == 5


def test_who_was_away_for_long_reads_everything_anew(node, monkeypatch):
    one, two = node(), node()
    two.follower.close()
    put(one, "a", one.clock(), 1).result(30)
    monkeypatch.setattr(follow_feed, "REBUILD_AFTER_SECONDS", 0.1)
    time.sleep(0.2)
    two.follower.look()
    assert values(two) == [("a", [1.0])]
    assert two.lag_seconds < 5


def test_while_the_server_is_silent_nothing_is_answered_from_an_old_window_and_all_goes_on_after(tmp_path, monkeypatch):
    monkeypatch.setattr(follow_feed, "MAX_LAG_SECONDS", 3.0)
    monkeypatch.setattr(shared_ingest, "RETRY_SECONDS", 4.0)
    server = ClickHouse(tmp_path / "clickhouse", free_port())
    engine = ServerEngine(address_of(server.url))
    telemetry = Telemetry(engine, Options(database=f"t_{secrets.token_hex(4)}"), numbering=Numbers())
    try:
        put(telemetry, "a", telemetry.clock(), 1).result(30)
        server.stop()
        began = time.monotonic()
        refused = put(telemetry, "a", telemetry.clock() + 1, 2)
        with pytest.raises(Unavailable):
            refused.result(60)
        assert time.monotonic() - began < 45
        with pytest.raises(Unavailable, match="behind"):
            values(telemetry, -1000)
        server.go_on()
        deadline = time.monotonic() + 20
        while True:
            try:
                put(telemetry, "a", telemetry.clock() + 2, 3).result(30)
                assert values(telemetry)[0][1][-1] == 3.0
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        server.go_on()
        telemetry.close()
        engine.close()
        server.close()
