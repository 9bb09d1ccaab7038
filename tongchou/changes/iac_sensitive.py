"""What is sensitive in the JSON of a plan or a state: marks to mask by, values to look for everywhere else. Pure.

Terraform and OpenTofu write sensitive values in clear beside a tree that marks them (`before_sensitive`,
`after_sensitive`, `sensitive_values`): True, or a mapping or list of such trees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "(sensitive)"
MIN_TELLING = 4  # characters: a shorter value is masked where it is marked, and cannot be told from words elsewhere
_PLAIN = frozenset({"true", "false", "null", "none"})


def masked(value: Any, marks: Any) -> Any:
    """The value with MASK in place of all that is marked."""
    if marks is True:
        return None if value is None else MASK
    if isinstance(value, dict) and isinstance(marks, dict):
        return {key: masked(item, marks.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(marks, list):
        return [masked(item, marks[at] if at < len(marks) else None) for at, item in enumerate(value)]
    return MASK if _any(marks) else value  # marks of another shape: what they are about cannot be told


def _any(marks: Any) -> bool:
    if isinstance(marks, dict):
        return any(_any(each) for each in marks.values())
    return any(_any(each) for each in marks) if isinstance(marks, list) else marks is True


def both(one: Any, other: Any) -> Any:
    """The marks of two trees together: what was sensitive before is so afterwards, and the other way round."""
    if one is True or other is True:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: both(one.get(key), other.get(key)) for key in {*one, *other}}
    if isinstance(one, list) and isinstance(other, list):
        longer = max(len(one), len(other))
        return [both(_at(one, at), _at(other, at)) for at in range(longer)]
    if isinstance(one, dict | list) and isinstance(other, dict | list):
        return True if _any(one) or _any(other) else None
    return one if isinstance(one, dict | list) else other


def _at(marks: list[Any], at: int) -> Any:
    return marks[at] if at < len(marks) else None


def marked(value: Any, marks: Any) -> Iterator[Any]:
    """Every leaf of the value that is marked."""
    if marks is True or (_any(marks) and type(value) is not type(marks)):
        yield from leaves(value)
    elif isinstance(value, dict) and isinstance(marks, dict):
        for key, item in value.items():
            yield from marked(item, marks.get(key))
    elif isinstance(value, list) and isinstance(marks, list):
        for item, mark in zip(value, marks, strict=False):
            yield from marked(item, mark)


def leaves(value: Any) -> Iterator[Any]:
    """Every text and number in a value, at any depth."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value


def values_of(document: Any) -> frozenset[str]:
    """Every sensitive value in the JSON of a plan or a state, as text: of resources, drift, outputs and variables."""
    found: list[Any] = []
    if not isinstance(document, dict):
        return frozenset()
    for part in ("resource_changes", "resource_drift"):
        for each in _mappings(document.get(part)):
            found += _of_change(each.get("change"))
    outputs = document.get("output_changes")
    for change in outputs.values() if isinstance(outputs, dict) else ():
        found += _of_change(change)
    for values in (document, document.get("planned_values"), document.get("prior_state")):
        found += _of_values(values)
    found += _of_variables(document)
    return telling(found)


def _of_change(change: Any) -> Iterator[Any]:
    if isinstance(change, dict):
        yield from marked(change.get("before"), change.get("before_sensitive"))
        yield from marked(change.get("after"), change.get("after_sensitive"))
        marks = both(change.get("before_sensitive"), change.get("after_sensitive"))
        yield from marked(change.get("before"), marks)
        yield from marked(change.get("after"), marks)


def _of_values(part: Any) -> Iterator[Any]:
    """Of `values`, `planned_values` and `prior_state`: outputs, and the resources of every module."""
    if not isinstance(part, dict):
        return
    if isinstance(part.get("values"), dict):
        yield from _of_values(part["values"])
    outputs = part.get("outputs")
    for output in outputs.values() if isinstance(outputs, dict) else ():
        if isinstance(output, dict) and output.get("sensitive"):
            yield from leaves(output.get("value"))
    for module in _mappings([part.get("root_module")]):
        yield from _of_module(module)


def _of_module(module: Mapping[str, Any]) -> Iterator[Any]:
    for each in _mappings(module.get("resources")):
        yield from marked(each.get("values"), each.get("sensitive_values"))
    for child in _mappings(module.get("child_modules")):
        yield from _of_module(child)


def sensitive_variables(document: Mapping[str, Any]) -> frozenset[str]:
    """The names of the root module's variables that its configuration calls sensitive."""
    configuration = document.get("configuration")
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    declared = root.get("variables") if isinstance(root, dict) else None
    named = declared.items() if isinstance(declared, dict) else ()
    return frozenset(name for name, each in named if isinstance(each, dict) and each.get("sensitive"))


def _of_variables(document: Mapping[str, Any]) -> Iterator[Any]:
    given = document.get("variables")
    for name in sensitive_variables(document):
        value = given.get(name) if isinstance(given, dict) else None
        yield from leaves(value.get("value") if isinstance(value, dict) else None)


def telling(values: Iterable[Any]) -> frozenset[str]:
    """The values that can be looked for in other text: long enough, and no word like "true"."""
    texts = (each if isinstance(each, str) else f"{each}" for each in values)
    return frozenset(each for each in texts if len(each) >= MIN_TELLING and each.lower() not in _PLAIN)


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


_VARIABLE = re.compile(r'^\s*variable\s+"([^"]+)"\s*\{', re.MULTILINE)
_SENSITIVE = re.compile(r"^\s*sensitive\s*=\s*true\b", re.MULTILINE)
_ASSIGNED = re.compile(r"^([A-Za-z_][\w-]*)\s*=", re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_HEREDOC = re.compile(r"<<-?\s*([A-Za-z_]\w*)\n(.*?)\n\s*\1\s*$", re.DOTALL | re.MULTILINE)


def literals(configuration: Iterable[str], values: Iterable[str]) -> frozenset[str]:
    """What files of a workspace give to sensitive variables, for a plan that failed and so has no JSON.

    `configuration`: texts of .tf files; `values`: texts of .tfvars files. Reads quoted texts, heredocs and numbers:
    expressions give no value before they are evaluated.
    """
    names: set[str] = set()
    found: list[str] = []
    for text in configuration:
        starts = [*_VARIABLE.finditer(text)]
        for start in starts:
            block = _block(text, start.end())
            if _SENSITIVE.search(block):
                names.add(start[1])
                found += _texts(re.sub(r"(?m)^\s*(?:description|type|error_message)\s*=.*$", "", block))
    for text in values:
        parts = [*_ASSIGNED.finditer(text)]
        for at, part in enumerate(parts):
            until = parts[at + 1].start() if at + 1 < len(parts) else len(text)
            found += _texts(text[part.end() : until]) if part[1] in names else []
    return telling(found)


def _block(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]


def _texts(text: str) -> list[str]:
    quoted = [each.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n") for each in _QUOTED.findall(text)]
    numbers = re.findall(r"=\s*(\d{4,})\b|^\s*(\d{4,})\s*$", text, re.MULTILINE)
    return [*quoted, *(body for _word, body in _HEREDOC.findall(text)), *(one or other for one, other in numbers)]
