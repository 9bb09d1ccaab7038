"""What the embedded store holds, moved into a ClickHouse server the way a backup and its restore do it."""

from __future__ import annotations

import numpy as np

from tests.telemetry_fixtures import Numbers
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.buckets import HOUR_MS
from tongchou.telemetry.logs.log_store import Query
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.evaluate import range_
from tongchou.telemetry.series import Matcher, labels_of
from tongchou.telemetry.store import export
from tongchou.telemetry.store.log_tables import NS, Cost
from tongchou.wire.log_stream import Entry, Stream


def label(i):
    return labels_of({"__name__": "m", "i": str(i)})


def write(telemetry, i, value):
    now = telemetry.clock()
    telemetry.submit(np.array([telemetry.row(label(i))]), np.array([now]), np.array([value])).result(30)


def values(telemetry):
    now = telemetry.clock()
    block = telemetry.select([Matcher("__name__", "=", "m")], now - 3_600_000, now + 1000, limits=Limits())
    return {dict(labels)["i"]: block.samples(at)[1].tolist() for at, labels in enumerate(block.labels)}


def test_samples_series_and_lines_come_over_and_new_series_get_numbers_of_their_own(
    telemetry_db, server_engine, tmp_path
):
    for i in range(5):
        write(telemetry_db, i, float(i))
    lines = Stream([("service", "a")], [Entry(telemetry_db.logs.clock_ns(), b"one line", fields=[("k", "v")])])
    telemetry_db.logs.take([lines])[1].result(30)
    telemetry_db.flush()
    options = Options(database=f"{telemetry_db.options.database}_moved", shared_linger_seconds=0.0)
    empty = Telemetry(server_engine, options, numbering=Numbers())
    empty.close()
    for table in export.table_names(telemetry_db.engine, telemetry_db.options.database):
        for path, rows in export.export(telemetry_db.engine, telemetry_db.options.database, table, tmp_path):
            assert export.load(server_engine, options.database, table, path) == rows
    moved = Telemetry(server_engine, options, numbering=Numbers())
    try:
        assert values(moved) == values(telemetry_db)
        write(moved, 3, 30.0)
        write(moved, "new", 99.0)
        assert values(moved)["3"] == [3.0, 30.0]
        assert values(moved)["new"] == [99.0]
        now = moved.logs.clock_ns()
        found = moved.logs.search(Query(now - 3600 * NS, now + NS), limit=10, cost=Cost()).lines
        assert [(line.body, line.fields) for line in found] == [("one line", {"k": "v"})]
    finally:
        moved.close()
        moved.tables.drop()


def test_rollups_come_over_and_serve_without_their_samples(telemetry_db, server_engine, tmp_path):
    end = (telemetry_db.clock() // HOUR_MS - 1) * HOUR_MS
    ts = np.arange(end - 30 * HOUR_MS, end + 1, 60_000)
    telemetry_db.submit(np.full(len(ts), telemetry_db.row(label(1))), ts, np.arange(len(ts)) * 2.0).result(30)
    telemetry_db.flush()
    telemetry_db.rollups.lag_seconds = 0.0
    assert telemetry_db.rollups.roll_due() >= 30
    options = Options(database=f"{telemetry_db.options.database}_rolled", shared_linger_seconds=0.0)
    Telemetry(server_engine, options, numbering=Numbers()).close()
    for table in export.table_names(telemetry_db.engine, telemetry_db.options.database):
        if table != "samples":
            for path, rows in export.export(telemetry_db.engine, telemetry_db.options.database, table, tmp_path):
                assert export.load(server_engine, options.database, table, path) == rows
    moved = Telemetry(server_engine, options, numbering=Numbers())
    try:
        span = ("increase(m[1h])", end - 28 * HOUR_MS, end, HOUR_MS)
        there, here = (range_(*span, backend=each) for each in (moved, telemetry_db))
        assert there.labels == here.labels
        assert there.values.tolist() == here.values.tolist()
        assert there.values.shape == (1, 29)
    finally:
        moved.close()
        moved.tables.drop()
