"""Ten PromQL expressions over 2,000 series x 6 h through HTTP, beside Prometheus on the same samples."""

from __future__ import annotations

import json
import math
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench._telemetry import Server, prometheus, send, tongchou
from tongchou.wire.remote_write import encode_labels, encode_series

HOURS, STEP_SECONDS, REPEATS = 6, 15, 5
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
FORMS = {"instant": None, "1 h, step 15 s": (3600, 15), "6 h, step 60 s": (6 * 3600, 60)}
BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]


def all_labels() -> list[list[tuple[str, str]]]:
    """2,000 series: counters by instance, path and code; a histogram by instance; gauges."""
    hosts = [f"host-{i}" for i in range(50)]
    counters = [
        [("__name__", "http_requests_total"), ("job", "shop"), ("instance", h), ("path", p), ("code", c)]
        for h in hosts
        for p in ("/", "/cart", "/pay", "/search", "/item")
        for c in ("200", "302", "404", "500")
    ]
    buckets = [
        [("__name__", "http_request_duration_seconds_bucket"), ("job", "shop"), ("instance", h), ("le", le)]
        for h in hosts
        for le in BUCKETS
    ]
    gauges = [
        [("__name__", "node_memory_used_bytes"), ("job", f"node-{i % 3}"), ("instance", h), ("kind", str(i))]
        for h in hosts
        for i in range(8)
    ]
    return counters + buckets + gauges


def messages(end_ms: int) -> list[bytes]:
    """The samples as remote_write messages in order of time (Prometheus takes none older than an hour)."""
    rng = random.Random(5)
    labels = all_labels()
    encoded = [encode_labels(each) for each in labels]
    steps = HOURS * 3600 // STEP_SECONDS
    start = end_ms - (steps - 1) * STEP_SECONDS * 1000
    values = [0.0] * len(labels)
    made = []
    for first in range(0, steps, 10):
        parts = []
        for at, pairs in enumerate(labels):
            samples = []
            for step in range(first, min(first + 10, steps)):
                name = pairs[0][1]
                if name == "http_requests_total":
                    values[at] += rng.randrange(20)
                elif name.endswith("_bucket"):
                    values[at] += 5 + BUCKETS.index(pairs[3][1])
                else:
                    values[at] = 4e8 + 2e8 * math.sin(step / 200 + at) + rng.randrange(10**6)
                samples.append((start + step * STEP_SECONDS * 1000, values[at]))
            parts.append(encode_series(encoded[at], samples))
        made.append(b"".join(parts))
    return made


def ask(server: Server, end: float) -> dict[str, list[float]]:
    """Median milliseconds of every expression, by form."""
    connection = server.connection()
    found: dict[str, list[float]] = {}
    for form, span in FORMS.items():
        for expression in EXPRESSIONS:
            took = []
            for _repeat in range(REPEATS):
                began = time.perf_counter()
                if span is None:
                    body = server.get(connection, "query", query=expression, time=end)
                else:
                    body = server.get(
                        connection, "query_range", query=expression, start=end - span[0], end=end, step=span[1]
                    )
                took.append((time.perf_counter() - began) * 1000)
            if not json.loads(body)["data"]["result"]:
                raise RuntimeError(f"{server.name} found nothing for {expression}")
            found.setdefault(form, []).append(statistics.median(took))
    return found


def main() -> None:
    end_ms = int(time.time()) * 1000
    made = messages(end_ms)
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        for opened in (tongchou, prometheus):
            with opened(Path(tempfile.mkdtemp(dir=folder))) as server:
                if server is None:
                    continue
                took = send(server, [made])
                print(f"{server.name}: 2,000 series x {HOURS} h loaded in {took:.1f} s", flush=True)
                cpu = server.cpu_seconds()
                results[server.name] = ask(server, end_ms / 1000)
                print(
                    f"{server.name}: CPU of all queries {server.cpu_seconds() - cpu:.1f} s, RSS {server.rss_mb():.0f} MB"
                )
    names = list(results)
    for form in FORMS:
        print(
            f"\n{form:<92}" + "".join(f"{name:>14}" for name in names) + ("         ratio" if len(names) == 2 else "")
        )
        ratios = []
        for at, expression in enumerate(EXPRESSIONS):
            row = [results[name][form][at] for name in names]
            line = f"{expression:<92}" + "".join(f"{ms:>11.1f} ms" for ms in row)
            if len(row) == 2:
                ratios.append(row[0] / row[1])
                line += f"{ratios[-1]:>13.2f}x"
            print(line)
        if ratios:
            print(f"{'geometric mean of the ratios':<92}{'':>28}{statistics.geometric_mean(ratios):>13.2f}x")


if __name__ == "__main__":
    main()
