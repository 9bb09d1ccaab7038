"""What a procedure may say; every refusal has a path, a line, the value and a remedy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.problems import Invalid
from tongchou.runbooks import procedure
from tongchou.runbooks.definition import canonical_hash

SHOP = Path("tongchou/demo/shop")

GOOD: dict[str, Any] = {
    "name": "switch",
    "title": {"en": "Switch", "zh": "切换"},
    "grade": "reversible",
    "matches": [{"alertname": "PrimaryDown", "env": ["prod", "stage"]}],
    "parameters": {
        "version": {"type": "string", "pattern": "[0-9.]+", "from_label": "release"},
        "count": {"type": "integer", "min": 1, "max": 5, "default": 1},
        "mode": {"type": "choice", "choices": ["fast", "safe"], "required": False},
        "window": {"type": "duration", "default": "5m"},
    },
    "max_targets": 2,
    "targets": {"from": "selector", "kind": "database", "labels": {"role": "standby"}},
    "preconditions": [{"query": 'up{job="${target.name}"} == 0', "is": "not_empty", "says": "it is down"}],
    "steps": [
        {"name": "look", "read": {"query": "rate(x[${params.window}])", "is": ">= 0"}},
        {"name": "sure", "ask": {"question": {"en": "Promote ${target.name}?"}}},
        {
            "name": "do",
            "http": {
                "method": "POST",
                "url": "${target.control_url}/promote",
                "headers": {"Authorization": "Bearer ${secret.control}"},
                "body": {"version": "${params.version}", "n": "${params.count}"},
                "expect_status": [200, 202],
                "idempotent": True,
                "timeout_seconds": 5,
            },
        },
        {"name": "wait", "wait_until": {"query": "min(up)", "is": "> 0", "for_seconds": 5, "timeout_seconds": 60}},
    ],
}


def dump(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)


def changed(path: str, value: object) -> str:
    """GOOD with one place altered (a value of ... deletes it)."""
    data: Any = copy.deepcopy(GOOD)
    place = data
    *parts, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parts:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return dump(data)


def test_a_good_text_becomes_a_definition() -> None:
    found = procedure.parse(dump(GOOD))
    assert [(step.kind, step.alters, step.repeatable) for step in found.steps] == [
        ("read", False, True),
        ("ask", False, True),
        ("http", True, True),
        ("wait_until", False, True),
    ]
    assert (found.grade, found.max_targets, found.secrets) == ("reversible", 2, ["control"])
    assert found.matches == [{"alertname": ["PrimaryDown"], "env": ["prod", "stage"]}]


@pytest.mark.parametrize("name", ["switch-to-standby", "roll-back-release", "free-spool", "scale-out-storefront"])
def test_the_procedures_the_shop_ships_are_good(name: str) -> None:
    assert procedure.parse((SHOP / f"{name}.yml").read_text()).name == name


def test_the_hash_sees_content_and_not_layout() -> None:
    text = dump(GOOD)
    same = "# a comment\n" + yaml.safe_dump(GOOD, default_flow_style=True, sort_keys=True)
    assert procedure.parse(text).content_hash == procedure.parse(same).content_hash
    assert (
        procedure.parse(text).content_hash != procedure.parse(changed("steps/2/http/timeout_seconds", 6)).content_hash
    )


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("name", "Switch It", "name"),
        ("name", ..., "text"),
        ("title", 7, "title"),
        ("grade", "harmless", "grade"),
        ("grade", "read", "grade"),
        ("nonsense", 1, "nonsense"),
        ("max_targets", 0, "max_targets"),
        ("max_targets", 1.5, "max_targets"),
        ("matches", "alert", "matches"),
        ("matches/0/alertname", 7, "matches[0].alertname"),
        ("parameters/version/type", "text", "parameters.version"),
        ("parameters/version/pattern", "[", "parameters.version"),
        ("parameters/count/default", 9, "parameters.count.default"),
        ("parameters/mode/choices", [], "parameters.mode"),
        ("targets/from", "everywhere", "targets.from"),
        ("targets", {"from": "selector"}, "targets"),
        ("preconditions/0/is", "maybe", "preconditions[0].is"),
        ("preconditions/0/query", "up ==", "preconditions[0].query"),
        ("preconditions/0/says", ..., "preconditions[0]"),
        ("steps", [], "steps"),
        ("steps/1/name", "look", "steps[1].name"),
        ("steps/0/read/query", "rate(x[${params.version}])", "steps[0].read.query"),
        ("steps/0/shell", {"command": "rm"}, "steps[0]"),
        ("steps/1/ask/question/en", "${secret.control}", "steps[1].ask.question"),
        ("steps/2/http/url", "http://${params.version}/", "steps[2].http.url"),
        ("steps/2/http/method", "BREW", "steps[2].http.method"),
        ("steps/2/http/method", "GET", "steps[2].http.body"),
        ("steps/2/http/headers", {"Host": "x"}, "steps[2].http.headers.Host"),
        ("steps/2/http/headers", {"Idempotency-Key": "x"}, "steps[2].http.headers.Idempotency-Key"),
        ("steps/2/http/headers", {"X-A": "a\nB: c"}, "steps[2].http.headers.X-A"),
        ("steps/2/http/body/version", "${params.nothing}", "steps[2].http.body"),
        ("steps/2/http/expect_status", [99], "steps[2].http.expect_status"),
        ("steps/2/http/timeout_seconds", 3600, "steps[2].http.timeout_seconds"),
        ("steps/2/http/idempotent", "yes please", "steps[2].http.idempotent"),
        ("steps/3/wait_until/for_seconds", 60, "steps[3].wait_until.for_seconds"),
        ("steps/3/wait_until/is", "> lots", "steps[3].wait_until.is"),
    ],
)
def test_a_defect_is_named_with_its_place(path: str, value: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        procedure.parse(changed(path, value))
    assert refused.value.field == field
    assert "Line" in str(refused.value.detail) or "行" in str(refused.value.detail)


def test_every_defect_is_found_with_its_line() -> None:
    text = "name: X\ntitle: t\ngrade: read\nsteps:\n  - {name: a, read: {query: 'up +'}}\n  - {name: a, ask: {}}\n"
    _none, defects = procedure.examine(text)
    assert [(each.path, each.line) for each in defects] == [
        ("name", 1),
        ("steps[0].read.query", 5),
        ("steps[1].name", 6),
        ("steps[1].ask", 6),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "a: b: c",
        "name: [",
        "\x00",
        "a: &x [1]\nb: *x",
        "a: 1\na: 2",
        "? [a]\n: 1",
        "a: 2020-01-01",
        "a: .nan",
        "a: 1e999",
        "a: !!python/object:os.system x",
        "a: !!binary aGk=",
        "<<: {a: 1}",
        "[" * 5000,
        "{a: " * 3000,
        "a: " + "x" * 200_000,
        'a: "\\ud800"',
        "--- a\n--- b",
        "99999999999999999999: 1",
        "a: 99999999999999999999",
    ],
)
def test_a_text_that_is_no_plain_document_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid):
        procedure.parse(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    definition, defects = procedure.examine(text)
    assert (definition is None) == bool(defects)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.text(max_size=12),
    st.floats(allow_nan=False, allow_infinity=False),
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_good_text_with_any_value_put_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    tree: Any = copy.deepcopy(GOOD)
    place = tree
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(TREES)
            break
        place = place[key]
    definition, defects = procedure.examine(dump(tree))
    assert (definition is None) == bool(defects)
    assert all(each.line >= 1 and str(each.says) for each in defects)


@given(TREES)
def test_the_canonical_hash_does_not_depend_on_the_order_of_keys(tree: object) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(list(value))}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert canonical_hash(tree) == canonical_hash(turned(tree))


def test_a_whole_float_hashes_like_the_integer_a_database_may_make_of_it() -> None:
    assert canonical_hash({"a": [1e22, -0.0, 10.0]}) == canonical_hash({"a": [10**22, 0, 10]})
