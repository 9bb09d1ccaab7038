"""PostgreSQL: backup and restore into an empty database, over a full one, and the move from SQLite to PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from tests.served import Served
from tests.slices.test_restore import Writer, command, numbers_there

pytestmark = [
    pytest.mark.slice,
    pytest.mark.both_databases,
    pytest.mark.skipif(not settings.DATABASE_URL, reason="needs a PostgreSQL server (bin/with-postgres)"),
]


@pytest.fixture
def databases() -> Iterator[list[str]]:
    """URLs of two fresh databases beside the one of the tests."""
    names = [f"keep_{uuid.uuid4().hex[:8]}" for _ in range(2)]
    address = urlsplit(settings.DATABASE_URL)._replace(path="/postgres").geturl()
    with psycopg.connect(address, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name}")
        yield [urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl() for name in names]
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def filled(data: Path, **environment: str) -> Served:
    served = Served(data, **environment).start()
    with served.client() as client:
        for number in range(1, 6):
            Writer.write(client, number)
    return served


def holds_all(data: Path, **environment: str) -> None:
    served = Served(data, **environment).start()
    try:
        with served.client() as client:
            assert all(there == {1, 2, 3, 4, 5} for there in numbers_there(client))
            assert client.get("/api/v1/ledger/verify").json()["findings"] == []
            assert client.post("/api/v1/users", json={"username": "u6", "role": "viewer"}).status_code == 201
    finally:
        served.stop()


def test_a_running_server_on_postgresql_comes_back_in_another_database(databases: list[str], tmp_path: Path) -> None:
    first, second = databases
    served = filled(tmp_path / "data", TONGCHOU_DATABASE_URL=first)
    out = tmp_path / "one.backup"
    command(
        served.data, "backup", "--to", str(out), "--with-keys",
        TONGCHOU_DATABASE_URL=first, TONGCHOU_TOKEN=served.token, TONGCHOU_PORT=str(served.port),
    )  # fmt: skip
    served.stop()
    assert "postgresql" in command(served.data, "backup", "verify", str(out), TONGCHOU_DATABASE_URL=first)
    told = command(tmp_path / "other", "restore", str(out), TONGCHOU_DATABASE_URL=second)
    assert "ledger: verified" in told
    holds_all(tmp_path / "other", TONGCHOU_DATABASE_URL=second)
    # over a full one: refused, and with --force the old schema is renamed and not dropped
    refused = command(tmp_path / "other", "restore", str(out), code=1, TONGCHOU_DATABASE_URL=second)
    assert "restore.not_empty" in refused
    command(tmp_path / "other", "restore", str(out), "--force", TONGCHOU_DATABASE_URL=second)
    with psycopg.connect(second) as database:
        schemas = [name for (name,) in database.execute("SELECT nspname FROM pg_namespace")]
        old = next(each for each in schemas if each.startswith("public_before_restore_"))
        names = {name for (name,) in database.execute(f"SELECT username FROM {old}.core_user")}
        assert "u6" in names
        assert "u6" not in {name for (name,) in database.execute("SELECT username FROM core_user")}
    # and a PostgreSQL backup does not go into SQLite
    assert "restore.engine" in command(tmp_path / "sqlite", "restore", str(out), code=1)


def test_a_sqlite_installation_moves_to_postgresql(databases: list[str], tmp_path: Path) -> None:
    served = filled(tmp_path / "data")
    served.stop()
    command(served.data, "backup", "--to", str(tmp_path / "one.backup"), "--with-keys")
    told = command(tmp_path / "moved", "restore", str(tmp_path / "one.backup"), TONGCHOU_DATABASE_URL=databases[0])
    assert "ledger: verified" in told
    holds_all(tmp_path / "moved", TONGCHOU_DATABASE_URL=databases[0])
