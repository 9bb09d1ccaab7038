"""Gathers what a source sees into one observation: cleans what the world calls things, and keeps within limits.

Pure. A name of 300 characters in somebody's tag must not keep all else from being recorded: it is cut, never refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import TooLarge
from tongchou.inventory import checks
from tongchou.inventory.observation import (
    MAX_LABEL_VALUE,
    MAX_NAME,
    Observation,
    ObservedEndpoint,
    ObservedRelation,
    ObservedResource,
)

MAX_RESOURCES = 50_000
MAX_WARNINGS = 50
_UNFIT = re.compile(r"[^A-Za-z0-9_./-]")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]+")


def plain(text: object, most: int = MAX_NAME) -> str:
    """Return text on one line, printable, of at most `most` characters."""
    cleaned = _BLANK.sub(" ", str(text)).strip()
    return "".join(each for each in cleaned if each.isprintable())[:most].strip()


def label_name(text: str) -> str:
    """Return a legal name of a label or attribute that is close to what the world calls it."""
    name = _UNFIT.sub("_", text.strip())[:120]
    return name if not name or name[0].isalpha() or name[0] == "_" else f"_{name}"[:120]


def facts(**found: Any) -> dict[str, Any]:
    """Return those of the facts that say something."""
    return {name: value for name, value in found.items() if value is not None and value not in ("", [], {}, ())}


def at(found: Any, *path: str) -> Any:
    """Return what lies at a path of names inside JSON; None where it does not go on."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def text(found: Any, *path: str) -> str:
    """Return the text at a path, "" for anything else."""
    value = at(found, *path)
    return value if isinstance(value, str) else ""


def number(found: Any, *path: str, times: int = 1) -> int | None:
    """Return the whole number at a path, also where it is written as text, multiplied; None for anything else."""
    value = at(found, *path)
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**15
    return int(value * times) if whole else None


def flag(found: Any, *path: str) -> bool | None:
    """Return the true or false at a path; None for anything else."""
    value = at(found, *path)
    return value if isinstance(value, bool) else None


def words(found: Any, *path: str) -> dict[str, str]:
    """Return the texts by name of the object at a path; none where there is no object."""
    value = at(found, *path)
    return {str(name): each for name, each in value.items() if isinstance(each, str)} if isinstance(value, dict) else {}


def items(found: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects in the list at a path; none where there is no list."""
    value = at(found, *path)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts(found: Any, *path: str) -> list[str]:
    """Return the texts in the list at a path, sorted, each once: lists of a world that has no order do not flap."""
    value = at(found, *path)
    return sorted({each for each in value if isinstance(each, str) and each}) if isinstance(value, list) else []


class Gathering:
    """One look in the making. Things may come in any order, and one thing more than once."""

    def __init__(self, most: int = MAX_RESOURCES) -> None:
        self._most = most
        self._resources: list[ObservedResource] = []
        self._relations: dict[ObservedRelation, None] = {}
        self._endpoints: list[ObservedEndpoint] = []
        self._warnings: dict[str, None] = {}
        self._complete = True

    def add(
        self,
        kind: str,
        name: object,
        keys: tuple[str, ...],
        attributes: Mapping[str, Any] | None = None,
        labels: Mapping[Any, Any] | None = None,
        owner: str | None = None,
        seen_at: datetime | None = None,
    ) -> str | None:
        """Add a thing; return its strongest key, None when it has no key and is left out with a warning.

        Raises TooLarge beyond the limit.
        """
        if not keys:
            self.warn(f"{kind} {plain(name, 80)}: nothing identifies it")
            return None
        if len(self._resources) >= self._most:
            raise TooLarge(
                "source.too_many",
                _("More than %(most)s things.") % {"most": f"{self._most:,}"},
                value=f"{self._most:,}",
                remedy=_("Split them over several sources, e.g. one for each account or site."),
            )
        self._resources.append(
            ObservedResource(
                kind,
                plain(name) or plain(keys[0]),
                keys,
                _attributes(attributes or {}),
                _labels(labels or {}),
                owner,
                seen_at,
            )
        )
        return keys[0]

    def relate(self, type_: str, from_: str | None, to: str | None, *, origin: str = "observed") -> None:
        """Relate two things by their keys; where one of the two is not known the relation is left out."""
        if from_ and to and from_ != to:
            self._relations[ObservedRelation(type_, ((from_, to),), origin=origin)] = None

    def relation(self, relation: ObservedRelation) -> None:
        """Add a relation as it stands: one whose ends have several keys, or that is more or less sure."""
        self._relations[relation] = None

    def endpoint(self, endpoint: ObservedEndpoint) -> None:
        """Add where a thing can be read."""
        self._endpoints.append(endpoint)

    def warn(self, text: str) -> None:
        """Tell people of something; nothing secret, and beyond the first fifty nothing."""
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings[plain(text, 300)] = None

    def partial(self, text: str) -> None:
        """Say that a part could not be seen: what is absent proves nothing."""
        self._complete = False
        self.warn(text)

    def observation(self) -> Observation:
        """Return what was seen."""
        return Observation(
            tuple(self._resources),
            tuple(self._relations),
            tuple(self._endpoints),
            complete=self._complete,
            warnings=tuple(self._warnings),
        )


def _attributes(found: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in facts(**found).items():
        if len(kept) < checks.MAX_ATTRIBUTES and len(json.dumps(value, default=str)) <= checks.MAX_VALUE_CHARACTERS:
            kept[label_name(name)] = value
    return kept


def _labels(found: Mapping[Any, Any]) -> dict[str, str]:
    named: Iterable[tuple[str, str]] = (
        (label_name(str(name)), plain(value, MAX_LABEL_VALUE)) for name, value in sorted(found.items(), key=str)
    )
    kept = {name: value for name, value in named if name}
    return dict(list(kept.items())[: checks.MAX_LABELS])
