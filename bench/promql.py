"""Ten PromQL expressions over 2,000 and 20,000 series x 6 h through HTTP, beside the peers on the same samples.

BENCH_SCALES=1 asks for 2,000 series only, BENCH_PEERS=none for no peers. Loading 20,000 takes some minutes: 28.8 million
samples into each server. Fails when ten times the series cost more than twelve times as much.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bench._stream import all_labels, values, write_requests
from bench._telemetry import Server, prometheus, send, tongchou, victoria

HOURS, STEP_MS, REPEATS = 6, 15_000, 5
PEERS = () if os.environ.get("BENCH_PEERS") == "none" else (prometheus, victoria)
MOST_GROWTH = 1.2  # of the time, to that of the series: ten times as many at most twelve times as long
SCALES = [int(each) for each in os.environ.get("BENCH_SCALES", "1,10").split(",")]
EXPRESSIONS = [
    "node_memory_used_bytes",
    'http_requests_total{instance="host-7"}',
    "sum(rate(http_requests_total[5m]))",
    "sum by (instance) (rate(http_requests_total[5m]))",
    'sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))',
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "topk(3, sum by (path) (rate(http_requests_total[5m])))",
    "avg_over_time(node_memory_used_bytes[30m])",
    "max by (instance) (node_memory_used_bytes) > 5e8",
    "count by (job) (node_memory_used_bytes)",
]
# (median of the repeats, first time, the server's processor time of one) in milliseconds
Times = tuple[float, float, float]
FORMS: dict[str, tuple[int, int] | None] = {
    "instant": None,
    "1 h, step 15 s": (3600, 15),
    "6 h, step 60 s": (6 * 3600, 60),
}


def load(server: Server, scale: int, end_ms: int) -> float:
    """Send the samples in order of time; return the seconds it took."""
    labels, kinds = all_labels(scale)
    steps = HOURS * 3_600_000 // STEP_MS
    times = end_ms - (steps - 1 - np.arange(steps)) * STEP_MS
    return send(server, [list(write_requests(labels, times, values(kinds, steps), per_request=10))])


def ask(server: Server, end: float) -> dict[str, list[Times]]:
    """The times of every expression, by form."""
    connection = server.connection()
    found: dict[str, list[Times]] = {}
    for form, span in FORMS.items():
        for expression in EXPRESSIONS:
            took, cpu = [], server.cpu_seconds()
            for _repeat in range(REPEATS + 1):
                began = time.perf_counter()
                if span is None:
                    body = server.get(connection, "query", query=expression, time=end)
                else:
                    body = server.get(
                        connection, "query_range", query=expression, start=end - span[0], end=end, step=span[1]
                    )
                took.append((time.perf_counter() - began) * 1000)
            spent = (server.cpu_seconds() - cpu) * 1000 / len(took)
            if not json.loads(body)["data"]["result"]:
                raise RuntimeError(f"{server.name} found nothing for {expression}")
            found.setdefault(form, []).append((statistics.median(took[1:]), took[0], spent))
    return found


def report(results: dict[str, dict[str, list[Times]]]) -> None:
    """Every expression, and the geometric means of the ratios to each peer."""
    names = list(results)
    for form in FORMS:
        print(f"\n{form:<92}" + "".join(f"{name:>14}" for name in names))
        for at, expression in enumerate(EXPRESSIONS):
            print(f"{expression:<92}" + "".join(f"{results[name][form][at][0]:>11.1f} ms" for name in names))
        for which, word in ((0, "repeated"), (1, "first")):
            for peer in names[1:]:
                pairs = zip(results["tongchou"][form], results[peer][form], strict=True)
                ratio = statistics.geometric_mean([ours[which] / theirs[which] for ours, theirs in pairs])
                print(f"geometric mean to {peer}, {word} queries: {ratio:.2f}x")


def growth(found: dict[int, dict[str, list[Times]]]) -> float:
    """The worst ratio of growth in processor time to growth in series, of any form.

    Processor time, for what else the machine does lengthens long queries more than short ones. An expression that finds
    as many series at every scale is left out.
    """
    small, large = min(found), max(found)
    worst = 0.0
    for form in FORMS:
        counted = [at for at, expression in enumerate(EXPRESSIONS) if "host-7" not in expression]
        least, most = (sum(found[scale][form][at][2] for at in counted) for scale in (small, large))
        times = most / max(least, 10.0)  # the clock's tick
        print(f"{form}: {large // small} times the series take {most:.0f} ms for {least:.0f} ms: {times:.1f} times")
        worst = max(worst, times / (large / small))
    return worst


def main() -> int:
    ours: dict[int, dict[str, list[Times]]] = {}
    for scale in SCALES:
        print(f"\n{2000 * scale:,} series x {HOURS} h, {STEP_MS // 1000} s apart; median of {REPEATS}")
        end_ms = int(time.time()) * 1000
        results: dict[str, dict[str, list[Times]]] = {}
        with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
            for opened in (tongchou, *PEERS):
                with opened(Path(tempfile.mkdtemp(dir=folder))) as server:
                    if server is None:
                        continue
                    took = load(server, scale, end_ms)
                    time.sleep(5)  # what is written in the background is written
                    loaded = server.rss_mb()
                    results[server.name] = ask(server, end_ms / 1000)
                    print(
                        f"{server.name}: loaded in {took:.1f} s; resident {loaded:.0f} MB then,"
                        f" {server.rss_mb():.0f} MB after the queries",
                        flush=True,
                    )
        report(results)
        ours[scale] = results["tongchou"]
    if len(ours) > 1 and growth(ours) > MOST_GROWTH:
        print(f"more than {MOST_GROWTH:g} times the growth in series")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
