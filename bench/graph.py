"""Graph reads at 10,000 resources and 30,000 relations, beside networkx on the same edges."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench._platform import platform

RESOURCES, RELATIONS, READS = 10_000, 30_000, 200


def measure(function: Callable[[int], object], times: int) -> tuple[float, float]:
    """Return (median, 95th percentile) in milliseconds."""
    took = []
    for i in range(times):
        start = time.perf_counter()
        function(i)
        took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return statistics.median(took), took[int(len(took) * 0.95) - 1 if len(took) > 1 else 0]


def report(name: str, function: Callable[[int], object], times: int = READS) -> None:
    median, p95 = measure(function, times)
    print(f"{name:<58} median {median:8.2f} ms   p95 {p95:8.2f} ms")


def main() -> None:
    with platform():
        run()


def fill(rng: random.Random) -> tuple[list[Any], list[tuple[int, int, str]]]:
    """The resources, and the relations between their places: (from, to, type)."""
    from django.db import connection

    from tongchou.inventory import kinds
    from tongchou.inventory.apply import bump
    from tongchou.inventory.models import Relation, Resource

    rows = [Resource(kind="instance" if i % 5 else "service", name=f"r{i}", source="bench") for i in range(RESOURCES)]
    Resource.objects.bulk_create(rows, batch_size=2000)
    # three layers in a hundred calls back up: circles are part of the picture
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < RELATIONS:
        a = rng.randrange(RESOURCES - 1)
        b = min(RESOURCES - 1, a + 1 + int(rng.expovariate(1 / 400)))
        pairs.add((b, a) if rng.random() < 0.03 else (a, b))
    types = sorted(each.name for each in kinds.relations() if kinds.flows(each.name))
    edges = [(a, b, types[i % len(types)]) for i, (a, b) in enumerate(sorted(pairs)) if a != b]
    Relation.objects.bulk_create(
        [Relation(from_resource=rows[a], to_resource=rows[b], type=t, source="bench") for a, b, t in edges],
        batch_size=2000,
    )
    bump()
    print(f"{RESOURCES:,} resources, {len(edges):,} relations, {connection.vendor}")
    return rows, edges


def run() -> None:
    from tongchou.inventory.apply import bump
    from tongchou.inventory.graph import load_graph
    from tongchou.inventory.layout import lay_out

    rng = random.Random(7)  # the same graph each time
    rows, edges = fill(rng)

    def cold(_: int) -> None:
        bump()
        load_graph()

    report("load_graph after a change (3 queries)", cold, 10)
    report("load_graph unchanged (1 query)", lambda _: load_graph())
    graph = load_graph()
    ids = [row.pk for row in rows]
    picks = [rng.choice(ids) for _ in range(READS)]
    others = [rng.choice(ids) for _ in range(READS)]
    sizes = [len(graph.blast_radius(pick)) for pick in picks]
    print(f"blast radius of the picks: median {statistics.median(sizes):,.0f}, largest {max(sizes):,}")
    report("blast radius", lambda i: graph.blast_radius(picks[i]))
    report("downstream", lambda i: graph.downstream(picks[i]))
    report("neighbours", lambda i: graph.neighbours(picks[i]))
    report("path between two", lambda i: graph.path(picks[i], others[i]))
    beside_networkx(rows, edges, list(zip(picks, others, strict=True)))
    shown = ids[:2000]
    needs = [(e.from_id, e.to_id) for e in graph.edges_among(shown)]
    report(f"tiers and places of a map of 2,000 ({len(needs):,} edges)", lambda _: lay_out(shown, needs), 5)


def beside_networkx(rows: list[Any], edges: list[tuple[int, int, str]], asked: list[tuple[Any, Any]]) -> None:
    """The same of networkx; what it finds must be what we find."""
    import networkx as nx

    from tongchou.inventory import kinds
    from tongchou.inventory.graph import load_graph

    peer = nx.DiGraph()
    peer.add_nodes_from(row.pk for row in rows)
    peer.add_edges_from(kinds.dependency(t, rows[a].pk, rows[b].pk) for a, b, t in edges)
    back = peer.reverse()
    report("networkx: blast radius", lambda i: nx.single_source_shortest_path_length(back, asked[i][0]))

    def networkx_path(i: int) -> object:
        try:
            return nx.shortest_path(peer, *asked[i])
        except nx.NetworkXNoPath:
            return None

    report("networkx: path between two", networkx_path)
    first = asked[0][0]
    expected = dict(nx.single_source_shortest_path_length(back, first))
    del expected[first]
    assert load_graph().blast_radius(first) == expected, "the two disagree"


if __name__ == "__main__":
    main()
