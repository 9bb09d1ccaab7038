"""Bytes a sample on disk, index included: an hour of host metrics, beside Prometheus's compacted block and VictoriaMetrics.

Counters that grow unevenly, gauges that wander, constants and byte counts, as a node exporter has them; 15 s apart.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench._stream import Labels, write_requests
from bench._telemetry import Server, send, tongchou, victoria
from tongchou.telemetry.store.embedded import Engine

HOSTS, STEP_MS, STEPS = 20, 15_000, 240
GOAL, SETTLE_SECONDS = 0.6, 30


def host_metrics(rng: np.random.Generator) -> Iterator[tuple[str, dict[str, str], np.typing.NDArray[np.float64]]]:
    """(name, labels, values) of the series of one host."""
    for cpu in range(8):
        for mode, share in (("idle", 0.9), ("user", 0.06), ("system", 0.03), ("iowait", 0.005), ("softirq", 0.002)):
            used = np.cumsum(np.clip(rng.normal(share * 15, share, STEPS), 0, 15))
            yield "node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode}, np.round(1e5 * share + used, 2)
    for device in ("eth0", "lo", "docker0"):
        for name in ("receive_bytes", "transmit_bytes", "receive_packets", "transmit_packets"):
            yield f"node_network_{name}_total", {"device": device}, np.cumsum(rng.integers(0, 200_000, STEPS)) + 1e9
        for name in ("receive_errs", "transmit_errs", "receive_drop"):
            yield f"node_network_{name}_total", {"device": device}, np.zeros(STEPS)
    for name in ("MemFree", "Cached", "Buffers", "Active", "Inactive", "Dirty", "AnonPages", "Slab"):
        yield f"node_memory_{name}_bytes", {}, 4e9 + np.cumsum(rng.integers(-200, 200, STEPS)) * 4096.0
    for mount in ("/", "/var", "/home", "/boot"):
        yield "node_filesystem_size_bytes", {"mountpoint": mount}, np.full(STEPS, 1e11)
        free = 5e10 - np.cumsum(rng.integers(0, 3, STEPS)) * 4096.0
        yield "node_filesystem_avail_bytes", {"mountpoint": mount}, free
        yield "node_filesystem_files_free", {"mountpoint": mount}, 6e6 - np.cumsum(rng.integers(0, 2, STEPS)) * 1.0
    for device in ("sda", "sdb"):
        for name in ("reads_completed", "writes_completed", "read_bytes", "written_bytes"):
            yield f"node_disk_{name}_total", {"device": device}, np.cumsum(rng.integers(0, 400, STEPS)) * 512.0
        yield "node_disk_io_time_seconds_total", {"device": device}, np.round(np.cumsum(rng.random(STEPS)), 3)
    for number, name in enumerate(("node_load1", "node_load5", "node_load15")):
        yield name, {}, np.round(1 + np.abs(np.cumsum(rng.normal(0, 0.05 / (number + 1), STEPS))), 2)
    for at in range(40):
        yield "node_setting", {"name": f"kernel.setting_{at}"}, np.full(STEPS, float(at))


def made() -> tuple[list[Labels], np.typing.NDArray[np.float64]]:
    labels: list[Labels] = []
    rows = []
    for host in range(HOSTS):
        rng = np.random.default_rng(host)
        for name, more, row in host_metrics(rng):
            labels.append([("__name__", name), ("job", "node"), ("instance", f"host-{host}:9100"), *more.items()])
            rows.append(row)
    return labels, np.stack(rows).astype(np.float64)


def folder_bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def prometheus_block(labels: list[Labels], times: np.typing.NDArray[np.int64], v: np.typing.NDArray[np.float64]) -> int:
    """Bytes of the blocks that promtool makes of the same samples."""
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        text = Path(folder) / "samples.om"
        with text.open("w") as out:
            for pairs, row in zip(labels, v, strict=True):
                inside = ",".join(f'{name}="{value}"' for name, value in pairs[1:])
                head = f"{pairs[0][1]}{{{inside}}}"
                out.writelines(
                    f"{head} {x!r} {t / 1000:.3f}\n" for x, t in zip(row.tolist(), times.tolist(), strict=True)
                )
            out.write("# EOF\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), f"{folder}/blocks"]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        return folder_bytes(Path(folder) / "blocks")


def send_and_settle(server: Server, messages: list[bytes]) -> None:
    send(server, [messages])
    time.sleep(SETTLE_SECONDS)  # flushed, and mostly merged


def active_bytes(folder: Path) -> int:
    """Samples and their index in the parts that are in use; merged ones wait some minutes for their deletion."""
    engine = Engine(folder)
    try:
        found = engine.fetch(
            "SELECT sum(bytes_on_disk) AS bytes FROM system.parts"
            " WHERE active AND database = 'tongchou' AND table IN ('samples', 'series', 'series_days')"
        )
        return int(found.column("bytes")[0].as_py())
    finally:
        engine.close()


def main() -> int:
    labels, v = made()
    end = int(time.time() // 7200) * 7_200_000 - 60_000  # in one block of Prometheus
    times = end - (STEPS - 1 - np.arange(STEPS)) * STEP_MS
    messages = list(write_requests(labels, times, v, per_request=1))
    samples = v.size
    print(f"{len(labels):,} series x {STEPS} samples, one at a time")
    theirs = prometheus_block(labels, times, v)
    print(f"prometheus, compacted block: {theirs / samples:.2f} bytes a sample")
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        with tongchou(Path(folder)) as server:
            send_and_settle(server, messages)
        mine = active_bytes(Path(folder) / "tongchou" / "telemetry")
        print(f"tongchou: {mine / samples:.2f} bytes a sample: {mine / theirs:.2f}x (goal {GOAL})")
        with victoria(Path(folder)) as peer:
            if peer is not None:
                send_and_settle(peer, messages)
                vm = folder_bytes(Path(folder) / "victoria")
                print(f"victoria: {vm / samples:.2f} bytes a sample: {mine / vm:.2f}x")
    return 1 if mine > GOAL * theirs else 0


if __name__ == "__main__":
    raise SystemExit(main())
