"""The unit of an expression, guessed from names: by the naming convention, through rates, quotients and factors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.web import panels, units

GUESSES = {
    "process_resident_memory_bytes": "bytes",
    "sum by (job) (rate(node_network_receive_bytes_total[5m]))": "bytes_per_second",
    "rate(http_requests_total[1m])": "per_second",
    "increase(http_requests_total[1h])": "",
    "rate(node_cpu_seconds_total[5m])": "ratio",
    "rate(x_duration_seconds_sum[5m]) / rate(x_duration_seconds_count[5m])": "seconds",
    "histogram_quantile(0.95, sum by (le) (rate(x_duration_seconds_bucket[5m])))": "seconds",
    'sum(rate(a_total{code=~"5.."}[1m])) / sum(rate(a_total[1m]))': "ratio",
    'sum(rate(a_total{code=~"5.."}[1m])) / sum(rate(a_total[1m])) * 100': "percent",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes": "ratio",
    "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes": "ratio",
    "process_start_time_seconds": "",
    "time() - process_start_time_seconds": "",
    "x_seconds * 1000": "",
    "x_bytes > 5": "bytes",
    "x_bytes > bool 5": "",
    "topk(3, disk_used_percent)": "percent",
    "count(x_bytes)": "",
    "max_over_time(x_seconds[1h:1m])": "seconds",
    "up": "",
    "sum(": "",
    "1": "",
}


@pytest.mark.parametrize("query", GUESSES)
def test_the_unit_follows_from_the_names(query: str) -> None:
    assert units.guess(query) == GUESSES[query]


@pytest.mark.parametrize(
    ("query", "unit"),
    [
        ("sum by (le) (rate(x_duration_seconds_bucket[5m]))", "seconds"),
        ('sum by (le) (increase({__name__="x_size_bytes_bucket"}[5m]))', "bytes"),
        ("rate(a_seconds_bucket[5m]) + rate(b_bytes_bucket[5m])", ""),
        ("x_seconds", ""),
        ("sum(", ""),
    ],
)
def test_the_bounds_of_buckets_have_the_unit_of_what_is_counted(query: str, unit: str) -> None:
    assert units.of_bounds(query) == unit


@given(st.text(max_size=60))
def test_whatever_is_typed_gives_a_unit_charts_know(text: str) -> None:
    assert units.guess(text) in panels.UNITS
