"""Secrets out of everything that is kept: whatever a step brings back passes through here before it becomes a row."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "••••"
MIN_LINE = 8  # characters of a line of a secret that counts as one

_TELLING = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|api[-_]?key|authorization|cookie|private[-_]?key|credential)s?$"
)


def variants(secret: str) -> list[str]:
    """How a secret tends to come back: as it is, percent-encoded, inside JSON, in base64; longest first."""
    if not secret:
        return []
    raw = secret.encode("utf-8", "surrogatepass")
    spellings = {
        secret,
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    # what is shown line by line (a diff, a log) shows a key of many lines that way
    spellings |= {line for line in secret.splitlines() if len(line) >= MIN_LINE}
    return sorted(spellings, key=len, reverse=True)


def mask(value: Any, secrets: Iterable[str]) -> Any:
    """The value with every secret replaced, at any depth, and every value under a telling key (password, token)."""
    return masker(secrets)(value)


def masker(secrets: Iterable[str]) -> Callable[[Any], Any]:
    """`mask` for many values of the same secrets."""
    spellings = sorted({spelling for secret in secrets for spelling in variants(secret)}, key=len, reverse=True)
    return lambda value: _walk(value, spellings)


def _walk(value: Any, spellings: list[str]) -> Any:
    if isinstance(value, str):
        return _text(value, spellings)
    if isinstance(value, dict):
        return {
            _text(str(key), spellings): MASK
            if _TELLING.search(str(key)) and isinstance(item, str) and not _open(item)
            else _walk(item, spellings)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_walk(item, spellings) for item in value]
    return value


def _open(item: str) -> bool:
    """A header that is still a template names its secret and holds none."""
    return "${secret." in item


def _text(text: str, spellings: list[str]) -> str:
    for spelling in spellings:
        text = text.replace(spelling, MASK)
    return text
