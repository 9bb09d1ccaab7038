"""Answers are what a plain JSON writer would make of the result."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.prometheus import answer
from tongchou.telemetry.promql import windows
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.series import LabelList, labels_of

VALUES = st.one_of(
    st.floats(),
    st.integers(-(2**60), 2**60).map(float),
    st.sampled_from([0.0, -0.0, 2.0**53, 1e21, 1e-7, math.nan, math.inf, -math.inf]),
)


@st.composite
def results(draw):
    rows, steps = draw(st.integers(0, 5)), draw(st.integers(1, 6))
    labels = LabelList(labels_of({"__name__": 'a"b', "i": str(row)}) for row in range(rows))
    values = np.array(draw(st.lists(VALUES, min_size=rows * steps, max_size=rows * steps)), np.float64)
    present = np.array(draw(st.lists(st.booleans(), min_size=rows * steps, max_size=rows * steps)), np.bool_)
    if draw(st.booleans()):
        present[:] = True
    times = 1_700_000_000_000 + np.arange(steps) * draw(st.sampled_from([1, 500, 1000]))
    return Result("matrix", labels, times, values.reshape(rows, steps), present.reshape(rows, steps))


def same(text, value):
    read = float(text)
    return (
        math.isnan(read) if math.isnan(value) else (read == value and math.copysign(1, read) == math.copysign(1, value))
    )


@given(results())
def test_a_matrix_reads_back_as_it_was(result):
    body = json.loads(answer.matrix(result))
    wanted = [line for line in result.lines() if len(line[1])]
    assert body["resultType"] == "matrix"
    assert [labels_of(each["metric"]) for each in body["result"]] == [labels for labels, _times, _values in wanted]
    for each, (_labels, times, values) in zip(body["result"], wanted, strict=True):
        assert [time for time, _value in each["values"]] == [time / 1000 for time in times.tolist()]
        assert all(same(text, value) for (_time, text), value in zip(each["values"], values.tolist(), strict=True))


@given(results(), st.integers(1, 4))
def test_a_matrix_is_the_same_however_much_is_written_at_a_time(result, cells):
    whole = answer.matrix(result)
    known, windows.CHUNK_CELLS = windows.CHUNK_CELLS, cells
    try:
        assert answer.matrix(result) == whole
    finally:
        windows.CHUNK_CELLS = known


def test_a_long_series_is_asked_between_its_parts_whether_it_is_to_end():
    asked = []
    count = windows.CHUNK_CELLS * 3
    times = np.arange(count) * 1000
    result = Result("matrix", LabelList([()]), times, np.ones((1, count)), np.ones((1, count), np.bool_))
    assert len(json.loads(answer.matrix(result, lambda: asked.append(1)))["result"][0]["values"]) == count
    assert len(asked) == 3


@given(results())
def test_a_vector_reads_back_as_it_was(result):
    result.kind = "vector"
    body = json.loads(answer.vector(result))
    rows = np.flatnonzero(result.present[:, 0]).tolist()
    assert [labels_of(each["metric"]) for each in body["result"]] == [result.labels[row] for row in rows]
    for each, row in zip(body["result"], rows, strict=True):
        assert same(each["value"][1], float(result.values[row, 0]))
