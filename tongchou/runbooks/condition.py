"""The `is:` of a precondition, a read or a wait: a question to an instant vector that has a yes or a no."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?)")


@dataclass(frozen=True)
class Condition:
    """`not_empty`, `empty`, or a comparison with a number that every sample must satisfy (and there must be one)."""

    text: str
    compare: str = ""
    number: float = 0.0

    def holds(self, values: Sequence[float]) -> bool:
        """Whether it is true of these sample values. No sample and NaN satisfy no comparison: no data is no yes."""
        if self.text == "not_empty":
            return len(values) > 0
        if self.text == "empty":
            return len(values) == 0
        if not values:
            return False
        return all(not math.isnan(value) and _COMPARE[self.compare](value, self.number) for value in values)


def parse(text: object) -> Condition | None:
    """`not_empty`, `empty`, `> 0`, `== 1.5` and so on to a Condition; None when it is none of these."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    if text in ("not_empty", "empty"):
        return Condition(text)
    match = _COMPARISON.fullmatch(text)
    if match is None:
        return None
    number = float(match[2])
    return Condition(f"{match[1]} {match[2]}", match[1], number) if math.isfinite(number) else None
