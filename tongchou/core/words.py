"""Words of a text as the search knows them: Chinese by pairs of characters, names of code by their parts. Pure.

Written Chinese has no spaces: a run of n characters is known by its n-1 pairs, and asked for by all pairs of what is
asked (the usual CJK bigram analysis, as Lucene's CJKBigramFilter does it). "OrderService", "web-01.prod" and
"db_primary" are known whole and by their parts.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_TERM_BYTES = 60
MAX_TERMS = 400  # of one row
MAX_ASKED = 8
NAME_MARK = "\0"
# Han, Hiragana, Katakana, Hangul: written without spaces, or with inflections that pairs bridge
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_PIECE = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+(?:[._\-/:@]+[^\W{_CJK}]+)*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[._\-/:@]+")
_IS_CJK = re.compile(rf"[{_CJK}]")


@dataclass(frozen=True)
class Asked:
    """One term that must be there: whole, or as the beginning of one."""

    term: str
    beginning: bool


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def name_of(text: str) -> str:
    """Return a name as two names are compared: one width, no case, single blanks."""
    return " ".join(_plain(text).casefold().split())


def name_term(name: str) -> str:
    """Return the one term that says how a whole name begins: no word has its mark. It is cut at MAX_TERM_BYTES."""
    return _cut(NAME_MARK + name)


def _parts(piece: str) -> list[str]:
    """Split a name of code at its separators and humps, in lower case."""
    return [part.casefold() for block in _SEPARATOR.split(piece) for part in _CAMEL.split(block) if part]


def _cut(term: str) -> str:
    return term.encode()[:MAX_TERM_BYTES].decode(errors="ignore")


def terms(text: str) -> list[str]:
    """Return the terms of a text, each once, in order; at most MAX_TERMS."""
    found: dict[str, None] = {}
    for piece in _PIECE.findall(_plain(text)):
        if _IS_CJK.match(piece):
            new = [piece[n : n + 2] for n in range(len(piece) - 1)] + [piece[-1]]
        else:
            whole, blocks = piece.casefold(), [block.casefold() for block in _SEPARATOR.split(piece)]
            new = [whole, *blocks, *_parts(piece)]
        for term in new:
            if term:  # a piece may be separators alone
                found.setdefault(_cut(term))
        if len(found) >= MAX_TERMS:
            break
    return list(found)[:MAX_TERMS]


def asked(text: str) -> list[Asked]:
    """Return what a question demands: every pair of a Chinese run, every part of a name; the last word may go on."""
    pieces = _PIECE.findall(_plain(text))
    found: list[Asked] = []
    for place, piece in enumerate(pieces):
        last = place == len(pieces) - 1
        if _IS_CJK.match(piece):
            pairs = [piece[n : n + 2] for n in range(len(piece) - 1)]
            found += [Asked(pair, beginning=False) for pair in pairs] or [Asked(piece, beginning=True)]
        else:
            blocks = [block.casefold() for block in _SEPARATOR.split(piece)]
            found += [Asked(_cut(block), beginning=False) for block in blocks[:-1]]
            found.append(Asked(_cut(blocks[-1]), beginning=last))
    return list(dict.fromkeys(each for each in found if each.term))[:MAX_ASKED]
