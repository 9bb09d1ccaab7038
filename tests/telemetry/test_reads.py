from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tongchou.core.access import system
from tongchou.core.problems import Problem
from tongchou.telemetry import reads
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of


def write(name, values, *, now, **labels):
    ts = [now - (len(values) - 1 - i) * 1000 for i in range(len(values))]
    append(SeriesBlock.build([(labels_of({"__name__": name, **labels}), ts, values)]), actor=system("tests"))


def test_an_instant_vector_gives_labels_values_and_time(telemetry_db):
    now = telemetry_db.clock()
    write("up", [1.0, 0.0], now=now, job="a")
    at = datetime.fromtimestamp(now / 1000, UTC)
    assert reads.instant_vector("up", at) == [reads.Sample({"__name__": "up", "job": "a"}, 0.0, at)]
    assert reads.instant_vector("up == 1", at - timedelta(seconds=1))[0].value == 1.0
    assert reads.instant_vector("1 + 1")[0].labels == {}


def test_a_range_matrix_leaves_absent_steps_out(telemetry_db):
    now = telemetry_db.clock() // 1000 * 1000
    write("up", [1.0, 2.0, 3.0], now=now, job="a")
    end = datetime.fromtimestamp(now / 1000, UTC)
    [line] = reads.range_matrix("up", end - timedelta(seconds=4), end, 1)
    assert line.values.tolist() == [1.0, 2.0, 3.0]
    assert line.times.tolist() == [now - 2000, now - 1000, now]


def test_a_chart_has_at_most_the_points_asked_for(telemetry_db):
    now = telemetry_db.clock() // 1000 * 1000
    write("load", np.arange(3000.0), now=now)
    end = datetime.fromtimestamp(now / 1000, UTC)
    [line] = reads.chart("load", end - timedelta(seconds=2999), end, max_points=100)
    assert 90 <= len(line.values) <= 100


def test_a_bad_expression_is_a_problem(telemetry_db):
    with pytest.raises(Problem, match="parse_error"):
        reads.instant_vector("sum(")


def test_the_store_tells_its_figures(telemetry_db):
    write("up", [1.0, 2.0], now=telemetry_db.clock())
    telemetry_db.flush()
    stats = reads.store_stats()
    assert (stats["series"], stats["samples"], stats["days"], stats["window_samples"]) == (1, 2, 1, 2)
    assert stats["bytes_on_disk"] > 0
    assert reads.ready()
    assert reads.day_span() is not None
