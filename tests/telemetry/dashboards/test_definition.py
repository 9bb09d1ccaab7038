"""A definition read from JSON: whole or not at all, refused with its place, the same again when it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import JSON, PROPERTY, definitions, outcome
from tongchou.core.problems import Invalid, Problem, TooLarge
from tongchou.telemetry.dashboards import words
from tongchou.telemetry.dashboards.definition import Definition, Panel, Row, Variable, options_written, parse


@PROPERTY
@given(definitions())
def test_what_is_written_is_read_again(found: Definition) -> None:
    assert parse(json.loads(json.dumps(found.as_json()))) == found


@PROPERTY
@given(JSON)
def test_any_json_is_read_or_refused_with_its_place(value: Any) -> None:
    found = outcome(lambda: parse(value))
    assert isinstance(found, Definition) or found.field


KEYS = ("schema", "rows", "variables", "range", "refresh_seconds", "marks")


@PROPERTY
@given(definitions(), st.sampled_from(KEYS), JSON)
def test_a_definition_with_a_wrong_part_is_read_or_refused(found: Definition, key: str, value: Any) -> None:
    again = outcome(lambda: parse({**found.as_json(), key: value}))
    if isinstance(again, Problem):
        assert again.field
    else:
        assert parse(again.as_json()) == again


def refused(value: Any) -> Invalid:
    with pytest.raises(Invalid) as raised:
        parse(value)
    return raised.value


def test_a_refusal_names_place_value_and_choices() -> None:
    found = refused({"rows": [{"panels": [{"id": 1}, {"id": 2, "kind": "pie"}]}]})
    assert (found.field, found.value) == ("rows[0].panels[1].kind", "pie")
    assert "heatmap" in str(found.remedy)
    assert refused({"rows": [{"panel": []}]}).field == "rows[0].panel"
    assert refused({"rows": [{"panels": [{"id": 1}, {"id": 1}]}]}).value == "1"
    assert refused({"variables": [{"name": "a"}, {"name": "a"}]}).field == "variables.name"
    assert refused({"variables": [{"name": "9"}]}).field == "variables[0].name"
    assert refused({"variables": [{"name": "i", "kind": "interval", "query": "1m,soon"}]}).value == "soon"
    assert refused({"refresh_seconds": 1}).field == "refresh_seconds"
    assert refused({"rows": [{"panels": [{"id": 1, "min": 5, "max": 5}]}]}).field == "rows[0].panels[0].max"
    steps = [{"at": 1, "tone": "ok"}, {"at": None, "tone": "ok"}]
    assert (
        refused({"rows": [{"panels": [{"id": 1, "thresholds": steps}]}]}).field == "rows[0].panels[0].thresholds[1].at"
    )
    assert refused({"rows": [{"title": "a\ud800"}]}).field == "rows[0].title"
    assert refused({"schema": 2}).field == "schema"


def test_the_limits_hold() -> None:
    many = [{"id": at + 1} for at in range(words.MAX_PANELS)]
    assert len(list(parse({"rows": [{"panels": many}]}).panels())) == words.MAX_PANELS
    assert refused({"rows": [{"panels": many}, {"panels": [{"id": words.MAX_ID}]}]}).field == "rows"
    with pytest.raises(TooLarge):
        parse({"rows": [{"title": "", "panels": [{"id": 1, "text": "x" * words.MAX_BYTES}]}]})


def test_what_nobody_said_is_not_written() -> None:
    written = Definition(rows=(Row(panels=(Panel(1),)),), variables=(Variable("a", "custom", query="1"),)).as_json()
    assert written == {
        "schema": 1,
        "rows": [{"panels": [{"id": 1, "kind": "graph", "x": 0, "y": 0, "w": 12, "h": 8}]}],
        "variables": [{"name": "a", "kind": "custom", "query": "1"}],
    }


def test_the_options_of_a_custom_variable() -> None:
    wanted = [("a", "a"), ("b, c", "b, c"), ("Up", "1"), ("x:y", "x:y")]
    assert options_written(Variable("v", "custom", query="a, b\\, c ,Up : 1,,x:y")) == wanted
