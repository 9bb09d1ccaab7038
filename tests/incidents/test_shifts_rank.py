"""Ranking with metric shifts: faults that no change and no dead target explains, two at once, demand, noise."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.incidents import shop_faults
from tests.incidents.corpus import START
from tests.incidents.shop_faults import FAULTS, NAMES, identity
from tongchou.incidents.scoring import rank
from tongchou.incidents.suspects import Evidence, Outage, Pattern, Ranked

seeds = st.integers(0, 10**9)
PAIRS = [
    pair for pair in combinations(sorted(FAULTS), 2) if "traffic surge" not in pair
]  # a surge and a fault under it cannot be told apart by anybody


def top(evidence: Evidence, count: int = 3) -> list[str]:
    """The names of the first suspects."""
    return [suspect.title for suspect in rank(evidence)[:count]]


@given(st.sampled_from(sorted(FAULTS)), seeds)
@settings(deadline=None)
def test_the_true_cause_is_among_the_first_three(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    seen = FAULTS[kind](rng)
    assert set(top(shop_faults.evidence(rng, seen))) & seen.causes


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_mostly_it_is_the_first(kind: str) -> None:
    hits = 0
    for seed in range(100):
        rng = random.Random(seed)
        seen = FAULTS[kind](rng)
        hits += top(shop_faults.evidence(rng, seen), 1)[0] in seen.causes
    assert hits >= 90


@given(st.sampled_from(PAIRS), seeds)
@settings(deadline=None)
def test_of_two_faults_at_once_both_causes_are_among_the_first_three(kinds: tuple[str, str], seed: int) -> None:
    rng = random.Random(seed)
    one, two = (FAULTS[kind](rng) for kind in kinds)
    if one.causes & two.causes:
        return
    found = set(top(shop_faults.evidence(rng, one, two)))
    assert found & one.causes
    assert found & two.causes


@given(st.sampled_from(sorted(FAULTS)), seeds, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_shifts_does_not_matter(kind: str, seed: int, shuffle: random.Random) -> None:
    rng = random.Random(seed)
    evidence = shop_faults.evidence(rng, FAULTS[kind](rng))
    mixed = replace(evidence, shifts=shuffle.sample(list(evidence.shifts), len(evidence.shifts)))
    assert rank(mixed) == rank(evidence)


@given(st.sampled_from(sorted(FAULTS)), seeds)
@settings(deadline=None)
def test_a_noisy_stranger_changes_nothing(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    evidence = shop_faults.evidence(rng, FAULTS[kind](rng))
    stranger = UUID(int=1)
    loud = [replace(each, resource=stranger) for each in evidence.shifts if each.kind != "traffic"]
    more = replace(evidence, shifts=[*evidence.shifts, *loud], names={**evidence.names, stranger: "stranger"})
    assert [(s.key, s.score) for s in rank(more)] == [(s.key, s.score) for s in rank(evidence)]


@given(seeds)
@settings(deadline=None)
def test_scores_fall_and_every_reason_is_printed_once(seed: int) -> None:
    rng = random.Random(seed)
    ranked = rank(shop_faults.evidence(rng, *(FAULTS[kind](rng) for kind in sorted(FAULTS))))
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    for suspect in ranked:
        assert len({reason.code for reason in suspect.reasons}) == len(suspect.reasons)


def surge(**more: object) -> list[Ranked]:
    """The ranking of a surge."""
    rng = random.Random(4)
    return rank(replace(shop_faults.evidence(rng, FAULTS["traffic surge"](rng)), **more))  # type: ignore[arg-type]  # fields


def test_a_surge_leads_with_the_entry_and_the_demand() -> None:
    first = surge()[0]
    assert first.title == "customers-1"
    (demand,) = [reason for reason in first.reasons if reason.code == "demand_rose"]
    assert demand.params["times"] > 2
    assert "storefront" in surge()[1].title


def test_a_failover_is_no_demand() -> None:
    rng = random.Random(4)
    more = shop_faults.shift(rng, "payments-2", "traffic", -5, 50, 2.0)
    down = Outage(identity("payments-1"), START - timedelta(seconds=6))
    symptoms = shop_faults.alert("payments-1", 0, "down") + shop_faults.alert("orders", 5, "errors")
    evidence = Evidence(
        symptoms,
        [down],
        needs=shop_faults.NEEDS,
        names=NAMES,
        shifts=[more],
        wholes=shop_faults.WHOLES,
        traffic_known=shop_faults.COUNTED,
    )
    assert not [reason for each in rank(evidence) for reason in each.reasons if reason.code == "demand_rose"]
    assert rank(evidence)[0].title == "payments-1"


def test_a_retry_storm_after_the_first_symptom_is_no_demand() -> None:
    rng = random.Random(4)
    storm = [shop_faults.shift(rng, name, "traffic", 40, 50, 4.0) for name in ("customers-1", "load-balancer-1")]
    evidence = shop_faults.evidence(rng, shop_faults.slow_dependency(rng))
    ranked = rank(replace(evidence, shifts=[*evidence.shifts, *storm]))
    assert not [reason for each in ranked for reason in each.reasons if reason.code == "demand_rose"]


def test_a_shift_that_stood_so_before_is_worth_little() -> None:
    rng = random.Random(1)
    evidence = shop_faults.evidence(rng, shop_faults.memory_leak(rng))
    fresh = rank(evidence)[0]
    stale = rank(replace(evidence, shifts=[replace(each, fresh=0.0) for each in evidence.shifts]))[0]
    points = [
        next(reason.weight for reason in each.reasons if reason.code == "shift_memory") for each in (fresh, stale)
    ]
    assert points[1] < 0.3 * points[0]


def test_a_new_problem_in_the_log_counts_and_shows_its_line() -> None:
    rng = random.Random(1)
    evidence = shop_faults.evidence(rng, shop_faults.slow_dependency(rng))
    pattern = Pattern(identity("payments-1"), "pool of <*> exhausted", "error", START, 12, 0.0, True, {"line": "x"})
    suspect = next(each for each in rank(replace(evidence, patterns=[pattern])) if each.title == "payments-1")
    (reason,) = [each for each in suspect.reasons if each.code == "new_error_lines"]
    assert reason.params == {"template": "pool of <*> exhausted", "level": "error", "count": 12, "usual": 0.0}
    assert reason.facts["line"] == "x"
