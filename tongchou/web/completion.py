"""What a person is typing in a PromQL text: a name, a label, a value. Pure: what could stand there the caller finds.

The text is unfinished by nature, so it is read by tokens up to the cursor and never parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tongchou.telemetry.series import METRIC_NAME, Matcher, MatchOp
from tongchou.web.promql_words import AGGREGATIONS, FUNCTIONS, KEYWORDS

Kind = Literal["expression", "label", "grouping", "value", "duration", "none"]
MAX_TEXT = 20_000
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$)|`[^`]*(?:`|$))
  | (?P<number>(?:[0-9]+(?:ms|[smhdwy]))+|[0-9.]+(?:[eE][+-]?[0-9]+)?)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<op>=~|!~|!=|==|=|[<>+\-*/%^]=?)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LABEL_LISTS = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_OWN_WORDS = frozenset((*AGGREGATIONS, *FUNCTIONS, *KEYWORDS))
_MATCHER = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:\\.|[^"\\])*)"')
_OPS: dict[str, MatchOp] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}


@dataclass(frozen=True, slots=True)
class Place:
    """What the cursor is in. [start, end) of the text would be replaced; `prefix` was typed of it already.

    label and value: of `label`, on series that fulfil `matchers` (the metric's name among them). grouping: a label of
    any of `metrics`. `regex`: the value is in a regular expression. `quote` closes the value, "" when it is closed.
    """

    kind: Kind
    start: int
    end: int
    prefix: str
    label: str = ""
    matchers: tuple[Matcher, ...] = ()
    metrics: tuple[str, ...] = ()
    regex: bool = False
    quote: str = ""


@dataclass(slots=True)
class _Frame:
    """An open bracket: `role` says what stands in it."""

    role: Literal["selector", "labels", "range", "call"]
    matchers: list[Matcher] = field(default_factory=list)
    name: str = ""
    op: str = ""


def unquoted(text: str) -> str:
    """Return what a string literal without its quotes says; only the escapes of quotes and backslashes are read."""
    return re.sub(r"\\(.)", r"\1", text)


def place(text: str, cursor: int) -> Place:
    """Return what is being typed at `cursor` (0-based, in characters); kind "none" where nothing can be offered."""
    text = text[:MAX_TEXT]
    cursor = max(0, min(cursor, len(text)))
    frames: list[_Frame] = []
    before = ""  # the word that was read last, if nothing but space came after it
    for found in _TOKEN.finditer(text[:cursor]):
        kind, token, last = found.lastgroup, found.group(), found.end() == cursor
        if kind == "comment" and last:
            return Place("none", cursor, cursor, "")
        if last and kind == "string" and not _closed(token):
            return _value(text, found.start(), cursor, frames)
        if last and kind in ("word", "number"):
            return _word(text, found.start(), cursor, frames)
        before = _read(frames, kind or "", token, before)
    return _word(text, cursor, cursor, frames)


def _closed(token: str) -> bool:
    return len(token) > 1 and token[-1] == token[0] and not re.search(r"(?<!\\)(?:\\\\)*\\.$", token)


def _read(frames: list[_Frame], kind: str, token: str, before: str) -> str:
    """Take one finished token in; returns the word that now stands before the next."""
    if kind in ("space", "comment"):
        return before
    if kind == "close" and frames:
        frames.pop()
        return ""
    if kind == "open":
        frames.append(_opened(token, before))
        return ""
    frame = frames[-1] if frames else None
    if frame is not None and frame.role == "selector":
        if kind == "word":
            frame.name, frame.op = token, ""
        elif kind == "op":
            frame.op = token
        elif kind == "string" and frame.name and frame.op in _OPS:
            frame.matchers.append(Matcher(frame.name, _OPS[frame.op], unquoted(token[1:-1])))
            frame.name = frame.op = ""
    return token if kind == "word" else ""


def _opened(bracket: str, before: str) -> _Frame:
    if bracket == "{":
        return _Frame("selector", [Matcher(METRIC_NAME, "=", before)] if before and before not in KEYWORDS else [])
    if bracket == "[":
        return _Frame("range")
    return _Frame("labels" if before in _LABEL_LISTS else "call")


def _word(text: str, start: int, cursor: int, frames: Sequence[_Frame]) -> Place:
    prefix = text[start:cursor]
    rest = re.compile(r"[A-Za-z0-9_:]*").match(text, cursor)
    end = rest.end() if rest else cursor
    frame = frames[-1] if frames else None
    if frame is None or frame.role == "call":
        if prefix[:1].isdigit() or prefix[:1] == ".":
            return Place("none", cursor, cursor, "")
        return Place("expression", start, end, prefix)
    if frame.role == "range":
        return Place("duration", start, end, prefix) if ":" not in prefix else Place("none", cursor, cursor, "")
    if frame.role == "labels":
        return Place("grouping", start, end, prefix, metrics=metrics_in(text))
    if frame.op:
        return Place("none", cursor, cursor, "")  # a value wants its quote first
    return Place("label", start, end, prefix, matchers=_others(text, end, frame))


def _value(text: str, start: int, cursor: int, frames: Sequence[_Frame]) -> Place:
    """Inside a string that is not closed before the cursor."""
    frame = frames[-1] if frames else None
    if frame is None or frame.role != "selector" or not frame.name or frame.op not in _OPS:
        return Place("none", cursor, cursor, "")
    regex = frame.op in ("=~", "!~")
    typed = text[start + 1 : cursor]
    begin = start + 1 + (typed.rfind("|") + 1 if regex else 0)
    rest = re.compile(r"[\w.:/@-]*").match(text, cursor)
    end = rest.end() if rest else cursor
    quote = "" if text[end : end + 1] == text[start] else text[start]
    prefix = unquoted(text[begin:cursor])
    return Place("value", begin, end, prefix, frame.name, _others(text, end, frame), regex=regex, quote=quote)


def _others(text: str, end: int, frame: _Frame) -> tuple[Matcher, ...]:
    """The matchers of this selector that stand before the cursor and after it."""
    after = text[end:].partition("}")[0]
    later = [Matcher(name, _OPS[op], unquoted(value)) for name, op, value in _MATCHER.findall(after)]
    return (*frame.matchers, *later)


def metrics_in(text: str) -> tuple[str, ...]:
    """Return the names in a text that are neither functions, keywords, labels nor values: its metrics, in order."""
    names: list[str] = []
    frames: list[_Frame] = []
    before = ""
    for found in _TOKEN.finditer(text[:MAX_TEXT]):
        kind, token = found.lastgroup or "", found.group()
        outside = not frames or frames[-1].role == "call"
        if kind == "word" and outside and token not in _OWN_WORDS and token not in names:
            names.append(token)
        before = _read(frames, kind, token, before)
    return tuple(names)


def ranked(names: Iterable[str], prefix: str, *, limit: int) -> tuple[list[str], int]:
    """Return the names that fit, best first (beginning with it, a part beginning with it, containing it), and how many.

    A fit pays no heed to case. At most `limit` are returned; the count is of all.
    """
    wanted = prefix.lower()
    fits = [name for name in names if wanted in name.lower()]
    found = sorted((_rank(name.lower(), wanted), len(name) if wanted else 0, name) for name in fits)
    return [name for _rank_, _length, name in found[:limit]], len(found)


def _rank(name: str, wanted: str) -> int:
    if name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if re.search(rf"[^a-z0-9]{re.escape(wanted)}", name) else 3


def value_text(value: str, found: Place) -> str:
    """Return a label's value as it is written at a place: escaped for the string, and for a regular expression."""
    text = re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", value) if found.regex else value
    return text.replace("\\", "\\\\").replace('"', '\\"') + found.quote
