"""Patterns over addresses and paths: * and ? are wild, brackets stand for themselves. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits: `x[0]` means that index, `x[*]` any."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def fits_any(patterns: Iterable[str], text: str) -> bool:
    """Whether one of the patterns fits."""
    return any(fits(pattern, text) for pattern in patterns)
