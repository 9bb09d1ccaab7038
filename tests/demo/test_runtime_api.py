"""The small balancer's Runtime API answers what HAProxy answers: the transcript was taken from HAProxy 2.6.12."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.demo.shop.balancer import choose
from tongchou.demo.shop.runtime_api import Target, execute

TRANSCRIPT = [
    ("show servers state nope", "Can't find backend.\n\n"),
    ("show stat nope 4 -1", "No such proxy.\n\n"),
    ("set server storefront/s-1 state drain", "\n"),
    ("set server storefront/s-9 state drain", "No such server.\n\n"),
    ("set server nope/s state drain", "No such backend.\n\n"),
    ("set server storefront/s-1 state upside", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"),
    ("set server storefront/s-1 weight 300", "Absolute weight can only be between 0 and 256 inclusive.\n\n"),
    ("set server storefront/s-1 weight 50", "\n"),
    ("get weight storefront/s-1", "50 (initial 100)\n\n"),
    (
        "add server storefront/s-3 127.0.0.1:15395 check inter 500ms fall 2 rise 1 weight 100",
        "New server registered.\n\n",
    ),
    ("add server storefront/s-3 127.0.0.1:15395", "Already exists a server with the same name in backend.\n\n"),
    ("enable health storefront/s-3", "\n"),
    ("enable server storefront/s-3", "\n"),
    ("set server storefront/s-3 state maint", "\n"),
    ("disable server storefront/s-1", "\n"),
]


def backends() -> dict[str, dict[str, Target]]:
    return {
        "storefront": {name: Target(name, f"127.0.0.1:{port}") for name, port in (("s-1", 15397), ("s-2", 15394))},
        "payments": {"p-1": Target("p-1", "127.0.0.1:15396")},
    }


def servers(of: dict[str, dict[str, Target]], which: str = "-1") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(execute(f"show stat {which} 4 -1", of).removeprefix("# "))))


def test_it_answers_as_haproxy_does() -> None:
    of = backends()
    for command, said in TRANSCRIPT:
        assert execute(command, of) == said, command


def test_a_server_is_removed_only_in_maintenance_idle_and_when_it_was_added() -> None:
    of = backends()
    execute("add server storefront/s-3 127.0.0.1:15395 weight 10", of)
    assert of["storefront"]["s-3"].state == "maint"
    execute("enable server storefront/s-3", of)
    assert execute("del server storefront/s-3", of).startswith("Only servers in maintenance mode can be deleted.")
    execute("set server storefront/s-3 state maint", of)
    of["storefront"]["s-3"].open = 1
    assert execute("del server storefront/s-3", of).startswith("Server still has connections")
    of["storefront"]["s-3"].open = 0
    assert execute("del server storefront/s-3", of).startswith("Server deleted.")
    assert execute("del server storefront/s-3", of).startswith("No such server.")
    execute("set server storefront/s-1 state maint", of)
    assert "cannot be removed at runtime" in execute("del server storefront/s-1", of)


def test_a_server_that_is_to_be_checked_waits_for_its_first_check() -> None:
    of = backends()
    execute("add server storefront/s-3 127.0.0.1:15395 check weight 100", of)
    execute("enable health storefront/s-3", of)
    execute("enable server storefront/s-3", of)
    assert of["storefront"]["s-3"].status == "DOWN"
    of["storefront"]["s-3"].healthy = True
    execute("enable health storefront/s-3", of)  # again: it is checked already
    assert of["storefront"]["s-3"].status == "UP"


def test_what_is_shown_is_what_is_set() -> None:
    of = backends()
    execute("set server storefront/s-2 state drain", of)
    execute("set server payments/p-1 weight 7", of)
    shown = {(row["pxname"], row["svname"]): row for row in servers(of)}
    assert set(shown) == {("storefront", "s-1"), ("storefront", "s-2"), ("payments", "p-1")}
    assert shown["storefront", "s-2"]["status"] == "DRAIN"
    assert shown["payments", "p-1"]["weight"] == "7"
    assert [row["svname"] for row in servers(of, "payments")] == ["p-1"]
    version, head, *rows = execute("show servers state storefront", of).strip().splitlines()
    assert version == "1"
    columns = head.removeprefix("# ").split()
    found = [dict(zip(columns, row.split(), strict=True)) for row in rows]
    assert [(each["srv_name"], each["srv_admin_state"], each["srv_port"]) for each in found] == [
        ("s-1", "0", "15397"),
        ("s-2", "8", "15394"),
    ]


WORDS = st.sampled_from(
    [
        "show",
        "set",
        "add",
        "del",
        "enable",
        "disable",
        "get",
        "stat",
        "servers",
        "state",
        "server",
        "health",
        "weight",
        "storefront/s-1",
        "storefront/s-2",
        "payments/p-1",
        "storefront/new",
        "nope/x",
        "ready",
        "drain",
        "maint",
        "check",
        "127.0.0.1:9",
        "0",
        "100",
        "256",
        "257",
        "-1",
        ";",
        "x",
    ]
)


@given(st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=12))
def test_no_command_breaks_it_or_makes_a_server_it_could_not_show(commands: list[str]) -> None:
    of = backends()
    for command in commands:
        assert execute(command, of).endswith("\n")
    rows = servers(of)
    assert {row["svname"] for row in rows} == {name for each in of.values() for name in each}
    assert all(0 <= int(row["weight"]) <= 256 and row["status"] in ("UP", "DOWN", "MAINT", "DRAIN") for row in rows)


@given(st.lists(st.integers(0, 256), min_size=1, max_size=5), st.data())
def test_requests_are_shared_by_weight_among_those_that_are_up(weights: list[int], data: st.DataObject) -> None:
    targets = [Target(str(index), "127.0.0.1:1", weight) for index, weight in enumerate(weights)]
    for target in targets:
        target.state = data.draw(st.sampled_from(("ready", "drain", "maint")))
        target.healthy = data.draw(st.booleans())
    able = [each for each in targets if each.state == "ready" and each.healthy and each.weight]
    total = sum(each.weight for each in able)
    if not able:
        assert choose(targets) is None
        return
    counts = {each.name: 0 for each in able}
    for _request in range(min(total, 400)):
        chosen = choose(targets)
        assert chosen in able
        counts[chosen.name] += 1
    for each in able:
        assert counts[each.name] == pytest.approx(min(total, 400) * each.weight / total, abs=len(able))
