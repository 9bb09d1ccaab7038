"""PostgreSQL that says nothing is not waited for without end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres import Postgres, bindir
from tongchou.core.postgres.base import BoundedConnection, unlimited

pytestmark = pytest.mark.skipif(bindir() is None, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


def test_a_silent_server_is_given_up_and_its_connection_closed(postgres: Postgres, settings: Any) -> None:
    settings.DATABASE_TIMEOUT_SECONDS = 1.0
    with BoundedConnection.connect(postgres.url, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        postgres.stop()
        try:
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="did not answer within 1 s"):
                connection.execute("SELECT 1")
            assert time.monotonic() - began < 4
            assert connection.closed
        finally:
            postgres.go_on()
    with BoundedConnection.connect(postgres.url) as again:
        assert again.execute("SELECT 2").fetchone() == (2,)


def test_a_migration_is_waited_for(postgres: Postgres, settings: Any) -> None:
    settings.DATABASE_TIMEOUT_SECONDS = 0.5
    with BoundedConnection.connect(postgres.url) as connection, unlimited():
        assert connection.execute("SELECT pg_sleep(1), 3").fetchone() is not None
