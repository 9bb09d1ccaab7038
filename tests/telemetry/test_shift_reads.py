"""Reading shifts of targets out of the store: what moved, what is usual at this hour, what the limits leave out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tongchou.core.access import system
from tongchou.core.problems import Invalid
from tongchou.telemetry import shift_reads
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.series import Float64s, SeriesBlock, labels_of

WRITER = system("tests")
STEP = 10  # seconds
TARGET = ("shop", "orders-1")


def stretch(onset: datetime) -> np.ndarray:
    """The times from 45 minutes before to 5 after, in ms."""
    start = round((onset - timedelta(minutes=45)).timestamp() * 1000)
    return np.arange(start, start + 50 * 60_000, STEP * 1000, dtype=np.int64)


def write(name: str, at: datetime, values: Float64s, target: tuple[str, str] = TARGET, **more: str) -> None:
    """One series around a moment."""
    times = stretch(at)
    labels = labels_of({"__name__": name, "job": target[0], "instance": target[1], **more})
    append(SeriesBlock.build([(labels, times, values)]), actor=WRITER)


def stepped(low: float, high: float, *, seconds_before: int = 40, seed: int = 1) -> Float64s:
    """A noisy level that changes so many seconds before the onset."""
    rng = np.random.default_rng(seed)
    values = low * (1 + 0.01 * rng.standard_normal(300))
    values[270 - seconds_before // STEP :] += high - low
    return values


@pytest.fixture
def onset(telemetry_db: Telemetry) -> datetime:
    """Five minutes ago, to the second."""
    return datetime.fromtimestamp(telemetry_db.clock() // 1000 - 300, UTC)


def look(onset: datetime, *targets: tuple[str, str]) -> shift_reads.Report:
    """The report at onset + 5 minutes."""
    return shift_reads.shifts(set(targets or (TARGET,)), onset, onset + timedelta(minutes=5))


def test_a_level_that_rose_is_reported_with_its_beginning(onset: datetime) -> None:
    write("process_resident_memory_bytes", onset, stepped(61e6, 402e6))
    write("process_open_fds", onset, stepped(20, 20))
    report = look(onset)
    (found,) = report.found
    assert (found.quantity.kind, found.quantity.unit, found.direction) == ("memory", "bytes", 1)
    assert found.before == pytest.approx(61e6, rel=0.02)
    assert found.after == pytest.approx(402e6, rel=0.02)
    assert abs((found.at - (onset - timedelta(seconds=40))).total_seconds()) <= 2 * found.resolution_seconds
    assert len(found.points) <= shift_reads.KEPT_POINTS
    assert (report.targets, report.series, report.quantities) == (1, 2, 2)
    assert report.z_scores[TARGET] > 10


def test_what_the_same_hour_of_earlier_windows_did_too_is_usual(onset: datetime) -> None:
    for lag in (timedelta(), *shift_reads.LAGS):
        write("queue_length_pending", onset - lag, stepped(10, 90))
    write("process_resident_memory_bytes", onset, stepped(61e6, 402e6))
    report = look(onset)
    assert [each.quantity.kind for each in report.found] == ["memory"]
    assert len(report.earlier) == 3


def test_another_job_with_the_same_instance_is_not_looked_at(onset: datetime) -> None:
    write("process_resident_memory_bytes", onset, stepped(61e6, 402e6), ("other", "orders-1"))
    write("process_open_fds", onset, stepped(20, 20))
    assert look(onset).found == []


def test_a_better_value_is_no_finding(onset: datetime) -> None:
    write("process_resident_memory_bytes", onset, stepped(402e6, 61e6))
    assert look(onset).found == []


def test_too_many_series_are_looked_at_in_part_and_it_says_so(onset: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift_reads, "MAX_SERIES", 2)
    for number in range(4):
        write("process_resident_memory_bytes", onset, stepped(61e6, 402e6), ("shop", f"orders-{number}"))
    report = look(onset, *(("shop", f"orders-{number}") for number in range(4)))
    assert "series_capped" in report.notes
    assert len(report.found) == 2


def test_a_store_that_refuses_leaves_a_note(
    onset: datetime, telemetry_db: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> SeriesBlock:
        raise Invalid("telemetry.timeout", "too slow")

    monkeypatch.setattr(telemetry_db, "select", refuse)
    assert look(onset).notes == ["refused", "no_samples"]


def test_no_time_left_reads_nothing(onset: datetime) -> None:
    write("process_resident_memory_bytes", onset, stepped(61e6, 402e6))
    report = shift_reads.shifts({TARGET}, onset, onset, deadline_seconds=0.0)
    assert (report.reads, report.found) == (0, [])
    assert "deadline" in report.notes


def test_a_service_that_has_just_started_has_a_short_base(onset: datetime) -> None:
    times = stretch(onset)
    labels = labels_of({"__name__": "process_resident_memory_bytes", "job": TARGET[0], "instance": TARGET[1]})
    append(SeriesBlock.build([(labels, times[240:], stepped(61e6, 402e6)[240:])]), actor=WRITER)
    (found,) = look(onset).found
    assert found.quantity.kind == "memory"
