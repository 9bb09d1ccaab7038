from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.inventory.layout import components, lay_out

NODES = list("abcdefgh")
pairs_strategy = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=20)


@given(pairs_strategy)
def test_every_node_has_one_place_and_no_two_share_it(pairs: list[tuple[str, str]]) -> None:
    places = lay_out(NODES, pairs)
    assert sorted(place.node for place in places) == NODES
    assert len({(place.tier, place.row) for place in places}) == len(NODES)
    assert len({(place.x, place.y) for place in places}) == len(NODES)
    assert all(0 < place.x < 1 and 0 < place.y < 1 for place in places)


@given(pairs_strategy)
def test_callers_stand_left_of_what_they_need_but_in_circles(pairs: list[tuple[str, str]]) -> None:
    tier = {place.node: place.tier for place in lay_out(NODES, pairs)}
    needs = {node: [b for a, b in pairs if a == node and a != b] for node in NODES}
    circle = components(NODES, needs)
    for a, b in pairs:
        assert tier[a] == tier[b] if circle[a] == circle[b] else tier[a] < tier[b]


@given(pairs_strategy)
def test_equal_input_gives_equal_places(pairs: list[tuple[str, str]]) -> None:
    assert lay_out(NODES, pairs) == lay_out(NODES, list(pairs))


def test_two_chains_are_not_crossed() -> None:
    places = {p.node: p for p in lay_out(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])}
    assert (places["a"].row < places["b"].row) == (places["y"].row < places["x"].row)


def test_a_lonely_node_stands_by_the_rank_of_its_kind() -> None:
    places = {p.node: p for p in lay_out(["a", "b", "c", "store"], [("a", "b"), ("b", "c")], rank={"store": 4})}
    assert places["store"].tier == places["c"].tier == 2


def test_nothing_to_place() -> None:
    assert lay_out([], [("a", "b")]) == []
