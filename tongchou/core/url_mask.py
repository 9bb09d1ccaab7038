"""A webhook's settings without what opens a door: receivers of chat services carry their key in the address. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

MASK = "••••"
_TOKEN = re.compile(r"[^/]{16,}")
_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|sign|password", re.IGNORECASE)


def url(address: str) -> str:
    """The address with every value of its query, and every part of its path that looks like a key, masked."""
    parts = urlsplit(address)
    path = "/".join(MASK if _TOKEN.fullmatch(part) else part for part in parts.path.split("/"))
    query = "&".join(f"{name}={MASK}" if equal else MASK for name, equal, _value in _pairs(parts.query))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [each.partition("=") for each in query.split("&")] if query else []


def settings(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be shown: the address and the headers that open something are masked."""
    headers = {
        name: MASK if _SECRET_HEADER.search(name) else value for name, value in dict(kept.get("headers", {})).items()
    }
    return {**kept, "url": url(str(kept["url"])), "headers": headers}


def text(said: str, address: str) -> str:
    """What a receiver or a library said, without the parts of the address that are masked."""
    parts = urlsplit(address)
    hidden = [part for part in parts.path.split("/") if _TOKEN.fullmatch(part)]
    hidden += [value or name for name, _equal, value in _pairs(parts.query) if len(value or name) >= 4]
    return words(said, hidden)


def words(said: str, hidden: Iterable[str | None]) -> str:
    """What was said without the words; a receiver may answer with what it was sent."""
    for each in sorted((each for each in hidden if each and len(each) >= 4), key=len, reverse=True):
        said = said.replace(each, MASK)
    return said
