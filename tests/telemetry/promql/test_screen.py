"""What a screen calls quiet gives nothing when it is asked alone, and what it shares is what is found alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.promql.data import line
from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.ports import MEMBER, EachBackend, Limits, ManyMatchers
from tongchou.telemetry.promql import screen
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.evaluate import Shared, instant
from tongchou.telemetry.promql.screen import Screen
from tongchou.telemetry.series import STALE_NAN, LabelList, SeriesBlock


class Each(MemoryBackend):
    """A backend that answers many selectors by asking one after the other; `reads` counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def select_each(self, many: ManyMatchers, start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock | None:
        self.reads += 1
        rows = []
        for number, matchers in enumerate(many.sets):
            block = self.select(matchers, start_ms, end_ms, limits=limits)
            rows += [(((MEMBER, str(number)), *labels), *block.samples(at)) for at, labels in enumerate(block.labels)]
        found = SeriesBlock.build(rows)
        found.labels = LabelList(found.labels)
        return found


VALUES = st.sampled_from([0.0, 1.0, 1.0, 2.0, 3.5, 0.1, -1.0, 7.0, math.nan, math.inf, -math.inf, STALE_NAN, 1e16])
METRICS = 10


@st.composite
def stores(draw: st.DrawFn) -> Each:
    """Some metrics of a few series; counters with buckets among them."""
    backend = Each()
    for number in range(METRICS):
        for host in draw(st.sets(st.sampled_from("abc"), max_size=3)):
            for le in ("1", "+Inf"):
                rows = draw(st.lists(VALUES, min_size=1, max_size=5))
                backend.add(*_as_added(line(f"m{number}", rows, host=host, le=le)))
    return backend


def _as_added(found):
    labels, samples = found
    return labels, dict(samples)


PARTS = st.sampled_from(
    [
        "{m}", '{m}{{le="1"}}', "-{m}", "{m} offset 15s", "rate({m}[1m])", "sum by (host) (rate({m}[1m]))",
        "sum without (le) ({m})", "avg_over_time({m}[1m])", "max_over_time({m}[45s])", "topk(1, {m})",
        "histogram_quantile(0.5, {m})", "histogram_quantile(0.5, sum by (le) (rate({m}[1m])))", "sum({m}) / count({m})",
        "{m} * on (host) group_left () max by (host) ({m})", "{m} and on (host) m1", "{m} or m1", "{m} unless {m} > 1",
        "{m} / ignoring (le) {m}", "abs({m}) * 100", "absent({m})", "scalar({m}) + {m}", "clamp_max({m}, 2)",
        "{m} == bool 1", "quantile(0.9, {m})", "sum_over_time({m}[1m:15s])", "{m} @ 30", "stddev({m})", '{m}{{le=~"1|x"}}',
        'label_replace({m}, "host", "x", "le", ".*")', "timestamp({m})",
    ]
)  # fmt: skip
BOUNDS = st.sampled_from(["0", "1", "2", "0.1", "-1", "7", "NaN", "Inf", "-Inf", "3.5", "(0.5 + 0.5)", "1e16", "-(-1)"])
OPERATORS = st.sampled_from([">", "<", ">=", "<=", "==", "!="])


@st.composite
def rules(draw: st.DrawFn) -> list[str]:
    """Rules of a few shapes over all metrics, as a person writes them for one service after the other."""
    found = []
    for _shape in range(draw(st.integers(1, 2))):
        part, op = draw(PARTS), draw(OPERATORS)
        for number in range(METRICS):
            text, bound = part.format(m=f"m{number}"), draw(BOUNDS)
            found.append(draw(st.sampled_from([f"{text} {op} {bound}", f"{bound} {op} ({text})", text])))
    return found


def alone(query: str, backend: Each, shared: Shared | None = None) -> Sequence[object] | str:
    try:
        found = instant(query, 60_000, backend=backend, shared=shared)
    except QueryError as error:
        return str(error.detail)
    return [(labels, value if math.isfinite(value) else repr(value)) for labels, _at, value in found.samples()]


@given(stores(), rules())
@settings(max_examples=20, deadline=None)
def test_quiet_is_only_what_gives_nothing(backend: Each, queries: list[str]) -> None:
    kept, shared = Screen(queries), Shared()
    quiet = kept.quiet(60_000, backend=backend, limits=Limits(), shared=shared)
    for query in queries:
        plain = alone(query, backend)
        if query in quiet:
            assert plain == [], query
        assert alone(query, backend, shared) == plain, query
    assert kept.quiet(60_000, backend=backend, limits=Limits(), shared=Shared()).keys() == quiet.keys()  # it remembers


def _shop(backend: Each, value: float, count: int = 40) -> list[str]:
    for number in range(count):
        backend.add(*_as_added(line(f"up{number}", [value] * 5, job="shop")))
    return [f'up{number}{{job="shop"}} == 0' for number in range(count)]


def test_many_quiet_rules_of_one_shape_are_one_read() -> None:
    backend = Each()
    assert isinstance(backend, EachBackend)
    queries = _shop(backend, 1.0)
    backend.add(*_as_added(line("up7", [0.0] * 5, job="shop")))
    quiet = Screen(queries).quiet(60_000, backend=backend, limits=Limits(), shared=Shared())
    assert set(queries) - set(quiet) == {queries[7]}
    assert backend.reads == 1
    assert all(seconds >= 0 for seconds in quiet.values())


def test_one_that_fails_is_not_held_against_the_others() -> None:
    backend = Each()
    queries = [f"{query} * on (job) group_left () owner{n} > 5" for n, query in enumerate(_names(backend))]
    for number in range(40):
        backend.add(*_as_added(line(f"owner{number}", [1.0] * 5, job="shop")))
    backend.add(*_as_added(line("owner3", [1.0] * 5, job="shop", team="second")))
    kept = Screen(queries)
    for _again in range(2):
        quiet = kept.quiet(60_000, backend=backend, limits=Limits(), shared=Shared())
        assert queries[3] not in quiet
        assert len(quiet) >= len(queries) - 2 * screen.MIN_STACK
    with pytest.raises(QueryError, match="found duplicate series"):
        instant(queries[3], 60_000, backend=backend)


def _names(backend: Each) -> list[str]:
    _shop(backend, 1.0)
    return [f"up{number}" for number in range(40)]


def test_a_limit_of_one_query_is_not_one_of_all() -> None:
    backend = Each()
    queries = _shop(backend, 1.0)
    quiet = Screen(queries).quiet(60_000, backend=backend, limits=Limits(max_samples=200), shared=Shared())
    assert set(quiet) == set(queries)  # 400 samples and points of all


def test_what_does_not_parse_and_what_is_no_vector_is_not_quiet() -> None:
    queries = ["up{", "1", "up[5m]", '"text"', "time() > bool 3"]
    assert not Screen(queries).quiet(0, backend=Each(), limits=Limits(), shared=Shared())


def test_sums_over_windows_leave_room_for_rounding() -> None:
    backend = Each()
    names = [f"x{number}" for number in range(screen.MIN_STACK)]
    for name in names:
        backend.add(*_as_added(line(name, [0.1] * 5)))
    exact = instant("avg_over_time(x0[1m])", 60_000, backend=backend).values[0, 0]
    for bound in (exact, np.nextafter(exact, 1), np.nextafter(exact, 0)):
        queries = [f"avg_over_time({name}[1m]) > {float(bound)!r}" for name in names]
        assert not Screen(queries).quiet(60_000, backend=backend, limits=Limits(), shared=Shared())


def test_nan_differs_from_every_number() -> None:
    backend = Each()
    _shop(backend, 1.0, 9)
    backend.add(*_as_added(line("up3", [math.nan] * 5, job="shop", host="b")))
    queries = [f'up{number}{{job="shop"}} != 1' for number in range(9)]
    quiet = Screen(queries).quiet(60_000, backend=backend, limits=Limits(), shared=Shared())
    assert set(queries) - set(quiet) == {queries[3]}
