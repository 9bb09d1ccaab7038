"""What the telemetry measurements share: the platform and Debian's Prometheus as servers, and senders for both."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import cramjam
import psutil

from tests.served import Served, free_port

PROTO = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass
class Server:
    """A server that speaks Prometheus's API under `prefix`."""

    name: str
    port: int
    pid: int
    prefix: str
    headers: dict[str, str]

    def cpu_seconds(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss / 1e6)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, connection: http.client.HTTPConnection, path: str, **query: object) -> bytes:
        connection.request("GET", f"{self.prefix}/{path}?{urlencode(query)}", headers=self.headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {answer.status} {body[:300]!r}")
        return body


@contextmanager
def tongchou(folder: Path) -> Iterator[Server]:
    """The platform in a process of its own, on a free port, with fresh data."""
    served = Served(folder / "tongchou")
    try:
        served.start()
        assert served.process is not None
        yield Server(
            "tongchou",
            served.port,
            served.process.pid,
            "/prometheus/api/v1",
            {"Authorization": f"Bearer {served.token}"},
        )
    finally:
        if served.process is not None and served.process.poll() is None:
            served.stop()


@contextmanager
def _peer(name: str, program: str, folder: Path, *arguments: str) -> Iterator[Server | None]:
    """A peer's server, its first argument the address to listen on; None where it is not installed."""
    path = shutil.which(program)
    if path is None:
        print(f"{program} is not on PATH: no such peer to compare with")
        yield None
        return
    port = free_port()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [path, arguments[0].format(port=port), *arguments[1:]],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},
        )
    server = Server(name, port, process.pid, "/api/v1", {})
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                server.get(server.connection(), "query", query="1")
                break
            except (OSError, RuntimeError):
                if time.monotonic() > deadline:
                    sys.exit(f"{program} did not start")
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def prometheus(folder: Path, *more: str, config: str = "global: {}\n") -> Iterator[Server | None]:
    """Debian's Prometheus with its defaults and these arguments, or None where it is not installed."""
    file = folder / "prometheus.yml"
    file.write_text(config)
    with _peer(
        "prometheus",
        "prometheus",
        folder,
        "--web.listen-address=127.0.0.1:{port}",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--web.enable-remote-write-receiver",
        *more,
    ) as server:
        yield server


@contextmanager
def victoria(folder: Path) -> Iterator[Server | None]:
    """Debian's VictoriaMetrics with its defaults, or None where it is not installed."""
    with _peer(
        "victoria",
        "victoria-metrics",
        folder,
        "-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'victoria'}",
        "-retentionPeriod=1y",
        "-search.latencyOffset=0s",
    ) as server:
        yield server


def send(server: Server, streams: list[list[bytes]]) -> float:
    """Send every stream of remote_write messages over a connection of its own, in order; return the seconds it took."""
    packed = [[bytes(cramjam.snappy.compress_raw(body)) for body in stream] for stream in streams]
    failures: list[str] = []

    def run(stream: list[bytes]) -> None:
        connection = server.connection()
        for body in stream:
            connection.request("POST", f"{server.prefix}/write", body=body, headers={**PROTO, **server.headers})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status // 100 != 2:
                failures.append(f"{answer.status} {text[:200]!r}")
                return

    threads = [threading.Thread(target=run, args=(stream,)) for stream in packed]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    if failures:
        raise RuntimeError(f"{server.name}: {failures[0]}")
    return took
