"""When consent is complete: properties of the matching, against brute force, and what policies amount to together."""

from __future__ import annotations

from itertools import permutations, product
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.consent import Vote, Wanted, combined, fits, read_needs, standing
from tongchou.core.problems import Invalid

PEOPLE = [UUID(int=n) for n in range(1, 7)]
REQUESTER = PEOPLE[0]
NEEDS = st.dictionaries(st.integers(1, 3), st.integers(1, 2), min_size=1, max_size=3)
FILLS = st.frozensets(st.integers(1, 3), max_size=3)


@st.composite
def votes(draw: st.DrawFn) -> list[Vote]:
    found = []
    for order in range(draw(st.integers(0, 6))):
        voter = draw(st.sampled_from(PEOPLE))
        principal = draw(st.sampled_from([voter, *PEOPLE]))
        found.append(Vote(order, voter, principal, True, draw(FILLS)))
    return found


def brute(needs: dict[int, int], cast: list[Vote]) -> bool:
    """Try every way to seat the voters that count."""
    counted: dict[UUID, Vote] = {}
    for vote in cast:
        if REQUESTER not in (vote.voter, vote.principal):
            counted.setdefault(vote.principal, vote)
    could: dict[UUID, set[int]] = {}
    for vote in counted.values():
        could.setdefault(vote.voter, set()).update(vote.fills)
    places = [need for need, count in needs.items() for _n in range(count)]
    return any(
        all(place in could[person] for person, place in zip(people, places, strict=True))
        for people in permutations(could, len(places))
    )


@given(NEEDS, votes())
def test_it_is_complete_when_some_seating_fills_every_place(needs: dict[int, int], cast: list[Vote]) -> None:
    assert standing(needs, cast, REQUESTER).approved == brute(needs, cast)


@given(NEEDS, votes(), st.randoms())
def test_the_order_in_which_votes_are_read_does_not_matter(
    needs: dict[int, int], cast: list[Vote], random: Random
) -> None:
    mixed = list(cast)
    random.shuffle(mixed)
    assert standing(needs, mixed, REQUESTER) == standing(needs, cast, REQUESTER)


@given(NEEDS, votes(), FILLS)
def test_one_more_yes_never_takes_consent_away(needs: dict[int, int], cast: list[Vote], fills: frozenset[int]) -> None:
    before = standing(needs, cast, REQUESTER)
    more = [*cast, Vote(99, PEOPLE[5], PEOPLE[5], True, fills)]
    after = standing(needs, more, REQUESTER)
    assert after.approved >= before.approved
    assert sum(after.missing.values()) <= sum(before.missing.values())


@given(NEEDS, st.lists(FILLS, max_size=6))
def test_the_requester_alone_never_gets_consent(needs: dict[int, int], fills: list[frozenset[int]]) -> None:
    cast = [
        Vote(n, REQUESTER, person, True, filled) for n, (person, filled) in enumerate(zip(PEOPLE, fills, strict=False))
    ]
    cast += [
        Vote(n + 10, person, REQUESTER, True, filled)
        for n, (person, filled) in enumerate(zip(PEOPLE, fills, strict=False))
    ]
    assert not standing(needs, cast, REQUESTER).approved


@given(NEEDS, votes())
def test_one_no_rejects(needs: dict[int, int], cast: list[Vote]) -> None:
    found = standing(needs, [Vote(-1, PEOPLE[4], PEOPLE[4], False), *cast], REQUESTER)
    assert found.rejected
    assert not found.approved


def test_two_persons_are_two_persons() -> None:
    """Who stands in for another is still one person; who is spoken for twice is still one, too."""
    one, two, three = PEOPLE[1:4]
    both = frozenset({1})
    for cast in (
        [Vote(1, one, one, True, both), Vote(2, one, two, True, both)],
        [Vote(1, one, two, True, both), Vote(2, three, two, True, both)],
    ):
        assert standing({1: 2}, cast, REQUESTER).missing == {1: 1}
    assert standing({1: 2}, [Vote(1, one, one, True, both), Vote(2, three, two, True, both)], REQUESTER).approved


def test_a_person_fills_the_place_that_nobody_else_can() -> None:
    one, two = PEOPLE[1:3]
    cast = [Vote(1, one, one, True, frozenset({1, 2})), Vote(2, two, two, True, frozenset({1}))]
    assert standing({1: 1, 2: 1}, cast, REQUESTER).approved


@given(
    st.lists(st.lists(st.builds(Wanted, st.sampled_from(["owner", "role:admin", "role:approver"]), st.integers(1, 3))))
)
def test_policies_together_ask_for_at_least_what_each_asks(policies: list[list[Wanted]]) -> None:
    found = {each.who: each.count for each in combined(policies)}
    assert all(found[each.who] >= each.count for policy in policies for each in policy)
    assert found or policies == []
    assert sum(found.values()) >= 1


def test_without_a_policy_one_approver_is_asked() -> None:
    assert combined([]) == [Wanted("role:approver", 1)]


def test_a_policy_fits_by_action_and_every_condition() -> None:
    for action, grade, targets in product(
        ("run", "*", "other"), ("alter", "irreversible"), (["db-1"], ["web-1", "db-1"], [])
    ):
        found = fits(
            action,
            {"grade": ["irreversible"], "targets": ["db-1"]},
            asked="run",
            scope={"grade": grade, "targets": targets},
        )
        assert found == (action != "other" and grade == "irreversible" and "db-1" in targets)
    assert not fits("run", {"missing": ["x"]}, asked="run", scope={})
    assert not fits("run", {"missing": ["None"]}, asked="run", scope={})


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ([], "needs"), ("x", "needs"), ([{"who": "role:viewer"}], "needs[0].who"), ([{"who": "owner", "count": 0}], "needs[0].count"),
        ([{"who": "owner", "count": True}], "needs[0].count"), ([{"who": "team:x"}], "needs[0].who"),
        ([{"who": f"person:{UUID(int=1)}", "count": 2}], "needs[0].who"), ([{"who": "owner"}, {"who": "owner"}], "needs"),
        ([{"who": "owner", "more": 1}], "needs[0]"), ([{"who": "owner"}] * 11, "needs"),
    ],
)  # fmt: skip
def test_what_does_not_say_who_is_refused_by_name(bad: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_needs(bad)
    assert refused.value.field == field
