"""Where the arguments of calls stand in the text of a query; the parser's tree does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<comma>,)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# A bracket after one of these words does not open the arguments of a call.
_LABEL_LISTS = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_NOT_CALLS = frozenset(("and", "or", "unless", "atan2", "bool", "offset", "fill", "fill_left", "fill_right"))


@dataclass(slots=True)
class _Bracket:
    """An open bracket; `call` is the number of the call it belongs to, -1 for none."""

    call: int
    wants_argument: bool


@dataclass(slots=True)
class _Scan:
    """The state of one pass over the text."""

    calls: list[list[int]] = field(default_factory=list)
    brackets: list[_Bracket] = field(default_factory=list)
    # The call whose name was read and whose bracket is still to come; label lists may stand in between.
    pending: int = -1
    label_list: bool = False

    def start_argument(self, at: int) -> None:
        if self.brackets and self.brackets[-1].wants_argument:
            bracket = self.brackets[-1]
            bracket.wants_argument = False
            self.calls[bracket.call].append(at)


def argument_places(query: str) -> list[tuple[str, ...]]:
    """For every function call and aggregation, in the order of writing, the "line:column" of each argument."""
    scan = _Scan()
    for found in _TOKEN.finditer(query):
        kind, at = found.lastgroup, found.start()
        if kind == "space":
            continue
        if kind == "close":
            if scan.brackets:
                scan.brackets.pop()
            continue
        if kind == "comma":
            if scan.brackets and scan.brackets[-1].call >= 0:
                scan.brackets[-1].wants_argument = True
            continue
        scan.start_argument(at)
        if kind == "word":
            _word(scan, query, found)
        elif kind == "open":
            _open(scan, found.group())
    return [tuple(line_column(query, at) for at in arguments) for arguments in scan.calls]


_OPERATORS = frozenset("+-*/%^<>=!")
_WORD_OPERATORS = frozenset(("and", "or", "unless", "atan2"))


def complexity(query: str) -> tuple[int, int]:
    """How deep brackets nest and how many operators stand outside of braces: what recursion over the tree costs."""
    depth = deepest = operators = braces = 0
    for found in _TOKEN.finditer(query):
        kind, text = found.lastgroup, found.group()
        if kind == "open":
            depth += 1
            deepest = max(deepest, depth)
            braces += text == "{"
        elif kind == "close":
            depth -= 1
            braces -= text == "}"
        elif braces <= 0 and (text in _OPERATORS or (kind == "word" and text.lower() in _WORD_OPERATORS)):
            operators += 1
    return deepest, operators


_NAMED = re.compile(r"function '(\w+)'|aggregation '?(\w+)'?")


def error_place(query: str, message: str) -> int | None:
    """Where a mistake is that the parser reports without its position: a bracket left open, or the function it names.

    0-based, in characters; None when the message does not tell.
    """
    if "unclosed" in message or "unexpected end" in message:
        opened: list[int] = []
        for found in _TOKEN.finditer(query):
            if found.lastgroup == "open":
                opened.append(found.start())
            elif found.lastgroup == "close" and opened:
                opened.pop()
        return opened[-1] if opened else len(query)
    named = _NAMED.search(message)
    call = re.search(rf"\b{named[1] or named[2]}\s*\(", query) if named else None
    return call.start() if call else None


def _word(scan: _Scan, query: str, found: re.Match[str]) -> None:
    word = found.group().lower()
    if word in _LABEL_LISTS:
        scan.label_list = True
        return
    after = _TOKEN.match(query, found.end())
    while after and after.lastgroup == "space":
        after = _TOKEN.match(query, after.end())
    following = after.group() if after else ""
    if word in _NOT_CALLS or (following != "(" and following.lower() not in ("by", "without")):
        return
    scan.calls.append([])
    scan.pending = len(scan.calls) - 1


def _open(scan: _Scan, bracket: str) -> None:
    if bracket == "(" and scan.label_list:
        scan.label_list = False
        scan.brackets.append(_Bracket(-1, False))
    elif bracket == "(" and scan.pending >= 0:
        scan.brackets.append(_Bracket(scan.pending, True))
        scan.pending = -1
    else:
        scan.brackets.append(_Bracket(-1, False))


def line_column(query: str, at: int) -> str:
    """A position in characters as "line:column", both from 1."""
    before = query[:at]
    return f"{before.count(chr(10)) + 1}:{at - (before.rfind(chr(10)) + 1) + 1}"
