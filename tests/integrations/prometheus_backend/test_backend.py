"""Metrics of a real Prometheus and a real VictoriaMetrics, read as a backend: the same as those of the own store."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests.integrations.prometheus_backend import peers
from tests.served import free_port
from tongchou.core.access import system
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.prometheus_backend import client as client_module
from tongchou.integrations.prometheus_backend.backend import BACKEND, PrometheusBackend
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.metrics import Joined, metrics
from tongchou.telemetry.ports import Limits, RemoteBackend
from tongchou.telemetry.promql.evaluate import instant, range_
from tongchou.telemetry.series import STALE_NAN, Matcher, SeriesBlock, is_stale, labels_of

KINDS = ("remote_read", "export")
SPAN_MS = 50 * 60_000
ALL = [Matcher("__name__", "=~", "shop_.+")]
EXPRESSIONS = [
    "shop_requests_total",
    'shop_requests_total{code=~"5.."}',
    "sum by (code) (rate(shop_requests_total[5m]))",
    "increase(shop_requests_total[10m])",
    "max_over_time(shop_depth[7m])",
    "count_over_time(shop_depth[5m])",
    "shop_depth offset 3m",
    "changes(shop_depth[10m])",
    "quantile_over_time(0.9, shop_depth[10m])",
    "max by (code) (shop_depth)",
    "absent(shop_nothing)",
    "shop_depth > 20 or shop_requests_total",
    'label_replace(shop_depth{i!="1"}, "x", "$1", "i", "(.*)")',
    "deriv(shop_depth[15m])",
    "max_over_time(rate(shop_requests_total[2m])[10m:1m])",
]


@pytest.fixture(scope="module", params=KINDS)
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, httpx.Client]]:
    """A server with the samples of `history`, and the way its samples are read."""
    with peers.server(request.param, tmp_path_factory.mktemp("peer")) as client:
        peers.write(client, HISTORY)
        yield request.param, client


@pytest.fixture
def remote(peer: tuple[str, httpx.Client], settings) -> PrometheusBackend:
    """A backend that reads that server."""
    settings.PROMETHEUS_URL = str(peer[1].base_url).rstrip("/")
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    return PrometheusBackend()


def history() -> dict:
    """Counters with resets, gauges with gaps, staleness markers, zeros, fractions and infinities, of the last 50 min."""
    rng, end, made = random.Random(5), int(time.time() * 1000) - 60_000, {}
    for number in range(8):
        counter, value, at = number < 5, 0.0, end - SPAN_MS + rng.randrange(15_000)
        name = "shop_requests_total" if counter else "shop_depth"
        labels = labels_of({"__name__": name, "i": str(number), "code": ("200", "500")[number % 2], "quote": 'a"b\\c'})
        samples = made[labels] = {}
        while at < end:
            if rng.random() < 0.02:
                samples[at] = STALE_NAN
                at += rng.randrange(60_000, 400_000)
            elif rng.random() < 0.01:
                value = 0.0
            value = value + rng.randrange(9) if counter else rng.choice([0.0, float(rng.randrange(50)), 0.125])
            if number == 7 and rng.random() < 0.05:
                value = float("inf")
            samples[at] = samples.get(at, value)
            at += 15_000 + rng.randrange(-40, 40)
    return made


HISTORY = history()
END = max(max(each) for each in HISTORY.values())
START = END - SPAN_MS


def keep_own(telemetry: Telemetry) -> None:
    rows = [(labels, sorted(samples), [samples[at] for at in sorted(samples)]) for labels, samples in HISTORY.items()]
    assert append(SeriesBlock.build(rows), actor=system("tests")).refused.total == 0


def as_dict(block: SeriesBlock) -> dict:
    return {
        labels: dict(zip(*(each.tolist() for each in block.samples(at)), strict=True))
        for at, labels in enumerate(block.labels)
    }


def lines(query: str, backend, start: int, end: int) -> dict:
    result = range_(query, start, end, 60_000, backend=backend)
    return {labels: dict(zip(ts.tolist(), v.tolist(), strict=True)) for labels, ts, v in result.lines()}


def same(ours: dict, theirs: dict, what: str) -> None:
    assert ours.keys() == theirs.keys(), what
    for labels, points in ours.items():
        assert points.keys() == theirs[labels].keys(), (what, labels)
        np.testing.assert_allclose(list(theirs[labels].values()), list(points.values()), rtol=1e-9, err_msg=what)


def test_every_sample_comes_over_with_its_time_and_its_staleness(remote: PrometheusBackend, peer) -> None:
    block = remote.select(ALL, 0, END + 1000, limits=Limits())
    assert remote.way() == peer[0]
    found = as_dict(block)
    same({labels: dict(sorted(samples.items())) for labels, samples in HISTORY.items()}, found, "samples")
    markers = sum(int(is_stale(np.array(list(samples.values()))).sum()) for samples in HISTORY.values())
    assert markers > 0
    assert int(is_stale(block.v).sum()) == markers


def test_the_interval_is_closed_on_both_sides(remote: PrometheusBackend) -> None:
    labels, samples = next(iter(HISTORY.items()))
    times = sorted(samples)
    matchers = [Matcher(name, "=", value) for name, value in labels]
    for low, high in ((3, 9), (5, 5)):
        found = remote.select(matchers, times[low], times[high], limits=Limits())
        assert found.ts.tolist() == times[low : high + 1]
        outside = remote.select(matchers, times[low] + 1, times[high + 1] - 1, limits=Limits())
        assert outside.ts.tolist() == times[low + 1 : high + 1]


def test_promql_over_it_equals_promql_over_the_own_store(remote: PrometheusBackend, telemetry_db: Telemetry) -> None:
    keep_own(telemetry_db)
    for query in EXPRESSIONS:
        span = START + 16 * 60_000, END + 6 * 60_000
        ours = lines(query, telemetry_db, *span)
        assert ours, query
        same(ours, lines(query, remote, *span), query)


def test_parts_that_are_too_large_are_read_in_halves(remote: PrometheusBackend, monkeypatch) -> None:
    whole = remote.select(ALL, START, END, limits=Limits())
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 9000)
    assert as_dict(remote.select(ALL, START, END, limits=Limits())).keys() == as_dict(whole).keys()
    same(as_dict(whole), as_dict(remote.select(ALL, START, END, limits=Limits())), "halves")
    with pytest.raises(Invalid, match="limit_exceeded"):
        remote.select(ALL, START, END, limits=Limits(max_samples=100))
    with pytest.raises(Invalid, match="limit_exceeded"):
        remote.select(ALL, START, END, limits=Limits(max_series=3))


def test_a_server_that_only_answers_queries_gives_all_but_the_markers(remote: PrometheusBackend, monkeypatch) -> None:
    monkeypatch.setattr(remote, "_ways", {"query": remote._query})
    found = as_dict(remote.select(ALL, START, END, limits=Limits()))
    wanted = {
        labels: {at: v for at, v in sorted(samples.items()) if at >= START and not np.isnan(v)}
        for labels, samples in HISTORY.items()
    }
    found = {labels: {at: v for at, v in samples.items() if not np.isnan(v)} for labels, samples in found.items()}
    same(wanted, found, "query")


def test_labels_are_those_of_its_series(remote: PrometheusBackend) -> None:
    span = (START, END)
    assert sorted(HISTORY) == remote.series([ALL], *span, limits=Limits())
    assert remote.label_names([ALL], *span, limits=Limits()) == ["__name__", "code", "i", "quote"]
    assert remote.label_values("i", [[Matcher("__name__", "=", "shop_depth")]], *span, limits=Limits()) == [
        "5",
        "6",
        "7",
    ]
    assert "shop_depth" in remote.label_values("__name__", [], *span, limits=Limits())


def test_own_series_and_its_are_one_and_own_ones_win(
    remote: PrometheusBackend, telemetry_db: Telemetry, settings
) -> None:
    assert isinstance(BACKEND, RemoteBackend)
    both = metrics()
    assert isinstance(both, Joined)
    labels, samples = next(each for each in HISTORY.items() if dict(each[0])["__name__"] == "shop_depth")
    at = max(samples)
    mine = labels_of({"__name__": "shop_depth", "i": "own"})
    append(SeriesBlock.build([(mine, [at], [1.0]), (labels, [at], [777.0])]), actor=system("tests"))
    found = as_dict(both.select([Matcher("__name__", "=", "shop_depth")], START, END, limits=Limits()))
    assert found[mine] == {at: 1.0}
    assert found[labels] == {at: 777.0}
    assert len(found) == 4
    assert "own" in both.label_values("i", [], START, END, limits=Limits())
    assert both.series([[Matcher("i", "=", "own")]], START, END, limits=Limits()) == [mine]
    settings.PROMETHEUS_URL = ""
    assert metrics() is telemetry_db


def test_a_dead_server_is_told_at_once_and_own_state_is_still_seen(telemetry_db: Telemetry, settings) -> None:
    settings.PROMETHEUS_URL = f"http://127.0.0.1:{free_port()}"
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    both = Joined(telemetry_db, PrometheusBackend())
    now = telemetry_db.clock()
    with pytest.raises(Unavailable, match="remote_failed"):
        instant("up", now, backend=both)
    began = time.monotonic()
    for _again in range(50):
        with pytest.raises(Unavailable):
            instant("up", now, backend=both)
    assert time.monotonic() - began < 2
    for query in ("ALERTS", "tongchou_up"):
        assert instant(query, now, backend=both).labels == []


def test_an_address_that_is_not_allowed_is_not_asked(telemetry_db: Telemetry, settings) -> None:
    settings.PROMETHEUS_URL = f"http://127.0.0.1:{free_port()}"
    settings.HTTP_ALLOW = []
    with pytest.raises(Unavailable, match="TONGCHOU_HTTP_ALLOW"):
        instant("up", telemetry_db.clock(), backend=PrometheusBackend())
