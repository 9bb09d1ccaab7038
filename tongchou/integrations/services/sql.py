"""PostgreSQL and MySQL: what they say before anybody has signed in; PostgreSQL also what it says to a known user.

What MariaDB and MySQL say to a known user is in mysql_login.
"""

from __future__ import annotations

import math
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg

from tongchou.integrations.services.schema import MOST_COLUMNS, column
from tongchou.integrations.services.talk import Found, Talk, UnexpectedError

VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_USER = b"tongchou"
# CLIENT_LONG_PASSWORD, _PROTOCOL_41, _SECURE_CONNECTION, _PLUGIN_AUTH
_ABILITIES = 0x0001 | 0x0200 | 0x8000 | 0x80000
_ERROR, _SWITCH = 0xFF, 0xFE
_SORTS = {"v": "view", "m": "materialized view", "f": "foreign table"}
Row = tuple[Any, ...]
_OTHERS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT c.relispartition"
COLUMNS = f"""
    SELECT n.nspname, c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OTHERS}
    ORDER BY n.nspname, c.relname, a.attnum LIMIT %s"""  # noqa: S608  # made of constants
INDEXES = f"""
    SELECT n.nspname, c.relname, x.relname, pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND {_OTHERS}
    ORDER BY n.nspname, c.relname, x.relname LIMIT %s"""  # noqa: S608  # made of constants
CONSTRAINTS = f"""
    SELECT n.nspname, c.relname, o.conname, pg_get_constraintdef(o.oid)
    FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE o.contype IN ('c', 'f', 'x') AND c.relkind IN ('r', 'p', 'f') AND {_OTHERS}
    ORDER BY n.nspname, c.relname, o.conname LIMIT %s"""  # noqa: S608  # made of constants


def postgresql(talk: Talk) -> Found:
    """Ask whether it would encrypt: S or N. A talk that ends here is an ordinary one, and in no log."""
    talk.send(_SSL_REQUEST)
    if talk.take(1) not in (b"S", b"N"):
        raise UnexpectedError("speaks something else than PostgreSQL's protocol")
    return Found("database", "PostgreSQL")


def signed_in(address: str, port: int, known: Mapping[str, str], until: float) -> tuple[Found, psycopg.Connection[Row]]:
    """Sign in to PostgreSQL: its first answer tells version and role. Raises UnexpectedError. Close the connection."""
    seconds = max(2, math.ceil(until - time.monotonic()))  # libpq knows no less than 2
    try:
        connection = psycopg.connect(
            user=known["user"],
            password=known.get("password"),
            dbname=known.get("dbname") or known["user"],
            host=known.get("host"),
            hostaddr=address,
            port=port,
            sslmode=known.get("sslmode") or "prefer",
            connect_timeout=seconds,
            passfile="/dev/null",  # none but the secret's
            application_name="tongchou",
        )
    except psycopg.Error as error:
        raise UnexpectedError(f"the login of the secret does not open it ({_said(error)})") from None
    told = connection.info.parameter_status
    match = VERSION.search(told("server_version") or "")
    role = {"on": "standby", "off": "primary"}.get(told("in_hot_standby") or "", "")
    return Found("database", "PostgreSQL", match[0] if match else "", role), connection


def tables(connection: psycopg.Connection[Row], seconds: float) -> dict[str, list[str]]:
    """Read what the tables of a database look like: table -> lines. Raises UnexpectedError.

    Three queries of the catalogue, which every role may read, in a transaction that cannot write and that the server
    itself ends in time. Partitions are their table's, and what a session made for itself is nobody's.
    """
    # a server that hangs ends nothing itself, and libpq would wait for it for ever
    socket_ = socket.socket(fileno=os.dup(connection.fileno()))
    hangs = threading.Timer(seconds + 1, socket_.shutdown, [socket.SHUT_RDWR])
    hangs.start()
    try:
        connection.read_only = True
        with connection.transaction():
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{max(1, int(seconds * 1000))}ms"])
            columns, indexes, constraints = (
                connection.execute(each, [MOST_COLUMNS]).fetchall() for each in (COLUMNS, INDEXES, CONSTRAINTS)
            )
    except psycopg.Error as error:
        raise UnexpectedError(f"does not tell what its tables look like ({_said(error)})") from None
    finally:
        hangs.cancel()
        socket_.close()
    found: dict[str, list[str]] = {}
    for schema, table, sort, name, type_, needed, default in columns:
        lines = found.setdefault(f"{schema}.{table}", [f"({_SORTS[sort]})"] if sort in _SORTS else [])
        lines.append(column(name, type_, null=not needed, default=default))
    for schema, table, name, definition in indexes:
        unique = "unique " if definition.startswith("CREATE UNIQUE") else ""
        line = f"{unique}index {name} {definition.partition(' USING ')[2]}"
        found.setdefault(f"{schema}.{table}", []).append(line)
    for schema, table, name, definition in constraints:
        found.setdefault(f"{schema}.{table}", []).append(f"constraint {name} {definition}")
    return found


def _said(error: psycopg.Error) -> str:
    """What went wrong, without the error's text: it may quote the login."""
    return f"SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__


def mysql(talk: Talk) -> Found:
    """Read the greeting, then end the handshake as one who is not let in.

    A server blocks a client for good after max_connect_errors (100) handshakes that break off; an unknown user does
    not count. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
    """
    number, body = _packet(talk)
    if body[:1] == bytes([_ERROR]):
        raise UnexpectedError(f"refuses this host (error {int.from_bytes(body[1:3], 'little')})")
    text, end, _rest = body[1:].partition(b"\0")
    if body[:1] != b"\x0a" or not end or number != 0:
        raise UnexpectedError("speaks something else than MySQL's protocol")
    answer = struct.pack("<IIB23x", _ABILITIES, 1 << 24, 45) + _USER + b"\0" + b"\0" + b"mysql_native_password\0"
    try:
        _send_packet(talk, number + 1, answer)
        number, body = _packet(talk)
        if body[:1] == bytes([_SWITCH]):  # another way to prove oneself: with nothing, too
            _send_packet(talk, number + 1, b"")
            _packet(talk)
    except (UnexpectedError, OSError):
        pass  # what was wanted is known
    said = text.decode("ascii", "replace")
    maria = "mariadb" in said.lower()
    match = VERSION.search(said.removeprefix("5.5.5-") if maria else said)  # what replicas of old wanted to read
    return Found("database", "MariaDB" if maria else "MySQL", match[0] if match else "")


def _packet(talk: Talk) -> tuple[int, bytes]:
    head = talk.take(4)
    size = int.from_bytes(head[:3], "little")
    if not 0 < size < 65_536:
        raise UnexpectedError("speaks something else than MySQL's protocol")
    return head[3], talk.take(size)


def _send_packet(talk: Talk, number: int, body: bytes) -> None:
    talk.send(len(body).to_bytes(3, "little") + bytes([number & 0xFF]) + body)
