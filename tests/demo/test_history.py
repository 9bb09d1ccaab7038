"""The generated past: monotone counters, consistent histograms, exact encoding."""

from __future__ import annotations

import dataclasses
import itertools

import cramjam
import pytest

from tongchou.demo.history import BATCH_SAMPLES, Generator, Plan, requests
from tongchou.demo.shop.curve import phase_at, shape
from tongchou.wire.remote_write import decode

PLAN = Plan(end=1_800_000_000.0, day_seconds=3600.0, noon=1_800_000_000.0, visits_per_second=20.0, seed=5)


def named(name: str) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    return [
        (dict(labels), list(samples)) for labels, samples in Generator(PLAN).lines() if dict(labels)["__name__"] == name
    ]


def test_three_days_end_where_live_scraping_begins_in_even_steps() -> None:
    for _labels, samples in Generator(PLAN).lines():
        times = [at for at, _value in samples]
        assert times[-1] == 1_800_000_000_000
        assert len(times) == 3 * 3600 / 15
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {15_000}


def test_the_end_may_be_as_dense_as_live_scraping_at_the_same_rate() -> None:
    plan = dataclasses.replace(PLAN, dense_seconds=600.0, dense_step_seconds=1.0)
    samples = next(
        list(samples)
        for labels, samples in Generator(plan).lines()
        if dict(labels)["__name__"] == "shop_revenue_cny_total"
    )
    times = [at for at, _value in samples]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[-1] == 1_800_000_000_000
    assert set(steps[-600:]) == {1000}
    assert set(steps[:-600]) == {15_000}
    at = dict(samples)
    dense, sparse = at[times[-1]] - at[times[-601]], at[times[-601]] - at[times[-641]]
    expected = [
        sum(shape(phase_at(t / 1000, 3600.0, PLAN.noon)) for t in part) / len(part)
        for part in (times[-600:], times[-641:-601])
    ]
    assert dense / sparse == pytest.approx(expected[0] / expected[1], rel=0.2)


def test_counters_only_grow() -> None:
    counters = 0
    for labels, samples in Generator(PLAN).lines():
        name = dict(labels)["__name__"]
        if name.endswith(("_total", "_bucket", "_sum", "_count")):
            counters += 1
            values = [value for _at, value in samples]
            assert values == sorted(values), labels
            assert values[0] >= 0
    assert counters > 150


def test_buckets_are_cumulative_and_end_at_the_count() -> None:
    counts = {
        (labels["instance"], labels["route"], labels["method"]): samples
        for labels, samples in named("http_request_duration_seconds_count")
    }
    by_route: dict[tuple[str, str, str], list[tuple[float, list[tuple[int, float]]]]] = {}
    for labels, samples in named("http_request_duration_seconds_bucket"):
        key = (labels["instance"], labels["route"], labels["method"])
        by_route.setdefault(key, []).append((float(labels["le"]), samples))
    assert set(by_route) == set(counts)
    for key, buckets in by_route.items():
        buckets.sort()
        assert buckets[-1][0] == float("inf")
        assert buckets[-1][1] == counts[key]
        for at in range(0, len(counts[key]), 60):
            values = [samples[at][1] for _le, samples in buckets]
            assert values == sorted(values)


def test_revenue_follows_the_day() -> None:
    _labels, samples = named("shop_revenue_cny_total")[0]
    per_hour: list[float] = []
    for start in range(0, 240, 10):
        per_hour.append(samples[start + 9][1] - samples[start][1])
    expected = [shape(phase_at(samples[start][0] / 1000, 3600.0, PLAN.noon)) for start in range(0, 240, 10)]
    busiest, quietest = expected.index(max(expected)), expected.index(min(expected))
    assert per_hour[busiest] > 2 * per_hour[quietest]


def test_the_same_seed_gives_the_same_past_and_another_seed_another() -> None:
    again = [samples for _labels, samples in Generator(PLAN).lines()]
    assert again == [samples for _labels, samples in Generator(PLAN).lines()]
    other = Plan(PLAN.end, PLAN.day_seconds, PLAN.noon, PLAN.visits_per_second, seed=6)
    assert again != [samples for _labels, samples in Generator(other).lines()]


def test_requests_carry_every_sample_once() -> None:
    lines = {tuple(sorted(labels)): list(samples) for labels, samples in Generator(PLAN).lines()}
    sent: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for body, samples in requests(Generator(PLAN).lines()):
        decoded = decode(bytes(cramjam.snappy.decompress_raw(body)))
        assert samples == sum(len(series.samples) for series in decoded.series)
        assert samples < BATCH_SAMPLES * 1.1
        for series in decoded.series:
            assert tuple(series.labels) not in sent
            sent[tuple(series.labels)] = [(at, value) for at, value in series.samples]
    assert sent == lines


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.999, 1.25, -0.3])
def test_the_curve_is_periodic_and_never_silent(phase: float) -> None:
    assert shape(phase) == pytest.approx(shape(phase + 1))
    assert 0.2 < shape(phase) <= 1


def test_noon_is_half_past_the_day() -> None:
    assert phase_at(500.0, 3600.0, 500.0) == 0.5
    assert phase_at(500.0 + 900, 3600.0, 500.0) == 0.75
    assert max(shape(step / 1000) for step in range(1000)) == pytest.approx(1.0, abs=0.02)
