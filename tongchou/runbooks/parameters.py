"""Typed parameters of a procedure: their declaration, and the check of what a person gives."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TYPES = ("string", "integer", "number", "boolean", "choice", "duration", "list", "resource", "datetime")
MAX_LENGTH = 1000
MAX_ITEMS = 200
TEXTS = ("string", "choice", "duration", "resource", "datetime")

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(duration: str) -> float | None:
    """`30s`, `5m` or `2h` in seconds; None when it is no such duration."""
    match = _DURATION.fullmatch(duration)
    return int(match[1]) * _SECONDS[match[2]] if match else None


@dataclass(frozen=True)
class Parameter:
    """One declared parameter. `from_label` is the alert label a suggestion fills it from.

    `least` and `most` bound a number, a duration (in seconds) or how many items a list has; `kind` is the kind of
    resource a resource is (empty: any); `unit` is for the reader.
    """

    name: str
    type: str
    title: Mapping[str, str]
    required: bool
    default: Any
    choices: Sequence[str]
    least: float | None
    most: float | None
    pattern: str
    from_label: str
    kind: str = ""
    unit: str = ""


class WrongValueError(Exception):
    """A value that a parameter does not take; `says` tells why."""

    def __init__(self, says: str | Promise) -> None:
        super().__init__(says)
        self.says = says


def read(
    name: str, value: Any, path: str, wrong: Callable[..., None], text: Callable[[Any, str], Mapping[str, str]]
) -> Parameter | None:
    """A Parameter from its declaration; defects go to `wrong(path, says, remedy, value)`, and then None comes back."""
    data = value if isinstance(value, dict) else {"type": value}
    known = (
        "type", "title", "required", "default", "choices", "min", "max", "pattern", "from_label", "kind", "unit",
    )  # fmt: skip
    for key in data:
        if key not in known:
            wrong(f"{path}.{key}", _("Unknown key."), _("Known keys: %(keys)s.") % {"keys": ", ".join(known)}, key)
            return None
    kind = data.get("type", "string")
    problem = _problem(name, kind, data)
    if problem is not None:
        wrong(path, problem, _("See the types in the page on procedures."), value)
        return None
    parameter = Parameter(
        name=name,
        type=kind,
        title=text(data.get("title", name), f"{path}.title"),
        required=bool(data.get("required", "default" not in data)),
        default=data.get("default"),
        choices=[str(choice) for choice in data.get("choices", [])],
        least=_bound(data.get("min")),
        most=_bound(data.get("max")),
        pattern=data.get("pattern", ""),
        from_label=data.get("from_label", name),
        kind=data.get("kind", ""),
        unit=data.get("unit", ""),
    )
    if parameter.default is not None:
        try:
            check(parameter, parameter.default)
        except WrongValueError as error:
            wrong(f"{path}.default", error.says, "", parameter.default)
            return None
    return parameter


def _problem(name: str, kind: Any, data: Mapping[str, Any]) -> str | Promise | None:
    if not _NAME.fullmatch(name):
        return _("A parameter's name is small letters, digits and underscores.")
    if kind not in TYPES:
        return _("A parameter's type is one of %(types)s.") % {"types": ", ".join(TYPES)}
    choices = data.get("choices")
    if (kind == "choice") != (choices is not None):
        return _("choices belong to the type choice, and only there.")
    if choices is not None and not (
        isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices)
    ):
        return _("choices is a list of strings.")
    for bound in ("min", "max"):
        if bound in data and not _may_bound(kind, data[bound]):
            return _(
                "min and max are numbers and belong to integer, number and list, or durations and belong to duration."
            )
    if ("kind" in data and kind != "resource") or not isinstance(data.get("kind", ""), str):
        return _("kind is a kind of resource and belongs to the type resource.")
    if not isinstance(data.get("unit", ""), str) or len(data.get("unit", "")) > 20:
        return _("unit is a text of at most 20 characters.")
    if not isinstance(data.get("required", True), bool) or not isinstance(data.get("from_label", ""), str):
        return _("required is true or false, from_label a string.")
    return _pattern_problem(kind, data.get("pattern", ""))


def _may_bound(kind: str, bound: Any) -> bool:
    if kind == "duration":
        return isinstance(bound, str) and seconds(bound) is not None
    return kind in ("integer", "number", "list") and isinstance(bound, int | float) and not isinstance(bound, bool)


def _bound(value: Any) -> float | None:
    return seconds(value) if isinstance(value, str) else value


def _pattern_problem(kind: str, pattern: Any) -> str | Promise | None:
    if pattern == "":
        return None
    if kind not in ("string", "list") or not isinstance(pattern, str):
        return _("pattern is a string and belongs to the types string and list.")
    try:
        re2.compile(pattern)
    except re2.error:
        return _("pattern is not a regular expression.")
    return None


def check(parameter: Parameter, value: Any) -> Any:
    """The value, if it is of the type and within the limits; WrongValueError otherwise. Nothing is converted."""
    kind = parameter.type
    if kind == "boolean":
        if not isinstance(value, bool):
            raise WrongValueError(_("This is true or false."))
        return value
    if kind in ("integer", "number"):
        return _number(parameter, value)
    if kind == "list":
        return _list(parameter, value)
    _text(parameter, value)
    if kind == "choice" and value not in parameter.choices:
        raise WrongValueError(_("This is one of %(choices)s.") % {"choices": ", ".join(parameter.choices)})
    if kind == "duration":
        _duration(parameter, value)
    if kind == "datetime" and not _is_datetime(value):
        raise WrongValueError(_("This is a time with its offset from UTC, such as 2026-01-31T08:00:00+08:00."))
    if kind == "resource" and not value.strip():
        raise WrongValueError(_("This is the name, id or ref of a resource."))
    return value


def _text(parameter: Parameter, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise WrongValueError(_("This is a text of at most %(most)s characters.") % {"most": MAX_LENGTH})
    if _UNKEEPABLE.search(value):
        raise WrongValueError(_("The text contains characters that cannot be kept."))
    if parameter.pattern and re2.fullmatch(parameter.pattern, value) is None:
        raise WrongValueError(_("This does not match the pattern %(pattern)s.") % {"pattern": parameter.pattern})


def _list(parameter: Parameter, value: Any) -> Any:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise WrongValueError(_("This is a list of at most %(most)s texts.") % {"most": MAX_ITEMS})
    for item in value:
        _text(parameter, item)
    _within(parameter, len(value))
    return value


def _duration(parameter: Parameter, value: str) -> None:
    found = seconds(value)
    if found is None:
        raise WrongValueError(_("This is a duration such as 30s, 5m or 2h."))
    if parameter.least is not None and found < parameter.least:
        raise WrongValueError(_("This is at least %(least)s.") % {"least": f"{parameter.least:g} s"})
    if parameter.most is not None and found > parameter.most:
        raise WrongValueError(_("This is at most %(most)s.") % {"most": f"{parameter.most:g} s"})


def _is_datetime(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _within(parameter: Parameter, value: float) -> None:
    if parameter.least is not None and value < parameter.least:
        raise WrongValueError(_("This is at least %(least)s.") % {"least": parameter.least})
    if parameter.most is not None and value > parameter.most:
        raise WrongValueError(_("This is at most %(most)s.") % {"most": parameter.most})


def _number(parameter: Parameter, value: Any) -> Any:
    whole = parameter.type == "integer"
    if (
        isinstance(value, bool)
        or not isinstance(value, int if whole else int | float)
        or not math.isfinite(value)
        or abs(value) > 2**53
    ):
        raise WrongValueError(_("This is a whole number.") if whole else _("This is a number."))
    _within(parameter, value)
    return value


def prefill(declared: Mapping[str, Parameter], labels: Mapping[str, str]) -> dict[str, Any]:
    """What an alert's labels say about the parameters; a label that does not fit its parameter is left out."""
    out: dict[str, Any] = {}
    for name, parameter in declared.items():
        label = labels.get(parameter.from_label)
        if label is None:
            continue
        try:
            value = label if parameter.type in TEXTS else json.loads(label)
            out[name] = check(parameter, value)
        except (WrongValueError, ValueError):
            continue
    return out
