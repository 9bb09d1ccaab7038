"""Signs in to MariaDB or MySQL and reads what its tables look like: the client half of its protocol, in little.

https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html. A password goes out as the answer to a challenge
only; in plain (the full sign-in of caching_sha2_password) inside TLS whose certificate is trusted, else not at all.
"""

from __future__ import annotations

import hashlib
import ssl
import struct
from collections.abc import Iterator, Mapping
from itertools import groupby

from tongchou.integrations.services.schema import MOST_COLUMNS, column
from tongchou.integrations.services.talk import Talk, UnexpectedError

# CLIENT_LONG_PASSWORD, _LONG_FLAG, _PROTOCOL_41, _TRANSACTIONS, _SECURE_CONNECTION, _PLUGIN_AUTH
_ABILITIES = 0x0001 | 0x0004 | 0x0200 | 0x2000 | 0x8000 | 0x80000
_SSL = 0x0800
_OK, _MORE, _EOF, _ERROR, _NULL = 0x00, 0x01, 0xFE, 0xFF, 0xFB
_UTF8 = 45  # utf8mb4_general_ci
_NATIVE, _CACHING = "mysql_native_password", "caching_sha2_password"
_OWN = "('mysql', 'information_schema', 'performance_schema', 'sys')"
TLS_MODES = ("require", "verify-ca", "verify-full")
COLUMNS = (
    "SELECT table_schema, table_name, column_name, column_type, is_nullable, column_default, extra"
    " FROM information_schema.columns WHERE table_schema NOT IN {own}{only}"
    " ORDER BY table_schema, table_name, ordinal_position LIMIT {most}"
)
INDEXES = (
    "SELECT table_schema, table_name, index_name, non_unique, column_name, sub_part"
    " FROM information_schema.statistics WHERE table_schema NOT IN {own}{only}"
    " ORDER BY table_schema, table_name, index_name, seq_in_index LIMIT {most}"
)
KEYS = (
    "SELECT table_schema, table_name, constraint_name, column_name, referenced_table_name, referenced_column_name"
    " FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL"
    " AND table_schema NOT IN {own}{only}"
    " ORDER BY table_schema, table_name, constraint_name, ordinal_position LIMIT {most}"
)
Row = tuple[str | None, ...]


def tables(talk: Talk, known: Mapping[str, str], tls: ssl.SSLContext) -> dict[str, list[str]]:
    """Sign in and return table -> lines, of one database where the login names one. Raises UnexpectedError."""
    wire = _Wire(talk)
    _sign_in(wire, known, tls)
    only = ""
    if known.get("dbname"):
        only = f" AND table_schema = x'{known['dbname'].encode().hex()}'"  # a literal that cannot end early
    texts = (each.format(own=_OWN, only=only, most=MOST_COLUMNS) for each in (COLUMNS, INDEXES, KEYS))
    columns, indexes, keys = ([*wire.query(text)] for text in texts)
    return _tables(columns, indexes, keys)


def _tables(columns: list[Row], indexes: list[Row], keys: list[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for schema, table, name, type_, null, default, extra in columns:
        line = column(name or "", type_ or "", null=null == "YES", default=default, more=extra or "")
        found.setdefault(f"{schema}.{table}", []).append(line)
    for (schema, table, name), rows in groupby(indexes, key=lambda row: row[:3]):
        several = list(rows)
        unique = "unique " if several[0][3] == "0" else ""
        parts = ", ".join((each[4] or "(expression)") + (f"({each[5]})" if each[5] else "") for each in several)
        found.setdefault(f"{schema}.{table}", []).append(f"{unique}index {name} ({parts})")
    for (schema, table, name), rows in groupby(keys, key=lambda row: row[:3]):
        several = list(rows)
        own, other = (", ".join(each[at] or "" for each in several) for at in (3, 5))
        found.setdefault(f"{schema}.{table}", []).append(f"foreign key {name} ({own}) {several[0][4]} ({other})")
    return found


class _Wire:
    """Packets, numbered from 0 in each exchange."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.number = 0

    def read(self) -> bytes:
        """Return the body of the next packet; UnexpectedError for one that does not follow."""
        head = self.talk.take(4)
        size = int.from_bytes(head[:3], "little")
        if head[3] != self.number & 0xFF or not 0 < size < 0xFFFFFF:
            raise UnexpectedError("speaks something else than MySQL's protocol")
        self.number += 1
        return self.talk.take(size)

    def write(self, body: bytes) -> None:
        """Send one packet."""
        self.talk.send(len(body).to_bytes(3, "little") + bytes([self.number & 0xFF]) + body)
        self.number += 1

    def query(self, text: str) -> Iterator[Row]:
        """Return the rows of one query, all of them text."""
        self.number = 0
        self.write(b"\x03" + text.encode())
        head = _fine(self.read())
        if head[0] in (_OK, _NULL):  # nothing, or that a file be sent, which nobody asked for
            raise UnexpectedError("gave no rows where rows were asked for")
        count, _at = _length(head, 0)
        for _column in range(count or 0):
            self.read()
        _fine(self.read())
        while True:
            body = _fine(self.read())
            if body[0] == _EOF and len(body) < 9:
                return
            yield _row(body, count or 0)


def _row(body: bytes, count: int) -> Row:
    found: list[str | None] = []
    at = 0
    for _value in range(count):
        size, at = _length(body, at)
        found.append(None if size is None else body[at : at + size].decode("utf-8", "replace"))
        at += size or 0
    return tuple(found)


def _length(body: bytes, at: int) -> tuple[int | None, int]:
    """Read a length-encoded number: (the number, None for NULL; where the rest begins)."""
    first = body[at]
    if first == _NULL:
        return None, at + 1
    wide = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first)
    if wide is None:
        return first, at + 1
    return int.from_bytes(body[at + 1 : at + 1 + wide], "little"), at + 1 + wide


def _fine(body: bytes) -> bytes:
    if body[0] == _ERROR:
        number = int.from_bytes(body[1:3], "little")
        raise UnexpectedError(f"the login of the secret is refused, or may not do this (error {number})")
    return body


# --- signing in -------------------------------------------------------------------------------------------------------


def _sign_in(wire: _Wire, known: Mapping[str, str], tls: ssl.SSLContext) -> None:
    greeting = wire.read()
    end = greeting.find(b"\0")
    if greeting[0] != 0x0A or end < 0 or len(greeting) < end + 32:
        raise UnexpectedError("speaks something else than MySQL's protocol")
    rest = greeting[end + 1 :]
    offered = int.from_bytes(rest[13:15] + rest[18:20], "little")
    challenge = (rest[4:12] + rest[31:])[:20]
    plugin = rest[44:].partition(b"\0")[0].decode("ascii", "replace") or _NATIVE
    abilities, secure = _ABILITIES, known.get("sslmode") in TLS_MODES
    if secure:
        if not offered & _SSL:
            raise UnexpectedError("offers no TLS, which the login of the secret asks for")
        abilities |= _SSL
        wire.write(struct.pack("<IIB23x", abilities, 1 << 24, _UTF8))
        wire.talk.start_tls(tls, known["host"])
    password = known.get("password", "").encode()
    if plugin not in (_NATIVE, _CACHING):
        plugin = _NATIVE  # the server asks for another way, where it wants one
    answer = _answer(plugin, password, challenge)
    user = known["user"].encode().replace(b"\0", b"")
    head = struct.pack("<IIB23x", abilities, 1 << 24, _UTF8)
    wire.write(head + user + b"\0" + bytes([len(answer)]) + answer + plugin.encode() + b"\0")
    _prove(wire, password, secure=secure)


def _prove(wire: _Wire, password: bytes, *, secure: bool) -> None:
    """Answer what the server asks until it lets in; UnexpectedError when it does not, or asks for too much."""
    for _turn in range(5):
        body = _fine(wire.read())
        if body[0] == _OK:
            return
        if body[0] == _EOF:
            name, _zero, challenge = body[1:].partition(b"\0")
            plugin = name.decode("ascii", "replace")
            if plugin not in (_NATIVE, _CACHING):
                raise UnexpectedError(f"wants a way to sign in that is not known here ({plugin[:40]})")
            wire.write(_answer(plugin, password, challenge[:20]))
        elif body == bytes([_MORE, 4]):
            if not secure:
                raise UnexpectedError("wants the password itself: write sslmode=require behind the login of the secret")
            wire.write(password + b"\0")
        elif body != bytes([_MORE, 3]):
            break
    raise UnexpectedError("speaks something else than MySQL's protocol")


def _answer(plugin: str, password: bytes, challenge: bytes) -> bytes:
    """Return the proof that one knows the password, as the two ways to sign in have it."""
    if not password:
        return b""
    if plugin == _CACHING:
        once = hashlib.sha256(password).digest()
        twice = hashlib.sha256(hashlib.sha256(once).digest() + challenge).digest()
    else:
        once = hashlib.sha1(password, usedforsecurity=False).digest()  # as the protocol has it
        stored = hashlib.sha1(once, usedforsecurity=False).digest()
        twice = hashlib.sha1(challenge + stored, usedforsecurity=False).digest()
    return bytes(a ^ b for a, b in zip(once, twice, strict=True))
