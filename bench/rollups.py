"""Long ranges through HTTP: 30 days of 2,000 series at 60 s over rollups, beside Prometheus on the same samples.

BENCH_DAYS makes it shorter. Loading takes minutes: 86 million samples into both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench._stream import BUCKETS, all_labels, sample_fields, write_requests
from bench._telemetry import Server, prometheus, send
from tests.served import Served
from tongchou.wire.remote_write import encode_labels, encode_series

DAYS, SCRAPE_MS, REPEATS = int(os.environ.get("BENCH_DAYS", "30")), 60_000, 3
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
OFF_GRID_MS = 7_000  # no sample on the edge of a window: Prometheus 2 counts it to two windows
GOAL = 0.3
# (expression, days back, step in seconds)
QUERIES = [
    ("sum(rate(http_requests_total[1h]))", DAYS, 3600),
    ("sum by (instance) (rate(http_requests_total[1h]))", DAYS, 3600),
    ('sum(rate(http_requests_total{code=~"5.."}[1h])) / sum(rate(http_requests_total[1h]))', DAYS, 3600),
    ("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1h])))", DAYS, 3600),
    ("sum by (path) (increase(http_requests_total[1d]))", DAYS, 86_400),
    ("max by (instance) (max_over_time(node_memory_used_bytes[1h]))", DAYS, 3600),
    ("avg by (job) (avg_over_time(node_memory_used_bytes[6h]))", DAYS, 21_600),
    ("avg by (job) (node_memory_used_bytes)", DAYS, 3600),
    ('node_memory_used_bytes{instance="host-7"}', DAYS, 3600),
    ("sum(rate(http_requests_total[5m]))", min(7, DAYS), 300),
]


def _values(rng: np.random.Generator, steps: int) -> np.ndarray:
    """[series x steps] of `all_labels`: counters that are reset now and then, gauges."""
    labels, _kinds = all_labels(1)
    rates = np.array([5.0 + BUCKETS.index(dict(each)["le"]) if "le" in dict(each) else 10.0 for each in labels])
    counter = np.array([dict(each)["__name__"] != "node_memory_used_bytes" for each in labels])
    grown = rng.poisson(rates[:, None], (len(labels), steps)).astype(np.float64).cumsum(axis=1)
    resets = np.sort(rng.integers(0, steps, (len(labels), 3)), axis=1)
    for at in range(3):
        begun = np.arange(steps)[None, :] >= resets[:, at, None]
        grown -= begun * np.take_along_axis(grown, resets[:, at, None], axis=1)
    gauges = 4e8 + rng.integers(0, 10**8, (len(labels), steps)).astype(np.float64)
    return np.where(counter[:, None], grown, gauges)


def _days(end_ms: int) -> Iterator[list[bytes]]:
    """One remote_write message an hour, by days, oldest first."""
    labels, _kinds = all_labels(1)
    start = end_ms - DAYS * DAY_MS
    values = _values(np.random.default_rng(7), DAYS * DAY_MS // SCRAPE_MS)
    ts = start + OFF_GRID_MS + np.arange(values.shape[1], dtype=np.int64) * SCRAPE_MS
    probe = encode_series(encode_labels(labels[0]), [(int(ts[0]), float(values[0, 0]))])
    assert probe.endswith(sample_fields(ts[:1], values[:1, :1]).tobytes()), "the encoding of samples has changed"
    hour, day = HOUR_MS // SCRAPE_MS, DAY_MS // SCRAPE_MS
    for first in range(0, len(ts), day):
        part = slice(first, first + day)
        yield list(write_requests(labels, ts[part], values[:, part], per_request=hour))


def _load(server: Server, end_ms: int) -> None:
    took = sum(send(server, [messages]) for messages in _days(end_ms))
    print(f"{server.name}: {DAYS} d of 2,000 series sent in {took:.0f} s", flush=True)


def _settle(server: Server) -> None:
    """Wait until the server rests: what loading left to do must not be measured with the queries."""
    for _turn in range(100):
        before = server.cpu_seconds()
        time.sleep(3)
        if server.cpu_seconds() - before < 0.3:
            return


def _ask(server: Server, end: float) -> list[tuple[float, dict[str, list[tuple[float, float]]], list[str]]]:
    """(median ms, values by series, infos) of every query."""
    connection, found = server.connection(), []
    for expression, days, step in QUERIES:
        took = []
        for _repeat in range(REPEATS):
            began = time.perf_counter()
            body = server.get(
                connection, "query_range", query=expression, start=end - (days - 1) * 86_400, end=end, step=step
            )
            took.append((time.perf_counter() - began) * 1000)
        answer = json.loads(body)
        lines = {
            json.dumps(each["metric"], sort_keys=True): [(at, float(value)) for at, value in each["values"]]
            for each in answer["data"]["result"]
        }
        found.append((statistics.median(took), lines, answer.get("infos", [])))
    return found


def _differ(ours: dict[str, list[tuple[float, float]]], theirs: dict[str, list[tuple[float, float]]]) -> float:
    """The greatest relative difference; infinite where series or times differ."""
    worst = 0.0
    if ours.keys() != theirs.keys():
        return float("inf")
    for name, points in ours.items():
        a, b = np.array(points), np.array(theirs[name])
        if a.shape != b.shape or (a[:, 0] != b[:, 0]).any():
            return float("inf")
        worst = max(worst, float(np.nanmax(np.abs(a[:, 1] - b[:, 1]) / np.maximum(np.abs(b[:, 1]), 1e-12))))
    return worst


def _roll(folder: str) -> None:
    """Roll everything in a store that nobody serves (in a process of its own)."""
    import django  # this process is one of ours only when it was told a folder

    django.setup()
    from tongchou.telemetry import backend  # after setup

    telemetry = backend.backend()
    telemetry.rollups.lag_seconds = 0.0
    began, hours = time.monotonic(), 0
    while part := telemetry.rollups.roll_due():
        hours += part
    took = time.monotonic() - began
    telemetry.engine.execute(f"OPTIMIZE TABLE {telemetry.options.database}.samples")
    print(f"tongchou: {hours} hours rolled in {took:.0f} s; samples {telemetry.tables.sizes()['bytes'] / 1e6:.0f} MB,"
          f" rollups {telemetry.rollups.tables.sizes()['bytes'] / 1e6:.0f} MB", flush=True)  # fmt: skip
    backend.close()


def _ours(folder: Path, end_ms: int) -> list[tuple[float, dict[str, list[tuple[float, float]]], list[str]]]:
    served = Served(folder / "tongchou")

    def server() -> Server:
        served.start()
        assert served.process is not None
        headers = {"Authorization": f"Bearer {served.token}"}
        return Server("tongchou", served.port, served.process.pid, "/prometheus/api/v1", headers)

    try:
        _load(server(), end_ms)
        served.stop()
        environment = {**os.environ, "TONGCHOU_DATA": str(served.data), "DJANGO_SETTINGS_MODULE": "tongchou.settings"}
        subprocess.run([sys.executable, "-m", "bench.rollups", "roll", str(served.data)], env=environment, check=True)
        again = server()
        _settle(again)
        return _ask(again, end_ms / 1000)
    finally:
        if served.process is not None and served.process.poll() is None:
            served.stop()


def main() -> None:
    if sys.argv[1:2] == ["roll"]:
        _roll(sys.argv[2])
        return
    end_ms = (int(time.time() * 1000) // DAY_MS) * DAY_MS
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        ours = _ours(Path(folder), end_ms)
        theirs = None
        with prometheus(Path(folder), f"--storage.tsdb.retention.time={DAYS + 60}d") as server:
            if server is not None:
                _load(server, end_ms)
                _settle(server)
                theirs = _ask(server, end_ms / 1000)
    ratios = []
    print(f"\n{'expression':<92}{'tongchou':>12}{'prometheus':>12}{'ratio':>8}  differs by, read from")
    for at, (expression, days, step) in enumerate(QUERIES):
        mine, lines, infos = ours[at]
        row = f"{f'{expression}  {days} d / {step} s':<110}{mine:>9.0f} ms"
        if theirs is not None:
            ratios.append(mine / theirs[at][0])
            row += f"{theirs[at][0]:>9.0f} ms{ratios[-1]:>8.2f}  {_differ(lines, theirs[at][1]):.0e}"
        print(row, ", ".join(each for each in infos if each.startswith("resolution")))
    if ratios:
        mean = statistics.geometric_mean(ratios)
        print(f"geometric mean of the ratios {mean:.2f} (goal {GOAL}: {'met' if mean <= GOAL else 'missed'})")


if __name__ == "__main__":
    main()
