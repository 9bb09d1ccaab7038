"""Availability of a structure: the textbook's formulas against enumeration, their bounds, and what an outline says."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import outline
from tongchou.changes.availability import (
    MAX_SHARED,
    Group,
    Node,
    Part,
    Standby,
    answer,
    children,
    downtime_minutes,
    k_of_n,
    leaves,
    of_times,
    parallel,
    serial,
    shared,
    standby,
    unavailability,
    with_common_cause,
)
from tongchou.core.problems import Invalid

FEW = settings(max_examples=60, deadline=None)
SHARE = st.floats(0, 1, allow_nan=False)
SMALL = st.lists(SHARE, min_size=1, max_size=6)


def enumerated(k: int, down: list[float]) -> float:
    """P(fewer than k of n work), by every combination of states."""
    total = 0.0
    for states in itertools.product((True, False), repeat=len(down)):
        if sum(states) < k:
            total += math.prod(1 - u if works else u for works, u in zip(states, down, strict=True))
    return total


@FEW
@given(SMALL, st.integers(0, 7))
def test_k_of_n_is_what_enumeration_says(down: list[float], k: int) -> None:
    assert k_of_n(k, down) == pytest.approx(enumerated(k, down), abs=1e-12)


@FEW
@given(SMALL)
def test_series_and_parallel_are_the_two_ends_of_k_of_n(down: list[float]) -> None:
    assert serial(down) == pytest.approx(k_of_n(len(down), down), abs=1e-12)
    assert parallel(down) == pytest.approx(k_of_n(1, down), abs=1e-12)
    assert serial(down) >= max(down) - 1e-12
    assert parallel(down) <= min(down) + 1e-12


@FEW
@given(st.floats(0, 1), st.integers(1, 6), st.floats(0, 1))
def test_the_common_cause_of_identical_parts_is_the_beta_factor(u: float, n: int, beta: float) -> None:
    said = 1.0 if u == 1 else min(1, beta * u + ((1 - beta) * u) ** n)
    assert with_common_cause(1, [u] * n, beta) == pytest.approx(said, abs=1e-12)


@FEW
@given(SMALL, st.integers(1, 6), SHARE)
def test_a_common_cause_never_helps_redundancy_and_all_of_it_takes_the_gain(
    down: list[float], k: int, beta: float
) -> None:
    k = min(k, len(down))
    with_all = with_common_cause(k, down, 1.0)
    assert with_all == pytest.approx(sorted(down, reverse=True)[len(down) - k])
    assert with_common_cause(k, down, 0.0) == pytest.approx(k_of_n(k, down))
    rare = [each / 2 for each in down]
    assert with_common_cause(1, rare, beta) >= parallel(rare) - 1e-12
    assert 0 <= with_common_cause(k, down, beta) <= 1


@FEW
@given(SMALL, st.integers(1, 6), SHARE, st.integers(0, 5), SHARE)
def test_a_worse_part_never_makes_it_better(down: list[float], k: int, beta: float, at: int, more: float) -> None:
    k, at = min(k, len(down)), at % len(down)
    worse = [*down[:at], max(down[at], more), *down[at + 1 :]]
    assert with_common_cause(k, worse, beta) >= with_common_cause(k, down, beta) - 1e-12


def test_figures_of_the_textbook() -> None:
    assert of_times(8756, 4) == pytest.approx(0.99954337)
    assert downtime_minutes(0.999) == pytest.approx(525.6)
    assert downtime_minutes(0.99999) == pytest.approx(5.256)
    assert 1 - parallel([0.01, 0.01]) == pytest.approx(0.9999)
    assert with_common_cause(1, [0.01, 0.01], 0.1) == pytest.approx(0.001 + 0.000081)
    made = standby(0.001, 0.001, failures_per_hour=1 / 1000, failover_seconds=36, failover_fails=0.02)
    assert made == pytest.approx(1e-6 + 1e-5 + 2e-5)


# --- structures -----------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d", "web 1", "库"])


def part(name: str, u: float, **more: object) -> Part:
    return Part(name, availability=1 - u, source="assumption", note="x", **more)  # type: ignore[arg-type]  # of tests


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Node:
    """A structure without standby; a name may stand in two places and then has one figure."""
    figures = {name: draw(st.floats(0, 0.5)) for name in ("a", "b", "c", "d", "web 1", "库")}

    def node(left: int) -> Node:
        if left == 0 or draw(st.booleans()):
            name = draw(NAMES)
            return part(name, figures[name])
        under = tuple(node(left - 1) for _ in range(draw(st.integers(1, 3))))
        k = draw(st.sampled_from([None, *range(1, len(under) + 1)]))
        return Group("g", under, k)

    return Group("top", (node(depth),))


def works(node: Node, up: Mapping[str, bool]) -> bool:
    if isinstance(node, Part):
        return up[node.name]
    assert isinstance(node, Group)
    count = sum(works(each, up) for each in node.parts)
    return count >= (len(node.parts) if node.k is None else node.k)


@FEW
@given(trees())
def test_a_structure_is_what_the_enumeration_of_its_parts_says(tree: Node) -> None:
    """Also where a part stands in several places: it is up or down in all of them."""
    down = {each.name: each.unavailability or 0.0 for each in leaves(tree)}
    total = 0.0
    for states in itertools.product((True, False), repeat=len(down)):
        up = dict(zip(down, states, strict=True))
        if not works(tree, up):
            total += math.prod(1 - down[name] if up[name] else down[name] for name in down)
    assert unavailability(tree) == pytest.approx(total, abs=1e-9)


@FEW
@given(trees())
def test_an_outline_is_read_as_it_was_written(tree: Node) -> None:
    try:
        again = outline.read(outline.write(tree))
    except Invalid:
        assert len(shared(tree)) > MAX_SHARED  # more parts in several places than are worked out
        return
    assert again == tree


@FEW
@given(trees())
def test_no_perfect_part_makes_it_worse(tree: Node) -> None:
    found = answer(tree)
    assert found.availability is not None
    assert 0 <= found.availability <= 1
    gains = [each.gained_minutes for each in found.weakest]
    assert gains == sorted(gains, reverse=True)
    assert all(gain <= (found.minutes or 0) + 1e-6 for gain in gains)


def test_the_weakest_part_is_the_one_that_costs_most() -> None:
    tree = outline.read(
        "series: shop\n"
        "  parallel: web, beta 5%\n"
        "    web x2 | mtbf 1000h mttr 10h | vendor: sheet\n"
        "  db | 99.9% | measured: objective db\n"
    )
    assert tree is not None
    found = answer(tree)
    u = 10 / 1010
    assert found.minutes == pytest.approx(525_600 * (1 - (1 - 0.05 * u - (0.95 * u) ** 2) * 0.999))
    assert [each.name for each in found.weakest] == ["db", "web"] or found.weakest[0].name == "web"
    gains = {each.name: each.gained_minutes for each in found.weakest}
    assert gains["db"] == pytest.approx((found.minutes or 0) - 525_600 * (0.05 * u + (0.95 * u) ** 2), rel=1e-6)


def test_what_has_no_figure_is_not_computed() -> None:
    tree = outline.read("series: s\n  a | ? |\n  standby: db, detect 1s, switch 1s, failover fails 1%\n"
                        "    x | 99% | vendor: v\n    y | 99% | vendor: v\n")  # fmt: skip
    assert tree is not None
    found = answer(tree)
    assert found.availability is None
    assert found.missing == ["a", "db"]  # the pair lacks a rate of failures


def test_a_standby_takes_its_rate_from_the_active_part_or_as_it_is_said() -> None:
    lines = "standby: db, detect 10s, switch 26s, failover fails 2%{0}\n  x | mtbf 999h mttr 1h | vendor: v\n  y | 99.9% | vendor: v"
    told, own = outline.read(lines.format(", failures 8.76/y")), outline.read(lines.format(""))
    assert isinstance(told, Standby)
    assert isinstance(own, Standby)
    assert unavailability(told) == pytest.approx(0.001 * 0.001 + 0.001 * 36 / 3600 + 0.02 * 0.001)
    assert unavailability(own) == pytest.approx(0.001 * 0.001 + 36 / 3600 / 999 + 0.02 * 0.001)
    assert outline.read(outline.write(told)) == told


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("web", 1),
        ("series: a", 1),
        ("series: a\n   b | ? |", 2),
        ("series: a\n  b | 101% | vendor: v", 2),
        ("series: a\n  b | 99% |", 2),
        ("series: a\n  b | 99% | rumour: v", 2),
        ("series: a\n  b x0 | ? |", 2),
        ("3 of 2: a\n  b x2 | ? |", 1),
        ("2 of 3: a\n  b x2 | ? |", 1),
        ("parallel: a, beta 5\n  b x2 | ? |", 1),
        ("standby: a, detect 1s\n  b | ? |\n  c | ? |", 1),
        ("standby: a, detect 1s, switch 1s, failover fails 1%\n  b | ? |", 1),
        ("a | ? |\nb | ? |", 2),
        ("series: a\n  b | ? |\n    c | ? |", 3),
        ("series: a\n  b | mtbf 0h mttr 1h | vendor: v", 2),
        ("series: a, beta 5%\n  b | ? |", 1),
    ],
)
def test_an_outline_that_is_wrong_names_its_line(text: str, line: int) -> None:
    with pytest.raises(Invalid) as refused:
        outline.read(text)
    assert refused.value.field == f"structure[{line}]"


def test_one_name_is_one_part() -> None:
    with pytest.raises(Invalid, match="structure"):
        outline.read("series: a\n  b | ? |\n  parallel: c\n    b | 99% | vendor: v\n    d | ? |")
    with pytest.raises(Invalid, match="structure"):
        outline.read("series: a\n  b x2 | ? |\n  parallel: c\n    b x2 | ? |\n    d | ? |")


def test_chinese_punctuation_is_read_too() -> None:
    tree = outline.read("series：商城\n  parallel：前端，beta 5%\n    服务器 ×2｜99%｜厂商：数据表")
    assert isinstance(tree, Group)
    (web,) = tree.parts
    assert (web.beta, web.parts[0].count, web.parts[0].source) == (0.05, 2, "vendor")  # type: ignore[union-attr]  # a group of parts


@pytest.mark.soak
def test_a_simulated_pair_with_failover_is_down_about_as_often_as_the_formula_says() -> None:
    """Monte Carlo: exponential times; a failure costs the failover, or until repair when that fails or both are down."""
    dice, mtbf, mttr, failover, fails = random.Random(7), 500.0, 5.0, 0.02, 0.05
    hours, down = 0.0, 0.0
    for _ in range(400_000):
        hours += dice.expovariate(1 / mtbf)
        repair = dice.expovariate(1 / mttr)
        hours += repair
        if dice.random() < fails or dice.random() < mttr / (mtbf + mttr):
            down += repair
        else:
            down += min(failover, repair)
    u = mttr / (mtbf + mttr)
    said = standby(u, u, failures_per_hour=1 / mtbf, failover_seconds=failover * 3600, failover_fails=fails)
    assert down / hours == pytest.approx(said, rel=0.1)


def test_a_tree_knows_its_children() -> None:
    tree = Group("g", (part("a", 0.1), Group("h", (part("b", 0.1),))))
    assert [each.name for each in children(tree)] == ["a", "h"]
    assert [each.name for each in leaves(tree)] == ["a", "b"]
