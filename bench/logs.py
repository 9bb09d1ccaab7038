"""Logs: lines a second taken and written, bytes a line on disk, and searches over a million lines."""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        os.environ["TONGCHOU_DATA"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
        import django

        django.setup()
        from tongchou.telemetry.logs.encode import encode
        from tongchou.telemetry.logs.log_store import LogStore, Query
        from tongchou.telemetry.logs.query import parse
        from tongchou.telemetry.store.embedded import Engine
        from tongchou.telemetry.store.log_tables import NS, Cost
        from tongchou.wire.log_stream import Entry, Stream

        engine = Engine(Path(folder) / "telemetry")
        store = LogStore(engine, "bench", retention_days=30, linger_seconds=0.0)
        rng, now = random.Random(1), time.time_ns()
        encode_seconds = write_seconds = 0.0
        raw = 0
        for first in range(0, LINES, BATCH):
            streams = {
                name: Stream([("service", name), ("instance", f"{name}-1")])
                for name in ("orders", "payments", "storefront", "catalogue")
            }
            for i in range(first, first + BATCH):
                name = rng.choice(list(streams))
                level = "error" if rng.random() < 0.02 else "info"
                status, latency = (500, rng.randrange(1000)) if level == "error" else (200, rng.randrange(200))
                text = (
                    "支付网关 连接被拒绝"
                    if i % 1000 == 7
                    else (
                        f"payment refused by bank {rng.randrange(40)} at {rng.random():.6f}"
                        if level == "error"
                        else f"order {rng.randrange(10**9)} placed by customer {rng.randrange(10**6)}"
                    )
                )
                body = json.dumps(
                    {
                        "level": level,
                        "msg": text + (" needle" if i == LINES // 2 else ""),
                        "latency_ms": latency,
                        "http": {"status": status},
                    }
                ).encode()
                raw += len(body)
                streams[name].entries.append(Entry(now - (LINES - i) * 1_000_000, body))
            begun = time.perf_counter()
            encode(list(streams.values()), now_ns=now, oldest_ns=0).table(1)
            encode_seconds += time.perf_counter() - begun
            begun = time.perf_counter()
            store.take(list(streams.values()))[1].result(120)
            write_seconds += time.perf_counter() - begun
        sizes = store.tables.sizes()
        print(
            f"{LINES:,} lines, {raw / LINES:.0f} B a line: decide and lay out {LINES / encode_seconds:,.0f}/s, acknowledged {LINES / write_seconds:,.0f}/s, {sizes['bytes'] / LINES:.1f} B a line on disk"
        )
        for text in SEARCHES:
            query, took = Query(now - LINES * 1_000_000 - NS, now + NS, parse(text)), ([], [])
            for _again in range(5):
                begun = time.perf_counter()
                found = store.search(query, limit=200, cost=Cost())
                took[0].append(time.perf_counter() - begun)
                begun = time.perf_counter()
                histogram = store.histogram(query, step_ns=60 * NS, cost=Cost())
                took[1].append(time.perf_counter() - begun)
            newest, counted = (statistics.median(each) * 1000 for each in took)
            print(
                f"{text or '(everything)':<48} {histogram.total:>9,} lines   newest {len(found.lines):>3}: {newest:7.1f} ms   histogram: {counted:7.1f} ms"
            )
        for text in ("", "level:error"):
            query, took = Query(now - LINES * 1_000_000 - NS, now + NS, parse(text)), []
            for _again in range(3):
                begun = time.perf_counter()
                store.facets(query, cost=Cost())
                took.append(time.perf_counter() - begun)
            print(f"{text or '(everything)':<48} fields and their values: {statistics.median(took) * 1000:7.1f} ms")
        store.close()
        engine.close()


if __name__ == "__main__":
    main()
