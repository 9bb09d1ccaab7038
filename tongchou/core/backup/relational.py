"""The relational store in a backup: SQLite by its online backup, PostgreSQL by COPY in one REPEATABLE READ snapshot.

Sessions stay out: whoever holds a backup must not be able to walk into one. People sign in again after a restore.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_lazy as _

from tongchou.core.backup.crypt import damaged
from tongchou.core.backup.parts import Sink
from tongchou.core.postgres.base import unlimited
from tongchou.core.problems import Unavailable

SQLITE_FILE = "relational/tongchou.sqlite3.gz"
NEVER = {"django_session"}
_BLOCK = 1024 * 1024
_LEVEL = 3  # gzip: a third of the time of the default for a tenth more bytes


def engine() -> str:
    """Return sqlite or postgresql."""
    return connections[DEFAULT_DB_ALIAS].vendor


def applied() -> list[list[str]]:
    """Return [app, name] of every applied migration, in order."""
    rows = MigrationRecorder(connections[DEFAULT_DB_ALIAS]).migration_qs.order_by("id").values_list("app", "name")
    return [list(each) for each in rows]


def dump(sink: Sink, scratch: Path) -> dict[str, Any]:
    """Add a consistent snapshot; return engine, migrations, rows by table and the ledger's head in it."""
    return _dump_sqlite(sink, scratch) if engine() == "sqlite" else _dump_postgresql(sink, scratch)


# --- SQLite --------------------------------------------------------------------------------------------------------
def _dump_sqlite(sink: Sink, scratch: Path) -> dict[str, Any]:
    source_path = Path(str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]))
    copy = scratch / "tongchou.sqlite3"
    with (
        closing(sqlite3.connect(f"{source_path.as_uri()}?mode=ro", uri=True, timeout=30)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        try:
            # in one step: a snapshot of this moment, that writers neither wait for nor make start again
            source.backup(target, pages=-1)
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("PRAGMA secure_delete=ON")
            target.execute("DELETE FROM django_session")
            found = target.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if "full" in str(error):
                raise OSError(28, "the disk is full") from error
            raise Unavailable(
                "backup.database_damaged",
                _("The database cannot be copied: %(error)s") % {"error": error},
                remedy=_("It may be damaged: keep it, and restore the last good backup."),
            ) from error
        if found != "ok":
            raise Unavailable(
                "backup.database_damaged",
                _("The database is damaged: %(error)s") % {"error": str(found)[:300]},
                remedy=_("Keep it, and restore the last good backup."),
            )
        facts = facts_of(target)
    packed = scratch / "tongchou.sqlite3.gz"
    with copy.open("rb") as plain, gzip.open(packed, "wb", compresslevel=_LEVEL) as file:
        shutil.copyfileobj(plain, file, _BLOCK)
    copy.unlink()
    sink.add(SQLITE_FILE, packed)
    packed.unlink()
    return facts


def facts_of(database: sqlite3.Connection) -> dict[str, Any]:
    """Return what a manifest says of a SQLite database."""
    tables = [
        name
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
    ]
    rows = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608  # names of its own schema
    migrations = [list(each) for each in database.execute("SELECT app, name FROM django_migrations ORDER BY id")]
    head = database.execute("SELECT month, head, count FROM core_segment ORDER BY month DESC LIMIT 1").fetchone()
    return _facts("sqlite", migrations, rows, head)


def _facts(name: str, migrations: list[list[str]], rows: dict[str, int], head: Any) -> dict[str, Any]:
    ledger = {"month": head[0], "head": head[1], "sealed": head[2]} if head else None
    return {"engine": name, "migrations": migrations, "rows": rows, "ledger": ledger}


def unpack_sqlite(folder: Path, target: Path) -> None:
    """Write the database file of a read backup to `target` and check it. Raises Invalid."""
    with gzip.open(folder / SQLITE_FILE, "rb") as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, _BLOCK)
    target.chmod(0o600)
    with closing(sqlite3.connect(target)) as database:
        try:
            found = database.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise damaged(_("its database is not one")) from error
    if found != "ok":
        raise damaged(_("its database is not sound: %(what)s") % {"what": found})


# --- PostgreSQL ----------------------------------------------------------------------------------------------------
def _open() -> Any:
    """A connection of its own, beside Django's; Any, because Django's stubs do not say which driver."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    return wrapper.get_new_connection(wrapper.get_connection_params())


def _tables(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"
    )
    return [name for (name,) in cursor.fetchall()]


def _columns(cursor: Any, table: str) -> list[str]:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s"
        " AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in cursor.fetchall()]


def _dump_postgresql(sink: Sink, scratch: Path) -> dict[str, Any]:
    rows: dict[str, int] = {}
    columns: dict[str, list[str]] = {}
    with unlimited(), closing(_open()) as database:
        database.autocommit = True
        with database.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for table in _tables(cursor):
                if table in NEVER:
                    continue
                columns[table] = _columns(cursor, table)
                rows[table] = _copy_out(cursor, table, columns[table], scratch / "table.gz")
                sink.add(f"relational/{table}.copy.gz", scratch / "table.gz")
            cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
            migrations = [list(each) for each in cursor.fetchall()]
            cursor.execute("SELECT month, head, count FROM core_segment ORDER BY month DESC LIMIT 1")
            head = cursor.fetchone()
            cursor.execute("COMMIT")
    (scratch / "table.gz").unlink(missing_ok=True)
    return {**_facts("postgresql", migrations, rows, head), "columns": columns}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _copy_out(cursor: Any, table: str, columns: list[str], target: Path) -> int:
    listed = ", ".join(_quoted(each) for each in columns)
    statement = f"COPY (SELECT {listed} FROM {_quoted(table)}) TO STDOUT"  # noqa: S608  # names of its own schema
    with gzip.open(target, "wb", compresslevel=_LEVEL) as file, cursor.copy(statement) as copy:
        for block in copy:
            file.write(bytes(block))
    return int(cursor.rowcount)


def load_postgresql(folder: Path, facts: dict[str, Any]) -> dict[str, int]:
    """Fill the migrated tables from a read backup, all of it or nothing; return rows by table as counted afterwards."""
    counted: dict[str, int] = {}
    with unlimited(), closing(_open()) as database, database.cursor() as cursor:
        here = set(_tables(cursor))
        columns: dict[str, list[str]] = facts["columns"]
        missing = sorted(set(columns) - here)
        if missing:
            raise damaged(_("this release has no table %(names)s") % {"names": ", ".join(missing[:5])})
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        wiped = ", ".join(_quoted(each) for each in sorted(here - {"django_migrations"}))
        cursor.execute(f"TRUNCATE {wiped}")
        for table, names in columns.items():
            if table == "django_migrations":
                continue  # they are what was really applied here
            listed = ", ".join(_quoted(each) for each in names)
            with (
                gzip.open(folder / "relational" / f"{table}.copy.gz", "rb") as file,
                cursor.copy(f"COPY {_quoted(table)} ({listed}) FROM STDIN") as copy,
            ):
                while block := file.read(_BLOCK):
                    copy.write(block)
            cursor.execute(f"SELECT count(*) FROM {_quoted(table)}")  # noqa: S608  # a name of its own schema
            counted[table] = cursor.fetchone()[0]
        database.commit()
    return counted


def reset_sequences(models: list[Any]) -> None:
    """Let the next row of each table get a number above the restored ones."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    with wrapper.cursor() as cursor:
        for statement in wrapper.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
