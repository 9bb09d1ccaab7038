"""Mines templates out of log lines: what is written by one statement of a program becomes one pattern. Pure.

After Drain (He et al., ICWS 2017), an online parse tree of fixed depth, with rules for all programs instead of
expressions for each: numbers, addresses, identifiers, paths and times are masked first; lines of the same number of
tokens and the same first words are compared token by token, and join the most similar pattern whose share of equal
tokens (a wildcard equals any) is at least SIMILAR. Bounded: MAX_TOKENS of a line, MAX_PATTERNS in all, MAX_SIBLINGS
with the same first words; lines beyond are counted as other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from operator import eq

WILD = "<*>"
SIMILAR = 0.5
DEPTH = 2  # words that must be equal before lines are compared
MAX_TOKENS = 80
MAX_CHARS = 2_000
MAX_PATTERNS = 2_000
MAX_SIBLINGS = 200  # each line is compared with all of them; free text would make a pattern of every line
MAX_BRANCHES = 100  # other first words than these share one branch

_MASKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9A-Za-z])",
        r"(?<![\w.])\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?:/\d+)?(?![\w.])",
        r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])",
        r"(?<!\w)\d\d?:\d\d:\d\d(?:[.,]\d+)?(?!\w)",
        r"(?<![0-9A-Za-z])0[xX][0-9a-fA-F]+(?![0-9A-Za-z])",
        r"(?<![0-9A-Za-z])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}(?![0-9A-Za-z])",
        r"(?<![\w/.])/[\w.+@%=~-]+(?:/[\w.+@%=~-]+)+/?",
        r"(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?(?:%|[KMGTkmgt]?i?[Bb]|[mun]?s)?(?![\w])",
        r"(?<=[A-Za-z_-])\d+(?![0-9A-Za-z])",
    )
)
_SPLIT = re.compile(r"\s+")


@dataclass(slots=True)
class Group:
    """Lines that one template covers; `first` and `last` are the numbers of their first and last line."""

    id: int
    tokens: list[str]
    count: int = 0
    first: int = 0
    last: int = 0

    @property
    def template(self) -> str:
        """The tokens with WILD where lines differ."""
        return " ".join(self.tokens)


@dataclass(slots=True)
class _Branch:
    children: dict[str, _Branch] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)


def mask(line: str) -> str:
    """The line with what is surely a value replaced by WILD."""
    text = line[:MAX_CHARS]
    for pattern in _MASKS:
        text = pattern.sub(WILD, text)
    return text


def tokens_of(line: str) -> list[str]:
    """The masked line in words; one that is longer than MAX_TOKENS is cut."""
    return _SPLIT.split(mask(line).strip())[:MAX_TOKENS]


def _is_value(token: str) -> bool:
    return WILD in token or any(each.isdigit() for each in token)


class Miner:
    """Takes lines one by one. Not thread-safe; the same lines in the same order give the same groups."""

    def __init__(self, *, similar: float = SIMILAR, depth: int = DEPTH, max_patterns: int = MAX_PATTERNS) -> None:
        self.similar, self.depth, self.max_patterns = similar, depth, max_patterns
        self.groups: list[Group] = []
        self.lines = 0
        self.other = 0  # lines that found no place because there are too many patterns
        self._root: dict[int, _Branch] = {}

    def add(self, line: str) -> Group | None:
        """Count a line; the group it belongs to, None when there is no room for another pattern."""
        number = self.lines
        self.lines += 1
        tokens = tokens_of(line)
        branch = self._branch(tokens)
        group = self._most_similar(branch, tokens)
        if group is None:
            if len(self.groups) >= self.max_patterns or len(branch.groups) >= MAX_SIBLINGS:
                self.other += 1
                return None
            group = Group(len(self.groups), tokens, first=number)
            self.groups.append(group)
            branch.groups.append(group)
        else:
            group.tokens = [mine if mine == theirs else WILD for mine, theirs in zip(group.tokens, tokens, strict=True)]
        group.count += 1
        group.last = number
        return group

    def _branch(self, tokens: list[str]) -> _Branch:
        branch = self._root.setdefault(len(tokens), _Branch())
        for token in tokens[: self.depth]:
            key = WILD if _is_value(token) else token
            if key not in branch.children and len(branch.children) >= MAX_BRANCHES:
                key = WILD
            branch = branch.children.setdefault(key, _Branch())
        return branch

    def _most_similar(self, branch: _Branch, tokens: list[str]) -> Group | None:
        best: tuple[float, int, Group] | None = None
        values = [place for place, token in enumerate(tokens) if token == WILD]
        for group in branch.groups:
            wild = group.tokens.count(WILD)
            twice = sum(group.tokens[place] == WILD for place in values) if wild else 0  # equal, and a wildcard too
            same = sum(map(eq, group.tokens, tokens)) + wild - twice
            share = same / len(tokens)
            if share >= self.similar and (best is None or (share, -wild) > best[:2]):
                best = (share, -wild, group)
        return best[2] if best else None
