"""YAML of forms: plain values come through, what no database can keep or no memory holds is refused."""

from __future__ import annotations

import pytest

from tongchou.web.yaml_fields import MAX_TEXT, mapping_of


def test_plain_values_come_through() -> None:
    text = "a: 1\nb: [x, 1.5, true, null]\nc:\n  d: ${version}\n"
    assert mapping_of(text) == {"a": 1, "b": ["x", 1.5, True, None], "c": {"d": "${version}"}}
    assert mapping_of("") == mapping_of("# nothing") == {}
    assert mapping_of("- a") is None
    assert mapping_of("1: a") is None


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        'a: "\\0"',
        '"\\0": a',
        'a: [{b: "\\ud800"}]',
        "a: .nan",
        "a: -.inf",
        "a: 2026-01-01",
        "a: !!binary aGk=",
        "a: !!set {b}",
        "a: " + "9" * 5000,
        "a: " + "[" * 3000,
        "a: " + "[" * 40 + "]" * 40,
        "? [a, b]\n: c",
        "? {a: b}\n: c",
        "a: 1\n---\nb: 2",
        "a: " + "x" * MAX_TEXT,
    ],
)
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # of whatever kind: forms say the same of all
        mapping_of(text)


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ValueError, match="aliases"):
        mapping_of("\n".join(lines))
