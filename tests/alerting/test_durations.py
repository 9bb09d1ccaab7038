"""Prometheus's durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.durations import format_seconds, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5s", 5),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1y", 31536000),
        ("2w3d", 1468800),
        ("1d12h", 129600),
    ],
)
def test_reads(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "-5s", "5 s", "5s ", "1m1h", "1.5h", "s", "1x", "999999999y", "٣s"])
def test_refuses_what_prometheus_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse_seconds(text)


@given(st.integers(0, 10**12))
def test_writes_what_it_reads(milliseconds: int) -> None:
    assert parse_seconds(format_seconds(milliseconds / 1000)) == milliseconds / 1000
