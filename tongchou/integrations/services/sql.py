"""PostgreSQL and MySQL: what they say before anybody has signed in; PostgreSQL also what it says to a known user."""

from __future__ import annotations

import math
import re
import struct
import time
from collections.abc import Mapping

import psycopg

from tongchou.integrations.services.talk import Found, Talk, UnexpectedError

VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_USER = b"tongchou"
# CLIENT_LONG_PASSWORD, _PROTOCOL_41, _SECURE_CONNECTION, _PLUGIN_AUTH
_ABILITIES = 0x0001 | 0x0200 | 0x8000 | 0x80000
_ERROR, _SWITCH = 0xFF, 0xFE


def postgresql(talk: Talk) -> Found:
    """Ask whether it would encrypt: S or N. A talk that ends here is an ordinary one, and in no log."""
    talk.send(_SSL_REQUEST)
    if talk.take(1) not in (b"S", b"N"):
        raise UnexpectedError("speaks something else than PostgreSQL's protocol")
    return Found("database", "PostgreSQL")


def signed_in(address: str, port: int, known: Mapping[str, str], until: float) -> Found:
    """Sign in to PostgreSQL: its first answer tells version and role, so nothing is asked. Raises UnexpectedError."""
    seconds = max(2, math.ceil(until - time.monotonic()))  # libpq knows no less than 2
    try:
        with psycopg.connect(
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
        ) as connection:
            told = connection.info.parameter_status
            version, standby = told("server_version") or "", told("in_hot_standby")
    except psycopg.Error as error:
        said = f"SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__
        raise UnexpectedError(f"the login of the secret does not open it ({said})") from None  # it may quote the login
    match = VERSION.search(version)
    role = {"on": "standby", "off": "primary"}.get(standby or "", "")
    return Found("database", "PostgreSQL", match[0] if match else "", role)


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
