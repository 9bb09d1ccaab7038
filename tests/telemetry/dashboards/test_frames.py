from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import PROPERTY
from tongchou.telemetry.dashboards.frames import as_json, heat, joined


def test_answers_are_joined_by_their_labels_without_the_name() -> None:
    a = [({"__name__": "a", "host": "x"}, 1.0), ({"__name__": "a", "host": "y"}, float("nan"))]
    b = [({"__name__": "b", "host": "y"}, 3.0), ({"host": "z", "disk": "d"}, 4.0)]
    found = joined([a, b], most=10)
    assert as_json(found) == {
        "labels": ["disk", "host"],
        "rows": [["d", "z", None, 4.0], ["", "x", 1.0, None], ["", "y", None, 3.0]],
        "dropped": 0,
    }
    assert joined([a, b], most=1).dropped == 2


@PROPERTY
@given(st.lists(st.lists(st.floats(0, 1e6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_bands_add_up_to_the_whole_histogram(counts: list[list[float]]) -> None:
    bounds = [float(at + 1) for at in range(len(counts) - 1)] + [float("inf")]
    total = [0.0] * 3
    series = []
    for bound, band in zip(bounds, counts, strict=True):
        total = [a + b for a, b in zip(total, band, strict=True)]
        series.append(({"le": "+Inf" if bound == float("inf") else str(bound)}, list(total)))
    found = heat(series[::-1])
    assert list(found.bounds) == bounds
    for at in range(3):
        assert abs(sum(band[at] or 0 for band in found.counts) - total[at]) <= 1e-6 * max(1, total[at])
        assert all((band[at] or 0) >= 0 for band in found.counts)


def test_buckets_that_run_backwards_or_miss_and_what_is_no_bucket() -> None:
    found = heat(
        [
            ({"le": "1"}, [5.0, None]),
            ({"le": "2"}, [3.0, 4.0]),
            ({"le": "+Inf"}, [9.0, 6.0]),
            ({}, [1.0, 1.0]),
            ({"le": "x"}, [1.0, 1.0]),
        ]
    )
    assert found.bounds == (1.0, 2.0, float("inf"))
    assert found.counts == ([5.0, None], [0.0, 4.0], [4.0, 2.0])
    assert heat([({"le": "1"}, [1.0]), ({"le": "1.0"}, [2.0])]).counts == ([3.0],)
