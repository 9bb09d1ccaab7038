"""A search's tree as a condition over the columns of the log table. Every text goes through `literal`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tongchou.telemetry.logs.detect import UNKNOWN, level_named
from tongchou.telemetry.logs.query import (
    And,
    Compare,
    Equal,
    Exists,
    Matches,
    Node,
    Not,
    Or,
    Pattern,
    Phrase,
    Word,
    is_number,
)
from tongchou.telemetry.series import Matcher

COLUMNS = {"level", "trace_id", "resource"}
_WORD = re.compile(r"[A-Za-z0-9]+")
_SPECIAL = re.compile(r"[\\'\x00-\x1f\x7f]")
_JSON_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;=-]{4,}")
_NUMBERS = "('Int64', 'UInt64', 'Double')"
_SCALARS = "('Int64', 'UInt64', 'Double', 'Bool')"
_ESCAPED = r"position(body, '\\u') > 0"  # the text \u: a JSON string may hide letters behind it
_NUMBER_TEXT = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$"


def literal(text: str) -> str:
    """Text as a ClickHouse string literal."""
    return "'" + _SPECIAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text) + "'"


def lowered(text: str) -> str:
    """Text with its ASCII letters in lower case, as ClickHouse's lower() does it."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def like(parts: Sequence[str]) -> str:
    """A LIKE pattern: these texts in this order with anything between them."""
    return "%".join(re.sub(r"([\\%_])", r"\\\1", part) for part in parts)


def condition(node: Node) -> str:
    """The SQL condition of a tree."""
    match node:
        case Word(text):
            return _word(text)
        case Phrase(text):
            return _contains([text])
        case Pattern():
            return f"match(body, {literal(node.re2)})"
        case Equal():
            return _equal(node)
        case Compare():
            return _compare(node)
        case Matches(name, pattern):
            return _any_text(name, lambda text: f"match({text}, {literal(pattern.re2)})")
        case Exists(name):
            return _exists(name)
        case Not(part):
            return f"NOT ({condition(part)})"
        case And(parts):
            return " AND ".join(f"({condition(part)})" for part in parts) if parts else "1"
        case Or(parts):
            return " OR ".join(f"({condition(part)})" for part in parts)


def label_condition(matchers: Sequence[Matcher]) -> str:
    """The SQL condition of label matchers, with Loki's meaning: whole value, a missing label is empty."""
    tests = ["1"]
    for matcher in matchers:
        found = f"labels[{literal(matcher.name)}]"
        if matcher.op in ("=", "!="):
            tests.append(f"{found} {matcher.op} {literal(matcher.value)}")
        else:
            tested = f"match({found}, {literal(f'^(?s:{matcher.value})$')})"
            tests.append(tested if matcher.op == "=~" else f"NOT {tested}")
    return " AND ".join(tests)


def _word(text: str) -> str:
    if _WORD.fullmatch(text):
        return f"hasToken(lower(body), {literal(lowered(text))})"
    return _contains(text.split("*"))


def escaped(text: str) -> str:
    r"""Text as JSON writers put it that keep to ASCII, with its letters in lower case: 订 is \u8ba2."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 0x80 else f"\\u{code:04x}" for code in codes)


def _contains(parts: Sequence[str]) -> str:
    wanted = [lowered(part) for part in parts]
    tests = [f"lower(body) LIKE {literal('%' + like(each) + '%')}" for each in _spellings(wanted)]
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"


def _spellings(parts: Sequence[str]) -> list[Sequence[str]]:
    """The parts as they are and, when they are not all ASCII, as JSON's escapes: many writers write nothing else."""
    return [parts] if all(part.isascii() for part in parts) else [parts, [escaped(part) for part in parts]]


def _in_json(name: str, tests: Callable[[str], list[str]], first: str = "") -> str:
    """Any of `tests` (of the arguments of a JSON function) holds for a member of a line that is a JSON object.

    The name is tried as it stands and, when dotted, as a path. A line without the quoted key in it (nor an escape,
    which could hide it) is not parsed.
    """
    places = [(name, literal(name))]
    if "." in name:
        parts = name.split(".")
        places.append((parts[-1], ", ".join(literal(part) for part in parts)))
    found = []
    for key, path in places:
        quoted_key = literal(f'"{key}"')
        found.append(f"((position(body, {quoted_key}) > 0 OR {_ESCAPED}) AND ({' OR '.join(tests(path))}))")
    return f"(startsWith(body, '{{') AND {first}({' OR '.join(found)}))"


def _sources(name: str) -> list[str]:
    """The columns a field may stand in as text."""
    if name in COLUMNS:
        return [name]
    quoted = literal(name)
    return (
        [f"fields[{quoted}]"]
        if "." in name or "-" in name or "@" in name
        else [f"labels[{quoted}]", f"fields[{quoted}]"]
    )


def _equal(node: Equal) -> str:
    name, value = node.name, node.value
    if node.glob:
        wanted = literal(like(value.split("*")))
        return _any_text(name, lambda text: f"{text} LIKE {wanted}")
    if name == "level":
        level = level_named(value)
        return f"level = {literal(level if level != UNKNOWN else lowered(value))}"
    if name in COLUMNS:
        return f"{name} = {literal(value.lower() if name == 'trace_id' else value)}"
    if value:
        tests = [f"{source} = {literal(value)}" for source in _sources(name)]
    else:
        tests = [f"(mapContains(fields, {literal(name)}) AND fields[{literal(name)}] = '')"]

    def tests_of(path: str) -> list[str]:
        kind = f"JSONType(body, {path})"
        found = [f"({kind} = 'String' AND JSONExtractString(body, {path}) = {literal(value)})"]
        if value in ("true", "false"):
            found.append(f"({kind} = 'Bool' AND JSONExtractBool(body, {path}) = {int(value == 'true')})")
        elif is_number(value):
            found.append(f"({kind} IN {_NUMBERS} AND JSONExtractFloat(body, {path}) = {_number(value)})")
        return found

    # Text that needs no escape stands in the line as it is (or as \u....): cheaper to look for than to parse.
    plain = _JSON_PLAIN.fullmatch(value) and not is_number(value)
    part = literal(f"%{like([lowered(value)])}%")
    first = f"(lower(body) LIKE {part} OR {_ESCAPED}) AND " if plain else ""
    return " OR ".join([*tests, _in_json(name, tests_of, first)])


def _any_text(name: str, test: Callable[[str], str]) -> str:
    """The test (of an SQL text) holds for the field in any of its places, where it is there."""
    tests = []
    for source in _sources(name):
        held = "1" if name in COLUMNS else f"mapContains({source.split('[')[0]}, {literal(name)})"
        tests.append(f"({held} AND {test(source)})")
    if name not in COLUMNS:

        def tests_of(path: str) -> list[str]:
            kind = f"JSONType(body, {path})"
            return [
                f"({kind} = 'String' AND {test(f'JSONExtractString(body, {path})')})",
                f"({kind} IN {_SCALARS} AND {test(f'JSONExtractRaw(body, {path})')})",
            ]

        tests.append(_in_json(name, tests_of))
    return " OR ".join(tests)


def _compare(node: Compare) -> str:
    wanted = f"{node.order} {_number(node.number)}"
    tests = [
        f"(match({source}, {literal(_NUMBER_TEXT)}) AND ifNull(toFloat64OrNull({source}) {wanted}, 0))"
        for source in _sources(node.name)
    ]
    if node.name not in COLUMNS:

        def tests_of(path: str) -> list[str]:
            kind, as_text = f"JSONType(body, {path})", f"JSONExtractString(body, {path})"
            return [
                f"({kind} IN {_NUMBERS} AND JSONExtractFloat(body, {path}) {wanted})",
                (
                    f"({kind} = 'String' AND match({as_text}, {literal(_NUMBER_TEXT)})"
                    f" AND ifNull(toFloat64OrNull({as_text}) {wanted}, 0))"
                ),
            ]

        tests.append(_in_json(node.name, tests_of))
    return " OR ".join(tests)


def _exists(name: str) -> str:
    if name in COLUMNS:
        return f"{name} != {literal(UNKNOWN if name == 'level' else '')}"
    tests = [f"mapContains({source.split('[')[0]}, {literal(name)})" for source in _sources(name)]
    return " OR ".join([*tests, _in_json(name, lambda path: [f"JSONHas(body, {path})"])])


def _number(text: str) -> str:
    return f"toFloat64({float(text)!r})"
