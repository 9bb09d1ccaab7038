"""Reads somebody else's JSON and knows what of it was read: what is left over is told, never dropped unseen. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

Left = tuple[str, Any]  # a place below the object, and what stands there


class Taken:
    """One JSON object. What was taken counts as understood; `left` tells everything else that says something."""

    def __init__(self, value: object) -> None:
        self._rest: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        self._inner: list[tuple[str, Taken]] = []
        self._odd: list[Left] = [] if isinstance(value, dict) else [("", value)]

    def take(self, key: str) -> Any:
        """Return what stands at a key, None when nothing does."""
        return self._rest.pop(key, None)

    def peek(self, key: str) -> Any:
        """Return what stands at a key, and leave it there."""
        return self._rest.get(key)

    def has(self, key: str) -> bool:
        """Tell whether there is such a key, and it says something."""
        return not _silent(self._rest.get(key))

    def text(self, key: str) -> str:
        """Return the text at a key; anything else there is left over."""
        if isinstance(self._rest.get(key), str):
            return clean(self.take(key))
        return ""

    def number(self, key: str) -> float | None:
        """Return the finite number at a key, also when it is written as a text."""
        found = as_number(self._rest.get(key))
        if found is not None:
            self.take(key)
        return found

    def flag(self, key: str) -> bool:
        """Return whether true stands at a key."""
        if isinstance(self._rest.get(key), bool):
            return bool(self.take(key))
        return False

    def inner(self, key: str) -> Taken:
        """Return the object at a key, an empty one when there is none."""
        if not isinstance(self._rest.get(key), dict):
            return Taken({})
        found = Taken(self.take(key))
        self._inner.append((key, found))
        return found

    def apart(self, key: str) -> Taken:
        """Return the object at a key for who tells what is left of it; what is no object stays here."""
        return Taken(self.take(key)) if isinstance(self._rest.get(key), dict) else Taken({})

    def each_apart(self, key: str) -> list[Taken]:
        """Return the objects of a list for who tells what is left of them; items that are no objects stay here."""
        found = self._rest.get(key)
        if not isinstance(found, list):
            return []
        self._rest[key] = [each for each in found if not isinstance(each, dict)]
        return [Taken(each) for each in found if isinstance(each, dict)]

    def each(self, key: str) -> list[Taken]:
        """Return the objects of the list at a key; items that are no objects are left over."""
        if not isinstance(self._rest.get(key), list):
            return []
        found = [Taken(each) for each in self.take(key)]
        self._inner += [(f"{key}[{place}]", each) for place, each in enumerate(found)]
        return found

    def pairs(self) -> list[tuple[str, Any]]:
        """Return every key with its value, and count all of them as taken."""
        found = [(clean(str(key)), value) for key, value in self._rest.items()]
        self._rest = {}
        return found

    def left(self) -> Iterator[Left]:
        """Every place that was not taken and says something: not null, false, empty."""
        for place, value in self._odd:
            if not _silent(value):
                yield place, value
        for key, value in self._rest.items():
            if not _silent(value):
                yield clean(str(key)), value
        for key, inner in self._inner:
            for place, value in inner.left():
                yield f"{key}.{place}" if place else key, value


def _silent(value: object) -> bool:
    if isinstance(value, dict):
        return all(_silent(each) for each in value.values())
    if isinstance(value, list):
        return all(_silent(each) for each in value)
    return value is None or value is False or value == ""


def as_number(value: object) -> float | None:
    """Return the finite number that a value is or writes; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def clean(text: str) -> str:
    """Return the text without what no database keeps."""
    return text.replace("\x00", "").encode(errors="ignore").decode()


def shown(value: object) -> str:
    """Return a short form of a value for people."""
    text = clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 80 else f"{text[:79]}…"
