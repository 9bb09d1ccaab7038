"""Grafana's files become dashboards, and whatever does not is told by its place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import JSON, PROPERTY, definitions, outcome
from tests.telemetry.dashboards.grafana_files import HOSTS, OLD
from tongchou.core.problems import Invalid, Problem, TooLarge
from tongchou.telemetry.dashboards import words
from tongchou.telemetry.dashboards.definition import Definition, Name, Panel, Threshold, parse
from tongchou.telemetry.dashboards.grafana_read import Read, read
from tongchou.telemetry.dashboards.grafana_write import write


def titled(found: Read, title: str) -> Panel:
    return next(each for each in found.definition.panels() if each.title == title)


def told(found: Read, where: str, what: str, weight: str = "lost") -> bool:
    return any(each.weight == weight and each.where == where and what in each.what for each in found.notes)


def test_a_dashboard_of_hosts_is_read_whole() -> None:
    found = read(copy.deepcopy(HOSTS))
    assert (found.title, found.tags, found.description) == ("Hosts full", ("linux", "hosts"), "Every host.")
    assert (found.definition.range, found.definition.refresh_seconds, found.definition.marks) == ("12h", 60, True)
    rows = found.definition.rows
    assert [(each.title, each.collapsed, len(each.panels)) for each in rows] == [
        ("At a glance", False, 6),
        ("Folded", True, 7),
    ]
    busy = titled(found, "Busy")
    assert (busy.kind, busy.unit, busy.decimals, busy.min, busy.max) == ("gauge", "percent", 1, 0, 100)
    assert busy.thresholds == (Threshold(None, "ok"), Threshold(70, "warning"), Threshold(90, "critical"))
    assert busy.queries[0].instant
    assert busy.queries[0].legend == ""
    cpu = titled(found, "CPU of $node")
    assert ((cpu.x, cpu.y, cpu.w, cpu.h), cpu.stack) == ((0, 5, 12, 9), True)
    assert cpu.thresholds == busy.thresholds
    assert [each.hidden for each in cpu.queries] == [False, True]
    assert titled(found, "Disk").thresholds == ()  # Grafana writes some that it does not show
    assert titled(found, "Disk").queries[0].expr == 'node_filesystem_avail_bytes{mountpoint="/data"}'
    assert titled(found, "State").names == (
        Name(0, 0, "Down", "critical"),
        Name(1, 1, "Up", "ok"),
        Name(2, 9, "odd", ""),
    )
    assert (titled(found, "Packets").draw, titled(found, "Packets").stack, titled(found, "Packets").unit) == (
        "bars",
        True,
        "per_second",
    )
    assert titled(found, "").text == "# Read **me**"
    kinds = {each.title: each.kind for each in rows[1].panels}
    assert kinds == {
        "Packets": "graph", "Mounts": "table", "Latency": "heatmap", "Log": "log", "News": "text", "Shares": "table", "SQL": "stat",
    }  # fmt: skip
    assert len({each.id for each in found.definition.panels()}) == 13
    job, node, window = found.definition.variables
    assert (job.query, job.sort) == ("label_values(node_uname_info, job)", "name")
    assert (node.multi, node.all, node.all_value, node.regex, node.sort, node.value) == (
        True,
        True,
        ".*",
        "/(.*):.*/",
        "number",
        (words.ALL,),
    )
    assert (window.query, window.value) == ("1m,5m,1h", ("5m",))


@pytest.mark.parametrize(
    ("weight", "where", "what"),
    [
        ("lost", "CPU of $node", "repeat: node"),
        ("changed", "CPU of $node", "stacking: percent"),
        ("lost", "Disk", "transformations"),
        ("lost", "State", "links"),
        ("lost", "State", "mappings"),
        ("lost", "Packets", "fieldConfig.overrides"),
        ("changed", "Pressure", "type: bargauge"),
        ("changed", "Shares", "type: piechart"),
        ("changed", "News", "type: news"),
        ("lost", "News", "options.feedUrl"),
        ("lost", "Log", '|= "error"'),
        ("lost", "SQL", "SELECT 1"),
        ("lost", "SQL", "unit: currencyUSD"),
        ("lost", "$datasource", "datasource"),
        ("lost", "$filters", "adhoc"),
        ("lost", "$window", "auto"),
        ("changed", "Packets", "unit: pps"),
    ],
)
def test_what_is_lost_or_changed_is_told_by_its_place(weight: str, where: str, what: str) -> None:
    assert told(read(copy.deepcopy(HOSTS)), where, what, weight)


def test_of_the_dashboard_itself_it_is_told_too_and_looks_are_told_once() -> None:
    notes = read(copy.deepcopy(HOSTS)).notes
    assert {
        each.what.partition(":")[0] for each in notes if each.what.startswith(("time", "annotations", "links:"))
    } >= {"time", "annotations"}
    looks = [each for each in notes if each.weight == "look"]
    assert len(looks) == 1
    assert "lineWidth" in looks[0].what


def test_a_dashboard_of_the_old_kind_with_rows() -> None:
    found = read(copy.deepcopy(OLD))
    assert [(each.title, [(p.x, p.y, p.w, p.h) for p in each.panels]) for each in found.definition.rows] == [
        ("Numbers", [(0, 0, 6, 4), (6, 0, 6, 4)]),
        ("", [(0, 0, 16, 7), (0, 7, 12, 7)]),
    ]
    requests, load, codes = titled(found, "Requests"), titled(found, "Load"), titled(found, "By code")
    assert (requests.kind, requests.reduce, requests.unit, requests.decimals) == ("stat", "mean", "per_second", 1)
    assert requests.thresholds == (Threshold(None, "critical"), Threshold(50, "warning"), Threshold(100, "ok"))
    assert requests.names == (Name(0, 0, "none"),)
    assert (load.min, load.max, load.unit) == (0, 1, "ratio")
    assert (codes.draw, codes.stack, codes.min, codes.thresholds) == ("bars", True, 0, (Threshold(100, "critical"),))
    for where, what in (
        ("Requests", "postfix: /s"),
        ("By code", "alert"),
        ("By code", "seriesOverrides"),
        ("Wide", "timeShift"),
        ("Requests", "N/A"),
    ):
        assert told(found, where, what), what
    assert found.definition.variables[0].value == ("checkout",)


def test_what_wraps_a_dashboard_is_taken_off_and_the_new_schema_is_named() -> None:
    assert read({"meta": {}, "dashboard": copy.deepcopy(OLD)}).title == "Old shop"
    assert (
        read({"apiVersion": "dashboard.grafana.app/v1", "kind": "Dashboard", "spec": copy.deepcopy(OLD)}).title
        == "Old shop"
    )
    for value, code in (
        ({"spec": {"elements": {}, "layout": {}}}, "grafana.new_schema"), ({}, "grafana.no_dashboard"),
        ([], "grafana.no_dashboard"), ({"panels": {}}, "grafana.no_dashboard"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as raised:
            read(value)
        assert raised.value.code == code
        assert raised.value.remedy


def test_limits_of_a_file() -> None:
    with pytest.raises(Invalid):
        read({"panels": [{"type": "text"} for _each in range(words.MAX_PANELS + 1)]})
    with pytest.raises(TooLarge):
        read({"panels": [{"type": "text"} for _each in range(1001)]})
    deep: Any = {}
    for _each in range(100):
        deep = {"a": deep}
    with pytest.raises(TooLarge):
        read({"panels": [deep]})
    many = read({"panels": [{"type": "row", "title": str(at), "gridPos": {"y": at}} for at in range(60)]})
    assert len(many.definition.rows) == words.MAX_ROWS
    assert told(many, "Dashboard", "rows", "changed") or any("rows" in each.what for each in many.notes)


@PROPERTY
@given(JSON, st.lists(JSON, max_size=3))
def test_any_json_is_read_or_refused(value: Any, panels: list[Any]) -> None:
    for each in (value, {"panels": panels, "templating": value, "title": value}, {"rows": [{"panels": panels}, value]}):
        found = outcome(lambda each=each: read(each))
        assert isinstance(found, Problem) or parse(found.definition.as_json()) == found.definition


PLACES = (
    "",
    "panels.1",
    "panels.5.options",
    "panels.5.fieldConfig.defaults",
    "panels.5.fieldConfig.defaults.custom",
    "panels.5.targets.0",
    "templating.list.1",
    "panels.0",
    "panels.7.panels.0",
)


@PROPERTY
@given(st.sampled_from(PLACES), st.from_regex(r"\Azz[a-z]{4,8}\Z"), JSON)
def test_nothing_is_dropped_in_silence(place: str, key: str, value: Any) -> None:
    file = copy.deepcopy(HOSTS)
    spot: Any = file
    for part in place.split(".") if place else ():
        spot = spot[int(part)] if part.isdigit() else spot[part]
    spot[key] = {"said": True, "more": value}
    before, after = read(copy.deepcopy(HOSTS)).notes, read(file).notes
    assert [each for each in after if key in each.what and each not in before]


@PROPERTY
@given(definitions())
def test_what_is_exported_to_grafana_comes_back_the_same(found: Definition) -> None:
    file = write(name="a", title="T", tags=["x", "y"], description="d", definition=found)
    again = read(json.loads(json.dumps(file)))
    assert again.definition == found
    assert (again.title, again.tags, again.description) == ("T", ("x", "y"), "d")
    expected = ("type: datasource", "query: ")  # the choice of a source, and queries of variables that are none
    assert [each for each in again.notes if each.weight != "look" and not each.what.startswith(expected)] == []
