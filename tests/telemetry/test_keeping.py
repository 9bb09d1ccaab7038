"""Retention really drops: rows, files and series of old days, in the store itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tongchou.core import retention, settings_store
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, labels_of
from tongchou.telemetry.store import export, partitions
from tongchou.wire.log_stream import Entry, Stream

pytestmark = pytest.mark.django_db
DAY_MS = 86_400_000
ACTOR = system("tests")


def fill(telemetry: Telemetry, days: int) -> None:
    now = telemetry.clock()
    rows = np.array([telemetry.row(labels_of([("__name__", "m"), ("n", str(n))])) for n in range(50)])
    dice = np.random.default_rng(1)
    for age in range(days):
        telemetry.submit(rows, np.full(50, now - age * DAY_MS), dice.random(50)).result()
        entries = [Entry((now - age * DAY_MS) * 10**6, f"line {age}".encode())]
        telemetry.logs.take([Stream([("service", "x")], entries)])[1].result()
    telemetry.flush()


def held(telemetry: Telemetry, table: str) -> tuple[int, int]:
    found = partitions.days(telemetry.engine, telemetry.options.database, table)
    rows = export.count(telemetry.engine, telemetry.options.database, table)
    return len(found), rows


def test_days_past_the_retention_are_gone_from_both_tables(telemetry_db: Telemetry) -> None:
    fill(telemetry_db, 10)
    assert held(telemetry_db, "samples") == (10, 500)
    settings_store.put(actor=ACTOR, key="metrics.retention_days", value=5)
    settings_store.put(actor=ACTOR, key="logs.retention_days", value=3)
    _moment, preview = retention.preview(retention.find("metrics"), actor=ACTOR)
    assert preview.rows == 200
    assert preview.bytes > 0
    assert held(telemetry_db, "samples")[1] == 500, "a preview deletes nothing"
    done = retention.run(actor=ACTOR)
    assert done["metrics"] == 200
    assert held(telemetry_db, "samples") == (6, 300), "today and five whole days before it"
    assert held(telemetry_db, "logs") == (4, 4)
    span = telemetry_db.index.day_span()
    assert span is not None
    first = datetime.now(UTC).date() - timedelta(days=9)
    assert span[0] == (first - date(1970, 1, 1)).days, "labels stay as long as rollups"
    assert retention.run(actor=ACTOR) == {}


def test_what_was_dropped_is_not_answered_from_memory(telemetry_db: Telemetry) -> None:
    fill(telemetry_db, 10)
    now = telemetry_db.clock()
    one = [Matcher("__name__", "=", "m")]
    old = now - 9 * DAY_MS - 3_600_000, now - 9 * DAY_MS + 3_600_000
    assert telemetry_db.select(one, *old, limits=Limits()).sample_count == 50
    assert telemetry_db.older.bytes_used
    settings_store.put(actor=ACTOR, key="metrics.retention_days", value=5)
    retention.run(actor=ACTOR)
    assert telemetry_db.select(one, *old, limits=Limits()).sample_count == 0


def test_over_its_size_the_oldest_days_go_first_and_the_newest_stays(telemetry_db: Telemetry) -> None:
    fill(telemetry_db, 4)
    shrink = retention.find("metrics").shrink
    assert shrink is not None
    days = partitions.days(telemetry_db.engine, telemetry_db.options.database, "samples")
    assert shrink(sum(each.bytes for each in days)) == ""
    told = shrink(days[-1].bytes + days[-2].bytes)
    assert str(days[0].day) in told
    left = partitions.days(telemetry_db.engine, telemetry_db.options.database, "samples")
    assert [each.day for each in left] == [each.day for each in days[-2:]]
    shrink(1)
    assert held(telemetry_db, "samples") == (1, 50)


def test_the_size_limit_is_a_setting_and_the_ledger_tells(telemetry_db: Telemetry, monkeypatch) -> None:
    fill(telemetry_db, 3)
    retention.run(actor=ACTOR)
    settings_store.put(actor=ACTOR, key="retention.metrics_mb", value=1)
    assert retention.run(actor=ACTOR) == {}, "three small days are under a megabyte"
    found = retention.find("metrics")
    smaller = retention.DataClass(
        **{**{n: getattr(found, n) for n in found.__slots__}, "shrink": lambda _m: found.shrink(1)}
    )
    monkeypatch.setitem(retention._classes, "metrics", smaller)
    retention.run(actor=ACTOR)
    told = Event.objects.filter(verb="retention.pruned").latest("pk")
    assert told.payload["class"] == "metrics"
    assert "bytes" in told.payload["shrunk"]
    assert held(telemetry_db, "samples") == (1, 50)
