"""remote_write over HTTP: samples a second and CPU, the same messages to the platform and to its peers."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from bench._telemetry import Server, prometheus, send, tongchou, victoria
from tongchou.wire.remote_write import encode_labels, encode_series

CONNECTIONS = 4
STEP_MS = 2_000  # one connection may be ahead of another by less than an hour: Prometheus refuses what is older
SAMPLES = 3_000_000
SETTLE_SECONDS = 15.0  # labels of new series are written behind the answer, a server that has just started looks around: not measured
BEHIND_SECONDS = 20.0  # in which what was taken goes to where it stays (in Prometheus after two hours: not seen here)
SHAPES = {"5,000 series x 1 sample": (5000, 1), "500 series x 10 samples": (500, 10)}


def streams(series: int, per_series: int, name: str) -> list[list[bytes]]:
    """Messages for every connection: its own series, timestamps that ascend by STEP_MS up to now."""
    rng = random.Random(11)
    requests = SAMPLES // (CONNECTIONS * series * per_series)
    start = int(time.time() * 1000) - requests * per_series * STEP_MS
    made = []
    for connection in range(CONNECTIONS):
        labels = [
            encode_labels(
                [
                    ("__name__", f"{name}_{each % 20}_total"),
                    ("job", "bench"),
                    ("instance", f"host-{connection}-{each // 20}:9100"),
                    ("path", f"/api/v1/{each % 7}"),
                ]
            )
            for each in range(series)
        ]
        value = [float(rng.randrange(10**6)) for _each in range(series)]
        stream = []
        for request in range(requests):
            parts = []
            for each in range(series):
                samples = []
                for step in range(per_series):
                    value[each] += rng.randrange(50)
                    samples.append((start + (request * per_series + step) * STEP_MS, value[each]))
                parts.append(encode_series(labels[each], samples))
            stream.append(b"".join(parts))
        made.append(stream)
    return made


def measure(server: Server, made: list[list[bytes]]) -> tuple[float, float, float, float]:
    """(samples a second, per CPU second, the same with what is done behind the answers, resident MB).

    The first message of a stream makes its series known.
    """
    send(server, [stream[:1] for stream in made])
    time.sleep(SETTLE_SECONDS)
    samples = SAMPLES * (len(made[0]) - 1) / len(made[0])
    cpu = server.cpu_seconds()
    took = send(server, [stream[1:] for stream in made])
    used, rss = server.cpu_seconds() - cpu, server.rss_mb()
    time.sleep(BEHIND_SECONDS)
    return samples / took, samples / used, samples / (server.cpu_seconds() - cpu), rss


def main() -> None:
    print(f"{SAMPLES:,} samples over {CONNECTIONS} connections; every request is acknowledged when it is written")
    print(f"{'':<26}{'server':<12}{'samples/s':>12}{'per CPU-s':>12}{'and behind':>12}{'RSS MB':>9}")
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        for title, (series, per_series) in SHAPES.items():
            made = streams(series, per_series, f"m{per_series}")
            figures: dict[str, tuple[float, float, float, float]] = {}
            for opened in (tongchou, prometheus, victoria):
                with opened(Path(tempfile.mkdtemp(dir=folder))) as server:
                    if server is None:
                        continue
                    figures[server.name] = measure(server, made)
                    speed, per_cpu, behind, rss = figures[server.name]
                    print(
                        f"{title:<26}{server.name:<12}{speed:>12,.0f}{per_cpu:>12,.0f}{behind:>12,.0f}{rss:>9,.0f}",
                        flush=True,
                    )
            ours = figures.pop("tongchou")
            for name, theirs in figures.items():
                ratios = "".join(f"{mine / other:>11.2f}x" for mine, other in zip(ours[:3], theirs[:3], strict=True))
                print(f"{'':<26}{f'to {name}':<12}{ratios}")


if __name__ == "__main__":
    main()
