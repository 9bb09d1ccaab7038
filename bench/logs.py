"""Logs: lines a second taken and written, bytes a line on disk, and searches over a million lines."""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

LINES, BATCH = 1_000_000, 50_000
SEARCHES = [
    "",
    "needle",
    '"payment refused by bank 17"',
    "level:error",
    "service:orders level:error",
    "http.status:500",
    "latency_ms:>=995 http.status:500",
    "/bank 1[0-9] at/",
    "支付网关",
    "拒绝",
    "trace_id:00000000000000000000000000000001",
]


NAMES = ["orders", "payments", "storefront", "catalogue"]


def line(rng: random.Random, i: int) -> tuple[str, bytes]:
    """(service, body) of a line."""
    name = rng.choice(NAMES)
    level = "error" if rng.random() < 0.02 else "info"
    status, latency = (500, rng.randrange(1000)) if level == "error" else (200, rng.randrange(200))
    if i % 1000 == 7:
        text = "支付网关 连接被拒绝"
    elif level == "error":
        text = f"payment refused by bank {rng.randrange(40)} at {rng.random():.6f}"
    else:
        text = f"order {rng.randrange(10**9)} placed by customer {rng.randrange(10**6)}"
    text += " needle" if i == LINES // 2 else ""
    return name, json.dumps({"level": level, "msg": text, "latency_ms": latency, "http": {"status": status}}).encode()


def write(store: Any, now: int) -> None:
    """Write all lines, up to `now` (Unix nanoseconds), and print how quickly, and how large they are."""
    from tongchou.telemetry.logs.encode import encode
    from tongchou.wire.log_stream import Entry, Stream

    rng, raw = random.Random(1), 0
    encode_seconds = write_seconds = 0.0
    for first in range(0, LINES, BATCH):
        streams = {name: Stream([("service", name), ("instance", f"{name}-1")]) for name in NAMES}
        for i in range(first, first + BATCH):
            name, body = line(rng, i)
            raw += len(body)
            streams[name].entries.append(Entry(now - (LINES - i) * 1_000_000, body))
        begun = time.perf_counter()
        encode(list(streams.values()), now_ns=now, oldest_ns=0).table(1)
        encode_seconds += time.perf_counter() - begun
        begun = time.perf_counter()
        store.take(list(streams.values()))[1].result(120)
        write_seconds += time.perf_counter() - begun
    print(
        f"{LINES:,} lines, {raw / LINES:.0f} B a line: decide and lay out {LINES / encode_seconds:,.0f}/s,"
        f" acknowledged {LINES / write_seconds:,.0f}/s, {store.tables.sizes()['bytes'] / LINES:.1f} B a line on disk"
    )


def timed(what: Callable[[], Any], times: int) -> tuple[float, Any]:
    """(median ms, what was found)."""
    took = []
    for _again in range(times):
        begun = time.perf_counter()
        found = what()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), found


def search(store: Any, now: int) -> None:
    from tongchou.telemetry.logs.log_store import Query
    from tongchou.telemetry.logs.query import parse
    from tongchou.telemetry.store.log_tables import NS, Cost

    for text in SEARCHES:
        query = Query(now - LINES * 1_000_000 - NS, now + NS, parse(text))
        newest, found = timed(partial(store.search, query, limit=200, cost=Cost()), 5)
        counted, histogram = timed(partial(store.histogram, query, step_ns=60 * NS, cost=Cost()), 5)
        print(
            f"{text or '(everything)':<48} {histogram.total:>9,} lines   newest {len(found.lines):>3}: {newest:7.1f} ms"
            f"   histogram: {counted:7.1f} ms"
        )
    for text in ("", "level:error"):
        query = Query(now - LINES * 1_000_000 - NS, now + NS, parse(text))
        took, _facets = timed(partial(store.facets, query, cost=Cost()), 3)
        print(f"{text or '(everything)':<48} fields and their values: {took:7.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        os.environ["TONGCHOU_DATA"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
        import django

        django.setup()
        from tongchou.telemetry.logs.log_store import LogStore
        from tongchou.telemetry.store.embedded import Engine

        engine = Engine(Path(folder) / "telemetry")
        store = LogStore(engine, "bench", retention_days=30, linger_seconds=0.0)
        now = time.time_ns()
        write(store, now)
        search(store, now)
        store.close()
        engine.close()


if __name__ == "__main__":
    main()
