"""Names as Prometheus's otlptranslator gives them (underscores, with suffixes); the cases are those of its tests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.otlp.names import label_name, metric_name, unit_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("requests", "", "counter", "requests_total"),
        ("cpu_usage", "1", "gauge", "cpu_usage_ratio"),
        ("items", "1", "counter", "items_total"),
        ("response_time", "ms", "gauge", "response_time_milliseconds"),
        ("memory_usage", "By", "gauge", "memory_usage_bytes"),
        ("requests", "1/s", "gauge", "requests_per_second"),
        ("throughput", "By/s", "gauge", "throughput_bytes_per_second"),
        ("custom_metric", "custom_unit", "gauge", "custom_metric_custom_unit"),
        ("custom_metric", "{custom}", "gauge", "custom_metric"),
        ("custom_metric", "By/{custom}", "gauge", "custom_metric_bytes"),
        ("requests_total", "", "counter", "requests_total"),
        ("cpu_usage_ratio", "1", "gauge", "cpu_usage_ratio"),
        ("response_time_seconds", "s", "gauge", "response_time_seconds"),
        ("requests", "1/s", "counter", "requests_per_second_total"),
        (
            "metric__with__multiple__underscores",
            "unit__multiple__underscores",
            "gauge",
            "metric_with_multiple_underscores_unit_multiple_underscores",
        ),
        ("custom_metric", "unit@with#special/chars", "gauge", "custom_metric_unit_with_special_per_chars"),
        ("@#$%", "", "gauge", ""),
        ("request_duration", "s", "", "request_duration_seconds"),
        ("active_connections", "", "", "active_connections"),
        ("uptime", "d", "gauge", "uptime_days"),
        ("duration", "h", "gauge", "duration_hours"),
        ("http.server.request.duration", "s", "", "http_server_request_duration_seconds"),
        ("requests.count", "1", "counter", "requests_count_total"),
        ("requests.count", "1", "", "requests_count"),  # a sum that may fall is no ratio
        ("123metric", "", "gauge", "_123metric"),
        ("订单", "s", "", ""),
    ],
)
def test_metric_names(name, unit, kind, expected):
    assert metric_name(name, unit, counter=kind == "counter", gauge=kind == "gauge") == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("By/s", ("bytes", "per_second")),
        ("{x}/s", ("", "per_second")),
        ("1", ("", "")),
        ("", ("", "")),
        ("/", ("", "")),
    ],
)
def test_units(unit, expected):
    assert unit_name(unit) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("label:with:colons", "label_with_colons"),
        ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
        ("label!with&special$chars)", "label_with_special_chars_"),
        ("label_with_foreign_characters_字符", "label_with_foreign_characters___"),
        ("label.with.dots", "label_with_dots"),
        ("123label", "key_123label"),
        ("_label_starting_with_underscore", "key_label_starting_with_underscore"),
        ("__name__", "key__name__"),
        ("ようこそ", ""),
        ("__", ""),
        ("", ""),
    ],
)
def test_label_names(key, expected):
    assert label_name(key) == expected


@given(st.text(max_size=20), st.text(max_size=8), st.booleans(), st.booleans())
def test_any_name_becomes_one_that_is_allowed_or_none(name, unit, counter, gauge):
    assert re.fullmatch(r"|[a-zA-Z_:][a-zA-Z0-9_:]*", metric_name(name, unit, counter=counter, gauge=gauge))
    assert re.fullmatch(r"|[a-zA-Z][a-zA-Z0-9_]*", label_name(name))
