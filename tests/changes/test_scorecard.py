"""Scorecards: sums, ties, and how far a weight may move, against trying it out."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes.scorecard import weighed

FEW = settings(max_examples=80, deadline=None)
CRITERIA = ("cost", "skill", "fit")
POINTS = st.integers(0, 10).map(lambda n: Fraction(n, 2))
WEIGHT = st.integers(0, 20).map(Fraction)


@st.composite
def cards(draw: st.DrawFn) -> tuple[dict[str, Fraction], dict[str, dict[str, Fraction]]]:
    names = draw(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True))
    return (
        {each: draw(WEIGHT) for each in CRITERIA},
        {name: {each: draw(POINTS) for each in CRITERIA} for name in names},
    )


def best(weights: dict[str, Fraction], scores: dict[str, dict[str, Fraction]]) -> set[str]:
    sums = {name: sum(weights[each] * points[each] for each in weights) for name, points in scores.items()}
    return {name for name, points in sums.items() if points == max(sums.values())}


@FEW
@given(cards())
def test_the_winners_have_most_points(card: tuple[dict[str, Fraction], dict[str, dict[str, Fraction]]]) -> None:
    weights, scores = card
    found = weighed(weights, scores)
    if sum(weights.values()) == 0:
        assert found.winners == []
        return
    assert set(found.winners) == best(weights, scores)
    assert list(found.totals.values()) == sorted(found.totals.values(), reverse=True)
    assert all(0 <= each <= 5 for each in found.means.values())


@FEW
@given(cards(), st.integers(0, 2), st.integers(0, 400).map(lambda n: Fraction(n, 8)))
def test_within_the_interval_the_winner_stays_and_beyond_it_does_not(
    card: tuple[dict[str, Fraction], dict[str, dict[str, Fraction]]], at: int, moved: Fraction
) -> None:
    weights, scores = card
    found = weighed(weights, scores)
    if len(found.winners) != 1:
        return
    (winner,) = found.winners
    interval = found.intervals[at]
    assert interval.low <= interval.weight
    assert interval.high is None or interval.weight <= interval.high
    for weight in (moved, interval.low, interval.high or moved):
        now = best({**weights, interval.criterion: weight}, scores)
        inside = interval.low <= weight and (interval.high is None or weight <= interval.high)
        assert (winner in now) == inside
    if interval.high is not None:
        assert interval.high_rival in best({**weights, interval.criterion: interval.high}, scores)
    if interval.low_rival is not None:
        assert interval.low_rival in best({**weights, interval.criterion: interval.low}, scores)


@FEW
@given(cards())
def test_a_tie_is_told_with_what_breaks_it(card: tuple[dict[str, Fraction], dict[str, dict[str, Fraction]]]) -> None:
    weights, scores = card
    found = weighed(weights, scores)
    if len(found.winners) < 2:
        assert found.breaks == []
        return
    assert found.intervals == []
    for criterion in weights:
        more = best({**weights, criterion: weights[criterion] + Fraction(1, 1000)}, scores)
        assert (set(found.winners) <= more) == (criterion not in found.breaks)


def test_a_missing_score_leaves_the_winner_open() -> None:
    found = weighed({"cost": Fraction(2), "fit": Fraction(1)}, {"A": {"cost": Fraction(3)}, "B": {}})
    assert found.winners == []
    assert found.missing == [("A", "fit"), ("B", "cost"), ("B", "fit")]


def test_an_example_by_hand() -> None:
    scores = {"A": {"cost": Fraction(4), "fit": Fraction(2)}, "B": {"cost": Fraction(2), "fit": Fraction(5)}}
    found = weighed({"cost": Fraction(3), "fit": Fraction(1)}, scores)
    assert (found.winners, found.totals) == (["A"], {"A": Fraction(14), "B": Fraction(11)})
    cost, fit = found.intervals
    assert (cost.low, cost.high, cost.low_rival) == (Fraction(3, 2), None, "B")
    assert (fit.low, fit.high, fit.high_rival) == (0, 2, "B")
