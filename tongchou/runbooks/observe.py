"""What the metrics say to a resolved query: sample values, or why they cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongchou.core.problems import Problem
from tongchou.runbooks.planned import PlannedCheck
from tongchou.telemetry import reads

MAX_SHOWN = 50


@dataclass(frozen=True)
class Seen:
    """The answer to one query. `problem` is empty when there is one."""

    values: Sequence[float] = ()
    shown: Sequence[dict[str, Any]] = ()
    problem: str = ""


def ask(query: str) -> Seen:
    """Ask the metrics now. Blocks for as long as the query may take; never inside a transaction."""
    try:
        samples = reads.instant_vector(query)
    except Problem as problem:
        return Seen(problem=str(problem.detail)[:500])
    shown = [{"labels": dict(sample.labels), "value": _plain(sample.value)} for sample in samples[:MAX_SHOWN]]
    return Seen([sample.value for sample in samples], shown)


def _plain(value: float) -> float | str:
    """JSON knows neither NaN nor infinity."""
    return value if abs(value) < float("inf") else str(value)


def answers(checks: Sequence[PlannedCheck]) -> list[Sequence[float] | str]:
    """For each check its sample values or why there are none, as plan.judge wants them."""
    seen = [ask(check.query) for check in checks]
    return [each.problem or each.values for each in seen]
