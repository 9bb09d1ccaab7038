"""What connections of this machine are taken for; with the machine's own sockets."""

from __future__ import annotations

import os
import socket

from tongchou.integrations.host.source import SOURCE
from tongchou.integrations.host.uses import uses
from tongchou.inventory.connections import SeenUse
from tongchou.wire.host import reading
from tongchou.wire.host.reading import CONNECTIONS
from tongchou.wire.host.sockets import Socket, edges, own_sockets

BOX = "machine-id:1"
OWN = ["10.0.0.2", "127.0.0.1"]
LISTENERS = [Socket("0.0.0.0", 8080, "", 0, 7), Socket("127.0.0.1", 5432, "", 0, 9)]  # what a kernel tells


def of(*established: Socket) -> list[SeenUse]:
    found = edges(OWN, LISTENERS, established)
    return uses(BOX, OWN, [{**edge._asdict(), "count": count} for edge, count in found.items()])


def test_a_process_that_listens_is_who_uses_and_a_peer_is_told_by_the_port_it_offers() -> None:
    (use,) = of(Socket("10.0.0.2", 40_001, "10.0.0.9", 6379, 7), Socket("10.0.0.2", 40_002, "10.0.0.9", 6379, 7))
    assert (use.from_keys[0], use.from_keys[-1]) == ("addr:127.0.0.1:8080", BOX)
    assert f"{BOX}/tcp:8080" in use.from_keys
    assert (use.to_keys, use.count) == (("addr:10.0.0.9:6379",), 2.0)


def test_who_comes_in_is_told_without_its_own_port() -> None:
    (use,) = of(Socket("10.0.0.2", 8080, "10.0.0.77", 51_234, 7))
    assert use.from_keys == ("addr:10.0.0.77",)
    assert f"{BOX}/tcp:8080" in use.to_keys


def test_a_connection_inside_the_machine_is_told_once() -> None:
    there, back = Socket("127.0.0.1", 45_000, "127.0.0.1", 5432, 7), Socket("127.0.0.1", 5432, "127.0.0.1", 45_000, 9)
    (use,) = of(there, back)
    assert f"{BOX}/tcp:8080" in use.from_keys
    assert f"{BOX}/tcp:5432" in use.to_keys


def test_two_ports_that_were_given_out_tell_nothing() -> None:
    assert of(Socket("10.0.0.2", 45_000, "10.0.0.9", 50_000, None)) == []


def test_this_machines_own_sockets_are_seen() -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client.connect(("127.0.0.1", port))
        accepted, _address = listener.accept()
        with accepted:
            _listeners, established = own_sockets()
            mine = [each for each in established if each.peer_port == port]
            assert [each.process for each in mine] == [os.getpid()]
            held = reading.read({CONNECTIONS})[CONNECTIONS]
            assert any(f"{BOX}/tcp:{port}" in use.to_keys for use in uses(BOX, held["addresses"], held["edges"]))
            seen = SOURCE.fetch(SOURCE.validate({}), source="this-host")
    assert seen.uses
    assert SOURCE.fetch(SOURCE.validate({"connections": False}), source="this-host").uses is None
