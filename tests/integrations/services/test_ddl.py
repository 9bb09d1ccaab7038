"""DDL done for real, on the PostgreSQL and the MariaDB of this machine: what the source sees, and the item of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.changes.observing import read
from tests.integrations import laws
from tests.integrations.services import neighbours
from tongchou.changes.models_drift import Drift
from tongchou.core import secrets
from tongchou.inventory import sources
from tongchou.inventory.models import Resource, SourceConfig

pytestmark = pytest.mark.django_db
NAME = f"tongchou_ddl_{os.getpid()}"
PASSWORD = "canary-9f"  # of a user that lives as long as a test
Run = Callable[[str], None]


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.1"]


def there(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def postgresql() -> Iterator[Run]:
    """Runs SQL as the owner of a database of the test's own; the login of the source may connect, and nothing else."""
    try:
        owner = psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres connect_timeout=3", autocommit=True)
    except psycopg.Error:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432 that lets postgres in")
    with owner:
        owner.execute(f"CREATE ROLE {NAME} LOGIN PASSWORD '{PASSWORD}'")
        owner.execute(f"CREATE DATABASE {NAME}")
        try:
            with psycopg.connect(f"host=127.0.0.1 user=postgres dbname={NAME}", autocommit=True) as own:
                yield lambda text: own.execute(text) and None
        finally:
            owner.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
            owner.execute(f"DROP ROLE {NAME}")


@pytest.fixture
def mariadb() -> Iterator[Run]:
    """The same; its user has REFERENCES alone, which shows what tables look like and nothing of what is in them."""
    program = shutil.which("mariadb") or shutil.which("mysql")
    if program is None or not there(3306):
        pytest.skip("no MariaDB on 127.0.0.1:3306")

    def run(text: str, database: str = NAME) -> None:
        words = [program, "-h127.0.0.1", "-uroot", "--connect-timeout=3", "-e", text, database]
        subprocess.run(words, check=True, timeout=20, capture_output=True)

    try:
        run("SELECT 1", "mysql")
    except subprocess.CalledProcessError:
        pytest.skip("MariaDB does not let root in")
    user = f"{NAME}@127.0.0.1"
    run(f"CREATE DATABASE {NAME}; CREATE USER {user} IDENTIFIED BY '{PASSWORD}'", "mysql")
    run(f"GRANT REFERENCES ON {NAME}.* TO {user}", "mysql")
    try:
        yield run
    finally:
        run(f"DROP DATABASE {NAME}; DROP USER {user}", "mysql")


def configured(kind: str, port: int, **more: Any) -> SourceConfig:
    login = f"host=127.0.0.1 port={port} user={NAME} password={PASSWORD} dbname={NAME}"
    secrets.put(actor=laws.ACTOR, name="logins", value=login)
    wanted = {"addresses": [f"{kind}://127.0.0.1:{port}"], f"{kind}_secret": "logins", **more}
    return laws.configured("services", wanted)


def look(config: SourceConfig) -> list[str]:
    plan = sources.run_source(actor=laws.ACTOR, source=config)
    read()
    return [note.params["text"] for note in plan.warnings]


def items() -> dict[str, tuple[str, str]]:
    return {row.path: (row.state, row.diff) for row in Drift.objects.filter(what="schema")}


def test_ddl_of_a_real_postgresql_is_an_item_that_goes_when_it_is_taken_back(postgresql: Run) -> None:
    postgresql("CREATE TABLE orders (id bigint PRIMARY KEY, note text DEFAULT 's3cr3t')")
    config = configured("postgresql", 5432)
    laws.settles(config)
    read()
    row = Resource.objects.get(kind="database")
    [text] = row.attribute_values.filter(name="table/public.orders").values_list("value", flat=True)
    assert text.startswith("id bigint not null; note text default #")
    assert items() == {}
    postgresql("ALTER TABLE orders ADD total numeric(10,2) NOT NULL, ADD CHECK (total > 0)")
    postgresql("CREATE INDEX by_note ON orders (note)")
    postgresql("CREATE TABLE extra (id int); CREATE VIEW shown AS SELECT id FROM orders")
    assert look(config) == []
    assert items() == {
        "schema public.orders": (
            "open",
            "\n".join(
                [
                    "+total numeric(10,2) not null",
                    "+index by_note btree (note)",
                    "+constraint orders_total_check CHECK ((total > (0)::numeric))",
                ]
            ),
        ),
        "schema public.extra": ("open", "+id integer"),
        "schema public.shown": ("open", "+(view)\n+id bigint"),
    }
    postgresql("DROP VIEW shown; DROP TABLE extra; ALTER TABLE orders DROP total; DROP INDEX by_note")
    look(config)
    assert {state for state, _diff in items().values()} == {"cleared"}
    assert "s3cr3t" not in laws.everything_recorded()
    assert PASSWORD not in laws.everything_recorded()


def test_data_temporary_tables_and_partitions_are_no_ddl(postgresql: Run) -> None:
    postgresql("CREATE TABLE readings (at date NOT NULL) PARTITION BY RANGE (at)")
    config = configured("postgresql", 5432)
    look(config)
    postgresql("CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    postgresql("INSERT INTO readings VALUES ('2026-01-05'); CREATE TEMP TABLE mine (id int); ANALYZE")
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something


def test_a_database_that_tells_too_late_is_told_of_and_keeps_what_is_known(postgresql: Run) -> None:
    postgresql("CREATE TABLE orders (id bigint)")
    config = configured("postgresql", 5432, timeout_seconds=1)
    look(config)
    with psycopg.connect(f"host=127.0.0.1 user=postgres dbname={NAME}") as other:
        other.execute("LOCK TABLE pg_catalog.pg_attrdef IN ACCESS EXCLUSIVE MODE")
        [why] = look(config)
    assert "does not tell what its tables look like (SQLSTATE 57014)" in why
    assert items() == {}
    assert Resource.objects.get(kind="database").attribute_values.filter(name="table/public.orders").exists()


def test_ddl_of_a_real_mariadb_is_an_item_that_goes_when_it_is_taken_back(mariadb: Run) -> None:
    mariadb("CREATE TABLE customers (id int PRIMARY KEY) ENGINE=InnoDB")
    mariadb("CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer int, note varchar(20) DEFAULT 's3cr3t')")
    config = configured("mysql", 3306)
    laws.settles(config)
    read()
    row = Resource.objects.get(kind="database")
    [text] = row.attribute_values.filter(name=f"table/{NAME}.orders").values_list("value", flat=True)
    assert text.startswith("id int(11) not null auto_increment; customer int(11) default #")
    assert text.endswith("unique index PRIMARY (id)")
    assert items() == {}
    mariadb("ALTER TABLE orders ADD total decimal(10,2) NOT NULL, ADD UNIQUE by_note (note(5), total)")
    mariadb("ALTER TABLE orders ADD CONSTRAINT who FOREIGN KEY (customer) REFERENCES customers (id)")
    mariadb("CREATE TABLE extra (id int)")
    assert look(config) == []
    assert items() == {
        f"schema {NAME}.orders": (
            "open",
            "\n".join(
                [
                    "+total decimal(10,2) not null",
                    "+unique index by_note (note(5), total)",
                    "+index who (customer)",
                    "+foreign key who (customer) customers (id)",
                ]
            ),
        ),
        f"schema {NAME}.extra": ("open", f"+{_plain_int()}"),
    }
    mariadb("DROP TABLE extra; ALTER TABLE orders DROP FOREIGN KEY who, DROP KEY who, DROP KEY by_note, DROP total")
    look(config)
    assert {state for state, _diff in items().values()} == {"cleared"}
    assert "s3cr3t" not in laws.everything_recorded()
    assert PASSWORD not in laws.everything_recorded()


def _plain_int() -> str:
    """A column that may be NULL has in MariaDB NULL for its default."""
    from_hash = Drift.objects.get(path=f"schema {NAME}.extra").observed
    assert from_hash.startswith("id int(11)")
    return from_hash


def test_a_login_that_is_refused_and_a_switch_that_is_off(mariadb: Run) -> None:
    mariadb("CREATE TABLE orders (id int)")
    config = configured("mysql", 3306, schemas=False)
    assert look(config) == []
    assert not Resource.objects.get(kind="database").attribute_values.filter(name__startswith="table").exists()
    configured("mysql", 3306)
    secrets.put(actor=laws.ACTOR, name="logins", value=f"host=127.0.0.1 user={NAME} password=wrong")
    [why] = look(SourceConfig.objects.get())
    assert "is refused, or may not do this (error 1045)" in why
    assert "wrong" not in why


@pytest.mark.parametrize(
    "behaviour", [neighbours.silent, neighbours.closing, neighbours.flooding, neighbours.dripping, neighbours.web]
)
def test_a_neighbour_that_takes_the_login_and_behaves_badly_is_told_of(behaviour: neighbours.Behaviour) -> None:
    greeting = (
        b"\x0a8.0.36\0" + bytes(4) + b"12345678\0" + b"\xff\xff-\x02\0\xff\xff\x15" + bytes(10) + b"123456789012\0"
    )
    greeting += b"caching_sha2_password\0"

    def behave(peer: socket.socket) -> None:
        peer.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        peer.recv(4096)
        behaviour(peer)

    with neighbours.listening(behave) as port:
        config = configured("mysql", port, timeout_seconds=1)
        [why] = look(config)
    assert f"127.0.0.1:{port} (mysql)" in why
    assert Resource.objects.get(kind="database").attributes["engine"] == "MySQL"
