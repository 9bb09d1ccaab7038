"""The inventory at 100,000 resources and 400,000 relations: list, search, map, blast radius, weak points; server time.

TONGCHOU_DATABASE_URL measures PostgreSQL (bash bin/with-postgres ...); BENCH_FOLDER keeps SQLite's rows for the next
time. BENCH_RESOURCES makes it smaller or larger.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bench._platform import platform

RESOURCES = int(os.environ.get("BENCH_RESOURCES", "100000"))
READS = 7
BOUND_MS = 300.0
# shares of the resources: what a company of some thousand hosts has
SHARES = {"host": 0.10, "instance": 0.24, "service": 0.03, "database": 0.02, "cache": 0.01, "listener": 0.30}
STARTED = "2026-01-01"


def main() -> int:
    with platform(kept=True):
        from django.db import connection

        from bench.lists import client

        start = time.monotonic()
        browser = client()
        fill()
        print(f"filled in {time.monotonic() - start:.0f} s, {connection.vendor}", flush=True)
        return measure(browser)


def fill() -> None:
    from django.db import connection
    from django.utils import timezone

    from tongchou.inventory.apply import bump
    from tongchou.inventory.models import Identity, Relation, Resource, ResourceLabel

    if Resource.objects.filter(source="bench").exists():
        return
    rng = random.Random(7)  # the same inventory each time
    past = timezone.now() - timedelta(days=90)
    kinds: list[str] = []
    for kind, share in SHARES.items():
        kinds += [kind] * int(RESOURCES * share)
    kinds += ["disk"] * (RESOURCES - len(kinds))
    rows = [
        Resource(kind=kind, name=f"{kind}-{i}", source="bench", created_at=past, labels={"site": f"site-{i % 8}"})
        for i, kind in enumerate(kinds)
    ]
    Resource.objects.bulk_create(rows, batch_size=2000)
    Identity.objects.bulk_create([Identity(resource=row, key=f"bench:{row.name}") for row in rows], batch_size=2000)
    ResourceLabel.objects.bulk_create(
        [ResourceLabel(resource=row, name="site", value=row.labels["site"], source="bench") for row in rows],
        batch_size=2000,
    )
    edges = pairs(rows, rng)
    Relation.objects.bulk_create(
        [
            Relation(from_resource=a, to_resource=b, type=type_, source="bench", valid_from=past, origin=origin)
            for a, b, type_, origin in edges
        ],
        batch_size=2000,
    )
    bump()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"{len(rows):,} resources, {len(edges):,} relations")


def pairs(rows: list[Any], rng: random.Random) -> list[tuple[Any, Any, str, str]]:
    """Edges as they are found: parts on their hosts, instances of services, services that call each other."""
    of: dict[str, list[Any]] = {}
    for row in rows:
        of.setdefault(row.kind, []).append(row)
    found: dict[tuple[int, int, str], tuple[Any, Any, str, str]] = {}

    def add(a: Any, b: Any, type_: str, origin: str = "observed") -> None:
        if a is not b:
            found.setdefault((id(a), id(b), type_), (a, b, type_, origin))

    hosts, services = of["host"], of["service"]
    for row in of["disk"]:
        add(row, rng.choice(hosts), "part_of")
    for row in of["listener"]:
        add(row, rng.choice(hosts), "runs_on")
    for number, row in enumerate(of["instance"]):
        add(row, rng.choice(hosts), "runs_on")
        add(row, services[number % len(services)], "part_of")
    for row in [*of["database"], *of["cache"]]:
        add(row, rng.choice(hosts), "runs_on")
    stores = [*of["database"], *of["cache"]]
    for row in of["instance"]:
        add(row, rng.choice(stores), "stores_in")
    wanted = 4 * RESOURCES
    while len(found) < wanted:
        # systems of some hundred things, whose callers stand before what they call; a few call back up: circles
        among, size, type_ = (services, 150, "calls") if rng.random() < 0.4 else (of["listener"], 300, "depends_on")
        a = rng.randrange(len(among) - 1)
        end = min(len(among) - 1, (a // size + 1) * size - 1)
        b = min(end, a + 1 + int(rng.expovariate(1 / 40)))
        a, b = (b, a) if rng.random() < 0.0003 else (a, b)
        add(among[a], among[b], type_, rng.choice(["declared", "observed", "inferred"]))
    return list(found.values())


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = what()
    return (time.perf_counter() - start) * 1000, found


def pages(service: Any, host: Any) -> list[tuple[str, str]]:
    """(name, address) of what is asked for."""
    at = "2026-09-01T00:00:00Z"
    return [
        ("list", "/resources"),
        ("list, of one kind", "/resources?kind=host"),
        ("list, of one site", "/resources?label=site%3Dsite-3"),
        ("search", "/resources?q=host-977"),
        ("search in everything", "/search?q=host-977"),
        ("list, API", "/api/v1/resources?limit=100"),
        ("map", "/map"),
        ("map, all relations", "/map?show=all"),
        ("map of one service, two steps", f"/map?focus={service}&depth=2"),
        ("map, as it was", f"/map?at={at}"),
        ("map, API", "/api/v1/map"),
        ("weak points", "/map/weak-points"),
        ("one host", f"/resources/{host}"),
        ("one service", f"/resources/{service}"),
        ("blast radius of a host, API", f"/api/v1/resources/{host}/graph?direction=upstream"),
        ("what a service needs, API", f"/api/v1/resources/{service}/graph?direction=downstream"),
        ("path, API", f"/api/v1/resources/{service}/path?to={host}"),
    ]  # fmt: skip


def ask(browser: Any, clock: Callable[[], float], address: str) -> tuple[int, float, float]:
    """(status, first ms, median ms of the others); what takes seconds is not asked for again."""
    times: list[float] = []
    while len(times) <= READS and (not times or times[-1] <= 3000):
        start = clock()
        status = browser.get(address).status_code
        times.append((clock() - start) * 1000)
    return status, times[0], statistics.median(times[1:] or times)


def measure(browser: Any) -> int:
    from bench.lists import server_clock
    from tongchou.inventory import graph as graphs
    from tongchou.inventory.models import Resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, graph = timed(graphs.load_graph)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    name = "the graph, read once after a start (in the background)"
    print(f"{name:<64} {took:9.0f} ms, {(after - before) / 1024:.0f} MB")
    picks = [Resource.objects.filter(kind=k, source="bench").order_by("name")[3].pk for k in ("service", "host")]
    service, host = picks
    clock, slow = server_clock(), 0
    for name, address in pages(service, host):
        status, first, middle = ask(browser, clock, address)
        slow += middle > BOUND_MS or status != 200
        late = "  SLOW" if middle > BOUND_MS else ""
        print(f"{name:<40} {status} first {first:8.0f} ms  median {middle:8.1f} ms{late}", flush=True)
    for name, what in [
        ("graph.blast_radius(host)", lambda: graph.blast_radius(host)),
        ("graph.downstream(service)", lambda: graph.downstream(service)),
    ]:
        took, found = timed(what)
        print(f"{name:<40} {took:8.1f} ms, {len(found):,} resources")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
