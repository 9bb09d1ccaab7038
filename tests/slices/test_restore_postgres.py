"""PostgreSQL: backup and restore into an empty database, over a full one, and the move from SQLite to PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from tests.clickhouse_http import ClickHouse
from tests.served import Served
from tests.slices.test_restore import Writer, command, numbers_there
from tongchou.core.backup import archive

pytestmark = [
    pytest.mark.slice,
    pytest.mark.both_databases,
    pytest.mark.skipif(not settings.DATABASE_URL, reason="needs a PostgreSQL server (bin/with-postgres)"),
]


@pytest.fixture
def databases() -> Iterator[list[str]]:
    """URLs of two empty databases beside the one of the tests."""
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


def that_fails_late(file: Path, target: Path, scratch: Path) -> Path:
    """A copy whose checksums fit and whose telemetry, the last to be loaded, lacks a sample that it promises."""
    manifest = archive.read(file, key=None, into=scratch)
    manifest["parts"]["telemetry"]["rows"]["samples"] += 1
    facts = {name: manifest.pop(name) for name in ("relational", "parts")}
    files = manifest.pop("files")
    with archive.Writer(target, manifest, key=None) as writer:
        for each in files:
            if each["name"] != archive.HEADER:
                writer.add(each["name"], scratch / each["name"])
        writer.finish(**facts)
    return target


def state(url: str, data: Path) -> tuple[set[str], set[str], dict[str, bytes]]:
    """People, schemas of ours, and the key files."""
    with psycopg.connect(url) as database:
        names = {name for (name,) in database.execute("SELECT username FROM core_user")}
        schemas = {name for (name,) in database.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^public'")}
    return names, schemas, {each.name: each.read_bytes() for each in (data / "keys").iterdir()}


def test_a_restore_that_fails_late_leaves_the_old_database_in_place(databases: list[str], tmp_path: Path) -> None:
    first, second = databases
    good = tmp_path / "good.backup"
    served = filled(tmp_path / "data", TONGCHOU_DATABASE_URL=first)
    served.stop()
    command(served.data, "backup", "--to", str(good), "--with-keys", TONGCHOU_DATABASE_URL=first)
    bad = that_fails_late(good, tmp_path / "bad.backup", tmp_path / "unpacked")
    with psycopg.connect(first) as database:
        database.execute("UPDATE core_user SET username = 'since-then' WHERE username = 'u1'")
    before = state(first, served.data)
    told = command(served.data, "restore", str(bad), "--force", code=1, TONGCHOU_DATABASE_URL=first)
    assert "backup.damaged" in told
    assert state(first, served.data) == before
    assert "since-then" in before[0]
    assert before[1] == {"public"}
    assert [each.name for each in served.data.iterdir() if ".before-restore-" in each.name] == []
    # into an empty database: it is empty again, so the good one needs no --force
    elsewhere = tmp_path / "elsewhere"
    command(elsewhere, "restore", str(bad), code=1, TONGCHOU_DATABASE_URL=second)
    assert "ledger: verified" in command(elsewhere, "restore", str(good), TONGCHOU_DATABASE_URL=second)
    # and the one that succeeds says where the old schema is
    told = command(served.data, "restore", str(good), "--force", TONGCHOU_DATABASE_URL=first)
    assert "PostgreSQL schema public_before_restore_" in told
    holds_all(served.data, TONGCHOU_DATABASE_URL=first)


@pytest.mark.soak  # two minutes, most of it migrations that the test above does as well
def test_a_full_clickhouse_is_refused_before_anything_is_changed(
    databases: list[str], clickhouse: ClickHouse, tmp_path: Path
) -> None:
    both = {"TONGCHOU_DATABASE_URL": databases[0], "TONGCHOU_CLICKHOUSE_URL": clickhouse.url}
    good = tmp_path / "good.backup"
    served = filled(tmp_path / "data", TONGCHOU_TELEMETRY_DATABASE="kept_full", **both)
    served.stop()
    command(served.data, "backup", "--to", str(good), "--with-keys", TONGCHOU_TELEMETRY_DATABASE="kept_full", **both)
    bad = that_fails_late(good, tmp_path / "bad.backup", tmp_path / "unpacked")
    before = state(databases[0], served.data)
    inodes = {each.name: each.stat().st_ino for each in (served.data / "keys").iterdir()}
    told = command(
        served.data, "restore", str(good), "--force", code=1, TONGCHOU_TELEMETRY_DATABASE="kept_full", **both
    )
    assert "restore.telemetry_not_empty" in told
    assert state(databases[0], served.data) == before
    assert {each.name: each.stat().st_ino for each in (served.data / "keys").iterdir()} == inodes, "nothing was moved"
    # an empty one that is filled half is emptied again, so the next restore is not refused
    new = {"TONGCHOU_TELEMETRY_DATABASE": "kept_new", **both}
    assert "backup.damaged" in command(served.data, "restore", str(bad), "--force", code=1, **new)
    assert state(databases[0], served.data) == before
    assert "ledger: verified" in command(served.data, "restore", str(good), "--force", **new)
    holds_all(served.data, **new)


def test_a_sqlite_installation_moves_to_postgresql(databases: list[str], tmp_path: Path) -> None:
    served = filled(tmp_path / "data")
    served.stop()
    command(served.data, "backup", "--to", str(tmp_path / "one.backup"), "--with-keys")
    told = command(tmp_path / "moved", "restore", str(tmp_path / "one.backup"), TONGCHOU_DATABASE_URL=databases[0])
    assert "ledger: verified" in told
    holds_all(tmp_path / "moved", TONGCHOU_DATABASE_URL=databases[0])
