"""Nothing sensitive is left of a plan, wherever Terraform writes it: planted canaries in every shape."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import iac_lines, iac_plan, iac_policy
from tongchou.changes.iac_drift import found
from tongchou.changes.iac_scrub import MAX_LINE, Scrub
from tongchou.changes.iac_sensitive import MASK, both, literals, masked, values_of
from tongchou.integrations.terraform.events import MAX_READ, line_of

CANARY = "canary"
secrets = st.integers(1000, 9999).map(lambda n: f"{CANARY}-{n}")
words = st.sampled_from(["one", "two", "alpha", "beta", "x1"])
plain = st.none() | st.booleans() | st.integers(-5, 5) | words


@st.composite
def valued(draw: Any, depth: int = 3) -> tuple[Any, Any]:
    """A value and the marks of what is sensitive in it: a canary wherever something is marked."""
    shape = draw(st.sampled_from(["plain", "secret", "dict", "list", "whole"] if depth else ["plain", "secret"]))
    if shape == "plain":
        return draw(plain), draw(st.sampled_from([False, None, {}]))
    if shape == "secret":
        return draw(secrets), True
    if shape == "whole":  # a mark over a tree
        return {"a": draw(secrets), "b": [draw(secrets), {"c": draw(secrets)}]}, True
    parts = [draw(valued(depth - 1)) for _ in range(draw(st.integers(0, 3)))]
    if shape == "list":
        return [value for value, _mark in parts], [mark for _value, mark in parts]
    keys = [f"k{at}" for at in range(len(parts))]
    return (
        {key: value for key, (value, _mark) in zip(keys, parts, strict=True)},
        {key: mark for key, (_value, mark) in zip(keys, parts, strict=True) if mark},
    )


@st.composite
def changed(draw: Any) -> dict[str, Any]:
    """A change of a resource."""
    before, before_marks = draw(valued())
    after, after_marks = draw(valued())
    actions = draw(st.sampled_from([["create"], ["update"], ["delete"], ["delete", "create"], ["no-op"], ["read"]]))
    return {
        "actions": actions,
        "before": {"v": before, "same": "s"},
        "after": {"v": after, "same": "s"},
        "after_unknown": draw(st.sampled_from([{}, {"id": True}, False])),
        "before_sensitive": {"v": before_marks},
        "after_sensitive": {"v": after_marks},
        "replace_paths": [["v"]],
    }


@st.composite
def plans(draw: Any) -> dict[str, Any]:
    """A plan with canaries in every part that may hold one."""
    secret = draw(secrets)
    resources = [
        {"address": f"r.x{at}", "type": "r", "name": f"x{at}", "mode": "managed", "change": draw(changed())}
        for at in range(draw(st.integers(0, 3)))
    ]
    value, marks = draw(valued())
    held = {"address": "r.y", "type": "r", "values": {"v": value}, "sensitive_values": {"v": marks}}
    module = {"resources": [held], "child_modules": [{"resources": [held]}]}
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "variables": {"pw": {"value": secret}, "n": {"value": 3}},
        "configuration": {"root_module": {"variables": {"pw": {"sensitive": True, "default": secret}, "n": {}}}},
        "resource_changes": resources,
        "resource_drift": [{**each, "address": f"d.{each['name']}", "change": draw(changed())} for each in resources],
        "planned_values": {"outputs": {"o": {"sensitive": True, "value": secret}}, "root_module": module},
        "prior_state": {"values": {"root_module": module, "outputs": {"o": {"sensitive": True, "value": secret}}}},
        "output_changes": {
            "o": {"actions": ["create"], "before": None, "after": secret, "after_sensitive": True},
            "url": {"actions": ["create"], "before": None, "after": f"db://{secret}@x", "after_sensitive": False},
        },
        "checks": [{"address": {"to_display": f"check.{secret}"}, "status": "fail"}],
        "relevant_attributes": [{"resource": "r.y", "attribute": [secret]}],
    }


@settings(max_examples=150)
@given(plans())
def test_no_canary_is_left_of_any_plan(plan: dict[str, Any]) -> None:
    summary = iac_plan.read(plan)
    kept = json.dumps(summary.found) + "\n".join(line.text for line in iac_lines.lines(summary.found))
    kept += "\n".join(f"{each.expected} {each.observed}" for each in found(summary.found, {}))
    kept += repr(summary)
    rules = iac_policy.checked([{"rule": "forbidden_value", "path": "*", "values": ["one"], "reason": "r"}])
    kept += json.dumps([each.as_json() for each in iac_policy.judge(summary.found, summary.counts, rules)[1]])
    assert CANARY not in kept


@settings(max_examples=100)
@given(valued())
def test_masking_leaves_what_is_not_marked(found: tuple[Any, Any]) -> None:
    value, marks = found
    assert CANARY not in json.dumps(masked(value, marks))
    assert masked(value, {}) == value
    assert masked(value, marks) == masked(value, both(marks, None))


@settings(max_examples=40)
@given(st.text(min_size=4, max_size=12), st.text(max_size=20), st.text(max_size=20))
def test_what_is_known_is_taken_out_of_any_text(secret: str, left: str, right: str) -> None:
    scrub = Scrub([secret])
    found = scrub({"a": [left + secret + right], secret: 1, "json": json.dumps(secret)})
    texts = [*found, *found["a"], found["json"]]
    assert all(secret not in text.replace(MASK, "\0") for text in texts if "\0" not in secret)


def test_what_changes_and_is_sensitive_gets_a_line_without_its_value() -> None:
    change = {
        "actions": ["update"],
        "before": {"pw": "canary-1", "tags": {"a": "1"}, "list": [1, 2]},
        "after": {"pw": "canary-2", "tags": {"a": "2", "b": "3"}, "list": [1]},
        "before_sensitive": {},
        "after_sensitive": {"pw": True},
    }
    plan = {"format_version": "1.0", "resource_changes": [{"address": "r.x", "type": "r", "change": change}]}
    lines = [line.text for line in iac_lines.lines(iac_plan.read(plan).found)]
    assert lines == [
        "~ r.x",
        "    - list[1]: 2",
        "    ~ pw: (sensitive) → (sensitive)",
        '    ~ tags.a: "1" → "2"',
        '    + tags.b: "3"',
    ]


def test_a_sensitive_value_that_stays_has_no_line() -> None:
    change = {
        "actions": ["update"],
        "before": {"pw": {"a": "canary-1"}, "n": 1},
        "after": {"pw": {"a": "canary-1"}, "n": 2},
        "before_sensitive": {"pw": True},
        "after_sensitive": {"pw": True},
    }
    plan = {"format_version": "1.0", "resource_changes": [{"address": "r.x", "type": "r", "change": change}]}
    assert [each["path"] for each in iac_plan.read(plan).found["changes"][0]["attributes"]] == ["n"]


def test_values_of_sensitive_variables_are_read_out_of_files() -> None:
    configuration = [
        (
            'variable "a" {\n  type = string\n  sensitive = true\n  description = "what it is"\n  default = "canary-1"\n}\n'
            'variable "b" {\n  type = map(string)\n  sensitive = true\n}\nvariable "c" { default = "open-value" }\n'
            'variable "k" {\n  sensitive = true\n}\nvariable "n" {\n  sensitive = true\n}'
        )
    ]
    values = [
        'c = "open-too"\nb = {\n  x = "canary-2"\n  y = "say \\"canary-3\\""\n}\nk = <<EOT\ncanary-4\nEOT\nn = 48211\n'
    ]
    found = literals(configuration, values)
    assert {"canary-1", "canary-2", 'say "canary-3"', "canary-4", "48211"} <= found
    assert not {"open-value", "open-too", "what it is"} & found


def test_what_is_no_plan_has_no_values() -> None:
    assert values_of(None) == frozenset()
    assert (
        values_of({"resource_changes": "odd", "output_changes": [1], "variables": 3, "planned_values": []})
        == frozenset()
    )


@given(st.integers(MAX_LINE - 40, MAX_LINE + 2), st.sampled_from(["before", "after"]))
def test_no_cut_leaves_a_part_of_a_value(at: int, side: str) -> None:
    """An attribute that Terraform does not mark holds what it marks elsewhere, where long values are cut."""
    value = f"{CANARY}-one-two-{CANARY}-three"
    change = {
        "actions": ["update"],
        "before": {"v": "a"},
        "after": {"v": "b"},
        "before_sensitive": {},
        "after_sensitive": {},
    }
    change[side] = {"v": "x" * at + value}
    plan = {
        "format_version": "1.2",
        "variables": {"pw": {"value": value}},
        "configuration": {"root_module": {"variables": {"pw": {"sensitive": True}}}},
        "resource_changes": [{"address": f"r.{'y' * (at - MAX_LINE + 970)}{value}", "type": "r", "change": change}],
        "output_changes": {"o": {"actions": ["create"], "before": None, "after": "x" * at + value}},
    }
    summary = iac_plan.read(plan)
    assert summary.found["changes"][0]["attributes"]
    assert summary.found["outputs"]
    assert CANARY not in repr(summary.found)


@given(st.integers(MAX_LINE - 40, MAX_LINE + 2) | st.integers(MAX_READ - 40, MAX_READ + 2))
def test_no_cut_leaves_a_part_of_a_value_in_what_a_program_said(at: int) -> None:
    value = f"{CANARY}-one-two-{CANARY}-three"
    lines = [line_of("x" * at + value), line_of(json.dumps({"type": "apply_start", "@message": "x" * at + value}))]
    said = Scrub([value]).said([*lines, "the end"])
    assert said[-1] == "the end"
    assert max(map(len, said)) <= MAX_LINE
    assert CANARY not in repr(said)
