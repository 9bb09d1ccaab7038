"""Redis, Memcached, MongoDB, and those that speak HTTP: Elasticsearch, OpenSearch, etcd."""

from __future__ import annotations

import json
import re
import ssl
import struct
import time
from collections.abc import Mapping
from typing import Any

from tongchou.core import http
from tongchou.integrations.services.talk import Found, Talk, UnexpectedError

_OP_MSG = 2013
_MAX_HTTP_BYTES = 200_000
# a Redis that does not let one in says so with one of these
_SHUT = (b"-NOAUTH", b"-DENIED", b"-NOPERM", b"-WRONGPASS")
_ROLES = {"master": "primary", "slave": "replica"}


def redis(talk: Talk) -> Found:
    """Ask for INFO; one that wants a password is named all the same."""
    talk.send(b"*1\r\n$4\r\nINFO\r\n")
    line = talk.line()
    if line.startswith(_SHUT):
        return Found("cache", "Redis")
    if not re.fullmatch(rb"\$\d{1,6}", line):
        raise UnexpectedError("speaks something else than Redis's protocol")
    said = talk.take(int(line[1:])).decode("utf-8", "replace")
    told = dict(each.split(":", 1) for each in said.splitlines() if ":" in each)
    if "redis_version" not in told:
        raise UnexpectedError("speaks something else than Redis's protocol")
    role = _ROLES.get(told.get("role", ""), told.get("role", ""))
    mode = {"mode": told["redis_mode"]} if told.get("redis_mode") else {}
    if told.get("valkey_version"):
        return Found("cache", "Valkey", told["valkey_version"], role, dict(mode))
    return Found("cache", "Redis", told["redis_version"], role, dict(mode))


def memcached(talk: Talk) -> Found:
    """Ask for its version."""
    talk.send(b"version\r\n")
    match = re.fullmatch(rb"VERSION (\S{1,60}).*", talk.line())
    if match is None:
        raise UnexpectedError("speaks something else than Memcached's protocol")
    return Found("cache", "Memcached", match[1].decode("ascii", "replace"))


# --- MongoDB ----------------------------------------------------------------------------------------------------------


def mongodb(talk: Talk) -> Found:
    """Say hello, then ask for the build: both are told to anybody."""
    told = _command(talk, "hello")
    if "maxWireVersion" not in told:
        told = _command(talk, "isMaster")  # before 4.4.2
    if "maxWireVersion" not in told:
        raise UnexpectedError("speaks something else than MongoDB's protocol")
    try:
        version = str(_command(talk, "buildInfo").get("version", ""))
    except UnexpectedError:
        version = ""
    role = "router" if told.get("msg") == "isdbgrid" else ""
    if told.get("setName"):
        primary = told.get("isWritablePrimary") or told.get("ismaster")
        role = "primary" if primary else "secondary" if told.get("secondary") else ""
    cluster = {"cluster": told["setName"]} if isinstance(told.get("setName"), str) else {}
    return Found("database", "MongoDB", version, role, dict(cluster))


def _command(talk: Talk, name: str) -> dict[str, Any]:
    fields = b"\x10" + name.encode() + b"\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    document = struct.pack("<i", len(fields) + 5) + fields + b"\0"
    talk.send(struct.pack("<iiiiIB", 21 + len(document), 7, 0, _OP_MSG, 0, 0) + document)
    size, _id, answers, code = struct.unpack("<iiii", talk.take(16))
    if code != _OP_MSG or answers != 7 or not 26 <= size <= 500_000:
        raise UnexpectedError("speaks something else than MongoDB's protocol")
    body = talk.take(size - 16)
    try:
        return _texts_and_flags(body[5:])
    except (struct.error, IndexError, ValueError):
        raise UnexpectedError("speaks something else than MongoDB's protocol") from None


def _texts_and_flags(document: bytes) -> dict[str, Any]:
    """Return the texts, numbers and booleans of a BSON document (https://bsonspec.org); the rest is passed over."""
    sizes = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
    found: dict[str, Any] = {}
    at = 4
    while document[at]:
        type_, end = document[at], document.index(b"\0", at + 1)
        name, at = document[at + 1 : end].decode("utf-8", "replace"), end + 1
        if type_ in (0x02, 0x03, 0x04, 0x05):
            long = struct.unpack_from("<i", document, at)[0]
            if long < 0:
                raise ValueError(name)
            if type_ == 0x02:
                found[name] = document[at + 4 : at + 3 + long].decode("utf-8", "replace")
            at += {0x02: 4, 0x05: 5}.get(type_, 0) + long
        elif type_ in sizes:
            if type_ == 0x08:
                found[name] = document[at] == 1
            elif type_ == 0x10:
                found[name] = struct.unpack_from("<i", document, at)[0]
            at += sizes[type_]
        else:
            break
    return found


# --- those that speak HTTP --------------------------------------------------------------------------------------------


def elasticsearch(url: str, until: float, tls: ssl.SSLContext | None) -> Found:
    """Ask for /; one that wants a login says in a header what it is."""
    answer = _get(url, "/", until, tls)
    if answer.status in (401, 403) and answer.headers.get("x-elastic-product") == "Elasticsearch":
        return Found("search_index", "Elasticsearch")
    told = _json(answer)
    version = told.get("version")
    if not isinstance(version, dict) or not isinstance(version.get("number"), str) or "cluster_name" not in told:
        raise UnexpectedError("is no Elasticsearch and no OpenSearch")
    engine = "OpenSearch" if version.get("distribution") == "opensearch" else "Elasticsearch"
    return Found("search_index", engine, version["number"], more={"cluster": str(told["cluster_name"])})


def etcd(url: str, until: float, tls: ssl.SSLContext | None) -> Found:
    """Ask for /version."""
    version = _json(_get(url, "/version", until, tls)).get("etcdserver")
    if not isinstance(version, str):
        raise UnexpectedError("is no etcd")
    return Found("database", "etcd", version)


def _get(url: str, path: str, until: float, tls: ssl.SSLContext | None) -> http.Response:
    try:
        return http.fetch(
            "GET",
            f"{url}{path}",
            purpose="services",
            timeout_seconds=max(0.1, until - time.monotonic()),
            max_bytes=_MAX_HTTP_BYTES,
            tls=tls,
        )
    except http.HttpError as error:
        raise UnexpectedError(f"gave no usable answer ({error.reason})") from error


def _json(answer: http.Response) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.body) if answer.status == 200 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnexpectedError(f"answered {answer.status} without what was asked for")
    return found
