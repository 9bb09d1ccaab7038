"""Template text -> tokens, as Go's text/template/parse/lex.go splits it (spaces inside actions are significant)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tongchou.alerting.gotemplate.errors import ParseError

KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"})

_WHITESPACE = " \t\r\n"
_COMMENT = re.compile(r"/\*")
_TRIMMED_COMMENT = re.compile(r"[ \t\r\n]*/\*")

_ACTION_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<declare>:=)
  | (?P<assign>=)
  | (?P<pipe>\|)
  | (?P<comma>,)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\[^\n]+?)')
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]+)?
               |0[oO][0-7_]+|0[bB][01_]+
               |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?))
  | (?P<field>\.[^\W\d]\w*)
  | (?P<dot>\.)
  | (?P<variable>\$\w*)
  | (?P<name>[^\W\d]\w*)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``kind`` is a group of the action grammar, or text, left, right, keyword, bool, eof."""

    kind: str
    text: str
    line: int


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of ``source``; raises ParseError at the first character that cannot begin one."""
    at = 0
    line = 1
    trim_next = False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        emitted = text.lstrip(_WHITESPACE) if trim_next else text
        if start >= 0 and _trims_left(source, start):
            emitted = emitted.rstrip(_WHITESPACE)
        if emitted:
            yield Token("text", emitted, line)
        line += text.count("\n")
        if start < 0:
            yield Token("eof", "", line)
            return
        inner = start + (3 if _trims_left(source, start) else 2)
        if (_TRIMMED_COMMENT if inner - start == 3 else _COMMENT).match(source, inner):
            at, trim_next, line = _comment(source, inner, line)
            continue
        yield Token("left", "{{", line)
        position = inner
        while True:
            end = _right_delimiter(source, position)
            if end:
                trim_next = end > 2
                yield Token("right", "}}", line)
                at = position + end
                break
            token = _action_token(source, position, line)
            line += token.text.count("\n")
            position += len(token.text)
            yield token
        line += source.count("\n", position, at)


def _trims_left(source: str, start: int) -> bool:
    return source.startswith("{{-", start) and source[start + 3 : start + 4] in tuple(_WHITESPACE)


def _right_delimiter(source: str, position: int) -> int:
    """The length of the closing delimiter at ``position``, trim marker included; 0 when there is none."""
    if source.startswith("}}", position):
        return 2
    if source[position : position + 1] in tuple(_WHITESPACE) and source.startswith("-}}", position + 1):
        return 4
    return 0


def _comment(source: str, inner: int, line: int) -> tuple[int, bool, int]:
    opening = source.find("/*", inner)
    closing = source.find("*/", opening + 2)
    if closing < 0:
        raise ParseError("unclosed comment", line)
    end = _right_delimiter(source, closing + 2)
    if not end:
        raise ParseError("comment ends before closing delimiter", line)
    at = closing + 2 + end
    return at, end > 2, line + source.count("\n", inner, at)


def _action_token(source: str, position: int, line: int) -> Token:
    if position >= len(source):
        raise ParseError("unclosed action", line)
    found = _ACTION_TOKEN.match(source, position)
    if found is None or found.lastgroup is None:
        character = source[position]
        if character in "\"'`":
            raise ParseError(f"unterminated quoted string {character}", line)
        raise ParseError(f"unrecognized character in action: U+{ord(character):04X} {character!r}", line)
    kind, text = found.lastgroup, found.group()
    if kind == "number" and source[found.end() : found.end() + 1].isalnum():
        raise ParseError(f"bad number syntax: {text + source[found.end()]!r}", line)
    if kind == "name":
        if text in KEYWORDS:
            kind = "keyword"
        elif text in ("true", "false"):
            kind = "bool"
    return Token(kind, text, line)
