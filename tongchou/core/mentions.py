"""Names in people's text: @anna, @{Team Blue}, INC-7. Not in code, not in links. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_NESTING = 20
# A bare name is plain ASCII, so that what follows it in Chinese does not become part of it; others stand in braces.
_NAMED = re.compile(
    r"(?<![\w@./-])@(?:\{(?P<braced>[^{}\n]{1,150})\}|(?P<bare>[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?))"
    r"|(?<![\w-])(?P<noun>(?:INC|IMP)-[1-9][0-9]{0,8})(?![\w-])",
    re.ASCII,
)
_PLAIN = re.compile(r"\A[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: plain, the name of a person or team, or the name of a noun ("INC-7")."""

    kind: Literal["text", "name", "noun"]
    text: str
    value: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Cut plain text into its pieces, in order; together they are the text."""
    at = 0
    for match in _NAMED.finditer(text):
        if match.start() > at:
            yield Piece("text", text[at : match.start()])
        name = match["braced"] or match["bare"]
        yield Piece("name", match[0], name.strip()) if name else Piece("noun", match[0], match["noun"])
        at = match.end()
    if at < len(text):
        yield Piece("text", text[at:])


def written(name: str) -> str:
    """How a name is written so that it is found again."""
    return f"@{name}" if _PLAIN.match(name) else f"@{{{name}}}"


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING}).enable("table")


def names(markdown: str) -> list[str]:
    """Return the names the text speaks to, each once, in order."""
    found: dict[str, None] = {}
    for token in _parser().parse(markdown):
        for text in plain_texts(token.children or ()):
            for piece in pieces(text.content):
                if piece.kind == "name":
                    found.setdefault(piece.value, None)
    return list(found)


def plain_texts(children: list[Token] | tuple[()]) -> Iterator[Token]:
    """Yield the text tokens of an inline token that are not inside a link."""
    depth = 0
    for child in children:
        if child.type in ("link_open", "link_close"):
            depth += 1 if child.type == "link_open" else -1
        elif child.type == "text" and depth == 0:
            yield child
