"""An empty database gets its tables at once: the same ones, with the same rows, as by one migration after the other."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

WAYS = {"at once": ["tongchou.cli.main", "migrate"], "one by one": ["django", "migrate", "-v0"]}
# what two runs do not have in common
MOVES = {"django_migrations": ("id", "applied"), "auth_permission": ("id", "content_type_id")}
TIMES = ("created_at", "id", "at")
# what PostgreSQL calls a constraint or an index depends on the statement that made it; nothing goes by these names
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
# the number of a row of Django's own join table is an integer to its models and a bigint to its migrations
COLUMNS = """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity
FROM information_schema.columns WHERE table_schema = 'public' AND (table_name, column_name) <> ('auth_group_permissions', 'id')"""
CONSTRAINTS = """SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid), condeferrable, condeferred
FROM pg_constraint WHERE connamespace = 'public'::regnamespace"""
INDEXES = r"""SELECT tablename, regexp_replace(indexdef, 'INDEX \S+ ON', 'INDEX ON') FROM pg_indexes
WHERE schemaname = 'public'"""


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[dict[str, str]]:
    """One database for each way: of SQLite the path, of PostgreSQL the URL."""
    if connection.vendor == "sqlite":
        yield {way: str(tmp_path / way / "tongchou.sqlite3") for way in WAYS}
        return
    server = settings.DATABASE_URL.rpartition("/")[0]
    names = {way: f"schema_{uuid.uuid4().hex}" for way in WAYS}
    with closing(psycopg.connect(f"{server}/postgres", autocommit=True)) as admin:
        for name in names.values():
            admin.execute(f"CREATE DATABASE {name}")
        yield {way: f"{server}/{name}" for way, name in names.items()}
        for name in names.values():
            admin.execute(f"DROP DATABASE {name}")


def migrated(way: str, database: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")}
    environment |= {"TONGCHOU_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "tongchou.settings"}
    if database.startswith("postgresql"):
        environment["TONGCHOU_DATABASE_URL"] = database
    subprocess.run([sys.executable, "-m", *WAYS[way]], env=environment, check=True, timeout=300)


def parts(statement: str) -> list[str]:
    """The columns and constraints of a CREATE TABLE, in the order of their texts: an added column comes last there."""
    inner = statement[statement.index("(") + 1 : statement.rindex(")")]
    found, depth, begin = [], 0, 0
    for at, letter in enumerate(inner):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            found.append(inner[begin:at].strip())
            begin = at + 1
    return sorted([*found, inner[begin:].strip()])


def rows_of(read: Any, tables: list[str]) -> dict[str, list[str]]:
    """Every row of every table, without what two runs do not have in common."""
    found = {}
    for table in tables:
        columns, rows = read(table)
        kept = [n for n, name in enumerate(columns) if name not in MOVES.get(table, TIMES)]
        found[table] = sorted(str(sorted((columns[n], str(row[n])) for n in kept)) for row in rows)
    return found


def sqlite_of(path: str) -> dict[str, Any]:
    with closing(sqlite3.connect(path)) as database:
        made = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        tables = sorted(name for type_, name, _table, _sql in made if type_ == "table" and "sqlite_" not in name)

        def read(table: str) -> tuple[list[str], list[Any]]:
            cursor = database.execute(f'SELECT * FROM "{table}"')  # of its own schema
            return [each[0] for each in cursor.description], cursor.fetchall()

        return {
            "tables": {name: parts(sql) for type_, name, _table, sql in made if type_ == "table" and name in tables},
            "indexes": sorted(
                re.sub(r'INDEX "[^"]+"', "INDEX", sql) for type_, _name, _table, sql in made if type_ == "index" and sql
            ),
            "rows": rows_of(read, tables),
        }


def postgresql_of(url: str) -> dict[str, Any]:
    with closing(psycopg.connect(url)) as database:
        tables = sorted(row[0] for row in database.execute(TABLES).fetchall())

        def read(table: str) -> tuple[list[str], list[Any]]:
            cursor = database.execute(f'SELECT * FROM "{table}"')  # type: ignore[call-overload]  # of its own schema
            return [each[0] for each in cursor.description], cursor.fetchall()

        shape = {
            name: sorted(map(str, database.execute(sql).fetchall()))
            for name, sql in (("columns", COLUMNS), ("constraints", CONSTRAINTS), ("indexes", INDEXES))
        }
        return {"tables": tables, **shape, "rows": rows_of(read, tables)}


@pytest.mark.both_databases
@pytest.mark.timeout(300)
def test_all_at_once_and_one_by_one_make_the_same_database(databases: dict[str, str], tmp_path: Path) -> None:
    read = sqlite_of if connection.vendor == "sqlite" else postgresql_of
    found = {}
    for way, database in databases.items():
        migrated(way, database, tmp_path / way)
        found[way] = read(database)
    at_once, one_by_one = found.values()
    assert len(at_once["tables"]) > 100
    assert any("china" in row for row in at_once["rows"]["core_calendar"])
    for what, told in one_by_one.items():
        assert at_once[what] == told, what


def test_a_database_with_tables_and_without_migrations_is_not_taken_for_empty(tmp_path: Path) -> None:
    """Somebody else's database: what is there stays, and the tables of the platform come beside it."""
    path = tmp_path / "tongchou.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text TEXT)")
        database.execute("INSERT INTO notes VALUES ('kept')")
        database.commit()
    migrated("at once", str(path), tmp_path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT text FROM notes").fetchall() == [("kept",)]
        assert database.execute("SELECT count(*) FROM core_calendar").fetchone() == (1,)
