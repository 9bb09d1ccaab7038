"""Ranking of suspects: the true cause of synthetic incidents, and what must hold for any evidence."""

import random
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.incidents import corpus
from tests.incidents.corpus import START
from tongchou.incidents.scoring import rank
from tongchou.incidents.suspects import WEIGHTS, Change, Evidence, Outage, Ranked, Symptom

T = TypeVar("T")
DATABASE, PRIMARY, STANDBY, ORDERS, PAYMENTS, STOREFRONT, SEARCH = (UUID(int=n) for n in range(1, 8))
NAMES = {
    DATABASE: "database", PRIMARY: "database-primary", STANDBY: "database-standby", ORDERS: "orders",
    PAYMENTS: "payments", STOREFRONT: "storefront", SEARCH: "search",
}  # fmt: skip
NEEDS = {
    STOREFRONT: {ORDERS: 1, PAYMENTS: 2, DATABASE: 2, PRIMARY: 3, STANDBY: 3},
    ORDERS: {DATABASE: 1, PAYMENTS: 1, PRIMARY: 2, STANDBY: 2},
    PAYMENTS: {},
    DATABASE: {PRIMARY: 1, STANDBY: 1},
    STANDBY: {PRIMARY: 1},
}
evidences = st.builds(
    lambda kind, seed: corpus.KINDS[kind](seed).evidence, st.sampled_from(sorted(corpus.KINDS)), st.integers(0, 10**9)
)


def release(of: UUID, seconds: float, ref: str = "release", **more: object) -> Change:
    """A release that changes the version of one resource."""
    return Change(
        ref,
        f"{NAMES[of]} 1 → 2",
        "deployment",
        START + timedelta(seconds=seconds),
        frozenset({of}),
        version_changed=True,
        **more,
    )  # type: ignore[arg-type]  # keyword arguments of the example


def codes(suspect: Ranked) -> set[str]:
    """The codes of a suspect's reasons."""
    return {reason.code for reason in suspect.reasons}


@given(st.sampled_from(sorted(corpus.KINDS)), st.integers(0, 10**9))
@settings(deadline=None)
def test_the_true_cause_is_among_the_first_three(kind: str, seed: int) -> None:
    incident = corpus.KINDS[kind](seed)
    assert {suspect.key for suspect in rank(incident.evidence)[:3]} & incident.causes


@pytest.mark.parametrize("kind", sorted(corpus.KINDS))
def test_the_ranking_beats_both_baselines(kind: str) -> None:
    hits = {"rank": 0, "latest change": 0, "most alerts": 0}
    for seed in range(150):
        incident = corpus.KINDS[kind](seed)
        hits["rank"] += rank(incident.evidence)[0].key in incident.causes
        hits["latest change"] += bool(set(corpus.latest_change(incident.evidence)[:1]) & incident.causes)
        hits["most alerts"] += corpus.most_alerts(incident.evidence)[0] in incident.causes
    assert hits["rank"] >= 130
    assert hits["rank"] > max(hits["latest change"], hits["most alerts"])


@given(evidences, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_evidence_does_not_matter(evidence: Evidence, shuffle: random.Random) -> None:
    def mixed(rows: list[T]) -> list[T]:
        return shuffle.sample(rows, len(rows))

    other = Evidence(
        mixed(list(evidence.symptoms)),
        mixed(list(evidence.outages)),
        mixed(list(evidence.changes)),
        evidence.needs,
        evidence.names,
    )
    assert rank(evidence) == rank(other)


@given(evidences)
@settings(deadline=None)
def test_scores_fall_and_are_the_sum_of_the_printed_points(evidence: Evidence) -> None:
    ranked = rank(evidence)
    assert [suspect.score for suspect in ranked] == sorted((suspect.score for suspect in ranked), reverse=True)
    for suspect in ranked:
        assert suspect.score == round(sum(reason.weight for reason in suspect.reasons), 1)
        assert all(reason.code in WEIGHTS for reason in suspect.reasons)
        assert len({reason.code for reason in suspect.reasons}) == len(suspect.reasons)


@given(evidences, st.floats(60, 86_400))
@settings(deadline=None)
def test_a_change_after_every_symptom_is_no_suspect(evidence: Evidence, seconds: float) -> None:
    last = max(symptom.active_at for symptom in evidence.symptoms)
    late = Change(
        "late", "late", "deployment", last + timedelta(seconds=seconds), frozenset({evidence.symptoms[0].resource})
    )
    more = Evidence(evidence.symptoms, evidence.outages, [*evidence.changes, late], evidence.needs, evidence.names)
    assert [suspect.key for suspect in rank(more)] == [suspect.key for suspect in rank(evidence)]


@given(evidences)
@settings(deadline=None)
def test_a_healthy_stranger_changes_nothing(evidence: Evidence) -> None:
    stranger = UUID(int=0)
    needs = {**evidence.needs, stranger: {evidence.symptoms[0].resource: 1}}
    outages = [*evidence.outages, Outage(stranger, START)]
    assert rank(Evidence(evidence.symptoms, outages, evidence.changes, needs, evidence.names)) == rank(evidence)


@given(
    st.dictionaries(st.integers(1, 8), st.dictionaries(st.integers(1, 8), st.integers(1, 5))),
    st.lists(st.integers(1, 8), min_size=1),
)
@settings(deadline=None)
def test_circles_of_dependencies_are_survived(needs: dict[int, dict[int, int]], failing: list[int]) -> None:
    graph = {UUID(int=a): {UUID(int=b): hops for b, hops in row.items() if a != b} for a, row in needs.items()}
    symptoms = [Symptom(UUID(int=each), "X", START) for each in failing]
    assert {suspect.key for suspect in rank(Evidence(symptoms, (), (), graph))} & {UUID(int=each) for each in failing}


def test_no_symptom_no_suspect() -> None:
    assert rank(Evidence([], [Outage(PRIMARY, START)], [release(ORDERS, -5)], NEEDS, NAMES)) == []


def primary_down(changes: list[Change]) -> list[Ranked]:
    """The primary database dies; orders and storefront err, each a little later."""
    symptoms = [
        Symptom(PRIMARY, "TargetDown", START, "down"),
        Symptom(DATABASE, "TargetDown", START, "down"),
        Symptom(ORDERS, "ErrorRatioHigh", START + timedelta(seconds=4), "errors"),
        Symptom(STOREFRONT, "ErrorRatioHigh", START + timedelta(seconds=6), "errors"),
    ]
    return rank(Evidence(symptoms, [Outage(PRIMARY, START - timedelta(seconds=1))], changes, NEEDS, NAMES))


def test_the_dead_primary_leads_and_says_why() -> None:
    first = primary_down([])[0]
    assert first.key == PRIMARY
    assert codes(first) >= {"target_down", "went_wrong_first", "explains", "needs_healthy"}
    explains = next(reason for reason in first.reasons if reason.code == "explains")
    assert explains.params == {"count": 4, "total": 4}


def test_victims_say_who_explains_them() -> None:
    storefront = next(suspect for suspect in primary_down([]) if suspect.key == STOREFRONT)
    blame = next(reason for reason in storefront.reasons if reason.code == "explained_by")
    assert blame.params == {"name": "orders"}


@pytest.mark.parametrize("of", [SEARCH, STOREFRONT, PAYMENTS])
@pytest.mark.parametrize("seconds", [-20, -300, -1800])
def test_a_release_elsewhere_does_not_distract_from_a_dead_target(of: UUID, seconds: float) -> None:
    assert primary_down([release(of, seconds)])[0].key == PRIMARY


def bad_release(changes: list[Change], outages: list[Outage] | None = None) -> list[Ranked]:
    """Orders errs, and storefront with it; all that orders needs is well."""
    symptoms = [
        Symptom(ORDERS, "ErrorRatioHigh", START, "errors"),
        Symptom(STOREFRONT, "ErrorRatioHigh", START + timedelta(seconds=3), "errors"),
        Symptom(STOREFRONT, "SlowAnswers", START + timedelta(seconds=9), "latency"),
    ]
    return rank(Evidence(symptoms, outages or [], changes, NEEDS, NAMES))


@pytest.mark.parametrize("seconds", [-2, -30, -240, -900])
def test_the_release_before_the_errors_leads(seconds: float) -> None:
    first, second, *_ = bad_release(
        [release(ORDERS, seconds), release(SEARCH, -1, "unrelated"), release(STOREFRONT, -1500, "old")]
    )
    assert (first.key, second.key) == ("release", ORDERS)
    assert codes(first) >= {
        "deployment",
        "just_before",
        "on_first_failing",
        "version_changed",
        "explains",
        "needs_healthy",
    }


def test_the_restart_of_a_release_is_not_taken_for_its_cause() -> None:
    restart = Outage(ORDERS, START - timedelta(seconds=20), START - timedelta(seconds=17))
    ranked = bad_release([release(ORDERS, -20)], [restart])
    assert ranked[0].key == "release"
    assert "restarted" in codes(next(suspect for suspect in ranked if suspect.key == ORDERS))


def test_a_roll_back_after_the_errors_is_no_suspect() -> None:
    assert "back" not in [suspect.key for suspect in bad_release([release(ORDERS, -20), release(ORDERS, 60, "back")])]


def test_an_unrelated_release_ranks_below_every_failing_resource() -> None:
    ranked = [suspect.key for suspect in bad_release([release(SEARCH, -1, "unrelated")])]
    assert ranked.index(ORDERS) == 0
    assert "unrelated" not in ranked[:1]


def test_a_configuration_change_weighs_less_than_a_release_all_else_equal() -> None:
    config = Change("config", "orders", "config", START - timedelta(seconds=30), frozenset({ORDERS}))
    assert [suspect.key for suspect in bad_release([config, release(ORDERS, -30)])][:2] == ["release", "config"]


def test_a_bad_record_raises_a_change() -> None:
    ranked = bad_release([release(ORDERS, -30, "clean", past=(9, 0)), release(ORDERS, -30, "troubled", past=(9, 8))])
    assert [suspect.key for suspect in ranked][:2] == ["troubled", "clean"]


def test_a_target_that_was_down_long_before_does_not_lead() -> None:
    symptoms = [Symptom(ORDERS, "ErrorRatioHigh", START, "errors")]
    outages = [Outage(STANDBY, START - timedelta(minutes=5), from_start=True)]
    ranked = rank(Evidence(symptoms, outages, [], NEEDS, NAMES))
    assert ranked[0].key == ORDERS
    assert "down_for_long" in codes(next(suspect for suspect in ranked if suspect.key == STANDBY))


def test_a_later_fault_in_the_same_incident_is_still_found() -> None:
    """A database fault first, then minutes later a release that breaks search: both causes stay in the top three."""
    symptoms = [
        Symptom(PRIMARY, "TargetDown", START, "down"),
        Symptom(ORDERS, "ErrorRatioHigh", START + timedelta(seconds=4), "errors"),
        Symptom(SEARCH, "ErrorRatioHigh", START + timedelta(seconds=300), "errors"),
    ]
    ranked = rank(Evidence(symptoms, [Outage(PRIMARY, START)], [release(SEARCH, 290)], NEEDS, NAMES))
    assert {PRIMARY, "release"} <= {suspect.key for suspect in ranked[:3]}
