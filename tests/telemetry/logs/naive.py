"""The search language evaluated line by line in Python, as the documentation tells it: what the store is held to."""

from __future__ import annotations

import json
import re

import re2

from tongchou.telemetry.logs.query import (
    And,
    Compare,
    Equal,
    Exists,
    Matches,
    Not,
    Or,
    Pattern,
    Phrase,
    Word,
    is_number,
)

ORDERS = {"<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__}
_TOKEN = re.compile(r"[0-9a-zA-Z\x80-\U0010ffff]+")


def lower(text):
    return "".join(each.lower() if each.isascii() else each for each in text)


def between(parts, text):
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def spelled(parts, body):
    """The parts stand in the line in this order, as they are or as JSON writes them when it keeps to ASCII."""
    found = between([lower(part) for part in parts], lower(body))
    if found or all(part.isascii() for part in parts):
        return found
    pieces = ["".join(each if each.isascii() else json.dumps(each)[1:-1] for each in lower(part)) for part in parts]
    return between(pieces, lower(body))


def glob(pattern, text):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None


def found(pattern, text):
    options = re2.Options()
    options.dot_nl = True
    return re2.compile(pattern.re2, options).search(text) is not None


def values(name, line):
    """(whether it is a number in JSON, value) of every place the field stands in."""
    if name in ("level", "trace_id", "resource"):
        return [getattr(line, name)]
    held = [source[name] for source in (line.labels, line.fields) if name in source]
    try:
        body = json.loads(line.body) if line.body.startswith("{") else None
    except ValueError:
        body = None
    for path in {(name,), tuple(name.split("."))}:
        at = body
        for part in path:
            at = at.get(part, ...) if isinstance(at, dict) else ...
        if at is not ...:
            held.append(at)
    return held


def scalar(value):
    return isinstance(value, str | int | float) and value is not None


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def number_of(value):
    if isinstance(value, str):
        return float(value) if is_number(value) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def equal(value, wanted):
    if isinstance(value, str):
        return value == wanted
    if isinstance(value, bool):
        return wanted == ("true" if value else "false")
    if isinstance(value, int | float):
        return is_number(wanted) and float(value) == float(wanted)
    return False


def finds(node, line):
    match node:
        case Word(text):
            if re.fullmatch("[A-Za-z0-9]+", text):
                return lower(text) in [lower(each) for each in _TOKEN.findall(line.body)]
            return spelled(text.split("*"), line.body)
        case Phrase(text):
            return spelled([text], line.body)
        case Pattern():
            return found(node, line.body)
        case Equal(name, value, True):
            return any(glob(value, text_of(each)) for each in values(name, line) if scalar(each))
        case Equal(name, value, _):
            return any(equal(each, value) for each in values(name, line))
        case Compare(name, order, number):
            numbers = [number_of(each) for each in values(name, line)]
            return any(ORDERS[order](each, float(number)) for each in numbers if each is not None)
        case Matches(name, pattern):
            return any(found(pattern, text_of(each)) for each in values(name, line) if scalar(each))
        case Exists(name):
            return bool(values(name, line))
        case Not(part):
            return not finds(part, line)
        case And(parts):
            return all(finds(part, line) for part in parts)
        case Or(parts):
            return any(finds(part, line) for part in parts)
