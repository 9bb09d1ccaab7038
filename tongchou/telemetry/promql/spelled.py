r"""A query as promql-parser can read it: what PromQL allows and the parser does not is spelled otherwise.

- Escapes of single bytes in string literals, which the parser takes for characters.
- Raw strings with a backslash, in which the parser looks for escapes.
- `\Q...\E` in the regular expression of a matcher, and underscores in numbers.
- Times behind `@`, which the parser holds as dates: in their place stands their number in `pins`.
- Durations and numbers for durations that are too great, which end the parser with a panic: they become `problems`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from tongchou.telemetry.notation import unquote

UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
  | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)(?!\w)
  | (?P<number>(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*
      | (?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?))(?![\w.])
  | (?P<word>[A-Za-z_][A-Za-z0-9_:]*|:(?!\d)[A-Za-z0-9_:]+|\d\w*)
  | (?P<other>=~|!~|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BYTES = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\x[89a-fA-F][0-9a-fA-F]|\\[23][0-7][0-7])+)")
_BYTE = re.compile(r"\\x(..)|\\([0-7]{3})")
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_REGEX_META = frozenset(r"\.+*?()|[]{}^$")
_PINNED = re.compile(r"`[^`]*`|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(@ )(\d+)\.000", re.DOTALL)
_MAX_SECONDS = 2**63 / 1e9  # of a duration: nanoseconds in 64 bits
_MAX_TIME = 2.0**63
# What is further away than any sample a store can hold is as far as any.
_FAR_MS = 10**16


@dataclass(slots=True)
class Spelled:
    """The query in the parser's spelling; pins are the times behind `@` in ms, None for one that is out of bounds."""

    query: str
    text: str = ""
    pins: list[int | None] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # the pins as Prometheus prints them
    problems: list[tuple[int, str]] = field(default_factory=list)  # (place in the query, what is wrong)
    # Where a piece of the text begins, and the piece of the query it stands for.
    _text_edges: list[int] = field(default_factory=lambda: [0])
    _query_edges: list[int] = field(default_factory=lambda: [0])

    def place(self, at: int) -> int:
        """The place in the query of a place in the text."""
        piece = bisect_right(self._text_edges, at) - 1
        begin = self._query_edges[piece]
        end = self._query_edges[piece + 1] if piece + 1 < len(self._query_edges) else len(self.query)
        return min(begin + at - self._text_edges[piece], end)

    def unspelled(self, text: str) -> str:
        """What the parser printed, with the times behind `@` in the place of their numbers."""
        return _PINNED.sub(lambda found: found[1] + self.shown[int(found[2])] if found[2] else found[0], text)

    def replace(self, begin: int, end: int, text: str) -> None:
        """Let this stand for a part of the query behind all that was replaced before."""
        self.text += self.query[self._query_edges[-1] : begin]
        self._text_edges += [len(self.text), len(self.text) + len(text)]
        self._query_edges += [begin, end]
        self.text += text

    def finish(self) -> None:
        """Add what stands behind the last replacement."""
        self.text += self.query[self._query_edges[-1] :]


def spelled(query: str) -> Spelled:
    """The query as the parser can read it."""
    out = Spelled(query)
    before = (("", 0), ("", 0))  # the last two tokens and where they begin
    brackets = 0
    for found in _TOKEN.finditer(query):
        text, kind = found.group(), found.lastgroup
        if kind == "space":
            continue
        brackets += (text == "[") - (text == "]")
        if kind == "string":
            _string(out, found, before[1][0] in ("=~", "!~"))
        elif kind in ("number", "duration"):
            _number(out, found, before, brackets > 0)
        before = (before[1], (text.lower(), found.start()))
    out.finish()
    return out


def _seconds(found: re.Match[str]) -> float:
    """A number or duration as Prometheus reads it; a leading 0 makes a number octal where it can."""
    plain = found.group().replace("_", "")
    if found.lastgroup == "duration":
        return sum(int(number) * _UNITS_MS[unit] for number, unit in _DURATION.findall(plain)) / 1000
    if plain[:2].lower() == "0x":
        return float(int(plain, 16))
    return float(int(plain, 8)) if re.fullmatch(r"0[0-7]+", plain) else float(plain)


def _number(out: Spelled, found: re.Match[str], before: tuple[tuple[str, int], tuple[str, int]], inside: bool) -> None:
    """Spell a number or duration by what stands before it; inside: of brackets."""
    text, begin, end = found.group(), *found.span()
    sign, sign_at = before[1]
    signed = sign in ("+", "-")
    ahead = before[0][0] if signed else sign
    seconds = _seconds(found)
    ranged = inside and not signed and ahead in ("[", ":")
    if ahead == "@":
        _pin(out, -seconds if sign == "-" else seconds)
        # The sign is left out with it: the parser is to see the number of the pin.
        if signed:
            out.replace(sign_at, sign_at + 1, " ")
        out.replace(begin, end, str(len(out.pins) - 1))
    elif seconds > _MAX_SECONDS and (ranged or ahead == "offset" or found.lastgroup == "duration"):
        out.problems.append((begin, "duration out of range"))
        out.replace(begin, end, "1".ljust(len(text)))
    elif ranged and seconds == 0:
        out.problems.append((begin, "duration must be greater than 0"))
        out.replace(begin, end, "1".ljust(len(text)))
    elif "_" in text:
        out.replace(begin, end, text.replace("_", "").ljust(len(text)))


def _pin(out: Spelled, seconds: float) -> None:
    out.shown.append(f"{seconds:.3f}")
    if abs(seconds) >= _MAX_TIME:
        out.pins.append(None)
        return
    # Half a millisecond is rounded away from zero.
    ms = int(abs(seconds) * 1000 + 0.5)
    out.pins.append(max(-_FAR_MS, min(_FAR_MS, -ms if seconds < 0 else ms)))


def _string(out: Spelled, found: re.Match[str], is_regex: bool) -> None:
    """Spell a string literal that holds a backslash."""
    text = found.group()
    if "\\" not in text:
        return
    changed = text if text[0] == "`" else _BYTES.sub(_characters, text)
    try:
        value = unquote(changed) if text[0] == "`" or (is_regex and "Q" in text) else None
    except (ValueError, SyntaxError):
        value = None  # an escape that is none: for the parser to refuse
    if value is not None:
        wanted = _without_literals(value) if is_regex else value
        if text[0] == "`" or wanted != value:
            changed = _quoted(wanted)
    if changed != text:
        out.replace(*found.span(), changed)


def _characters(run: re.Match[str]) -> str:
    """Bytes as the characters they encode; those that are no UTF-8 become UNDECODABLE, which no label has."""
    numbers = [int(h, 16) if h else int(o, 8) for h, o in _BYTE.findall(run.group(2))]
    return run.group(1) + bytes(numbers).decode(errors="replace")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _without_literals(pattern: str) -> str:
    r"""A regular expression with the text between \Q and \E escaped letter by letter."""
    return "".join(_pieces(pattern)) if "\\Q" in pattern else pattern


def _pieces(pattern: str) -> Iterator[str]:
    at, in_class = 0, False
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pair == "\\Q" and not in_class:
            end = pattern.find("\\E", at + 2)
            literal = pattern[at + 2 :] if end < 0 else pattern[at + 2 : end]
            yield "".join("\\" + each if each in _REGEX_META else each for each in literal)
            at = len(pattern) if end < 0 else end + 2
            continue
        if pair[0] == "\\":
            yield pair
            at += 2
            continue
        in_class = pair[0] == "[" or (in_class and pair[0] != "]")
        yield pair[0]
        at += 1
