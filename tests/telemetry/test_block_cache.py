from __future__ import annotations

import numpy as np

from tongchou.telemetry.block_cache import BUCKET_MS, BlockCache
from tongchou.telemetry.series import SeriesBlock

ROWS = np.array([4, 7])


def block(samples=100):
    ts = np.tile(np.arange(samples), 2)
    return SeriesBlock([(), ()], np.array([0, samples, 2 * samples]), ts, np.zeros(2 * samples))


def filled(max_bytes=1_000_000, buckets=(1, 2, 3)):
    cache = BlockCache(max_bytes=max_bytes)
    versions = cache.versions(buckets)
    for bucket in buckets:
        cache.put((9, bucket), versions[bucket], ROWS, block())
    return cache


def test_a_late_sample_takes_the_blocks_of_its_bucket_away():
    cache = filled()
    cache.forget(np.array([2 * BUCKET_MS, 90 * BUCKET_MS]))
    assert [cache.get((9, bucket)) is None for bucket in (1, 2, 3)] == [False, True, False]


def test_a_block_read_before_a_late_sample_came_is_not_kept():
    cache = BlockCache(max_bytes=1_000_000)
    version = cache.versions([5])[5]
    cache.forget(np.array([5 * BUCKET_MS + 1]))
    cache.put((9, 5), version, ROWS, block())
    assert cache.get((9, 5)) is None
    version = cache.versions([5])[5]
    cache.clear()
    cache.put((9, 5), version, ROWS, block())
    assert cache.get((9, 5)) is None


def test_the_cap_holds_and_what_was_used_longest_ago_goes_first():
    cache = filled(max_bytes=40_000, buckets=range(20))
    assert 20_000 < cache.bytes_used <= 40_000
    assert cache.get((9, 0)) is None
    assert cache.get((9, 19)) is not None
    cache.forget(np.array([bucket * BUCKET_MS for bucket in range(20)]))
    assert cache.bytes_used == 0


def test_a_cache_of_nothing_keeps_nothing():
    cache = filled(max_bytes=0)
    assert cache.bytes_used == 0
    assert cache.get((9, 1)) is None
