"""A real Prometheus on a free port, fed by remote_write."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cramjam
import httpx
import pytest

from tests.served import free_port
from tongchou.telemetry.series import Labels
from tongchou.wire.remote_write import encode

START_SECONDS = 60
WRITE_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@contextmanager
def prometheus(folder: Path, config: str = "", *arguments: str) -> Iterator[httpx.Client]:
    """A Prometheus with this configuration that takes remote_write; skips the test where there is none."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus on this machine (apt-get install prometheus)")
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    command = [
        *(program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"),
        *arguments,
    ]
    with subprocess.Popen(command) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                wait_until_ready(client)
                yield client
        finally:
            process.terminate()


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.HTTPError:  # not listening yet
            pass
        assert time.monotonic() < deadline, "prometheus did not start"
        time.sleep(0.05)


def messages(series: Mapping[Labels, Mapping[int, float]], span_ms: int = 300_000) -> Iterator[bytes]:
    """The samples as compressed remote_write requests, oldest first: a new head takes nothing much older than it has."""
    slices: dict[int, list[tuple[Labels, list[tuple[int, float]]]]] = {}
    for labels, samples in series.items():
        parts: dict[int, list[tuple[int, float]]] = {}
        for at in sorted(samples):
            parts.setdefault(at // span_ms, []).append((at, samples[at]))
        for number, found in parts.items():
            slices.setdefault(number, []).append((labels, found))
    for number in sorted(slices):
        yield bytes(cramjam.snappy.compress_raw(encode(slices[number])))


def write(client: httpx.Client, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        answer = client.post("/api/v1/write", content=body, headers=WRITE_HEADERS)
        assert answer.status_code == 204, answer.text
