"""The `telemetry_db` fixture: a fresh telemetry database per test, in this process or on a server.

In this process: one chDB folder per test process. On a server: one stand-in for ClickHouse per test process
(tests/clickhouse_http.py), reached as a real one is. Most tests use the first; those marked `both_stores` run twice.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.clickhouse_http import ClickHouse
from tests.served import free_port
from tongchou.core.problems import Conflict
from tongchou.telemetry import backend as telemetry_backend
from tongchou.telemetry import sender_limits, target_health
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.series import Labels
from tongchou.telemetry.store.embedded import Engine
from tongchou.telemetry.store.server import ServerEngine, address_of

_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked `both_stores` on either store."""
    if metafunc.definition.get_closest_marker("both_stores") and "telemetry_kind" in metafunc.fixturenames:
        metafunc.parametrize("telemetry_kind", ["embedded", "server"], indirect=True)


@pytest.fixture(autouse=True)
def _no_store_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has one folder for its life: a test that opened that of the settings would take it from all others."""

    def held() -> Engine:
        raise Conflict("telemetry.folder_in_use", "No store is open here: ask for the fixture telemetry_db.")

    monkeypatch.setattr(telemetry_backend, "open_engine", held)


@pytest.fixture
def telemetry_kind(request: pytest.FixtureRequest) -> str:
    """Which store the test runs on."""
    return str(getattr(request, "param", "embedded"))


@pytest.fixture(scope="session")
def telemetry_engine() -> Iterator[Engine]:
    """The one chDB folder that a process can have; tests share it and take a database each."""
    with tempfile.TemporaryDirectory(prefix="tongchou-telemetry-") as folder:
        engine = Engine(Path(folder) / "telemetry", read_threads=2)
        yield engine
        engine.close()


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    """A server that speaks ClickHouse's HTTP interface; tests share it and take a database each."""
    with tempfile.TemporaryDirectory(prefix="tongchou-clickhouse-") as folder:
        server = ClickHouse(Path(folder) / "data", free_port())
        yield server
        server.close()


@pytest.fixture(scope="session")
def server_engine(clickhouse: ClickHouse) -> Iterator[ServerEngine]:
    """The way to that server."""
    engine = ServerEngine(address_of(clickhouse.url), read_threads=2)
    yield engine
    engine.close()


class Numbers:
    """Numbers of series as the database gives them, kept in memory."""

    def __init__(self) -> None:
        self.known: dict[Labels, int] = {}

    def __call__(self, series: Sequence[Labels], at_least: int) -> list[int]:
        """Number series."""
        for labels in series:
            if labels not in self.known:
                self.known[labels] = max(at_least, len(self.known))
        return [self.known[labels] for labels in series]


@pytest.fixture
def any_engine(telemetry_kind: str, request: pytest.FixtureRequest) -> Engine | ServerEngine:
    """The engine of the kind the test runs on."""
    name = "server_engine" if telemetry_kind == "server" else "telemetry_engine"
    engine: Engine | ServerEngine = request.getfixturevalue(name)
    return engine


@pytest.fixture
def telemetry_db(any_engine: Engine | ServerEngine) -> Iterator[Telemetry]:
    """An empty telemetry database that is also `telemetry.backend.backend()` while the test runs."""
    options = Options(
        database=f"test_{next(_numbers)}",
        retention_days=3650,
        linger_seconds=0.0,
        flush_seconds=0.2,
        shared_linger_seconds=0.0,
    )
    telemetry = Telemetry(any_engine, options, numbering=Numbers())
    before = telemetry_backend.use(telemetry)
    sender_limits.forget()
    target_health._metadata.clear()  # what an earlier test sent
    yield telemetry
    telemetry_backend.use(before)
    telemetry.close()
    telemetry.tables.drop()
