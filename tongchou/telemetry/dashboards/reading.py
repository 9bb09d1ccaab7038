"""Reads JSON that a person wrote: every refusal names the place, the value and what would do."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Text


def refuse(path: str, value: object, detail: Text, remedy: Text | None = None) -> Invalid:
    """Return the refusal of a definition, naming `path`."""
    return Invalid("dashboard.definition", detail, field=path or "definition", value=value, remedy=remedy)


class Fields:
    """One JSON object at `path`. Keys other than `known` are refused, so that nothing is dropped unseen."""

    def __init__(self, value: object, path: str, known: Collection[str]) -> None:
        if not isinstance(value, dict):
            raise refuse(path, value, _("An object is wanted here."))
        unknown = sorted(str(key) for key in value if key not in known)
        if unknown:
            raise refuse(
                self._join(path, unknown[0][:80]),
                unknown[0],
                _("There is no such key here."),
                _("Use: %(keys)s.") % {"keys": ", ".join(known)},
            )
        self.value: dict[str, Any] = value
        self.path = path

    @staticmethod
    def _join(path: str, key: str) -> str:
        return f"{path}.{key}" if path else key

    def at(self, key: str) -> str:
        """Return the place of a key."""
        return self._join(self.path, key)

    def text(self, key: str, *, most: int, default: str = "", wanted: bool = False) -> str:
        """Return a text of at most `most` characters."""
        found = self.value.get(key, default)
        if not isinstance(found, str):
            raise refuse(self.at(key), found, _("A text is wanted here."))
        if len(found) > most:
            raise refuse(self.at(key), found, _("The text is longer than %(most)d characters.") % {"most": most})
        if "\x00" in found or not _encodable(found):
            raise refuse(self.at(key), "", _("The text has a character that cannot be kept."))
        if wanted and not found.strip():
            raise refuse(self.at(key), found, _("This is empty."), _("Write something here."))
        return found

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """Return one of `choices`."""
        found = self.value.get(key, default)
        if found not in choices or not isinstance(found, str):
            shown = ", ".join(each or '""' for each in choices)
            raise refuse(self.at(key), found, _("This is none of the choices."), _("Use: %(keys)s.") % {"keys": shown})
        return found

    def number(self, key: str) -> float | None:
        """Return a finite number or None."""
        found = self.value.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not _finite(found):
            raise refuse(self.at(key), found, _("A number is wanted here."))
        return float(found)

    def whole(self, key: str, *, least: int, most: int, default: int) -> int:
        """Return a whole number from `least` to `most`."""
        found = self.value.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise refuse(
                self.at(key),
                found,
                _("A whole number from %(least)d to %(most)d is wanted here.") % {"least": least, "most": most},
            )
        return found

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false."""
        found = self.value.get(key, default)
        if not isinstance(found, bool):
            raise refuse(self.at(key), found, _("true or false is wanted here."))
        return found

    def items(self, key: str, *, most: int) -> list[tuple[str, Any]]:
        """Return the items of a list with their places."""
        found = self.value.get(key, [])
        if not isinstance(found, list):
            raise refuse(self.at(key), found, _("A list is wanted here."))
        if len(found) > most:
            raise refuse(
                self.at(key),
                len(found),
                _("The list has %(count)d items; the limit is %(most)d.") % {"count": len(found), "most": most},
            )
        return [(f"{self.at(key)}[{place}]", each) for place, each in enumerate(found)]

    def texts(self, key: str, *, most: int, longest: int) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self.items(key, most=most)
        for path, each in found:
            Fields({"text": each}, path, ("text",)).text("text", most=longest)
        return tuple(each for _path, each in found)


def _finite(number: float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
