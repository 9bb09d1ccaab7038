"""Joining: what belongs to one outage joins with a reason, what does not opens its own incident."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents.correlate import Join, JoinPolicy, Member, OpenIncident, find

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
POLICY = JoinPolicy()
STOREFRONT, ORDERS, DATABASE, SEARCH, HOST = (UUID(int=n) for n in range(1, 6))
NAMES = {STOREFRONT: "storefront", ORDERS: "orders", DATABASE: "database", SEARCH: "search", HOST: "host"}
NEEDS = {
    STOREFRONT: {ORDERS: 1, DATABASE: 2, HOST: 1},
    ORDERS: {DATABASE: 1, HOST: 1},
    DATABASE: {HOST: 1},
    SEARCH: {HOST: 1},
}


def hops(a: UUID, b: UUID) -> int | None:
    """Steps from a to what it needs."""
    return NEEDS.get(a, {}).get(b)


def member(minutes: float, *resources: UUID) -> Member:
    """A group that began some minutes after the first."""
    return Member(START + timedelta(minutes=minutes), frozenset(resources))


def incident(number: int, *members: Member) -> OpenIncident:
    """An open incident of some groups."""
    return OpenIncident(UUID(int=100 + number), number, min(m.started_at for m in members), members)


def decide(group: Member, *incidents: OpenIncident, policy: JoinPolicy = POLICY) -> Join | None:
    """Decide about one group in the example's topology."""
    return find(group, incidents, hops, policy, NAMES)


def test_a_group_about_the_same_resource_joins() -> None:
    join = decide(member(3, ORDERS), incident(1, member(0, ORDERS)))
    assert join is not None
    assert (join.code, join.params) == ("shared_resource", {"name": "orders", "minutes": 3})


def test_a_caller_of_what_failed_joins_and_says_who_needs_whom() -> None:
    join = decide(member(1, STOREFRONT), incident(1, member(0, DATABASE)))
    assert join is not None
    assert (join.code, join.params) == (
        "needs",
        {"from_name": "storefront", "to_name": "database", "hops": 2, "minutes": 1},
    )


def test_the_cause_joins_when_its_victim_was_seen_first() -> None:
    join = decide(member(1, DATABASE), incident(1, member(0, STOREFRONT)))
    assert join is not None
    assert join.params["from_name"] == "storefront"


def test_two_independent_outages_do_not_join_though_they_share_a_host() -> None:
    assert decide(member(0, SEARCH), incident(1, member(0, ORDERS))) is None


def test_too_far_apart_in_time_does_not_join() -> None:
    assert decide(member(15, ORDERS), incident(1, member(0, ORDERS))) is not None
    assert decide(member(15.1, ORDERS), incident(1, member(0, ORDERS))) is None


def test_too_far_apart_in_the_graph_does_not_join() -> None:
    assert decide(member(0, STOREFRONT), incident(1, member(0, DATABASE)), policy=JoinPolicy(max_hops=1)) is None


def test_an_incident_is_not_extended_for_ever() -> None:
    chain = [member(14 * step, ORDERS) for step in range(5)]
    assert decide(member(56, ORDERS), incident(1, *chain)) is not None
    assert decide(member(61, ORDERS), incident(1, *chain)) is None


def test_a_group_about_nothing_known_opens_its_own() -> None:
    assert decide(member(0), incident(1, member(0, ORDERS))) is None


def test_the_nearest_incident_wins_then_the_oldest() -> None:
    near, far = incident(2, member(0, ORDERS)), incident(1, member(0, HOST))
    join = decide(member(0, ORDERS), far, near)
    assert join is not None
    assert join.incident == near.id
    join = decide(member(0, ORDERS), incident(4, member(0, ORDERS)), incident(3, member(0, ORDERS)))
    assert join is not None
    assert join.incident == UUID(int=103)


resources = st.frozensets(st.sampled_from(sorted(NAMES, key=str)), max_size=3)
members = st.builds(Member, st.integers(0, 5000).map(lambda s: START + timedelta(seconds=s)), resources)
incidents = st.lists(st.lists(members, min_size=1, max_size=3), max_size=4).map(
    lambda groups: [incident(number, *group) for number, group in enumerate(groups)]
)


@given(members, incidents, st.randoms(use_true_random=False))
def test_the_order_of_incidents_does_not_matter(
    group: Member, open_incidents: list[OpenIncident], shuffle: object
) -> None:
    other = list(open_incidents)
    shuffle.shuffle(other)  # type: ignore[attr-defined]  # hypothesis types its random as object here
    assert find(group, open_incidents, hops, POLICY, NAMES) == find(group, other, hops, POLICY, NAMES)


@given(members, incidents)
def test_who_joins_is_near_in_time_and_in_the_graph(group: Member, open_incidents: list[OpenIncident]) -> None:
    join = find(group, open_incidents, hops, POLICY, NAMES)
    if join is None:
        return
    joined = next(each for each in open_incidents if each.id == join.incident)
    assert abs(group.started_at - joined.started_at) <= POLICY.span
    near = [m for m in joined.members if abs(m.started_at - group.started_at) <= POLICY.window]
    assert any(a == b or hops(a, b) or hops(b, a) for m in near for a in m.resources for b in group.resources)
