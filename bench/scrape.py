"""500 targets of 600 series each, scraped every 15 s: are the turns kept, and what does it cost, beside Prometheus.

BENCH_MINUTES (3) is how long each is watched, after a minute of warming up.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from bench._exporter import FAMILIES, SERIES_EACH, exporter, take_arrivals
from bench._telemetry import Server, prometheus, tongchou

TARGETS, INTERVAL_SECONDS = 500, 15
MINUTES = float(os.environ.get("BENCH_MINUTES", "3"))
WARM_SECONDS = 60
LATE_SECONDS, GOAL = 1.0, 0.99


def hosts() -> list[str]:
    return [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(TARGETS)]


def punctuality(arrivals: dict[str, list[float]]) -> tuple[float, float, int]:
    """(share of turns that were kept, lateness in seconds of the slowest hundredth, turns that were left out).

    A target's turn is the earliest moment within the interval at which it was ever asked.
    """
    late, left_out = [], round(MINUTES * 60 / INTERVAL_SECONDS) * (TARGETS - len(arrivals))
    for times in map(np.array, arrivals.values()):
        if len(times) < 2:
            left_out += 1
            continue
        turns = np.round((times - times[0]) / INTERVAL_SECONDS)
        off = times - times[0] - turns * INTERVAL_SECONDS
        late += (off - off.min()).tolist()
        left_out += int(turns[-1]) + 1 - len(times)
    kept = float(np.count_nonzero(np.array(late) <= LATE_SECONDS)) / (len(late) + left_out)
    return kept, float(np.percentile(late or [np.inf], 99)), left_out


def watch(server: Server, port: int, begin: Callable[[], None]) -> float:
    """Print what was seen; return the share of turns that were kept."""
    begin()
    time.sleep(WARM_SECONDS)
    take_arrivals(port)
    cpu, began = server.cpu_seconds(), time.monotonic()
    time.sleep(MINUTES * 60)
    spent = (server.cpu_seconds() - cpu) / (time.monotonic() - began)
    kept, late, left_out = punctuality(take_arrivals(port))
    found = {}
    for query in ('sum(up{job="bench"})', 'sum(scrape_samples_scraped{job="bench"})'):
        rows = json.loads(server.get(server.connection(), "query", query=query))["data"]["result"]
        found[query] = float(rows[0]["value"][1]) if rows else 0.0
    up, samples = found.values()
    print(
        f"{server.name}: {kept:.2%} of turns within {LATE_SECONDS:g} s, lateness p99 {late * 1000:.0f} ms, {left_out} left"
        f" out; {up:.0f} targets up, {samples:,.0f} samples a turn; {spent:.2f} CPU-s/s, {server.rss_mb():.0f} MB resident",
        flush=True,
    )
    if samples < TARGETS * FAMILIES * SERIES_EACH:
        print(f"{server.name} did not take every sample")
        return 0.0
    return kept


def register(server: Server, port: int) -> None:
    """Tell the platform of every target."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/api/v1", headers=server.headers, timeout=60) as client:
        made = client.post("/resources", json={"kind": "host", "name": "bench"}).raise_for_status().json()
        for host in hosts():
            labels = {"job": "bench", "instance": host}
            body = {"url": f"http://{host}:{port}/metrics", "labels": labels, "interval_seconds": INTERVAL_SECONDS}
            client.post(f"/resources/{made['id']}/endpoints", json=body).raise_for_status()


def config(port: int) -> str:
    """The same targets for Prometheus."""
    targets = json.dumps([f"{host}:{port}" for host in hosts()])
    return (
        f"global: {{scrape_interval: {INTERVAL_SECONDS}s, scrape_timeout: 10s}}\n"
        f"scrape_configs:\n- job_name: bench\n  static_configs:\n  - targets: {targets}\n"
    )


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        with exporter() as port, tongchou(Path(folder)) as ours:
            kept = watch(ours, port, lambda: register(ours, port))
        with exporter() as port, prometheus(Path(folder), config=config(port)) as peer:
            if peer is not None:
                watch(peer, port, lambda: None)
    if kept < GOAL:
        print(f"fewer than {GOAL:.0%} of the turns were kept")
    return 1 if kept < GOAL else 0


if __name__ == "__main__":
    raise SystemExit(main())
