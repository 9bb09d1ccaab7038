from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry import sources as module
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.sources import ACTIVE_MINUTES, OTHER, Sources

MINUTE = 60_000


class Clock:
    def __init__(self):
        self.ms = 1_790_000_000_000

    def __call__(self):
        return self.ms


def rows(*numbers):
    return np.array(numbers, np.int64)


MOVES = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from("abc"), st.lists(st.integers(0, 3000), min_size=1, max_size=6, unique=True)
    ),
    max_size=20,
)


@given(MOVES)
def test_a_series_is_the_last_senders_for_an_hour(moves):
    clock, last, sent = Clock(), {}, {}
    sources = Sources(clock)
    for minutes, name, numbers in moves:
        clock.ms += minutes * MINUTE
        now = clock.ms // MINUTE
        fresh = [row not in last or last[row][0] != name or last[row][1] <= now - ACTIVE_MINUTES for row in numbers]
        assert sources.inactive(name, rows(*numbers)).tolist() == fresh
        sources.seen(name, rows(*numbers), len(numbers))
        sent[name] = sent.get(name, 0) + len(numbers)
        last |= dict.fromkeys(numbers, (name, now))
        held = [owner for owner, at in last.values() if at > now - ACTIVE_MINUTES]
        known = {each.name: (each.active, each.samples) for each in sources.all()}
        assert {each: counts for each, counts in known.items() if counts[1]} == {
            each: (held.count(each), sent[each]) for each in sent
        }
        assert sources.active() == len(held)
        assert sources.room(name, 5) == max(0, 5 - held.count(name))
        assert sources.room(name, 0) > 10**9


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500)), max_size=40))
def test_over_any_time_a_source_sends_no_more_than_its_rate_a_minute_saved_and_one_message(steps):
    clock = Clock()
    sources = Sources(clock)
    start, taken, largest = clock.ms, 0, 0
    for pause, samples in steps:
        clock.ms += int(pause * 1000)
        if sources.spend("a", samples, 5):
            taken += samples
            largest = max(largest, samples)
        assert taken <= 5 * (clock.ms - start) / 1000 + 5 * 60 + largest
    clock.ms += 10 * MINUTE
    assert sources.spend("a", 300, 5)  # whoever waits may send again
    assert sources.spend("b", 10**9, 0)


def test_a_message_larger_than_a_minute_is_taken_once_and_waited_for():
    clock = Clock()
    sources = Sources(clock)
    assert sources.spend("a", 1000, 5)
    assert not sources.spend("a", 1, 5)
    clock.ms += 100_000
    assert not sources.spend("a", 1, 5)
    clock.ms += 50_000
    assert sources.spend("a", 1, 5)


def test_rejects_are_kept_by_reason_with_the_last_example():
    clock = Clock()
    sources = Sources(clock)
    sources.reject("a", Refusals({"bad": 2, "old": 1}, {"bad": "first", "old": ""}))
    clock.ms += 5
    sources.reject("a", Refusals({"bad": 3}, {"bad": "second"}))
    (source,) = sources.all()
    assert source.rejected_samples == 6
    held = source.rejected["bad"]
    assert (held.samples, held.example, held.at_ms) == (5, "second", clock.ms)
    assert source.rejected["old"].example == ""


def test_neither_sources_nor_reasons_grow_without_bound(monkeypatch):
    monkeypatch.setattr(module, "MAX_SOURCES", 3)
    monkeypatch.setattr(module, "MAX_REASONS", 3)
    sources = Sources(Clock())
    for number in range(10):
        sources.seen(f"source {number}", rows(number), 1)
        sources.reject("source 0", Refusals({f"reason {number}": 1}, {}))
    assert {each.name: each.active for each in sources.all()} == {
        "source 0": 1,
        "source 1": 1,
        "source 2": 1,
        OTHER: 7,
    }
    assert len(sources.all()[1].rejected) + len(sources.all()[0].rejected) <= 4 + 1
    assert sum(each.rejected_samples for each in sources.all()) == 10
