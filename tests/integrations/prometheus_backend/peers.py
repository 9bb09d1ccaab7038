"""Real servers that a test writes to and the platform reads from."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.integrations.prometheus import peer
from tests.served import free_port
from tongchou.telemetry.series import Bools, Float64s, Labels, is_stale

# Debian's package starts a service on the usual port; a test's is another process on a free one.
PROGRAM = "victoria-metrics"
Samples = Mapping[Labels, Mapping[int, float]]


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[httpx.Client]:
    """A VictoriaMetrics that takes remote_write; skips the test where there is none."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip("no victoria-metrics on this machine (apt-get install victoria-metrics)")
    port = free_port()
    command = [program, f"-storageDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR",
               "-retentionPeriod=12", "-memory.allowedBytes=256MB"]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                peer.wait_until_ready(client)
                yield client
        finally:
            process.terminate()


def server(kind: str, folder: Path) -> AbstractContextManager[httpx.Client]:
    """One of the two."""
    return victoria_metrics(folder) if kind == "export" else peer.prometheus(folder)


def write(client: httpx.Client, samples: Samples) -> None:
    """Write samples; VictoriaMetrics shows new ones only after some seconds, so wait for them."""
    peer.write(client, peer.messages(samples))
    if not client.get("/internal/force_flush").is_success:
        return
    times = {at for each in samples.values() for at in each}
    span = {"match[]": '{__name__!=""}', "start": f"{min(times) / 1000:.3f}", "end": f"{max(times) / 1000:.3f}"}
    deadline, seen = time.monotonic() + 30, -1
    wanted = sum(int(np.count_nonzero(shown(np.array(list(each.values()))))) for each in samples.values())
    while seen < wanted:
        assert time.monotonic() < deadline, f"of {wanted} samples {seen} can be read"
        time.sleep(0.1)
        lines = client.get("/api/v1/export", params=span).text.splitlines()
        seen = sum(line[line.rindex('"timestamps":') :].count(",") + 1 for line in lines)


def shown(values: Float64s) -> Bools:
    """What VictoriaMetrics takes: every value but NaN, and staleness markers."""
    return ~np.isnan(values) | is_stale(values)
