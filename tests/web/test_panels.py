"""Panels, chart columns and the readings behind them: pure decisions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.models import Role
from tongchou.core.problems import Invalid
from tongchou.telemetry.promql.parse import measured_part
from tongchou.telemetry.reads import Line
from tongchou.web import panels, telemetry_reads
from tongchou.web.plan import escaped

NAMES = [
    "http_requests_total",
    "http_client_requests_total",
    "http_request_duration_seconds_bucket",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "process_resident_memory_bytes",
    "up",
    "scrape_duration_seconds",
]


def labels_of(name: str) -> list[str]:
    return ["code", "service"] if "http" in name else ["instance"]


@pytest.mark.parametrize("selector", ["", 'instance=~"a|b"'])
def test_suggested_panels_are_promql_and_general(selector: str) -> None:
    found = panels.suggest(NAMES, labels_of, selector=selector)
    assert [panel.title["en"] for panel in found][:3] == ["Request rate", "Error ratio (5xx)", "Latency p95"]
    for panel in found:
        promql_parser.parse(panel.query)
        assert panel.unit in panels.UNITS
        assert panel.title["zh"]
        assert not selector or selector in panel.query
    assert "http_client" not in found[0].query


def test_without_metrics_there_are_no_panels() -> None:
    assert panels.suggest([], labels_of) == []


@pytest.mark.parametrize(
    "value",
    [
        "x",
        [1],
        [{"query": ""}],
        [{"query": "up", "title": 5}],
        [{"query": "up", "title": "t", "unit": "m"}],
        [{"query": "up", "title": "t", "extra": 1}],
        [{"query": "up", "title": "t"}] * 25,
    ],
)
def test_a_list_of_panels_that_will_not_do_is_refused(value: object) -> None:
    assert panels.problem_of(value)


def test_suggested_panels_can_be_saved_as_they_are() -> None:
    rows = json.loads(json.dumps(panels.as_rows(panels.suggest(NAMES, labels_of))))
    assert panels.problem_of(rows) is None


def test_an_administrator_sets_the_panels_and_a_mistake_is_shown(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert client.post("/cockpit/panels", {"text": "[{"}).status_code == 422
    assert client.post("/cockpit/panels", {"text": '[{"query": "up"}]'}).status_code == 422
    assert client.post("/cockpit/panels", {"text": '[{"query": "up", "title": "My panel"}]'}).status_code == 302
    assert "My panel" in client.get("/").content.decode()
    client.post("/cockpit/panels", {"reset": "1"})
    assert "My panel" not in client.get("/").content.decode()
    assert browser(Role.VIEWER).post("/cockpit/panels", {"text": "[]"}).status_code == 403


@given(st.floats(1, 4e7), st.integers(10, 1000))
def test_a_step_gives_few_enough_points(span: float, points: int) -> None:
    step = telemetry_reads.step_for(span, points)
    assert step >= 1
    assert span / step <= points


def test_lines_stand_on_one_grid_and_what_json_does_not_know_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(
        query: str, start: datetime, end: datetime, step: float, **_more: object
    ) -> tuple[list[Line], list[str], list[str]]:
        first = round(start.timestamp() * 1000)
        times = np.array([first, first + 2000], dtype=np.int64)
        lines = [Line({"a": "1"}, times, np.array([1.0, np.inf])), Line({"a": "2"}, times[:1], np.array([np.nan]))]
        return lines, [], []

    monkeypatch.setattr(telemetry_reads, "is_open", lambda: True)
    monkeypatch.setattr(telemetry_reads.reads, "range_noted", fake)
    end = datetime(2026, 3, 1, tzinfo=UTC)
    found = telemetry_reads.columns("up", end - timedelta(seconds=9), end, points=10)
    assert found.step_seconds == 1.0
    assert len(found.times) == 10
    assert found.series[0]["values"] == [1.0] + [None] * 9
    assert found.series[1]["values"] == [None] * 10
    json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_too_many_lines_are_dropped_the_flattest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(
        query: str, start: datetime, end: datetime, step: float, **_more: object
    ) -> tuple[list[Line], list[str], list[str]]:
        at = np.array([round(start.timestamp() * 1000)], dtype=np.int64)
        return [Line({"n": f"{n:03}"}, at, np.array([float(n)])) for n in range(60)], [], []

    monkeypatch.setattr(telemetry_reads, "is_open", lambda: True)
    monkeypatch.setattr(telemetry_reads.reads, "range_noted", fake)
    end = datetime(2026, 3, 1, tzinfo=UTC)
    found = telemetry_reads.columns("up", end - timedelta(minutes=1), end, points=60)
    assert len(found.series) == telemetry_reads.MAX_LINES
    assert found.dropped == 60 - telemetry_reads.MAX_LINES
    assert found.series[-1]["name"] == "059"


def test_a_range_that_runs_backwards_is_refused() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(Invalid):
        telemetry_reads.columns("up", now, now, points=10)


@pytest.mark.parametrize(
    ("labels", "legend", "names"),
    [
        ([{"__name__": "up", "job": "a"}], "", ["up"]),
        ([{"job": "a"}], "", ['{job="a"}']),
        ([{"job": "a", "i": "1"}, {"job": "a", "i": "2"}], "", ["1", "2"]),
        ([{"job": "a", "instance": "x"}, {"job": "b", "instance": "y"}], "", ["x", "y"]),
        ([{"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "1"}], "", ["1 1", "1 2", "2 1"]),
        ([{"job": "a"}], "{{job}} / {{ nothing }}", ["a /"]),
        ([{"job": "a"}], "{{nothing}}", ['{job="a"}']),
    ],
)
def test_lines_are_named_as_shortly_as_tells_them_apart(
    labels: list[dict[str, str]], legend: str, names: list[str]
) -> None:
    assert telemetry_reads.line_names(labels, legend) == names


@pytest.mark.parametrize(
    ("expression", "measured"),
    [
        ("up == 0", "up"),
        ("(rate(errors[5m]) > 0.1)", "rate(errors[5m])"),
        ("a > b", "a > b"),
        ("sum(up)", "sum(up)"),
        ("not promql (", "not promql ("),
    ],
)
def test_a_chart_of_an_alert_shows_what_it_measures(expression: str, measured: str) -> None:
    assert measured_part(expression) == measured


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30))
def test_an_instance_name_cannot_break_out_of_its_query(name: str) -> None:
    promql_parser.parse(f'up{{instance=~"{escaped(name)}"}}')
