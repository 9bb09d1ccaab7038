"""What a query answers, how it is refused, and that it cannot hurt the server."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tongchou.settings
from tests.telemetry.promql.data import backend_of, line, metric
from tongchou.telemetry.ports import Backend, Limits
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.evaluate import Shared, instant, range_
from tongchou.telemetry.promql.grid import Result, format_float

BACKEND = backend_of(
    dict(
        [
            line("http_total", [0, 10, 20, 30, 40], path="/a", code="200"),
            line("http_total", [0, 1, 2, 3, 4], path="/b", code="200"),
            line("http_total", [5, 5, 5, 5, 5], path="/a", code="500"),
            line("owner", [1, 1, 1, 1, 1], path="/a", team="red"),
            line("lat_bucket", [0, 1, 2, 3, 4], le="0.1"),
            line("lat_bucket", [0, 2, 4, 6, 8], le="1"),
            line("lat_bucket", [0, 2, 4, 6, 10], le="+Inf"),
        ]
    )
)


def values(query: str, at_ms: int = 60_000) -> dict[str, float]:
    """Results by their labels, printed without the metric name."""
    result = instant(query, at_ms, backend=BACKEND)
    return {",".join(f"{k}={v}" for k, v in labels if k != "__name__"): value for labels, _t, value in result.samples()}


def refused(query: str, limits: Limits | None = None) -> QueryError:
    with pytest.raises(QueryError) as caught:
        range_(query, 0, 60_000, 1_000, backend=BACKEND, limits=limits)
    return caught.value


def test_the_memory_backend_is_a_backend() -> None:
    assert isinstance(BACKEND, Backend)


def test_each_kind_of_result_says_what_it_is() -> None:
    assert instant("1 + 1", 0, backend=BACKEND).kind == "scalar"
    assert instant("http_total", 0, backend=BACKEND).kind == "vector"
    assert instant('"word"', 0, backend=BACKEND).text == "word"
    assert range_("1", 0, 2_000, 1_000, backend=BACKEND).values.tolist() == [[1.0, 1.0, 1.0]]


def test_aggregation_groups_by_and_without() -> None:
    assert values("sum by (code) (http_total)") == {"code=200": 44.0, "code=500": 5.0}
    assert values("max without (code) (http_total)") == {"path=/a": 40.0, "path=/b": 4.0}
    assert values("count(http_total)") == {"": 3.0}


def test_many_to_one_matching_takes_labels_from_the_one_side() -> None:
    joined = values("http_total * on (path) group_left (team) owner")
    assert joined == {"code=200,path=/a,team=red": 40.0, "code=500,path=/a,team=red": 5.0}


def test_a_comparison_filters_and_keeps_the_name() -> None:
    result = instant("http_total > 10", 60_000, backend=BACKEND)
    assert result.labels == [metric("http_total", path="/a", code="200")]
    assert values("http_total > bool 10")["code=200,path=/b"] == 0.0


def test_matching_that_is_ambiguous_is_refused() -> None:
    error = refused("owner * on (path) http_total")
    assert error.code == "telemetry.execution_error"
    assert "found duplicate series for the match group" in str(error.detail)
    assert "many-to-one matching must be explicit" in str(refused("http_total * on (path) owner").detail)


def test_two_series_must_not_end_up_with_the_same_labels() -> None:
    assert "same labelset" in str(refused('label_replace(http_total, "code", "x", "code", ".*")').detail)


def test_histogram_quantile_interpolates_within_the_bucket() -> None:
    assert values("histogram_quantile(0.2, lat_bucket)")[""] == pytest.approx(0.05)
    assert values("histogram_quantile(0.9, lat_bucket)")[""] == 1.0
    assert values("histogram_fraction(0, 0.1, lat_bucket)")[""] == pytest.approx(0.4)


def test_the_order_of_an_instant_query_is_kept() -> None:
    result = instant("sort_desc(http_total)", 60_000, backend=BACKEND)
    assert [value for _l, _t, value in result.samples()] == [40.0, 5.0, 4.0]


def test_alternatives_in_a_selector_are_united() -> None:
    assert values('http_total{path="/b" or code="500"}') == {"code=200,path=/b": 4.0, "code=500,path=/a": 5.0}


SETTINGS = {
    "max_steps": "TONGCHOU_TELEMETRY_MAX_QUERY_STEPS",
    "max_series": "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES",
    "max_samples": "TONGCHOU_TELEMETRY_MAX_SAMPLES",
    "max_memory_bytes": "TONGCHOU_TELEMETRY_MAX_QUERY_BYTES",
    "timeout_seconds": "TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS",
}


@pytest.mark.parametrize(
    ("query", "limits", "limit"),
    [
        ("http_total", Limits(max_steps=59), "max_steps"),
        ("http_total", Limits(max_series=2), "max_series"),
        ("http_total", Limits(max_samples=10), "max_samples"),
        ("sum_over_time(http_total[1m:1ms])", Limits(max_samples=10_000), "max_samples"),
        ("http_total[100y:1ms]", Limits(), "max_samples"),
        ("http_total", Limits(max_memory_bytes=1_000), "max_memory_bytes"),
        ("http_total", Limits(timeout_seconds=-1), "timeout_seconds"),
    ],
)
def test_a_limit_names_itself_and_the_setting_that_raises_it(query: str, limits: Limits, limit: str) -> None:
    with pytest.raises(QueryError) as caught:
        if query.endswith("ms]"):
            instant(query, 60_000, backend=BACKEND, limits=limits)
        else:
            range_(query, 0, 60_000, 1_000, backend=BACKEND, limits=limits)
    problem = caught.value.as_dict()
    assert problem["code"] == "telemetry.limit_exceeded"
    assert problem["limit"] == limit
    assert limit in problem["detail"]
    assert SETTINGS[limit] in problem["remedy"]
    assert SETTINGS[limit] in Path(tongchou.settings.__file__).read_text(encoding="utf-8")


def test_a_query_nobody_waits_for_is_given_up() -> None:
    with pytest.raises(QueryError) as caught:
        instant("sum(http_total)", 0, backend=BACKEND, cancelled=lambda: True)
    assert caught.value.code == "telemetry.canceled"


@pytest.mark.parametrize("query", ["http_total[5m]", '"text"'])
def test_a_range_query_needs_a_vector_or_a_scalar(query: str) -> None:
    assert "for range query" in str(refused(query).detail)


def test_a_backward_range_and_a_zero_step_are_refused() -> None:
    with pytest.raises(QueryError, match="end timestamp"):
        range_("1", 10, 0, 1, backend=BACKEND)
    with pytest.raises(QueryError, match="step"):
        range_("1", 0, 10, 0, backend=BACKEND)


@pytest.mark.parametrize(
    "query",
    [
        'label_replace(http_total, "a", "$1", "path", "(")',
        'label_replace(http_total, "", "$1", "path", ".*")',
        'label_join(http_total, "", "-", "path")',
        "topk(NaN, http_total)",
        "limit_ratio(NaN, http_total)",
        "double_exponential_smoothing(http_total[1m], 2, 0.5)",
        'count_values("", http_total)',
    ],
)
def test_arguments_without_meaning_are_refused(query: str) -> None:
    assert refused(query).code == "telemetry.execution_error"


def test_warnings_tell_the_argument_they_are_about() -> None:
    result = instant("1 + quantile(1.5, http_total)", 60_000, backend=BACKEND)
    assert result.warnings == ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:14)"]
    remarked = instant("rate(owner[1m])", 60_000, backend=BACKEND)
    assert remarked.infos[0].endswith('_total/_sum/_count/_bucket: "owner" (1:6)')


def test_a_regex_bomb_costs_no_time() -> None:
    label = "a" * 5_000
    backend = backend_of(dict([line("x", [1.0], word=label + "!")]))
    begin = time.process_time()
    assert not list(instant('x{word=~"(a+)+$"}', 0, backend=backend).samples())
    # Python's re would need longer than the universe has existed; RE2 is linear.
    assert time.process_time() - begin < 5


ATOMS = st.sampled_from(
    ["http_total", "owner", "1", "scalar(owner)", "lat_bucket", "NaN", "rate(http_total[30s])", "vector(2)", "nothing"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "/", "> bool", "or", "and", "unless", "^"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} on (path) {parts[2]})"
        ),
        st.tuples(st.sampled_from(["sum", "topk(2,", "quantile(0.5,", "stddev", "count"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]}" + ("))" if parts[0].endswith(",") else ")")
        ),
        inner.map(lambda expr: f"-({expr})"),
        inner.map(lambda expr: f"sum_over_time(({expr})[1m:20s])"),
        inner.map(lambda expr: f"histogram_quantile(0.5, {expr})"),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_any_expression_answers_or_says_why_not(query: str) -> None:
    try:
        result = range_(query, 0, 60_000, 20_000, backend=BACKEND)
    except QueryError as error:
        result, code = None, error.code
    if result is None:
        assert code in ("telemetry.parse_error", "telemetry.execution_error")
        return
    assert isinstance(result, Result)
    assert result.values.shape == result.present.shape == (len(result.labels), 4)
    assert result.present.any(axis=1).all()
    assert len(set(result.labels)) == len(result.labels)


def test_what_queries_share_tells_zero_from_minus_zero() -> None:
    shared = Shared()
    for query in ("1 / vector(0)", "1 / vector(-0)", "vector(0 / 0)"):
        assert told(query, shared) == told(query, None)


def told(query: str, shared: Shared | None) -> object:
    try:
        found = instant(query, 60_000, backend=BACKEND, shared=shared)
    except QueryError as error:
        return error.code
    return found.kind, [(labels, time, repr(value)) for labels, time, value in found.samples()]


@given(st.lists(EXPRESSIONS, min_size=2, max_size=5))
def test_queries_of_one_moment_may_share_what_they_have_in_common(queries: list[str]) -> None:
    shared = Shared()
    shared.MAX_SAMPLES = 3  # type: ignore[misc]  # so that it lets go in the middle, too
    for query in [*queries, f"sum({queries[0]}) + sum({queries[1]})", *queries]:
        assert told(query, shared) == told(query, None)


def test_arithmetic_is_ieee_754() -> None:
    assert values("owner / 0")["path=/a,team=red"] == math.inf
    assert math.isnan(values("0 * owner / 0")["path=/a,team=red"])
    assert values("-7 % vector(3)")[""] == -1.0


CORNERS = backend_of(
    {
        metric("m", job="a"): [(1000, 1.0)],
        metric("m", job="b"): [(1000, 1.0)],
        metric("zero", job="a"): [(1000, 0.0)],
        metric("zero", job="b"): [(1000, -0.0)],
    }
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('count_values without (job) ("job", m)', {(): 2.0}),
        ('count_values without (x) ("job", m)', {(("job", "1"),): 2.0}),
        ('count_values("v", zero)', {(("v", "0"),): 1.0, (("v", "-0"),): 1.0}),
        ("clamp(vector(NaN), Inf, NaN)", {(): math.inf}),
        ("clamp_max(vector(NaN), -Inf)", {(): -math.inf}),
        ('absent(n{a=~"x.*", a="x"})', {(("a", "x"),): 1.0}),
        ('absent(n{a="x", a="y"})', {(): 1.0}),
        ("topk(-Inf, m)", {}),
    ],
)
def test_corners_are_those_of_prometheus(query, expected):
    """Each was found by asking a real one the same."""
    found = instant(query, 2000, backend=CORNERS)
    assert {labels: value for labels, _at, value in found.samples()} == expected


def test_a_number_of_series_beyond_an_integer_is_refused():
    with pytest.raises(QueryError, match="Inf overflows int64"):
        instant("topk(Inf, m)", 2000, backend=CORNERS)
    with pytest.raises(QueryError, match="underflows int64"):
        range_("topk((time() - 2.5) * 1e30, m)", 1000, 3000, 1000, backend=CORNERS)


def test_fill_left_stands_for_the_many_side_also_under_group_right():
    backend = backend_of(
        {
            metric("cpu", node="a", n="0"): [(1000, 1.0)],
            metric("cpu", node="b", n="0"): [(1000, 1.0)],
            metric("meta", node="a"): [(1000, 100.0)],
            metric("meta", node="c"): [(1000, 300.0)],
        }
    )
    both, only_c = {(("n", "0"), ("node", "a")): 100.0}, {(("node", "c"),): 300.0}
    found = instant("meta * on (node) group_right fill_left (1) cpu", 2000, backend=backend)
    assert {labels: value for labels, _at, value in found.samples()} == both | only_c
    found = instant("meta * on (node) group_right fill_right (5) cpu", 2000, backend=backend)
    assert {labels: value for labels, _at, value in found.samples()} == both | {(("n", "0"), ("node", "b")): 5.0}


MATCHED = backend_of(
    dict(
        [
            line("a", [1], x="1", y="p"),
            line("a", [5], x="1", y="q"),
            line("b", [3], x="1"),
            line("e", [1], x="1", y="p", z="1"),
            line("e", [5], x="1", y="p", z="2"),
            line("f", [4], x="1", z="3"),
        ]
    )
)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("a > on (x) b", "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"),
        ("a > bool on (x) b", "multiple matches for labels: many-to-one matching must be explicit"),
        ("e > on (x) group_left (z) f", "multiple matches for labels: grouping labels must ensure unique matches"),
        ("f < on (x) group_right (z) e", "multiple matches for labels: grouping labels must ensure unique matches"),
    ],
)
def test_what_a_comparison_leaves_out_is_matched_all_the_same(query: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        instant(query, 0, backend=MATCHED)
    assert told in str(caught.value.detail)
    with pytest.raises(QueryError):
        range_(query, 0, 60_000, 30_000, backend=MATCHED)


def test_a_filter_keeps_the_name_where_names_are_removed_late() -> None:
    backend = backend_of(dict([line("a_total", [-1], env="1")]))
    for query, name in (("abs(a_total) == abs(a_total)", {"a_total"}), ("abs(a_total) == bool abs(a_total)", set())):
        found = instant(query, 0, backend=backend, delayed_names=True)
        assert {value for labels in found.labels for key, value in labels if key == "__name__"} == name, query


GREAT = [1e308, 1e308, -1e308, -1e308]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GREAT, math.inf),
        ([-1e308, 0.0, 1e308, 1e308], 1e308),
        ([1e308, -1e308, 1e308, 1.0], 1e308),
        ([1.0, -1e308, 1e308, 0.0], 1.0),
        ([math.inf, 1.0], math.inf),
        ([math.inf, -math.inf], math.nan),
        ([1e308, math.nan, 1e308], math.nan),
    ],
)
def test_a_sum_is_added_up_in_order_where_it_could_overflow(given: list[float], expected: float) -> None:
    backend = backend_of(dict(line("m", [value, value], i=str(index)) for index, value in enumerate(given)))
    for query in ("sum(m)", 'sum by (k) (label_replace(m, "k", "1", "", "")) or sum by (k) (m)'):
        found = range_(query, 0, 30_000, 30_000, backend=backend)
        for value in found.values.ravel().tolist():
            assert value == expected or (math.isnan(value) and math.isnan(expected)), query


def test_a_root_by_the_operator_is_a_power() -> None:
    backend = backend_of(dict([line("m", [-math.inf], i="1"), line("m", [-0.0], i="2"), line("m", [4], i="3")]))
    found = instant("m ^ 0.5", 0, backend=backend)
    assert found.values.ravel().tolist() == [math.inf, 0.0, 2.0]
    assert not np.signbit(found.values).any()
    assert instant("-Inf ^ 0.5", 0, backend=backend).values.tolist() == [[-math.inf]]  # -(Inf ^ 0.5)
    assert instant("(-Inf) ^ 0.5", 0, backend=backend).values.tolist() == [[math.inf]]


def test_the_deviation_of_what_is_not_a_number_is_none() -> None:
    backend = backend_of(dict([line("m", [1, math.nan, 3, 1, 2, 2], i="1"), line("m", [1, 2, 3, 1, 2, 2], i="2")]))
    found = instant("mad_over_time(m[10m])", 75_000, backend=backend)
    assert np.isnan(found.values[0, 0])
    assert found.values[1, 0] == 0.5


def test_a_smoothing_factor_that_is_no_number_gives_none() -> None:
    found = instant("double_exponential_smoothing(http_total[1m], NaN, 0.5)", 60_000, backend=BACKEND)
    assert np.isnan(found.values).all()
    assert "got: 2.000000" in str(refused("double_exponential_smoothing(http_total[1s], 2, 0.5)").detail)


def test_each_quantile_is_warned_of_where_it_stands() -> None:
    backend = backend_of(dict([line("h_bucket", [5], le="1"), line("h_bucket", [3], le="+Inf")]))
    found = instant('histogram_quantiles(h_bucket, "q", 0.5, 7)', 0, backend=backend)
    assert found.warnings == ["PromQL warning: quantile value should be between 0 and 1, got 7 (1:41)"]
    assert [told.rsplit(" ", 1)[1] for told in found.infos] == ["(1:21)"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e7, "1e+07"), (1e6, "1e+06"), (123456.0, "123456"), (1234567.5, "1.2345675e+06"), (0.0001, "0.0001"),
        (0.00001, "1e-05"), (-2.5, "-2.5"), (0.1, "0.1"), (1e100, "1e+100"), (-0.0, "-0"), (100.0, "100"),
        (1 / 3, "0.3333333333333333"),
    ],
)  # fmt: skip
def test_numbers_in_messages_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert format_float(value) == text
