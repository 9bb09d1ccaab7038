"""Places in a rack agree with drawing every half unit of both faces on paper."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.inventory import rack_plan
from tongchou.inventory.rack_plan import FACES, Mount

FEW = settings(max_examples=80, deadline=None)
UNITS = 8
halves = st.integers(0, 8).map(lambda each: each / 2)


@st.composite
def racks(draw: st.DrawFn) -> list[Mount]:
    found = draw(
        st.lists(
            st.tuples(
                st.none() | st.integers(2, 20).map(lambda each: each / 2), halves, st.sampled_from(FACES), st.booleans()
            ),
            max_size=6,
        )
    )
    return [Mount(at, f"m{at}", *facts) for at, facts in enumerate(found)]


def drawn(mount: Mount) -> list[tuple[float, str]]:
    """Every half unit of it, as (lower edge, face)."""
    if mount.position is None:
        return []
    edges = [mount.position + step / 2 for step in range(int(mount.height * 2))]
    return [(edge, face) for edge in edges for face in (FACES if mount.full_depth else (mount.face,))]


@FEW
@given(racks(), halves, st.sampled_from(FACES), st.booleans())
def test_it_fits_exactly_where_all_its_places_are_free_and_inside(
    mounts: list[Mount], height: float, face: rack_plan.Face, full: bool
) -> None:
    taken = {place for mount in mounts for place in drawn(mount)}
    fitting = []
    for step in range(2, UNITS * 2 + 3):
        one = Mount("new", "new", step / 2, height, face, full)
        whole = (step / 2).is_integer() or not height.is_integer()
        if whole and step / 2 + height <= UNITS + 1 and not taken & set(drawn(one)):
            fitting.append(step / 2)
            assert rack_plan.inside(UNITS, one)
            assert not rack_plan.clashes(one, mounts)
        elif step / 2 + height <= UNITS + 1 and whole:
            assert rack_plan.clashes(one, mounts)
    wanted = Mount("new", "new", None, height, face, full)
    assert rack_plan.positions(UNITS, mounts, wanted) == fitting
    assert rack_plan.next_position(UNITS, mounts, wanted) == (fitting[0] if fitting else None)


@FEW
@given(racks())
def test_clashes_are_the_pairs_that_share_a_place(mounts: list[Mount]) -> None:
    pairs = [
        (one, other)
        for at, one in enumerate(mounts)
        for other in mounts[at + 1 :]
        if set(drawn(one)) & set(drawn(other))
    ]
    assert rack_plan.all_clashes(mounts) == pairs


@FEW
@given(racks())
def test_units_taken_and_free_runs_make_up_the_rack(mounts: list[Mount]) -> None:
    edges = Counter(edge for mount in mounts for edge, _face in set(drawn(mount)) if edge < UNITS + 1)
    assert rack_plan.units_taken(UNITS, mounts) == len(edges) / 2
    runs = rack_plan.free_runs(UNITS, mounts)
    assert sum(height for _position, height in runs) + len(edges) / 2 == UNITS
    assert all(edge not in edges for position, height in runs for edge in (position, position + height - 0.5))


def test_half_depth_things_share_a_unit_back_to_back() -> None:
    front = Mount(1, "patch panel", 10.0, 1.0, "front", full_depth=False)
    rear = Mount(2, "power strip", 10.0, 1.0, "rear", full_depth=False)
    assert not rack_plan.clashes(front, [rear])
    assert rack_plan.clashes(Mount(3, "server", 10.0), [front, rear]) == [front, rear]
    assert rack_plan.positions(10, [front], Mount(3, "server", None, 2.0))[-1] == 8.0
