"""Takes known sensitive values out of everything that is kept or shown, whatever spelling they come back in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tongchou.changes.iac_sensitive import MASK
from tongchou.runbooks.mask import variants

MAX_LINE = 2000  # characters that are kept of a line of a program


class Scrub:
    """Replaces values in texts at any depth, keys of mappings too. Build it once for a plan."""

    def __init__(self, values: Iterable[str]) -> None:
        spellings = {spelling for value in values for spelling in variants(value)}
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, value: Any) -> Any:
        """The value without any of them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if f"{value}" in self._spellings else value
        return value

    def said(self, lines: Iterable[str]) -> list[str]:
        """What a program said, as lines of at most MAX_LINE characters; a value of several lines is found, too."""
        return [line[:MAX_LINE] for line in self.text("\n".join(lines)).split("\n")]

    def text(self, text: str) -> str:
        """A text without any of them."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text
