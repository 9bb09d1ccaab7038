"""One cycle of 500 rules over 20,000 series, and of 2,000 rules none of which share a metric, beside Prometheus.

Both are asked for what they say of their groups (`/api/v1/rules`, evaluationTime); nothing fires.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from bench._stream import Labels, all_labels, values, write_requests
from bench._telemetry import Server, prometheus, send, tongchou

INTERVAL_SECONDS, CYCLES, MINUTES, STEP_MS = 10, 3, 10, 15_000
GOALS = {"500 rules over 20,000 series": 0.1, "2,000 rules of 2,000 metrics": 1.0}
ALL = "sum by (instance) (rate(http_requests_total[5m]))"
TEMPLATES = [
    'sum by (instance) (rate(http_requests_total{{code="{code}"}}[5m])) / {all} > {over}',
    "sum by (path) (rate(http_requests_total[5m])) > {over}e6",
    "histogram_quantile({quantile}, sum by (instance, le) (rate(http_request_duration_seconds_bucket[5m]))) > {over}e3",
    "avg_over_time(node_memory_used_bytes[5m]) > {over}e12",
    "max by (instance) (node_memory_used_bytes) > {over}e12",
]

Made = tuple[list[Labels], np.typing.NDArray[np.float64]]


def shared_data(steps: int) -> Made:
    labels, kinds = all_labels(10)
    return labels, values(kinds, steps)


def shared_rules() -> list[str]:
    return [
        TEMPLATES[at % 5].format(
            code=("200", "302", "404", "500")[at // 5 % 4], over=10 + at, quantile=f"0.9{at // 5 % 10}", all=ALL
        )
        for at in range(500)
    ]


def own_data(steps: int) -> Made:
    labels = [
        [("__name__", f"work_{metric}_total"), ("job", "shop"), ("instance", f"host-{row}")]
        for metric in range(2000)
        for row in range(10)
    ]
    return labels, np.cumsum(np.random.default_rng(3).integers(0, 20, (len(labels), steps)), axis=1).astype(np.float64)


def own_rules() -> list[str]:
    return [f"sum by (job) (rate(work_{metric}_total[5m])) > 1e9" for metric in range(2000)]


def rule_file(rules: list[str]) -> str:
    lines = ["groups:", "- name: bench", f"  interval: {INTERVAL_SECONDS}s", "  rules:"]
    for at, expression in enumerate(rules):
        lines += [f"  - alert: Bench{at}", f"    expr: {json.dumps(expression)}", "    for: 5m"]
    return "\n".join(lines) + "\n"


def cycle_seconds(server: Server) -> float:
    """The median of what the server says its group took, over cycles that it has evaluated."""
    took: dict[str, float] = {}
    deadline = time.monotonic() + 40 * INTERVAL_SECONDS
    while len(took) < CYCLES + 1 and time.monotonic() < deadline:
        groups = json.loads(server.get(server.connection(), "rules"))["data"]["groups"]
        for group in groups:
            if group["name"] == "bench" and group["evaluationTime"]:
                took[group["lastEvaluation"]] = group["evaluationTime"]
        time.sleep(INTERVAL_SECONDS / 4)  # to ask costs, too
    if len(took) < CYCLES + 1:
        raise RuntimeError(f"{server.name} evaluated {len(took)} cycles")
    return statistics.median(list(took.values())[1:])  # the first one warms up


def measure(server: Server, data: Callable[[int], Made], put: Callable[[], None]) -> tuple[float, float]:
    """(seconds a cycle, CPU seconds a second while it evaluates); new samples come in meanwhile."""
    steps = MINUTES * 60_000 // STEP_MS
    labels, v = data(steps)
    end = int(time.time()) * 1000
    times = end - (steps - 1 - np.arange(steps)) * STEP_MS
    send(server, [list(write_requests(labels, times, v, per_request=10))])
    put()
    cpu, began = server.cpu_seconds(), time.monotonic()
    found = cycle_seconds(server)
    return found, (server.cpu_seconds() - cpu) / (time.monotonic() - began)


def main() -> int:
    missed = 0
    cases = {
        "500 rules over 20,000 series": (shared_data, shared_rules()),
        "2,000 rules of 2,000 metrics": (own_data, own_rules()),
    }
    for title, (data, rules) in cases.items():
        text = rule_file(rules)
        with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
            with tongchou(Path(folder)) as ours:

                def put(server: Server = ours, text: str = text) -> None:
                    headers = {**server.headers, "Content-Type": "application/yaml"}
                    url = f"http://127.0.0.1:{server.port}/api/v1/rule-files/bench"
                    httpx.put(url, content=text, headers=headers, timeout=120).raise_for_status()

                mine, cpu = measure(ours, data, put)
            print(f"{title}: tongchou {mine:.3f} s a cycle, {cpu:.2f} CPU-s/s", flush=True)
            rules_at = Path(folder) / "bench.rules.yml"
            rules_at.write_text("groups: []\n")
            config = (
                f"global: {{evaluation_interval: {INTERVAL_SECONDS}s}}\nrule_files: [{json.dumps(str(rules_at))}]\n"
            )
            with prometheus(Path(folder), "--web.enable-lifecycle", config=config) as peer:
                if peer is None:
                    continue

                def reload(server: Server = peer, at: Path = rules_at, text: str = text) -> None:
                    at.write_text(text)
                    httpx.post(f"http://127.0.0.1:{server.port}/-/reload", timeout=60).raise_for_status()

                theirs, cpu = measure(peer, data, reload)
            ratio = mine / theirs
            missed += ratio > GOALS[title]
            print(f"{title}: prometheus {theirs:.3f} s a cycle, {cpu:.2f} CPU-s/s: {ratio:.2f}x (goal {GOALS[title]})")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
