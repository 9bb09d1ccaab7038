"""The second argument of info(), which may match the empty string: the parser refuses such a selector everywhere.

A matcher that is always given lets it pass; it is taken out of the tree again.
"""

from __future__ import annotations

import re

MARK = "__info_selector__"
_TOKEN = re.compile(
    r"`[^`]*`|\#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[A-Za-z_:][\w:]*|[(){}\[\],]|\S", re.DOTALL
)


def marked(query: str) -> str:
    """The query with MARK="1" in the braces that begin the second argument of every info()."""
    out: list[str] = []
    copied, before = 0, ""
    # Per open bracket: the commas since, for one that info opened; else -1.
    commas: list[int] = []
    for found in _TOKEN.finditer(query):
        piece = found.group()
        if piece == "{" and before == "," and commas and commas[-1] == 1:
            rest = query[found.end() :].lstrip()
            out.append(query[copied : found.end()] + f'{MARK}="1"' + ("" if rest.startswith("}") else ","))
            copied = found.end()
        if piece in "({[":
            commas.append(0 if piece == "(" and before == "info" else -1)
        elif piece in ")}]" and commas:
            commas.pop()
        elif piece == "," and commas and commas[-1] >= 0:
            commas[-1] += 1
        if not piece.startswith("#"):
            before = piece
    return "".join(out) + query[copied:]


def unmarked(query: str) -> str:
    """A query as the parser wrote it, without what `marked` added."""
    return re.sub(rf'{MARK}="1"(?:, ?)?|, ?{MARK}="1"', "", query)
