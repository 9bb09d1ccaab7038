from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.problems import TooMany
from tongchou.telemetry import scrape
from tongchou.telemetry.index import LabelIndex
from tongchou.telemetry.scrape import TargetSeries, first_due, full_labels, next_due, stamp_ms
from tongchou.telemetry.series import is_stale
from tongchou.wire.exposition import ExpositionError, parse

NOW = 1_790_000_000_000
TARGET = {"job": "shop", "instance": "a:1", "__meta_x": "dropped"}


class Written:
    """Turns batches back into what a reader would see."""

    def __init__(self, **limits):
        self.index = LabelIndex(**limits)
        self.series = TargetSeries(TARGET, self.index.row)

    def read(self, batch):
        got = {}
        labels = self.index.labels(batch.rows)
        for pairs, ts, v, stale in zip(labels, batch.ts.tolist(), batch.v.tolist(), is_stale(batch.v), strict=True):
            found = dict(pairs)
            name = found.pop("__name__")
            assert (found.pop("job"), found.pop("instance")) == ("shop", "a:1")
            got[(name, *sorted(found.items()))] = ("stale" if stale else v, ts)
        return got

    def scrape(self, text, at=NOW):
        return self.read(self.series.scraped(parse(text.encode()), at, 0.25))


def plain(got):
    return {key[0]: value for key, (value, _ts) in got.items() if len(key) == 1}


def test_a_scrape_writes_its_series_and_says_how_it_went():
    got = Written().scrape('a 1\nb{c="d"} 2\n')
    assert got[("a",)] == (1.0, NOW)
    assert got[("b", ("c", "d"))] == (2.0, NOW)
    assert plain(got) == {
        "a": 1.0,
        "up": 1.0,
        "scrape_duration_seconds": 0.25,
        "scrape_samples_scraped": 2.0,
        "scrape_samples_post_metric_relabeling": 2.0,
        "scrape_series_added": 2.0,
    }


def test_a_series_that_disappears_ends_once():
    written = Written()
    written.scrape("a 1\nb 2\n")
    second = written.scrape("a 1\n", NOW + 1000)
    assert second[("b",)] == ("stale", NOW + 1000)
    assert plain(second)["scrape_series_added"] == 0.0
    assert ("b",) not in written.scrape("a 1\n", NOW + 2000)


def test_a_failed_scrape_ends_everything_and_sets_up_to_zero():
    written = Written()
    written.scrape("a 1\n")
    got = plain(written.read(written.series.failed(NOW + 1000, 0.5)))
    assert got == {
        "a": "stale",
        "up": 0.0,
        "scrape_duration_seconds": 0.5,
        "scrape_samples_scraped": 0.0,
        "scrape_samples_post_metric_relabeling": 0.0,
        "scrape_series_added": 0.0,
    }
    again = plain(written.read(written.series.failed(NOW + 2000, 0.5)))
    assert "a" not in again
    assert plain(written.scrape("a 1\n", NOW + 3000))["scrape_series_added"] == 1.0


def test_when_a_target_goes_all_its_series_end():
    written = Written()
    written.scrape("a 1\n")
    got = plain(written.read(written.series.ended(NOW + 1000)))
    assert set(got.values()) == {"stale"}
    assert set(got) == {"a", *scrape._REPORTS}


def test_series_with_their_own_time_are_not_ended():
    written = Written()
    assert written.scrape(f"a 1 {NOW - 5000}\n")[("a",)] == (1.0, NOW - 5000)
    assert ("a",) not in written.scrape("b 1\n", NOW + 1000)


def test_target_labels_win_and_the_metrics_own_move_aside():
    got = dict(full_labels([("__name__", "m"), ("job", "own"), ("exported_job", "x")], {"job": "shop"}))
    assert got == {"__name__": "m", "job": "shop", "exported_job": "x", "exported_exported_job": "own"}


def test_of_a_series_given_twice_the_first_counts():
    got = Written().scrape('a{x="1",y="2"} 1\na{y="2",x="1"} 2\n')
    assert got[("a", ("x", "1"), ("y", "2"))] == (1.0, NOW)
    assert got[("scrape_samples_scraped",)][0] == 2.0
    assert got[("scrape_samples_post_metric_relabeling",)][0] == 1.0


def test_series_over_a_limit_are_refused_and_the_rest_is_kept(monkeypatch):
    written = Written(max_series=6)
    batch = written.series.scraped(parse(b"a 1\nb 1\n"), NOW, 0.1)
    assert list(batch.refused.values()) == [1]
    assert plain(written.read(batch))["a"] == 1.0
    monkeypatch.setattr(scrape, "MAX_SERIES_PER_TARGET", 1)
    with pytest.raises(ExpositionError, match="more than 1"):
        written.scrape("a 1\nb 1\n")
    with pytest.raises(TooMany):
        written.index.row((("__name__", "c"),))


def test_texts_of_vanished_series_do_not_pile_up():
    written = Written()
    for number in range(3000):
        written.scrape(f'a{{n="{number}"}} 1\n', NOW + number)
    assert len(written.series._rows) <= 1100


@given(st.text(max_size=30), st.floats(0.2, 3600), st.floats(1e9, 2e9))
def test_turns_are_stable_and_not_past(key, interval, now):
    due = first_due(key, interval, now)
    assert now <= due <= now + interval * 1.000001
    assert first_due(key, interval, due + interval / 2) == pytest.approx(due + interval)
    late = next_due(due, interval, due + 2.5 * interval)
    assert late == pytest.approx(due + 3 * interval)
    assert next_due(due, interval, due) == pytest.approx(due + interval)


def test_targets_are_spread_over_the_interval():
    turns = [first_due(f"http://host:{port}/metrics", 10.0, 0.0) for port in range(1000)]
    counts, _edges = np.histogram(turns, bins=10, range=(0, 10))
    assert counts.min() > 60


def test_samples_carry_the_turn_when_we_were_nearly_on_time():
    assert stamp_ms(100.0, 100.0015, 1.0) == 100_000
    assert stamp_ms(100.0, 100.14, 15.0) == 100_000
    assert stamp_ms(100.0, 100.5, 1.0) == 100_500
    assert stamp_ms(100.0, 99.99, 1.0) == 99_990
