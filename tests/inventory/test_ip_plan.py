"""The arithmetic of prefixes agrees with counting addresses one by one, as Python's ipaddress does."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.inventory import ip_plan
from tongchou.inventory.ip_plan import Net, Space

FEW = settings(max_examples=60, deadline=None)
BASE = {4: int(ip_network("10.20.30.0/24").network_address), 6: int(ip_network("2001:db8::/120").network_address)}
TOP = {4: 24, 6: 120}


def net(text: str) -> Net:
    found = ip_plan.parse(text)
    assert found is not None
    return found[0]


def real(each: Net) -> IPv4Network | IPv6Network:
    return ip_network(str(each))


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Net, list[Net], list[int]]:
    """A prefix of at most 64 addresses, prefixes inside it, and addresses in and beside it."""
    family = draw(st.sampled_from([4, 6]))
    bits = ip_plan.BITS[family]
    length = draw(st.integers(bits - 6, bits))
    offsets = st.integers(0, 255)
    top = ip_plan.enclosing(family, BASE[family] + draw(offsets), length)
    inside = draw(
        st.lists(st.tuples(st.integers(0, top.size - 1), st.integers(length + 1, bits)), max_size=5)
        if length < bits
        else st.just([])
    )
    nets = [ip_plan.enclosing(family, top.start + at, longer) for at, longer in inside]
    return top, nets, [BASE[family] + each for each in draw(st.lists(offsets, max_size=40))]


def naive_usable(of: Net, *, pool: bool) -> list[int]:
    every = [int(each) for each in real(of)]
    if pool or len(every) <= 2:
        return every
    return every[1:-1] if of.family == 4 else every[1:]


def naive_taken(nets: Sequence[Net], addresses: Sequence[int]) -> set[int]:
    return {int(each) for one in nets for each in real(one)} | set(addresses)


@FEW
@given(spaces(), st.booleans())
def test_the_next_address_is_the_lowest_free_one(drawn: tuple[Net, list[Net], list[int]], pool: bool) -> None:
    top, nets, addresses = drawn
    space = Space([top, *nets], addresses)
    taken = naive_taken(nets, addresses)
    free = [each for each in naive_usable(top, pool=pool) if each not in taken]
    assert ip_plan.next_address(top, space.taken(space.nodes[top]), pool=pool) == (free[0] if free else None)


@FEW
@given(spaces(), st.integers(0, 8))
def test_the_next_prefix_is_the_lowest_of_its_length_with_nothing_in_it(
    drawn: tuple[Net, list[Net], list[int]], longer: int
) -> None:
    top, nets, addresses = drawn
    length = min(top.length + longer, ip_plan.BITS[top.family])
    space = Space([top, *nets], addresses)
    taken = naive_taken(nets, addresses)
    fitting = [each for each in real(top).subnets(new_prefix=length) if not any(int(one) in taken for one in each)]
    found = ip_plan.next_prefix(top, length, space.taken(space.nodes[top]))
    assert (found and str(found)) == (str(fitting[0]) if fitting else None)


@FEW
@given(spaces(), st.booleans(), st.randoms(use_true_random=False))
def test_utilisation_is_what_counting_gives_in_whatever_order_things_come(
    drawn: tuple[Net, list[Net], list[int]], pool: bool, order: object
) -> None:
    top, nets, addresses = drawn
    every = [top, *nets]
    naive = len(naive_taken(nets, addresses) & set(naive_usable(top, pool=pool)))
    for _ in range(2):
        space = Space(every, addresses)
        assert space.used(space.nodes[top], pool=pool) == naive
        taken = {each for first, last in space.taken(space.nodes[top]) for each in range(first, last + 1)}
        assert len(taken & set(naive_usable(top, pool=pool))) == naive
        order.shuffle(every)  # type: ignore[attr-defined]
        order.shuffle(addresses)  # type: ignore[attr-defined]
    assert ip_plan.usable_count(top, pool=pool) == len(naive_usable(top, pool=pool))


@FEW
@given(spaces())
def test_each_prefix_hangs_below_the_longest_that_contains_it(drawn: tuple[Net, list[Net], list[int]]) -> None:
    top, nets, addresses = drawn
    space = Space([*nets, top], addresses)
    for node in space.walk():
        around = [one for one in {top, *nets} if one != node.net and real(node.net).subnet_of(real(one))]  # type: ignore[arg-type]
        parent = max(around, key=lambda one: one.length, default=None)
        assert (node.parent and node.parent.net) == parent
        assert [one.net for one in space.chain(node.net)] == sorted([*around, node.net])
        assert node.depth == len(around)


@FEW
@given(spaces())
def test_free_prefixes_and_what_is_taken_make_up_the_whole(drawn: tuple[Net, list[Net], list[int]]) -> None:
    top, nets, addresses = drawn
    space = Space([top, *nets], addresses)
    free = ip_plan.free_prefixes(top, space.taken(space.nodes[top]))
    counted = [int(each) for one in free for each in real(one)]
    assert len(counted) == len(set(counted))
    assert set(counted) == {int(each) for each in real(top)} - naive_taken(nets, addresses)


@FEW
@given(spaces())
def test_an_address_in_no_prefix_is_told(drawn: tuple[Net, list[Net], list[int]]) -> None:
    top, nets, addresses = drawn
    inside = {int(each) for each in real(top)}
    assert Space([top, *nets], addresses).outside() == sorted({each for each in addresses if each not in inside})


@pytest.mark.parametrize("text", ["10.0.0.0/8", "2001:db8::/32", "::/0"])
def test_a_prefix_of_more_addresses_than_can_be_walked_answers_at_once(text: str) -> None:
    top = net(text)
    space = Space([top], [top.start + 1, top.start + 2, top.end])
    node = space.nodes[top]
    assert ip_plan.next_address(top, space.taken(node)) == top.start + 3
    found = ip_plan.next_prefix(top, top.length + 8, space.taken(node))
    assert found is not None
    assert found.start == top.start + found.size
    assert ip_plan.percent(space.used(node), ip_plan.usable_count(top)) == 0.1


def test_addresses_are_read_in_every_notation_people_use() -> None:
    assert ip_plan.parse("10.0.0.5/255.255.255.0") == ip_plan.parse(" 10.0.0.5/24 ")
    assert ip_plan.parse("2001:DB8:0::1") == ip_plan.parse("2001:db8::1/128")
    assert ip_plan.parse("fe80::1%eth0/64") is not None
    for wrong in ("", "web-1", "10.0.0", "10.0.0.0/33", "10.0.0.256", None, 7, "1" * 100):
        assert ip_plan.parse(wrong) is None


def test_percent_never_says_full_while_something_is_free() -> None:
    assert [ip_plan.percent(used, 10_000) for used in (0, 1, 5000, 9999, 10_000)] == [0.0, 0.1, 50.0, 99.9, 100.0]


def test_keys_sort_as_numbers_do() -> None:
    numbers = [0, 9, 10, 255, 256, 2**32, 2**128 - 1]
    assert sorted(map(ip_plan.key, reversed(numbers))) == list(map(ip_plan.key, numbers))
