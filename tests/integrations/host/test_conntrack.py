"""Connections that passed: recorded tables of a kernel 6.18, and its own, filled by conntrack in a network of its own."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.host.source import SOURCE
from tongchou.integrations.host.uses import uses
from tongchou.inventory.connections import SeenUse
from tongchou.wire.host import conntrack, programs
from tongchou.wire.host.conntrack import Flow, edges
from tongchou.wire.host.sockets import Socket

BOX = "machine-id:1"
OWN = ["10.0.0.2", "fd00::2", "127.0.0.1"]
LISTENERS = [Socket("0.0.0.0", 8080, "", 0, 7), Socket("0.0.0.0", 51_500, "", 0, 8)]  # what a kernel tells
DNAT = (
    "ipv4     2 tcp      6 99 ESTABLISHED src=10.0.0.77 dst=10.0.0.2 sport=51000 dport=8080 "
    "src=172.17.0.2 dst=10.0.0.77 sport=80 dport=51000 [ASSURED] mark=0 zone=0 use=2"
)
COUNTED = (
    "ipv6     10 tcp      6 117 TIME_WAIT src=fd00:0000:0000:0000:0000:0000:0000:0002 "
    "dst=fd00:0000:0000:0000:0000:0000:0000:0009 sport=40001 dport=6379 packets=7 bytes=561 "
    "src=fd00:0000:0000:0000:0000:0000:0000:0009 dst=fd00:0000:0000:0000:0000:0000:0000:0002 sport=6379 dport=40001 "
    "packets=5 bytes=448 [ASSURED] mark=0 secctx=system_u:object_r:unlabeled_t:s0 zone=0 use=2"
)
TABLE = f"""{DNAT}
{COUNTED}
ipv4     2 tcp      6 99 SYN_SENT src=10.0.0.77 dst=10.0.0.2 sport=51001 dport=9 [UNREPLIED] src=10.0.0.2 dst=10.0.0.77 sport=9 dport=51001 mark=0 zone=0 use=2
ipv4     2 tcp      6 9 CLOSE src=10.0.0.77 dst=10.0.0.2 sport=51003 dport=9 src=10.0.0.2 dst=10.0.0.77 sport=9 dport=51003 mark=0 zone=0 use=2
ipv4     2 udp      17 99 src=10.0.0.2 dst=10.0.0.53 sport=51001 dport=53 src=10.0.0.53 dst=10.0.0.2 sport=53 dport=51001 mark=0 zone=0 use=2
ipv4     2 icmp     1 29 src=10.0.0.2 dst=10.0.0.1 type=8 code=0 id=4 src=10.0.0.1 dst=10.0.0.2 type=0 code=0 id=4 mark=0 zone=0 use=2
"""  # as the kernel writes it


def of(*seen: Flow, established: tuple[Socket, ...] = ()) -> list[SeenUse]:
    found = edges(OWN, LISTENERS, established, seen, ephemeral=32_768)
    return uses(BOX, OWN, [{**edge._asdict(), "count": count} for edge, count in found.items()])


def flows(table: str) -> list[Flow]:
    return list(conntrack.flows(table.splitlines()))


def test_connections_that_were_made_are_read_and_nothing_else() -> None:
    assert flows(TABLE) == [
        Flow("10.0.0.77", 51_000, "10.0.0.2", 8080, "172.17.0.2", 80),
        Flow("fd00::2", 40_001, "fd00::9", 6379, "fd00::9", 6379),
    ]


def test_a_translated_destination_is_the_server_that_answers_else_the_port_that_led_to_it() -> None:
    [use] = of(*flows(DNAT))
    assert use.from_keys == ("addr:10.0.0.77",)
    assert use.to_keys[0] == "addr:172.17.0.2:80"
    assert f"{BOX}/tcp:8080" in use.to_keys


def test_what_this_machine_opened_is_its_own_and_a_translated_source_is_who_it_was() -> None:
    [use] = of(*flows(COUNTED))
    assert (use.from_keys, use.to_keys) == ((BOX,), ("addr:[fd00::9]:6379",))
    # masqueraded on its way out: the reply goes to this machine, the connection is the container's
    [use] = of(Flow("172.17.0.5", 40_000, "10.0.0.9", 5432, "10.0.0.9", 5432))
    assert use.from_keys == ("addr:172.17.0.5",)


def test_who_came_in_for_a_moment_uses_the_port_that_listens() -> None:
    [use] = of(*(Flow("10.0.0.77", port, "10.0.0.2", 51_500, "10.0.0.2", 51_500) for port in (50_001, 50_002)))
    assert f"{BOX}/tcp:51500" in use.to_keys
    assert use.count == 2.0


@pytest.mark.parametrize(
    "flow",
    [
        Flow("10.0.0.2", 40_000, "10.0.0.2", 8080, "10.0.0.2", 8080),  # with itself
        Flow("10.0.0.77", 40_000, "93.184.215.14", 443, "93.184.215.14", 443),  # somebody's browsing, through a router
        Flow("93.184.215.14", 40_000, "10.0.0.2", 8080, "10.0.0.2", 8080),  # the internet's clients
        Flow("10.0.0.77", 40_000, "10.0.0.9", 45_000, "10.0.0.9", 45_000),  # a port that was given out
        Flow("10.0.0.77", 40_000, "169.254.169.254", 80, "169.254.169.254", 80),
    ],
)
def test_what_tells_nothing_is_left_out(flow: Flow) -> None:
    assert of(flow) == []


def test_what_the_sockets_tell_is_not_told_twice() -> None:
    out, in_ = Socket("10.0.0.2", 40_000, "10.0.0.9", 5432, 7), Socket("10.0.0.2", 8080, "10.0.0.77", 50_000, 7)
    asked = Flow("10.0.0.2", 40_000, "10.0.0.9", 5432, "10.0.0.55", 5433)  # translated after the socket
    came = Flow("10.0.0.77", 50_000, "10.0.0.99", 80, "10.0.0.2", 8080)  # translated before it
    assert of(asked, came, established=(out, in_)) == []
    assert len(of(asked, came)) == 2


_addresses = st.ip_addresses()
_ports = st.integers(0, 65_535)


@given(
    _addresses, _ports, _addresses, _ports, _addresses, _ports, st.sampled_from(sorted(conntrack.MADE)), st.booleans()
)
def test_every_connection_is_read_as_it_was_written(
    client: ipaddress.IPv4Address, client_port: int, asked: ipaddress.IPv4Address, asked_port: int,
    server: ipaddress.IPv4Address, server_port: int, state: str, counted: bool,
) -> None:  # fmt: skip
    sums = " packets=1 bytes=2" if counted else ""
    line = (
        f"ipv4     2 tcp      6 99 {state} src={client.exploded} dst={asked.exploded} sport={client_port} "
        f"dport={asked_port}{sums} src={server.exploded} dst={client.exploded} sport={server_port} dport={client_port}"
        f"{sums} [ASSURED] mark=0 use=1"
    )
    [flow] = flows(line)
    mapped = [getattr(each, "ipv4_mapped", None) or each for each in (client, asked, server)]
    assert flow == (str(mapped[0]), client_port, str(mapped[1]), asked_port, str(mapped[2]), server_port)
    for use in of(flow):
        assert use.from_keys != use.to_keys


_pieces = st.sampled_from(
    ["src=", "dst=", "sport=", "dport=", "10.0.0.2", "::1", "ESTABLISHED", "ipv4 2 tcp 6 9", "7", " ", "\n"]
)


@given(st.lists(_pieces, max_size=60).map("".join))
def test_no_table_breaks_the_reader(table: str) -> None:
    of(*flows(table))


# --- the world ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A kernel whose table is not ours to read, and a conntrack that does as it is told."""
    (tmp_path / "count").write_text("1\n")
    monkeypatch.setattr(conntrack, "COUNT", tmp_path / "count")
    monkeypatch.setattr(conntrack, "TABLE", tmp_path / "none")
    monkeypatch.setattr(conntrack, "SECONDS", 1.0)
    monkeypatch.setattr(programs, "_BEYOND", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def install(script: str) -> None:
        (tmp_path / "conntrack").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "conntrack").chmod(0o755)

    return install


def test_the_program_is_asked_where_the_table_cannot_be_read(hidden: Callable[[str], None]) -> None:
    hidden(f'case "$*" in *ipv4*) echo "{DNAT}";; *) echo "{COUNTED}";; esac')
    assert len(list(conntrack.flows(conntrack.lines()))) == 2


@pytest.mark.parametrize("script", ["exit 1", "sleep 600"])
def test_what_cannot_be_read_is_a_note_and_the_look_is_whole(hidden: Callable[[str], None], script: str) -> None:
    hidden(script)
    settings = {"listeners": False, "disks": False, "filesystems": False, "interfaces": False}
    seen = SOURCE.fetch(SOURCE.validate(settings), source="x")
    assert seen.complete
    assert seen.uses is not None
    [note] = seen.warnings
    assert note.startswith("conntrack: ")
    assert SOURCE.fetch(SOURCE.validate({**settings, "conntrack": False}), source="x").warnings == ()


def test_a_kernel_without_tracking_has_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conntrack, "COUNT", tmp_path / "none")
    assert list(conntrack.lines()) == []


@pytest.fixture
def network() -> Iterator[list[str]]:
    """The words that run a program in a network of its own."""
    name = f"tct{os.getpid()}"
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        pytest.skip("needs root and network namespaces")
    try:
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_the_kernels_own_table_and_what_conntrack_prints_of_it_say_the_same(network: list[str]) -> None:
    program = shutil.which("conntrack", path="/usr/sbin:/sbin:/usr/bin")
    if program is None or not conntrack.COUNT.exists():
        pytest.skip("needs conntrack (apt-get install conntrack) and a kernel that tracks")
    add = [*network, program, "-I", "-p", "tcp", "--timeout", "60", "-u", "SEEN_REPLY,ASSURED", "--sport", "51000"]
    four = [
        "-s",
        "10.0.0.77",
        "-d",
        "10.0.0.2",
        "--dport",
        "8080",
        "--state",
        "ESTABLISHED",
        "--dst-nat",
        "172.17.0.2:80",
    ]
    six = ["-s", "fd00::77", "-d", "fd00::2", "--dport", "443", "--state", "TIME_WAIT"]
    for words in (four, six):
        subprocess.run([*add, *words], check=True, capture_output=True, timeout=10)
    parts = [
        subprocess.run(
            [*network, program, "-L", "-p", "tcp", "-f", family, "-o", "extended"],
            check=True, capture_output=True, text=True, timeout=10,
        ).stdout
        for family in ("ipv4", "ipv6")
    ]  # fmt: skip
    expected = {
        Flow("10.0.0.77", 51_000, "10.0.0.2", 8080, "172.17.0.2", 80),
        Flow("fd00::77", 51_000, "fd00::2", 443, "fd00::2", 443),
    }
    assert set(flows("\n".join(parts))) == expected
    table = subprocess.run([*network, "cat", "/proc/net/nf_conntrack"], capture_output=True, text=True, timeout=10)
    if table.returncode == 0:  # a kernel need not have it
        assert set(flows(table.stdout)) == expected
