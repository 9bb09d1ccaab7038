"""Arithmetic of IP prefixes: what lies in what, what is used, what is free. Nothing here counts addresses one by one.

Pure. A `Net` is a prefix; a span is (first, last), both inclusive, as integers of one family.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, summarize_address_range
from typing import Literal, NamedTuple

Family = Literal[4, 6]
Span = tuple[int, int]
BITS: dict[int, int] = {4: 32, 6: 128}
KEY_DIGITS = 32  # of a key: enough for IPv6, the same for IPv4, so that keys of one family sort as numbers do


class Net(NamedTuple):
    """A prefix: `start` is its first address as a number, without host bits. They sort by place, the wider first."""

    family: int
    start: int
    length: int

    @property
    def end(self) -> int:
        """The last address."""
        return self.start + self.size - 1

    @property
    def size(self) -> int:
        """How many addresses it spans."""
        return int(1 << (BITS[self.family] - self.length))

    @property
    def span(self) -> Span:
        """First and last address."""
        return self.start, self.end

    def __str__(self) -> str:
        return f"{address_text(self.family, self.start)}/{self.length}"

    def contains(self, other: Net) -> bool:
        """Tell whether `other` lies in it; a prefix lies in itself."""
        return self.family == other.family and self.length <= other.length and self.start <= other.start <= self.end


def address_text(family: int, number: int) -> str:
    """Return an address as people write it."""
    return str(IPv4Address(number) if family == 4 else IPv6Address(number))


def key(number: int) -> str:
    """Return a number as text that sorts as numbers do."""
    return f"{number:0{KEY_DIGITS}x}"


def parse(text: object) -> tuple[Net, int] | None:
    """Read "10.0.0.5/24", "10.0.0.5", "2001:db8::/32" or "10.0.0.0/255.255.255.0": (its network, the address itself).

    Without a length the network is the address alone. None for anything else; a zone ("fe80::1%eth0") is left out.
    """
    if not isinstance(text, str) or not 2 <= len(text.strip()) <= 80:
        return None
    address, slash, length = text.strip().partition("/")
    try:
        found = ip_interface(f"{address.partition('%')[0]}{slash}{length}")
    except ValueError:
        return None
    number = int(found.ip)
    return Net(found.version, int(found.network.network_address), found.network.prefixlen), number


def enclosing(family: int, number: int, length: int) -> Net:
    """Return the prefix of this length that an address lies in."""
    host_bits = BITS[family] - length
    return Net(family, number >> host_bits << host_bits, length)


def candidates(family: int, number: int, longest: int | None = None) -> list[Net]:
    """Return every prefix that could contain an address, the widest first; none longer than `longest`."""
    most = BITS[family] if longest is None else longest
    return [enclosing(family, number, length) for length in range(most + 1)]


def usable(net: Net, *, pool: bool = False) -> Span:
    """Return the first and last address that a thing may have.

    A pool, and prefixes of one or two addresses, give all. IPv4 keeps its network and broadcast address back, IPv6 the
    first one (the routers' anycast address, RFC 4291).
    """
    if pool or BITS[net.family] - net.length <= 1:
        return net.span
    return (net.start + 1, net.end - 1) if net.family == 4 else (net.start + 1, net.end)


# --- spans ------------------------------------------------------------------------------------------------------------


def gaps(within: Span, taken: Iterable[Span]) -> Iterator[Span]:
    """Give what of `within` is not taken, in order. `taken` is in order of first addresses, read lazily."""
    at, last = within
    for first, end in taken:
        if at > last:
            return
        if end < at:
            continue
        if first > last:
            break
        if first > at:
            yield at, first - 1
        at = max(at, end + 1)
    if at <= last:
        yield at, last


def next_address(net: Net, taken: Iterable[Span], *, pool: bool = False) -> int | None:
    """Return the lowest usable address that is not taken; None when all are. `taken` in order, read lazily."""
    free = next(gaps(usable(net, pool=pool), taken), None)
    return None if free is None else free[0]


def next_prefix(net: Net, length: int, taken: Iterable[Span]) -> Net | None:
    """Return the lowest prefix of this length inside `net` of which nothing is taken; None when there is none."""
    size = 1 << (BITS[net.family] - length)
    if length < net.length:
        return None
    for first, last in gaps(net.span, taken):
        start = -(-first // size) * size
        if start + size - 1 <= last:
            return Net(net.family, start, length)
    return None


def free_prefixes(net: Net, taken: Iterable[Span], *, within: Span | None = None, most: int = 1000) -> list[Net]:
    """The fewest prefixes that make up what of `net` (or of `within`) is not taken, in order: the first `most`."""
    kind: type[IPv4Address | IPv6Address] = IPv4Address if net.family == 4 else IPv6Address
    found: list[Net] = []
    for first, last in gaps(within or net.span, taken):
        for each in summarize_address_range(kind(first), kind(last)):
            found.append(Net(net.family, int(each.network_address), each.prefixlen))
            if len(found) == most:
                return found
    return found


# --- a space: one VRF and family --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A prefix in its tree. `children` are the prefixes directly inside, in order, each once."""

    net: Net
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None

    @property
    def depth(self) -> int:
        """How many prefixes it lies in."""
        steps, at = 0, self.parent
        while at is not None:
            steps, at = steps + 1, at.parent
        return steps


class Space:
    """The prefixes and the taken addresses of one VRF and family. Never changes once made."""

    def __init__(self, nets: Iterable[Net], addresses: Iterable[int]) -> None:
        self.addresses: Sequence[int] = sorted(set(addresses))
        self.nodes: dict[Net, Node] = {}
        self.roots: list[Node] = []
        open_: list[Node] = []
        for net in sorted(set(nets)):
            node = Node(net)
            while open_ and not open_[-1].net.contains(net):
                open_.pop()
            if open_:
                node.parent = open_[-1]
                open_[-1].children.append(node)
            else:
                self.roots.append(node)
            open_.append(node)
            self.nodes[net] = node

    def between(self, span: Span) -> Sequence[int]:
        """Return the taken addresses of a span, in order."""
        return self.addresses[bisect_left(self.addresses, span[0]) : bisect_right(self.addresses, span[1])]

    def count(self, span: Span) -> int:
        """Return how many addresses of a span are taken one by one."""
        return bisect_right(self.addresses, span[1]) - bisect_left(self.addresses, span[0])

    def taken(self, node: Node) -> Iterator[Span]:
        """Give what is taken in a prefix, in order: prefixes directly inside as a whole, other addresses singly."""
        at = node.net.start
        for child in node.children:
            yield from ((each, each) for each in self.between((at, child.net.start - 1)))
            yield child.net.span
            at = child.net.end + 1
        yield from ((each, each) for each in self.between((at, node.net.end)))

    def used(self, node: Node, *, pool: bool = False) -> int:
        """Return how many usable addresses are taken: those of prefixes inside as a whole, and others one by one."""
        first, last = usable(node.net, pool=pool)
        found = self.count((first, last))
        for child in node.children:
            span = (max(first, child.net.start), min(last, child.net.end))
            found += max(0, span[1] - span[0] + 1) - (self.count(span) if span[0] <= span[1] else 0)
        return found

    def chain(self, net: Net) -> list[Node]:
        """Return the prefixes that contain `net` (itself, when it is one), the widest first."""
        found = (self.nodes.get(each) for each in candidates(net.family, net.start, net.length))
        return [node for node in found if node is not None]

    def outside(self) -> list[int]:
        """Return the taken addresses that lie in no prefix, in order."""
        found: list[int] = []
        for span in _around([node.net.span for node in self.roots]):
            found += self.between(span)
        return found

    def walk(self) -> Iterator[Node]:
        """Give every prefix in order, each before those inside it."""
        yield from self.nodes.values()


def _around(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans between these, which are in order and apart; before the first and after the last, too."""
    return gaps((0, (1 << 128) - 1), spans)


def usable_count(net: Net, *, pool: bool = False) -> int:
    """Return how many addresses things may have."""
    first, last = usable(net, pool=pool)
    return last - first + 1


def percent(used: int, of: int) -> float:
    """Return used of usable in percent with one decimal; never 100 while something is free, nor 0 while not."""
    if of <= 0 or used <= 0:
        return 0.0
    if used >= of:
        return 100.0
    # in tenths by whole numbers: an IPv6 /32 has more addresses than a float has digits
    return min(max(used * 1000 // of, 1), 999) / 10


def is_ours(family: int, number: int) -> bool:
    """Tell whether an address a thing reports is one of a plan: not loopback, link-local, multicast or unspecified."""
    found = ip_address(address_text(family, number))
    return not (found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified)
