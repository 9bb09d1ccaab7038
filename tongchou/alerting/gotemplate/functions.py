"""What a template function is: a callable and the Go types of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tongchou.alerting.gotemplate.errors import Unfit
from tongchou.alerting.gotemplate.formatting import MAX_TEXT_CHARACTERS
from tongchou.alerting.gotemplate.gotime import GoTime
from tongchou.alerting.gotemplate.values import Sample, type_name


@dataclass(frozen=True, slots=True)
class Function:
    """``parameters`` name the type of each argument; one that starts with ``*`` takes all the rest.

    Types: any, string, float, int, sample, vector, strings, time. The callable raises ValueError to fail the template.
    """

    call: Callable[..., object]
    parameters: tuple[str, ...]


FunctionSet = Mapping[str, Function]


def arguments(name: str, function: Function, given: list[object]) -> list[object]:
    """``given`` checked and converted like Go's reflect call; raises ValueError in Go's words."""
    expected = function.parameters
    variadic = bool(expected) and expected[-1].startswith("*")
    fixed = expected[:-1] if variadic else expected
    if len(given) < len(fixed) or (not variadic and len(given) > len(fixed)):
        least = "at least " if variadic else ""
        raise Unfit(f"wrong number of args for {name}: want {least}{len(fixed)} got {len(given)}")
    kinds = list(fixed) + [expected[-1][1:]] * (len(given) - len(fixed)) if variadic else list(fixed)
    return [_fit(kind, value) for kind, value in zip(kinds, given, strict=True)]


def _fit(kind: str, value: object) -> object:
    fits = {
        "any": True,
        "string": isinstance(value, str),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "sample": isinstance(value, Sample),
        "vector": isinstance(value, list) and all(isinstance(item, Sample) for item in value),
        "strings": isinstance(value, list) and all(isinstance(item, str) for item in value),
        "time": isinstance(value, GoTime),
    }[kind]
    if not fits:
        wanted = {"float": "float64", "sample": "*template.sample", "vector": "template.queryResult"}
        raise Unfit(f"wrong type for value; expected {wanted.get(kind, kind)}; got {type_name(value)}")
    return float(value) if kind == "float" and isinstance(value, int) else value


def bounded(text: str) -> str:
    """``text`` unless it is longer than a template's text may be."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise Unfit(f"text is longer than {MAX_TEXT_CHARACTERS} characters")
    return text
