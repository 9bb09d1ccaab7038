"""Series as Prometheus's tests write them: `up{job="a"} 1 2+3x2 _ stale _x3`. Pure."""

from __future__ import annotations

import ast
import json
import re

from tongchou.telemetry.series import STALE_NAN, Labels, labels_of

_NUMBER = r"(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(rf"^([+-]?{_NUMBER})(?:([+-])({_NUMBER}))?(?:x(\d+))?$")
_LABEL = re.compile(r"""\s*(\w+|"(?:\\.|[^"\\])*")\s*(?:=\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`))?\s*(,|})""")
MAX_POINTS = 1_000_000  # of one sequence

# A point: a float, nothing, or a native histogram (which is only recognised, not read).
HISTOGRAM = object()
Point = float | None | object


class NotationError(ValueError):
    """A text that is not understood."""


def unquote(text: str) -> str:
    """A Go string literal: double quoted, single quoted or raw."""
    if text.startswith("`"):
        return text[1:-1]
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except json.JSONDecodeError:
            pass
    return str(ast.literal_eval(text))


def points_of(text: str) -> list[Point]:
    """Expand a sequence such as `1 2+3x2 _ stale _x3 {{schema:1}}x4`."""
    points: list[Point] = []
    for item in re.findall(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+", text):
        points.extend(_expanded(item))
    return points


def _expanded(item: str) -> list[Point]:
    if item.startswith("{{"):
        repeat = re.search(r"x(\d+)$", item)
        return [HISTOGRAM] * (_times(repeat.group(1)) + 1 if repeat else 1)
    if item == "stale":
        return [STALE_NAN]
    if item.startswith("_"):
        return [None] * _times(item[2:] if item.startswith("_x") else "1")
    found = _ITEM.match(item)
    if found is None:
        raise NotationError(f"not a sample: {item!r}")
    base, sign, step, times = found.groups()
    value, change = float(base), 0.0 if step is None else float(step) * (-1 if sign == "-" else 1)
    if times is None:
        if step is not None:
            raise NotationError(f"a step without a count: {item!r}")
        return [value]
    out: list[Point] = []
    for _ in range(_times(times) + 1):
        out.append(value)
        value += change
    return out


def _times(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_POINTS:
        raise NotationError(f"not a count of at most {MAX_POINTS}: {text!r}")
    return int(text)


def series_of(line: str) -> tuple[Labels, str]:
    """Split `name{a="b"} points` into labels and the rest."""
    name = re.match(r"[A-Za-z_:][\w:]*", line)
    pairs: list[tuple[str, str]] = [("__name__", name.group())] if name else []
    at = name.end() if name else 0
    if at < len(line) and line[at] == "{":
        at += 1
        while True:
            if line[at:].lstrip().startswith("}"):
                at = line.index("}", at) + 1
                break
            found = _LABEL.match(line, at)
            if found is None:
                raise NotationError(f"not a series: {line!r}")
            key, value, after = found.groups()
            key = unquote(key) if key.startswith('"') else key
            pairs.append(("__name__", key) if value is None else (key, unquote(value)))
            at = found.end()
            if after == "}":
                break
    elif not name:
        raise NotationError(f"not a series: {line!r}")
    return labels_of(pairs), line[at:]
