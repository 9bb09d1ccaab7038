"""Reading new log patterns of some sources out of the store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tongchou.telemetry import log_pattern_reads
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.log_reads import at_ns
from tongchou.wire.log_stream import Entry, Stream

NAMES = {"orders-1": "R1", "orders": "R"}


@pytest.fixture
def onset(telemetry_db: Telemetry) -> datetime:
    """Two minutes ago."""
    return datetime.fromtimestamp(telemetry_db.clock() / 1000 - 120, UTC)


def put(
    telemetry: Telemetry, at: datetime, message: str, *, count: int = 1, level: str = "error", **labels: str
) -> None:
    """Lines of one message, a second apart."""
    body = json.dumps({"level": level, "msg": message})
    entries = [Entry(at_ns(at + timedelta(seconds=i)), body.encode()) for i in range(count)]
    _rows, done = telemetry.logs.take([Stream(sorted((labels or {"instance": "orders-1"}).items()), entries)])
    done.result(60)


def look(onset: datetime) -> log_pattern_reads.LogReport:
    """The report two minutes later."""
    return log_pattern_reads.patterns(NAMES, onset, onset + timedelta(minutes=2))


def test_a_new_error_is_found_with_its_source_count_and_example(telemetry_db: Telemetry, onset: datetime) -> None:
    put(telemetry_db, onset - timedelta(minutes=20), "card declined", count=30)
    put(telemetry_db, onset, "card declined")
    put(telemetry_db, onset, "spool is full, order refused", count=12)
    put(telemetry_db, onset, "fine", count=12, level="info")
    put(telemetry_db, onset, "not of this neighbourhood", count=5, instance="other")
    report = look(onset)
    (found,) = report.found
    assert (found.key, found.count, found.new, found.level) == ("R1", 12, True, "error")
    assert found.template == "spool is full, order refused"
    assert "spool is full" in found.example
    assert found.example_id
    assert (report.lines_before, report.lines) == (30, 13)


def test_what_the_day_before_knows_is_not_new(telemetry_db: Telemetry, onset: datetime) -> None:
    put(telemetry_db, onset - timedelta(hours=20), "spool is full, order refused", count=3)
    put(telemetry_db, onset - timedelta(minutes=20), "card declined", count=3)
    put(telemetry_db, onset, "spool is full, order refused", count=12)
    (found,) = look(onset).found
    assert not found.new
    assert 0 < found.expected < 1


def test_a_line_is_of_the_most_particular_source(telemetry_db: Telemetry, onset: datetime) -> None:
    put(telemetry_db, onset - timedelta(minutes=20), "started")
    put(telemetry_db, onset, "lost the lease", service="orders")
    put(telemetry_db, onset, "disk is nearly full", service="orders", instance="orders-1")
    assert {(each.key, each.template) for each in look(onset).found} == {
        ("R", "lost the lease"),
        ("R1", "disk is nearly full"),
    }


def test_a_source_that_has_just_begun_is_compared_with_its_own_beginning(
    telemetry_db: Telemetry, onset: datetime
) -> None:
    put(telemetry_db, onset - timedelta(seconds=60), "started", level="info")
    put(telemetry_db, onset - timedelta(seconds=50), "card declined", count=20)
    put(telemetry_db, onset, "spool is full, order refused", count=12)
    put(telemetry_db, onset, "card declined", count=2)
    report = look(onset)
    assert [each.template for each in report.found] == ["spool is full, order refused"]
    assert report.notes == []


def test_where_nothing_bad_was_said_before_every_error_is_new(telemetry_db: Telemetry, onset: datetime) -> None:
    put(telemetry_db, onset - timedelta(minutes=20), "order stored", count=30, level="info")
    put(telemetry_db, onset, "spool is full, order refused", count=12)
    (found,) = look(onset).found
    assert (found.new, found.count) == (True, 12)


def test_without_lines_before_it_says_so(telemetry_db: Telemetry, onset: datetime) -> None:
    put(telemetry_db, onset, "spool is full, order refused")
    assert look(onset).notes == ["no_lines_before"]


def test_of_too_many_lines_the_newest_are_read_and_it_says_so(
    telemetry_db: Telemetry, onset: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pattern_reads, "MAX_LINES", 5)
    put(telemetry_db, onset - timedelta(minutes=20), "card declined", count=30)
    put(telemetry_db, onset, "spool is full, order refused", count=12)
    report = look(onset)
    assert report.notes == ["lines_capped", "lines_capped_before"]
    assert [each.count for each in report.found] == [5]
