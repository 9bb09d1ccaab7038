"""Where an attribute stands does not depend on the order in which its modifications come, nor on repetition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes.observed_fold import Seen, Standing, adopted, fold, take

VALUES = st.sampled_from("abc")


@st.composite
def histories(draw: st.DrawFn) -> list[Seen]:
    """What one attribute went through, each modification from the value before it; some of them explained."""
    found, value = [], draw(VALUES)
    for number in range(1, draw(st.integers(1, 8)) + 1):
        after = draw(VALUES)
        found.append(Seen(number, value, after, draw(st.sampled_from(["", "", "changes.change:1"]))))
        value = after
    return found


@given(histories(), st.data())
def test_order_and_repetition_do_not_matter(history: list[Seen], data: st.DataObject) -> None:
    delivered = data.draw(st.permutations([*history, *data.draw(st.lists(st.sampled_from(history), max_size=8))]))
    assert fold(Standing(), delivered) == fold(Standing(), history)


@given(histories())
def test_it_is_what_was_there_at_first_against_what_is_there_last(history: list[Seen]) -> None:
    found = fold(Standing(), history)
    floor = max((each.event for each in history if each.change), default=0)
    expected = next((each.after for each in history if each.event == floor), history[0].before)
    assert (found.floor, found.base, found.last) == (floor, expected, history[-1].after)
    assert found.explained == bool(history[-1].change)


@given(histories())
def test_what_is_adopted_is_expected_from_then_on(history: list[Seen]) -> None:
    found = adopted(fold(Standing(), history))
    assert found.base == found.last == history[-1].after
    assert fold(found, history) == found  # nothing that came before counts again
    later = take(found, Seen(99, found.last, "z"))
    assert (later.base, later.last) == (history[-1].after, "z")


def test_there_and_back_is_nothing() -> None:
    found = fold(Standing(), [Seen(1, "a", "b"), Seen(2, "b", "a")])
    assert found.base == found.last == "a"
