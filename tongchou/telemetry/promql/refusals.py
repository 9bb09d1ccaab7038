"""A text that the parser refuses, told as Prometheus tells it: `1:5: parse error: unexpected identifier "bar"`."""

from __future__ import annotations

import re
from collections.abc import Callable

from tongchou.telemetry.promql.diagnose import unexpected
from tongchou.telemetry.promql.errors import QueryError, parse_error
from tongchou.telemetry.promql.places import error_place, line_column

_POSITION = re.compile(r"(?: at)? position:? (\d+)")
_TYPES = {"matrix": "range vector", "vector": "instant vector", "scalar": "scalar", "string": "string"}
_EXPECTED = re.compile(r"^expected type (\w+) in (.*), got (\w+)$")
_CALL = re.compile(r'call to function "(\w+)"')
_LEFT_OPEN = ("unclosed left", "unexpected end of input inside braces")
# Where to point for what the parser says without a place: the start of the group.
_POINTS = (
    ("BOOL modifier", re.compile(r"(==|!=|>=|<=|>|<)")),
    ("duration must be greater", re.compile(r"[\[:]\s*(0)")),
    ("modifiers allowed before range", re.compile(r"\w\s*(\[)[^\]]*\]$")),
    ("must not be set twice", re.compile(r"([A-Za-z_:][\w:]*\s*\{|\{)")),
    ("only allowed for vector selectors", re.compile(r"\)\s*(\[)")),
)


def refused(query: str, message: str, origin: Callable[[int], int]) -> QueryError:
    """The error for what the parser said of a query: in Prometheus's words, with the place as line:column.

    What PromQL has and this parser does not (duration expressions, smoothed, anchored) is named as such. The error's
    position is where to look: for a bracket left open it is that bracket, which Prometheus reports at the end.
    origin maps the places the parser tells to those of the query.
    """
    found = unexpected(query)
    if found is None:
        place, words = _place(query, message, origin), _words(message)
    else:
        place, words = found
    opened = error_place(query, words) if words.startswith(_LEFT_OPEN) else None
    told = f"{line_column(query, place)}: parse error: {words}"
    return parse_error(query, told, place if opened is None else opened)


def _words(message: str) -> str:
    words = _POSITION.sub("", message).replace("'", '"')
    expected = _EXPECTED.match(words)
    if expected is None:
        return words.replace("illegal regex for ", "error parsing regexp: ")
    wanted, where, got = expected.groups()
    return f"expected type {_TYPES.get(wanted, wanted)} in {where}, got {_TYPES.get(got, got)}"


def _place(query: str, message: str, origin: Callable[[int], int]) -> int:
    told = _POSITION.search(message)
    if told:
        return origin(int(told.group(1)))
    for words, pattern in _POINTS:
        point = pattern.search(query) if words in message else None
        if point:
            return point.start(1)
    call = _CALL.search(message.replace("'", '"'))
    if call and message.startswith("expected type"):
        argument = re.search(rf"\b{call.group(1)}\s*\(\s*", query)
        return argument.end() if argument else 0
    return error_place(query, message) or 0
