"""A kind of step that an integration brings is read, resolved and checked by the fields it declares."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runbooks.declared import Declared
from tests.runbooks.test_procedure import TREES, dump
from tongchou.core import registry
from tongchou.runbooks import procedure, template
from tongchou.runbooks.plan import Execution, Plan, make_plan
from tongchou.runbooks.planned import Target

GOOD: dict[str, Any] = {
    "name": "play",
    "title": "Play",
    "grade": "reversible",
    "parameters": {
        "play": {"type": "string", "default": "web.yml"},
        "forks": {"type": "integer", "default": 3},
        "note": {"type": "string", "default": "n"},
    },
    "steps": [
        {
            "name": "apply",
            "play": {
                "play": "${params.play}",
                "forks": "${params.forks}",
                "factor": 0.5,
                "vars": {"token": "t=${secret.control}", "n": "${params.forks}", "deep": [{"who": "${target.name}"}]},
                "tags": ["${params.note}", "x"],
                "script": "echo ${HOME} ${secret.control}",
                "password": "${secret.control}",
            },
        }
    ],
}
TARGET = Target("inventory.resource:a", "host", "web-1", {}, {})


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> Declared:
    found = Declared()
    monkeypatch.setattr(registry, "_ports", lambda: (found,))
    return found


def changed(key: str, value: object, **more: Any) -> dict[str, Any]:
    data: Any = {**copy.deepcopy(GOOD), **more}
    data["steps"][0]["play"][key] = value
    if value is ...:
        del data["steps"][0]["play"][key]
    return dict(data)


def defects(data: dict[str, Any]) -> list[tuple[str, str]]:
    definition, found = procedure.examine(dump(data))
    assert (definition is None) == bool(found)
    assert all(each.line > 1 and str(each.remedy or each.says) for each in found)
    return [(each.path, each.value) for each in found]


def plan(data: dict[str, Any] = GOOD, **params: Any) -> Plan:
    return make_plan(
        procedure.parse(dump(data)),
        params=params,
        targets=[TARGET],
        incident_number=None,
        execution=Execution(enabled=True, targets=("*",)),
        secret_names=["control"],
        inspect={"play": Declared().validate},
    )


def test_a_declared_kind_is_read_with_its_defaults() -> None:
    (step,) = procedure.parse(dump(GOOD)).steps
    assert (step.kind, step.alters, step.repeatable, step.secrets) == ("play", True, True, ["control"])
    assert step.body["mode"] == "apply"
    assert step.body["timeout_seconds"] == 900
    assert "become" in step.body


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("play", ..., "steps[0].play"),
        ("play", 7, "steps[0].play.play"),
        ("play", "web.txt", "steps[0].play.play"),
        ("play", "${params.nothing}", "steps[0].play.play"),
        ("play", "${secret.control}", "steps[0].play.play"),
        ("mode", "burn", "steps[0].play.mode"),
        ("forks", 0, "steps[0].play.forks"),
        ("forks", 51, "steps[0].play.forks"),
        ("forks", 1.5, "steps[0].play.forks"),
        ("forks", True, "steps[0].play.forks"),
        ("forks", "three", "steps[0].play.forks"),
        ("forks", "1${params.forks}", "steps[0].play.forks"),
        ("factor", "${params.forks}", "steps[0].play.factor"),
        ("factor", 2, "steps[0].play.factor"),
        ("become", "yes please", "steps[0].play.become"),
        ("vars", [1], "steps[0].play.vars"),
        ("vars", {"a": "${secret.channel:x}"}, "steps[0].play.vars"),
        ("vars", {"${params.play}": 1}, "steps[0].play.vars"),
        ("tags", {"a": 1}, "steps[0].play.tags"),
        ("tags", ["${secret.control}"], "steps[0].play.tags"),
        ("tags", ["1", "2", "3", "4"], "steps[0].play.tags"),
        ("timeout_seconds", 1801, "steps[0].play.timeout_seconds"),
        ("nonsense", 1, "steps[0].play.nonsense"),
    ],
)
def test_a_defect_of_a_declared_key_is_named_with_its_place(key: str, value: object, path: str) -> None:
    assert [found for found, _value in defects(changed(key, value))] == [path]


def test_a_kind_nobody_declares_is_a_defect_that_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ports", tuple)
    _none, (defect,) = procedure.examine(dump(GOOD))
    assert defect.path == "steps[0]"
    assert "read, ask, http, wait_until" in str(defect.says)
    assert "play" not in str(defect.says)


@pytest.mark.parametrize(("mode", "password"), [("apply", "plain"), ("check", "${secret.control}")])
def test_grade_read_takes_no_step_that_alters_or_sends_a_secret(mode: str, password: str) -> None:
    data: Any = changed("mode", mode, grade="read")
    data["steps"][0]["play"] |= {"password": password, "vars": {}}
    assert [path for path, _value in defects(data)] == ["grade"]
    data["steps"][0]["play"] |= {"password": "plain", "mode": "check"}
    assert defects(data) == []


def test_names_are_resolved_and_secrets_stay_closed_until_the_effect() -> None:
    (step,) = plan(note="${secret.control}").steps
    assert step.input["play"] == "web.yml"
    assert step.input["forks"] == 3
    assert step.input["vars"] == {"token": "t=${secret.control}", "n": 3, "deep": [{"who": "web-1"}]}
    assert step.input["tags"] == ["${secret.control}", "x"], "a value is data, not a template"
    assert step.input["script"] == "echo ${HOME} ${secret.control}", "not a template at all"
    opened = template.open_secrets(step.input["vars"], {"control": "line 1\nline 2"})
    assert opened["token"] == "t=line 1\nline 2"


def test_a_value_that_looks_like_a_secret_opens_nothing() -> None:
    data = changed("vars", {"note": "${params.note}"})
    (step,) = plan(data, note="${secret.other}").steps
    assert template.open_secrets(step.input["vars"], {"other": "hunter2"}) == {"note": "${secret.other}"}
    assert step.secrets == ["control"]


@pytest.mark.parametrize(
    ("params", "code"),
    [({"play": "x; rm"}, "template"), ({"forks": 99}, "template"), ({"play": "forbidden.yml"}, "step_refused")],
)
def test_what_a_parameter_makes_of_a_value_is_checked_again(params: dict[str, Any], code: str) -> None:
    found = plan(**params)
    assert [reason.code for reason in found.refusals] == [code]
    assert "apply" in str(found.refusals[0])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*GOOD["steps"][0]["play"], "new"]), TREES)
def test_any_value_of_any_key_is_read_and_planned_or_refused(key: str, value: object) -> None:
    definition, found = procedure.examine(dump(changed(key, value)))
    assert (definition is None) == bool(found)
    if definition is not None:
        assert plan(changed(key, value)).content_hash or plan(changed(key, value)).refusals


@given(TREES, st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=2))
def test_sealed_and_opened_a_tree_is_as_it_was(tree: object, secrets: dict[str, str]) -> None:
    escaped = _literal(tree)
    assert template.open_secrets(template.seal(escaped, template.Values()), secrets) == tree
    sealed = template.seal({"x": ["${secret.a}", "${params.p}"]}, template.Values({"p": tree or "t"}))
    assert template.open_secrets(sealed, secrets) == {"x": [secrets["a"], tree or "t"]}


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return template.literal(value)
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else value


def test_what_a_runner_adds_to_a_resolved_step_is_part_of_what_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Completer reads what a name in the step means: another content is another hash, so another approval."""
    seen: list[Any] = []

    class Completing(Declared):
        content = "one"

        def complete(self, step: Any, target: Any) -> Any:
            seen.append((step["play"], target["name"]))
            return {**step, "sha256": self.content}

    found = Completing()
    monkeypatch.setattr(registry, "_ports", lambda: (found,))
    first, same = plan(), plan()
    found.content = "two"
    other = plan()
    assert first.steps[0].input["sha256"] == "one"
    assert seen[0] == ("web.yml", "web-1")
    assert first.content_hash == same.content_hash != other.content_hash
