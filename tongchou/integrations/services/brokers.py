"""RabbitMQ, NATS, MQTT brokers and Kafka: their first words."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

from tongchou.integrations.services.talk import Found, Talk, UnexpectedError

_FRAME_END = 0xCE
_SYS = b"$SYS/broker/version"
_MOSQUITTO = re.compile(r"\Amosquitto version (\S+)")
# of the types of AMQP 0-9-1 and RabbitMQ's errata that have a fixed size
_SIZES = {b"t": 1, b"b": 1, b"B": 1, b"s": 2, b"u": 2, b"I": 4, b"i": 4, b"l": 8, b"f": 4, b"d": 8, b"D": 5, b"T": 8}


def amqp(talk: Talk) -> Found:
    """Offer AMQP 0-9-1; Connection.Start tells the properties of the server before anybody signs in."""
    talk.send(b"AMQP\x00\x00\x09\x01")
    head = talk.take(7)
    size = struct.unpack("!I", head[3:7])[0]
    if head[:3] != b"\x01\x00\x00" or not 12 <= size <= 131_072:
        raise UnexpectedError("speaks something else than AMQP 0-9-1")
    body = talk.take(size + 1)
    if body[:4] != b"\x00\x0a\x00\x0a" or body[-1] != _FRAME_END:
        raise UnexpectedError("speaks something else than AMQP 0-9-1")
    told = _table(body[6:-1])  # after class, method and version
    product = told.get("product", "AMQP")
    cluster = {"cluster": told["cluster_name"]} if told.get("cluster_name") else {}
    return Found("queue", product, told.get("version", ""), more=dict(cluster))


def _table(content: bytes) -> dict[str, str]:
    """Return the texts of a table by name; what is of another type is passed over."""
    size = int.from_bytes(content[:4], "big")
    content, at, found = content[4 : 4 + size], 0, {}
    while at < len(content):
        end = at + 1 + content[at]
        name, type_ = content[at + 1 : end].decode("utf-8", "replace"), content[end : end + 1]
        at = end + 1
        if type_ in (b"S", b"F", b"A", b"x"):
            long = int.from_bytes(content[at : at + 4], "big")
            if type_ == b"S":
                found[name] = content[at + 4 : at + 4 + long].decode("utf-8", "replace")
            at += 4 + long
        elif type_ == b"V" or type_ in _SIZES:
            at += _SIZES.get(type_, 0)
        else:
            break
    return found


def nats(talk: Talk) -> Found:
    """Read the line of information that a NATS server begins with."""
    line = talk.line()
    if not line.startswith(b"INFO {"):
        raise UnexpectedError("speaks something else than the protocol of NATS")
    try:
        told: dict[str, Any] = json.loads(line[5:])
    except (ValueError, RecursionError):
        raise UnexpectedError("speaks something else than the protocol of NATS") from None
    cluster = {"cluster": told["cluster"]} if isinstance(told.get("cluster"), str) else {}
    return Found("queue", "NATS", str(told.get("version", "")), more=dict(cluster))


def mqtt(talk: Talk) -> Found:
    """Connect without a name (MQTT 3.1.1) and, where anybody may, read what the broker publishes of its version."""
    talk.send(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x1e\x00\x00")
    if talk.take(3) != b"\x20\x02\x00":
        raise UnexpectedError("speaks something else than MQTT 3.1.1")
    if talk.take(1) != b"\x00":  # it lets in only whom it knows
        return Found("queue", "MQTT")
    try:
        talk.send(b"\x82" + bytes([5 + len(_SYS)]) + b"\x00\x01" + struct.pack("!H", len(_SYS)) + _SYS + b"\x00")
        said = _published(talk)
        talk.send(b"\xe0\x00")
    except (UnexpectedError, OSError):
        return Found("queue", "MQTT")
    match = _MOSQUITTO.match(said)
    return Found("queue", "Mosquitto", match[1]) if match else Found("queue", "MQTT", more={"software": said[:200]})


def _published(talk: Talk) -> str:
    """The first message, after the answer to the subscription."""
    while True:
        kind, size = talk.take(1)[0] >> 4, _length(talk)
        body = talk.take(size)
        if kind == 3:
            name = int.from_bytes(body[:2], "big")
            return body[2 + name :].decode("utf-8", "replace")


def _length(talk: Talk) -> int:
    size = 0
    for place in range(4):
        byte = talk.take(1)[0]
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size
    raise UnexpectedError("speaks something else than MQTT 3.1.1")


def kafka(talk: Talk) -> Found:
    """Ask which requests it knows (ApiVersions 0); the version of the program it does not tell."""
    request = struct.pack("!hhih", 18, 0, 7, 8) + b"tongchou"
    talk.send(struct.pack("!i", len(request)) + request)
    size = struct.unpack("!i", talk.take(4))[0]
    if not 10 <= size <= 65_536:
        raise UnexpectedError("speaks something else than Kafka's protocol")
    body = talk.take(size)
    number, error, count = struct.unpack_from("!ihi", body)
    if number != 7 or error not in (0, 35) or size < 10 + 6 * max(count, 0):
        raise UnexpectedError("speaks something else than Kafka's protocol")
    return Found("queue", "Apache Kafka")
