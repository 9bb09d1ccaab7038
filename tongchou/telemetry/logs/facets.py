"""Which values stand in which field of some lines: counts of labels, fields and members of JSON lines. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

MAX_VALUE = 200  # characters; a longer one tells nothing as a choice
MAX_FIELDS = 40
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Facet:
    """A field with its most frequent values (value, lines), the most first; `distinct` values were seen in all."""

    name: str
    values: list[tuple[str, int]]
    distinct: int

    @property
    def lines(self) -> int:
        """Lines of the values that are listed."""
        return sum(count for _value, count in self.values)


def members(body: str) -> dict[str, str]:
    """The scalar members of a line that is a JSON object as the search reads them, nested ones by dotted names."""
    if not body.startswith("{"):
        return {}
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
    out: dict[str, str] = {}
    if isinstance(found, dict):
        _flatten(found, "", 0, out)
    return out


def _flatten(found: Mapping[str, object], prefix: str, depth: int, out: dict[str, str]) -> None:
    for name, value in found.items():
        full = f"{prefix}{name}"
        if isinstance(value, dict) and depth < 4:
            _flatten(value, f"{full}.", depth + 1, out)
        elif isinstance(value, bool):
            out[full] = "true" if value else "false"
        elif isinstance(value, str | int | float) and len(out) < 200:
            out[full] = str(value)


def facets(lines: Iterable[tuple[Mapping[str, str], str]], *, top: int = 10) -> list[Facet]:
    """The fields of lines (fields beside it, body), those that most lines have first.

    A field of which nearly every line has a value of its own (an id, a time) is left out: it is no choice.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for beside, body in lines:
        for name, value in {**members(body), **beside}.items():
            if 0 < len(value) <= MAX_VALUE:
                counts[name][value] += 1
    found = [
        Facet(name, counter.most_common(top), len(counter))
        for name, counter in counts.items()
        if len(counter) <= max(top, counter.total() // 2)
    ]
    return sorted(found, key=lambda each: (-counts[each.name].total(), each.name))[:MAX_FIELDS]
