"""The functions every Go template has (text/template/funcs.go).

Not ``and`` and ``or``: they do not evaluate all their arguments and live in the interpreter. Not ``call``: no value
here is a function.
"""

from __future__ import annotations

import html
import urllib.parse

from tongchou.alerting.gotemplate.errors import Unfit
from tongchou.alerting.gotemplate.formatting import sprint, sprintf, sprintln
from tongchou.alerting.gotemplate.functions import Function, bounded
from tongchou.alerting.gotemplate.values import NO_VALUE, NoValue, StringMap, truth, type_name

_BAD_TYPES = "invalid type for comparison"
_MIXED_TYPES = "incompatible types for comparison"


def _kind(value: object) -> str:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, kind):
            return name
    raise Unfit(f"{_BAD_TYPES}: {type_name(value)}")


def equal(first: object, *others: object) -> bool:
    """eq: whether the first equals any other; numbers of different kinds do not compare, as in Go."""
    if not others:
        raise Unfit("missing argument for comparison")
    for other in others:
        if first is None or other is None or isinstance(first, NoValue) or isinstance(other, NoValue):
            if _nothing(first) and _nothing(other):
                return True
            continue
        if _kind(first) != _kind(other):
            raise Unfit(_MIXED_TYPES)
        if first == other:
            return True
    return False


def _nothing(value: object) -> bool:
    return value is None or isinstance(value, NoValue)


def not_equal(first: object, second: object) -> bool:
    """Template function ne."""
    return not equal(first, second)


def less(first: object, second: object) -> bool:
    """Template function lt."""
    kind = _kind(first)
    if kind != _kind(second):
        raise Unfit(_MIXED_TYPES)
    if kind == "bool":
        raise Unfit(_BAD_TYPES)
    return first < second  # type: ignore[no-any-return,operator]  # both were checked to be numbers or strings


def less_or_equal(first: object, second: object) -> bool:
    """Template function le."""
    return less(first, second) or equal(first, second)


def length(value: object) -> int:
    """len: of a string in bytes, as in Go."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise Unfit(f"len of type {type_name(value)}")


def index(value: object, *keys: object) -> object:
    """index: of maps and lists, key after key."""
    for key in keys:
        if isinstance(value, StringMap):
            value = value.get(_key(key), "")
        elif isinstance(value, dict):
            value = value.get(_key(key), NO_VALUE)
        elif isinstance(value, list | str):
            items = value.encode() if isinstance(value, str) else value
            if not isinstance(key, int) or isinstance(key, bool):
                raise Unfit(f"cannot index slice/array with type {type_name(key)}")
            if not 0 <= key < len(items):
                raise Unfit(f"index out of range: {key}")
            value = items[key]
        else:
            raise Unfit("index of untyped nil" if _nothing(value) else f"can't index item of type {type_name(value)}")
    return value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Unfit(f"value has type {type_name(key)}; should be string")
    return key


def cut(value: object, *bounds: object) -> object:
    """slice: ``slice x 1 3`` is x[1:3]; strings are cut by bytes."""
    items = value.encode() if isinstance(value, str) else value
    if not isinstance(items, bytes | list):
        raise Unfit(f"can't slice item of type {type_name(value)}")
    if len(bounds) > 2:
        raise Unfit("too many slice indexes")
    ends = [0, len(items)]
    for position, bound in enumerate(bounds):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise Unfit(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= len(items):
            raise Unfit(f"index out of range: {bound}")
        ends[position] = bound
    if ends[0] > ends[1]:
        raise Unfit(f"invalid slice index: {ends[0]} > {ends[1]}")
    piece = items[ends[0] : ends[1]]
    return piece.decode(errors="replace") if isinstance(piece, bytes) else piece


def escape_html(*values: object) -> str:
    """Template function html."""
    text = html.escape(_joined(values), quote=False)
    return bounded(text.replace('"', "&#34;").replace("'", "&#39;").replace("\0", "�"))


_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def escape_js(*values: object) -> str:
    """Template function js."""
    out = []
    for character in _joined(values):
        if character in _JS:
            out.append(_JS[character])
        elif character < " " or (ord(character) >= 0x80 and not character.isprintable()):
            out.append(f"\\u{ord(character):04X}")
        else:
            out.append(character)
    return bounded("".join(out))


def escape_query(*values: object) -> str:
    """Template function urlquery."""
    return bounded(urllib.parse.quote_plus(_joined(values)))


def _joined(values: tuple[object, ...]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(values)


BUILTINS = {
    "eq": Function(equal, ("any", "*any")),
    "ne": Function(not_equal, ("any", "any")),
    "lt": Function(less, ("any", "any")),
    "le": Function(less_or_equal, ("any", "any")),
    "gt": Function(lambda first, second: not less_or_equal(first, second), ("any", "any")),
    "ge": Function(lambda first, second: not less(first, second), ("any", "any")),
    "not": Function(lambda value: not truth(value), ("any",)),
    "len": Function(length, ("any",)),
    "index": Function(index, ("any", "*any")),
    "slice": Function(cut, ("any", "*any")),
    "html": Function(escape_html, ("*any",)),
    "js": Function(escape_js, ("*any",)),
    "urlquery": Function(escape_query, ("*any",)),
    "print": Function(lambda *values: sprint(values), ("*any",)),
    "println": Function(lambda *values: sprintln(values), ("*any",)),
    "printf": Function(lambda form, *values: sprintf(form, values), ("string", "*any")),
}
LAZY = ("and", "or")
