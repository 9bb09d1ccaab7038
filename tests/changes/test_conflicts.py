"""Collisions: everything that a naive look at every minute finds, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes.conflicts import (
    ASSIGNEE,
    FREEZE,
    RELATED,
    RESOURCE,
    Opening,
    Plan,
    all_pairs,
    outside_maintenance,
    with_freezes,
    with_others,
)
from tongchou.core.spans import Span

T0 = datetime(2026, 3, 1, tzinfo=UTC)
R = [UUID(int=each) for each in range(1, 6)]
PEOPLE = [UUID(int=100 + each) for each in range(2)]


def span(start: int, length: int) -> Span:
    return Span(T0 + timedelta(minutes=start), T0 + timedelta(minutes=start + length))


SPANS = st.builds(span, st.integers(0, 20), st.integers(1, 8))
SETS = st.frozensets(st.sampled_from(R), max_size=3)


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        touches = draw(SETS)
        found.append(
            Plan(
                UUID(int=1000 + number),
                f"CHG-{number}",
                draw(SPANS),
                touches,
                draw(SETS) - touches,
                draw(st.none() | st.sampled_from(PEOPLE)),
            )
        )
    return found


def minutes(each: Span) -> set[int]:
    return {
        minute for minute in range(40) if each.start <= T0 + timedelta(minutes=minute) < each.end
    }  # whole minutes: every span here begins and ends on one


def naive(one: Plan, other: Plan) -> set[str]:
    """What two plans collide in, by looking at every minute and every pair of resources."""
    if one.id == other.id or not minutes(one.span) & minutes(other.span):
        return set()
    found = set()
    same = {each for each in one.touches if each in other.touches}
    if same:
        found.add(RESOURCE)
    if {a for a in one.touches if a in other.related} - same or {b for b in one.related if b in other.touches} - same:
        found.add(RELATED)
    if one.assignee is not None and one.assignee == other.assignee:
        found.add(ASSIGNEE)
    return found


@settings(max_examples=150)
@given(plans())
def test_every_collision_that_a_naive_look_finds(drawn: list[Plan]) -> None:
    for one in drawn:
        found = with_others(one, drawn)
        told = {(each.ref, each.kind) for each in found}
        assert told == {(f"changes.change:{other.id}", kind) for other in drawn for kind in naive(one, other)}
        for each in found:
            other = next(other for other in drawn if each.ref.endswith(str(other.id)))
            assert minutes(each.span) == minutes(one.span) & minutes(other.span)


@settings(max_examples=100)
@given(plans())
def test_the_sweep_finds_each_pair_once(drawn: list[Plan]) -> None:
    swept = sorted((*sorted((earlier.name, conflict.name)), conflict.kind) for earlier, conflict in all_pairs(drawn))
    every = sorted(
        (*sorted((one.name, other.name)), kind)
        for number, one in enumerate(drawn)
        for other in drawn[number + 1 :]
        for kind in naive(one, other)
    )
    assert swept == every


@settings(max_examples=100)
@given(plans(), st.lists(st.tuples(SPANS, SETS), max_size=4))
def test_a_freeze_of_everything_or_of_what_is_touched(
    drawn: list[Plan], closed: list[tuple[Span, frozenset[UUID]]]
) -> None:
    freezes = [Opening(f"core.window:{n}", str(n), each, about) for n, (each, about) in enumerate(closed)]
    for plan in drawn:
        expected = {
            each.ref
            for each in freezes
            if minutes(each.span) & minutes(plan.span) and (not each.about or each.about & plan.touches)
        }
        assert {each.ref for each in with_freezes(plan, freezes)} == expected
        assert all(each.kind == FREEZE for each in with_freezes(plan, freezes))


@settings(max_examples=100)
@given(plans(), st.dictionaries(st.sampled_from(R), st.lists(SPANS, max_size=3), max_size=4), SETS)
def test_minutes_no_maintenance_window_covers(
    drawn: list[Plan], windows: dict[UUID, list[Span]], having: frozenset[UUID]
) -> None:
    opened = {key: [Opening("", "", each) for each in value] for key, value in windows.items()}
    for plan in drawn:
        expected = {
            resource
            for resource in plan.touches & having
            if minutes(plan.span) - {minute for each in windows.get(resource, []) for minute in minutes(each)}
        }
        assert {each.resources[0] for each in outside_maintenance(plan, opened, having)} == expected


def test_one_that_ends_when_the_other_begins_is_no_collision() -> None:
    one = Plan(UUID(int=1), "CHG-1", span(0, 5), frozenset(R[:1]))
    other = Plan(UUID(int=2), "CHG-2", span(5, 5), frozenset(R[:1]))
    assert with_others(one, [other]) == []
