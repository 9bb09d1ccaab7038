"""Selectors, windows and the functions over them, against the definitions written out sample by sample."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.promql import naive
from tests.telemetry.promql.data import Samples, backend_of, metric, sets_of_counters, sharing
from tongchou.telemetry.promql.evaluate import instant, range_
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.series import Labels

STEPS = st.sampled_from([(0, 300_000, 15_000), (100_000, 400_000, 7_000), (50_000, 50_000, 1_000)])
RANGES = st.sampled_from([1_000, 15_000, 60_000, 200_000])


def table(result: Result) -> dict[tuple[str, int], float]:
    return {(dict(labels)["instance"], time): value for labels, time, value in result.samples()}


def instance(labels: Labels) -> str:
    return dict(labels)["instance"]


def agree(found: dict[tuple[str, int], float], wanted: dict[tuple[str, int], float], tolerance: float = 1e-9) -> None:
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert math.isclose(found[key], value, rel_tol=tolerance, abs_tol=1e-6), (key, found[key], value)


@pytest.mark.parametrize("template", sorted(naive.FUNCTIONS))
@settings(max_examples=25, deadline=None)
@given(series=sets_of_counters(), steps=STEPS, range_ms=RANGES, offset_ms=st.sampled_from([0, 30_000, -30_000]))
def test_a_function_over_windows_is_what_its_definition_says(
    template: str, series: dict[Labels, Samples], steps: tuple[int, int, int], range_ms: int, offset_ms: int
) -> None:
    start, end, step = steps
    shift = f" offset {offset_ms}ms" if offset_ms else ""
    query = template.format(f"requests_total[{range_ms}ms]{shift}")
    backend = backend_of(series)
    found = table(range_(query, start, end, step, backend=backend))
    wanted = {}
    for labels, samples in series.items():
        for time in range(start, end + 1, step):
            at = time - offset_ms
            value = naive.FUNCTIONS[template](naive.window(samples, at, range_ms), at, range_ms)
            if template.startswith("predict"):
                # Ahead of the time of evaluation, not of the shifted window.
                line = naive.regression(naive.window(samples, at, range_ms), time)
                value = None if line is None else line[0] * 60 + line[1]
            if value is not None:
                wanted[instance(labels), time] = value
    agree(found, wanted)
    shared = sharing(backend)
    for _again in range(2):  # the second time with what the labels remember
        agree(table(range_(query, start, end, step, backend=shared)), wanted)


@settings(max_examples=60, deadline=None)
@given(series=sets_of_counters(), steps=STEPS, lookback_ms=st.sampled_from([1, 15_000, 300_000]))
def test_a_selector_takes_the_newest_sample_that_is_neither_too_old_nor_stale(
    series: dict[Labels, Samples], steps: tuple[int, int, int], lookback_ms: int
) -> None:
    start, end, step = steps
    backend = backend_of(series)
    found = table(range_("requests_total", start, end, step, backend=backend, lookback_ms=lookback_ms))
    shared = table(range_("requests_total", start, end, step, backend=sharing(backend), lookback_ms=lookback_ms))
    assert found == shared
    wanted = {}
    for labels, samples in series.items():
        for time in range(start, end + 1, step):
            value = naive.newest(samples, time, lookback_ms)
            if value is not None:
                wanted[instance(labels), time] = value
    agree(found, wanted, tolerance=0)


EXPRESSIONS = (
    "requests_total",
    "rate(requests_total[1m])",
    "sum(rate(requests_total[1m]))",
    "sum by (instance) (requests_total) > 10",
    "requests_total offset 30s - requests_total",
    "requests_total @ 100 + requests_total",
    "max_over_time(rate(requests_total[30s])[2m:10s])",
    "avg_over_time(requests_total[1m:7s] offset 20s)",
    "topk(1, requests_total)",
    "quantile(0.4, requests_total)",
    "stddev(requests_total)",
    "requests_total and on(instance) (requests_total > 5)",
    'requests_total unless requests_total{instance="0"}',
    "absent(requests_total)",
    "scalar(sum(requests_total)) + 1",
    "timestamp(requests_total)",
    "deriv(requests_total[2m])",
    "count_values('v', requests_total)",
)


@pytest.mark.parametrize("query", EXPRESSIONS)
@settings(max_examples=15, deadline=None)
@given(series=sets_of_counters(), steps=STEPS)
def test_a_range_query_is_the_instant_query_at_every_step(
    query: str, series: dict[Labels, Samples], steps: tuple[int, int, int]
) -> None:
    start, end, step = steps
    backend = sharing(backend_of(series))
    whole = {
        (labels, time): value for labels, time, value in range_(query, start, end, step, backend=backend).samples()
    }
    single = {
        (labels, time): value
        for at in range(start, end + 1, step)
        for labels, time, value in instant(query, at, backend=backend_of(series)).samples()
    }
    assert whole.keys() == single.keys()
    for key, value in single.items():
        both_nan = math.isnan(value) and math.isnan(whole[key])
        assert both_nan or math.isclose(whole[key], value, rel_tol=1e-12, abs_tol=1e-9), key


def test_windows_are_open_to_the_left_and_closed_to_the_right() -> None:
    backend = backend_of({metric("x"): [(0, 1.0), (60_000, 2.0)]})
    counted = instant("count_over_time(x[1m])", 60_000, backend=backend)
    assert [value for _l, _t, value in counted.samples()] == [1.0]
    assert not list(instant("x", 60_000 + 300_000, backend=backend).samples())
    assert [v for _l, _t, v in instant("x", 60_000 + 299_999, backend=backend).samples()] == [2.0]


def test_a_range_vector_is_returned_sample_by_sample() -> None:
    backend = backend_of({metric("x", a="1"): [(1, 5.0), (2, 6.0)], metric("x", a="2"): [(2, 7.0)]})
    result = instant("x[1m]", 10, backend=backend)
    assert result.kind == "matrix"
    assert [(dict(labels)["a"], times.tolist(), values.tolist()) for labels, times, values in result.lines()] == [
        ("1", [1, 2], [5.0, 6.0]),
        ("2", [2], [7.0]),
    ]


def test_one_query_reads_a_selector_once() -> None:
    backend = backend_of({metric("x"): [(0, 1.0)]})
    reads = []
    select = backend.select
    backend.select = lambda *a, **k: reads.append(a) or select(*a, **k)  # type: ignore[method-assign,func-returns-value]
    instant("x + x * x", 0, backend=backend)
    assert len(reads) == 1
