"""Exponential histograms as classic buckets, against counting the observations themselves."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.otlp.classic import MAX_CLASSIC_BUCKETS, cumulative, problem
from tongchou.wire.otlp_metrics import Buckets, Point

magnitudes = st.floats(1e-6, 1e6)


def index_of(value, scale):
    """The bucket of a value, by definition: base^index < value <= base^(index + 1)."""
    index = math.ceil(math.log2(value) * 2.0**scale) - 1
    while 2.0 ** (index * 2.0**-scale) >= value:
        index -= 1
    while 2.0 ** ((index + 1) * 2.0**-scale) < value:
        index += 1
    return index


def buckets(values, scale):
    found = Counter(index_of(value, scale) for value in values)
    if not found:
        return Buckets()
    low, high = min(found), max(found)
    if high - low > 1900:
        return None
    return Buckets(low, [found[at] for at in range(low, high + 1)])


@given(st.lists(magnitudes, max_size=20), st.lists(magnitudes, max_size=5), st.integers(0, 3), st.integers(-3, 6))
def test_every_bucket_counts_the_observations_up_to_its_edge(above, below, zeros, scale):
    positive, negative = buckets(above, scale), buckets(below, scale)
    if positive is None or negative is None:
        return
    point = Point(
        count=len(above) + len(below) + zeros, scale=scale, zero_count=zeros, positive=positive, negative=negative
    )
    found = cumulative(point)
    observed = [*above, *([0.0] * zeros), *(-each for each in below)]
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(found.values())
    assert found[0.0] == len(below) + zeros
    for edge, count in found.items():
        if edge >= 0:
            assert count == sum(each <= edge for each in observed), edge
        else:
            assert sum(each < edge for each in observed) <= count <= sum(each <= edge for each in observed), edge
    assert not observed or max(found.values()) == len(observed)
    assert len(found) <= MAX_CLASSIC_BUCKETS + 1
    edges = [each for each in found if each > 0]
    assert all(high / low >= math.sqrt(2) * 0.999 for low, high in itertools.pairwise(edges))


def test_what_the_specification_gives_as_an_example():
    # scale 1: (1, 1.41] has 2, (1.41, 2] has 3; a zero bucket up to 0.5
    point = Point(count=6, scale=1, zero_count=1, zero_threshold=0.5, positive=Buckets(0, [2, 3]))
    assert cumulative(point) == {0.5: 1.0, 2**0.5: 3.0, 2.0: 6.0}


def test_counts_never_fall_where_buckets_lie_within_the_zero_bucket():
    point = Point(
        count=8, scale=0, zero_count=4, zero_threshold=3.0, positive=Buckets(0, [1, 2]), negative=Buckets(0, [1])
    )
    assert cumulative(point) == {-1.0: 1.0, 2.0: 2.0, 3.0: 6.0, 4.0: 8.0}


def test_edges_that_are_too_small_for_a_float_are_one_with_zero():
    tiny = Buckets(-1200, [3])
    found = cumulative(Point(count=7, scale=0, zero_count=1, positive=tiny, negative=tiny))
    assert found == {0.0: 7.0}
    assert str(next(iter(found))) == "0.0"


@pytest.mark.parametrize("offset", [-(2**31), 2**31 - 1])
@pytest.mark.parametrize("scale", [-10, 0, 20])
def test_edges_beyond_a_float_are_left_to_infinity(offset, scale):
    point = Point(count=4, scale=scale, positive=Buckets(offset, [1, 1]), negative=Buckets(offset, [1, 1]))
    found = cumulative(point)
    assert all(math.isfinite(edge) for edge in found)
    assert list(found.values()) == sorted(found.values())


def test_a_wide_range_takes_coarser_buckets():
    point = Point(count=1500, scale=1, positive=Buckets(-700, [1] * 1500))
    found = cumulative(point)
    assert len(found) <= MAX_CLASSIC_BUCKETS + 1
    assert max(found.values()) == 1500


def test_scales_and_thresholds_that_cannot_be():
    assert "scale" in problem(Point(scale=21))
    assert "scale" in problem(Point(scale=-11))
    assert "threshold" in problem(Point(zero_threshold=-1.0))
    assert "threshold" in problem(Point(zero_threshold=math.nan))
    assert problem(Point(scale=20)) == ""
