"""The part of HAProxy's Runtime API that the shop's procedures use, for the small balancer: one line in, text out.

Commands, answers and their words are those of HAProxy 2.6, so that a client cannot tell the two apart by them.
https://docs.haproxy.org/2.6/management.html#9.3
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

State = Literal["ready", "drain", "maint"]
LINE_BYTES = 16 * 1024
IDLE_SECONDS = 10.0
MAX_WEIGHT = 256
_STAT = (
    "pxname", "svname", "qcur", "scur", "status", "weight", "bck", "type", "check_status", "last_chk", "check_rise",
    "check_fall", "check_health", "addr",
)  # fmt: skip
_STATE_HEAD = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
    " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state"
    " bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr"
    " srv_agent_addr srv_agent_port"
)
_ADMIN_STATE = {"ready": 0, "maint": 1, "drain": 8}


@dataclass(slots=True)
class Target:
    """One server behind the balancer. `dynamic`: added at run time, so it may be removed again.

    `verdict`: what its last check came to, in HAProxy's words; INI before the first.
    """

    name: str
    address: str
    weight: int = 100
    state: State = "ready"
    healthy: bool = True
    checked: bool = True
    dynamic: bool = False
    verdict: str = "INI"
    open: int = 0
    credit: float = 0.0

    @property
    def status(self) -> str:
        """HAProxy's word for it."""
        if self.state == "maint":
            return "MAINT"
        if not self.healthy:
            return "DOWN"
        return "DRAIN" if self.state == "drain" else "UP"


Backends = Mapping[str, dict[str, Target]]


class Refusal(Exception):
    """The answer to a command that is not done."""


def execute(line: str, backends: Backends) -> str:
    """Carry out one command; the answer as HAProxy words it, with its empty last line."""
    words = line.split()
    try:
        for size in (3, 2):
            command = _COMMANDS.get(tuple(words[:size]))
            if command is not None:
                return command(words[size:], backends)
    except Refusal as refusal:
        return f"{refusal}\n\n"
    return "Unknown command.\n\n"


def _find(name: str, backends: Backends) -> tuple[dict[str, Target], Target]:
    backend, slash, server = name.partition("/")
    if not slash:
        raise Refusal("Require 'backend/server'.")
    if backend not in backends:
        raise Refusal("No such backend.")
    if server not in backends[backend]:
        raise Refusal("No such server.")
    return backends[backend], backends[backend][server]


def _show_stat(words: Sequence[str], backends: Backends) -> str:
    wanted = words[0] if words else "-1"
    if wanted != "-1" and wanted not in backends:
        raise Refusal("No such proxy.")
    lines = ["# " + ",".join(_STAT) + ","]
    for backend, servers in backends.items():
        if wanted in ("-1", backend):
            for each in servers.values():
                checked = (each.verdict, "", 1, 1, int(each.healthy)) if each.checked else ("", "", "", "", "")
                row = (backend, each.name, 0, each.open, each.status, each.weight, 0, 2, *checked, each.address)
                lines.append(",".join(map(str, row)) + ",")
    return "\n".join(lines) + "\n\n"


def _show_state(words: Sequence[str], backends: Backends) -> str:
    if words and words[0] not in backends:
        raise Refusal("Can't find backend.")
    lines = ["1", "# " + _STATE_HEAD]
    for number, (backend, servers) in enumerate(backends.items(), start=1):
        if words and words[0] != backend:
            continue
        for index, each in enumerate(servers.values(), start=1):
            host, _, port = each.address.rpartition(":")
            up = 2 if each.healthy and each.state != "maint" else 0
            check = f"{3 if each.healthy else 2} {int(each.healthy)} {6 if each.checked else 2}"
            lines.append(
                f"{number} {backend} {index} {each.name} {host} {up} {_ADMIN_STATE[each.state]} {each.weight} 100"
                f" 0 15 {check} 0 0 0 - {port} - 0 0 - - 0"
            )
    return "\n".join(lines) + "\n\n"


def _set(words: Sequence[str], backends: Backends) -> str:
    if len(words) < 3:
        raise Refusal("'set server <srv>' only supports 'agent', 'health', 'state', 'weight', 'addr' and 'fqdn'.")
    _servers, target = _find(words[0], backends)
    if words[1] == "state":
        if words[2] not in _ADMIN_STATE:
            raise Refusal("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
        target.state = cast("State", words[2])
    elif words[1] == "weight":
        if not words[2].isascii() or not words[2].isdigit():
            raise Refusal("Empty weight string empty or preceded by garbage")
        if int(words[2]) > MAX_WEIGHT:
            raise Refusal("Absolute weight can only be between 0 and 256 inclusive.")
        target.weight = int(words[2])
    else:
        raise Refusal("'set server <srv>' only supports 'agent', 'health', 'state', 'weight', 'addr' and 'fqdn'.")
    return "\n"


def _add(words: Sequence[str], backends: Backends) -> str:
    if len(words) < 2:
        raise Refusal("'server' expects <name> and <addr>[:<port>] as arguments.")
    backend, slash, name = words[0].partition("/")
    if not slash or backend not in backends:
        raise Refusal("No such backend.")
    if name in backends[backend]:
        raise Refusal("Already exists a server with the same name in backend.")
    options = list(words[2:])
    weight = options[options.index("weight") + 1] if "weight" in options[:-1] else "1"
    if not weight.isdigit() or int(weight) > MAX_WEIGHT:
        raise Refusal(f"'server {name}' : invalid value for weight.")
    target = Target(name, words[1], int(weight), "maint", checked=False, dynamic=True)
    backends[backend][name] = target
    return "New server registered.\n\n"


def _delete(words: Sequence[str], backends: Backends) -> str:
    servers, target = _find(words[0] if words else "", backends)
    if not target.dynamic:
        raise Refusal("This server cannot be removed at runtime due to other configuration elements pointing to it.")
    if target.state != "maint":
        raise Refusal("Only servers in maintenance mode can be deleted.")
    if target.open:
        raise Refusal("Server still has connections attached to it, cannot remove it.")
    del servers[target.name]
    return "Server deleted.\n\n"


def _state(state: State) -> Callable[[Sequence[str], Backends], str]:
    def change(words: Sequence[str], backends: Backends) -> str:
        _find(words[0] if words else "", backends)[1].state = state
        return "\n"

    return change


def _check(words: Sequence[str], backends: Backends) -> str:
    target = _find(words[0] if words else "", backends)[1]
    if not target.checked:
        target.checked, target.healthy, target.verdict = True, False, "INI"  # until the first check says otherwise
    return "\n"


def _weight(words: Sequence[str], backends: Backends) -> str:
    return f"{_find(words[0] if words else '', backends)[1].weight} (initial 100)\n\n"


_COMMANDS: Mapping[tuple[str, ...], Callable[[Sequence[str], Backends], str]] = {
    ("show", "stat"): _show_stat,
    ("show", "servers", "state"): _show_state,
    ("set", "server"): _set,
    ("add", "server"): _add,
    ("del", "server"): _delete,
    ("enable", "server"): _state("ready"),
    ("disable", "server"): _state("maint"),
    ("enable", "health"): _check,
    ("get", "weight"): _weight,
}


async def serve(port: int, backends: Backends) -> None:
    """Answer one line a connection, as HAProxy does without `prompt`, until cancelled."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(IDLE_SECONDS):
                line = (await reader.readline()).decode(errors="replace")
            # Several commands in one line are separated by semicolons.
            writer.write("".join(execute(each, backends) for each in line.split(";")).encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, limit=LINE_BYTES)
    async with server:
        await server.serve_forever()
