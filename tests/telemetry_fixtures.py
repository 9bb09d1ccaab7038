"""The `telemetry_db` fixture: a fresh telemetry database per test in one chDB folder per test process."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tongchou.telemetry import backend as telemetry_backend
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.store.embedded import Engine

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def telemetry_engine() -> Iterator[Engine]:
    """The one chDB folder that a process can have; tests share it and take a database each."""
    with tempfile.TemporaryDirectory(prefix="tongchou-telemetry-") as folder:
        engine = Engine(Path(folder) / "telemetry", read_threads=2)
        yield engine
        engine.close()


@pytest.fixture
def telemetry_db(telemetry_engine: Engine) -> Iterator[Telemetry]:
    """An empty telemetry database that is also `telemetry.backend.backend()` while the test runs."""
    options = Options(database=f"test_{next(_numbers)}", retention_days=3650, linger_seconds=0.0, flush_seconds=0.2)
    telemetry = Telemetry(telemetry_engine, options)
    before = telemetry_backend.use(telemetry)
    yield telemetry
    telemetry_backend.use(before)
    telemetry.close()
    telemetry.tables.drop()
