from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import PROPERTY
from tongchou.telemetry.dashboards.layout import COLUMNS, Place, compact, fitted, height

PLACES = st.lists(
    st.builds(Place, st.integers(-5, 40), st.integers(-5, 60), st.integers(-2, 40), st.integers(-2, 70)), max_size=12
)


@PROPERTY
@given(PLACES)
def test_panels_float_up_without_overlap_and_stay_there(places: list[Place]) -> None:
    found = compact(places)
    assert compact(found) == found
    for at, each in enumerate(found):
        assert each.x >= 0
        assert each.x + each.w <= COLUMNS
        assert (each.x, each.w, each.h) == (fitted(places[at]).x, fitted(places[at]).w, fitted(places[at]).h)
        assert not any(each.meets(other) for other in found[:at])
        higher = Place(each.x, each.y - 1, each.w, each.h)
        assert each.y == 0 or any(higher.meets(other) for other in found if other is not each)
    assert height(found) == max((each.y + each.h for each in found), default=0)
