"""Weighted scorecards: who wins, and how far each weight may move before somebody else does. Pure and exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

Scores = Mapping[str, Mapping[str, Fraction]]  # candidate -> criterion -> 0..5
Weights = Mapping[str, Fraction]  # criterion -> 0 or more


@dataclass(frozen=True)
class Interval:
    """How far one weight may move, the others as they are, while the winner has at least as many points as anybody.

    `low` is never below 0; `high` None: however large. At the bound `low_rival` (`high_rival`) draws level, and is
    ahead beyond it; None: nobody is.
    """

    criterion: str
    weight: Fraction
    low: Fraction
    high: Fraction | None
    low_rival: str | None
    high_rival: str | None


@dataclass(frozen=True)
class Result:
    """`totals`: weighted sums, best first; on a scale of 0 to 5 in `means`. `winners`: several where they tie.

    `missing`: the scores that nobody gave; while there are any, nobody wins. `intervals` are of the only winner.
    `breaks`: for a tie, the criteria any change of whose weight breaks it.
    """

    totals: dict[str, Fraction]
    means: dict[str, Fraction]
    winners: list[str]
    missing: list[tuple[str, str]]
    intervals: list[Interval]
    breaks: list[str]


def weighed(weights: Weights, scores: Scores) -> Result:
    """Return who wins by the sum of weight times score, and how sensitive that is to each weight."""
    missing = [(name, criterion) for name in scores for criterion in weights if criterion not in scores[name]]
    total = sum(weights.values(), Fraction(0))
    if missing or not scores or total == 0:
        return Result({}, {}, [], missing, [], [])
    sums = {name: sum((weights[each] * given[each] for each in weights), Fraction(0)) for name, given in scores.items()}
    ordered = dict(sorted(sums.items(), key=lambda each: -each[1]))
    best = next(iter(ordered.values()))
    winners = [name for name, points in ordered.items() if points == best]
    means = {name: points / total for name, points in ordered.items()}
    if len(winners) > 1:
        breaks = [each for each in weights if len({scores[name][each] for name in winners}) > 1]
        return Result(ordered, means, winners, [], [], breaks)
    intervals = [_interval(winners[0], each, weights, scores, ordered) for each in weights]
    return Result(ordered, means, winners, [], intervals, [])


def _interval(winner: str, criterion: str, weights: Weights, scores: Scores, sums: Mapping[str, Fraction]) -> Interval:
    """Lead over a rival is linear in the weight: lead + (w - weight) * (score of the winner - of the rival) >= 0."""
    weight = weights[criterion]
    low, high = Fraction(0), None
    low_rival, high_rival = None, None
    for rival in sums:
        slope = scores[winner][criterion] - scores[rival][criterion]
        if rival == winner or slope == 0:
            continue
        bound = weight - (sums[winner] - sums[rival]) / slope
        if slope > 0 and bound > low:
            low, low_rival = bound, rival
        if slope < 0 and (high is None or bound < high):
            high, high_rival = bound, rival
    return Interval(criterion, weight, low, high, low_rival, high_rival)


def normalised(weights: Sequence[Fraction]) -> list[float]:
    """Each weight's share of all, in percent."""
    total = sum(weights, Fraction(0))
    return [float(each / total * 100) if total else 0.0 for each in weights]
