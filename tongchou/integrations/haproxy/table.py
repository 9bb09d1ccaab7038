"""The servers of one backend, read from `show servers state` and `show stat`. Pure.

The first knows what people set (admin state, weight), the second what is (sessions, health); neither has both.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# srv_admin_state, in include/haproxy/server-t.h: forced, inherited, by resolution, by host name
MAINTENANCE = 0x01 | 0x02 | 0x20 | 0x40
DRAINING = 0x08 | 0x10
_CHECK_ENABLED = 0x04
_INITIAL = ("", "INI", "* INI")
MAX_SHOWN = 50
_STATE_FIELDS = (
    "be_name",
    "srv_name",
    "srv_addr",
    "srv_port",
    "srv_admin_state",
    "srv_op_state",
    "srv_uweight",
    "srv_check_state",
)
_STAT_FIELDS = (
    "svname",
    "status",
    "scur",
    "qcur",
    "bck",
    "addr",
    "check_status",
    "last_chk",
    "check_rise",
    "check_fall",
    "check_health",
)


class UnreadableError(Exception):
    """Not the table that was asked for: most often HAProxy's own words for why there is none."""


@dataclass(frozen=True)
class Server:
    """One server as it stands. `operation`: 0 stopped, 1 starting, 2 running, 3 stopping. `sessions` include queued."""

    name: str
    address: str
    status: str
    admin: int
    operation: int
    weight: int
    sessions: int
    backup: bool
    checked: bool
    check: str
    health: int
    full_health: int

    @property
    def in_maintenance(self) -> bool:
        return bool(self.admin & MAINTENANCE)

    @property
    def draining(self) -> bool:
        return bool(self.admin & DRAINING)

    @property
    def healthy(self) -> bool:
        """Whether its check has passed; without a check HAProxy counts a server as healthy.

        A check that has just begun starts one short of full health, so this waits for the first that passes. With
        `fall 1` a server that comes back from maintenance has full health at once: HAProxy shows no difference.
        """
        if not self.checked:
            return self.operation in (1, 2)
        return self.operation in (1, 2) and self.health >= self.full_health and self.check not in _INITIAL

    @property
    def judged(self) -> bool:
        """Whether its check has come to a verdict, good or bad."""
        return not self.checked or self.healthy or self.operation == 0

    @property
    def serving(self) -> bool:
        """Whether it takes new sessions."""
        return not self.in_maintenance and not self.draining and self.operation in (1, 2) and self.weight > 0

    def as_json(self) -> dict[str, Any]:
        """A line of the table as people see it."""
        shown = {"server": self.name, "address": self.address, "status": self.status, "weight": self.weight}
        return {**shown, "sessions": self.sessions, **({"backup": True} if self.backup else {}), "check": self.check}

    def __str__(self) -> str:
        return f"{self.name}  {self.address}  {self.status}  weight {self.weight}"


@dataclass(frozen=True)
class Table:
    """All servers of a backend, in HAProxy's order."""

    backend: str
    servers: Sequence[Server]

    def find(self, name: str) -> Server | None:
        return next((each for each in self.servers if each.name == name), None)

    @property
    def serving(self) -> list[str]:
        return [each.name for each in self.servers if each.serving]

    def as_json(self, about: str = "") -> list[dict[str, Any]]:
        """The first 50 lines and the server it is about."""
        shown = [each for at, each in enumerate(self.servers) if at < MAX_SHOWN or each.name == about]
        return [each.as_json() for each in shown]


def read(backend: str, state: str, stat: str) -> Table | None:
    """The table of both answers; None when they are of different moments. Raises UnreadableError."""
    settings = _state(backend, state)
    figures = _stat(backend, stat)
    if list(settings) != [name for name in settings if name in figures] or len(settings) != len(figures):
        return None
    try:
        return Table(backend, [_server(name, settings[name], figures[name]) for name in settings])
    except ValueError as error:
        raise UnreadableError(f"a field is no number: {error}") from error


def _known(names: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [each for each in wanted if each not in names]
    if missing:
        raise UnreadableError(f"the fields {', '.join(missing)} are missing")


def _state(backend: str, text: str) -> dict[str, dict[str, str]]:
    lines = text.strip().splitlines()
    if len(lines) < 2 or lines[0] != "1" or not lines[1].startswith("# be_id be_name "):
        raise UnreadableError(text.strip()[:300] or "an empty answer")
    names = lines[1].removeprefix("# ").split()
    _known(names, _STATE_FIELDS)
    rows = [dict(zip(names, line.split(), strict=False)) for line in lines[2:] if line.strip()]
    if any(len(row) != len(names) or row["be_name"] != backend for row in rows):
        raise UnreadableError("lines of another shape or backend")
    return {row["srv_name"]: row for row in rows}


def _stat(backend: str, text: str) -> dict[str, dict[str, str]]:
    if not text.startswith("# pxname,svname,"):
        raise UnreadableError(text.strip()[:300] or "an empty answer")
    try:
        rows = [row for row in csv.DictReader(io.StringIO(text.removeprefix("# "))) if row["pxname"]]
    except csv.Error as error:
        raise UnreadableError(f"not CSV: {error}") from error
    _known(text.partition("\n")[0].split(","), _STAT_FIELDS)
    if any(row["pxname"] != backend or None in row or None in row.values() for row in rows):
        raise UnreadableError("lines of another shape or backend")
    return {row["svname"]: row for row in rows}


def _server(name: str, state: Mapping[str, str], stat: Mapping[str, str]) -> Server:
    rise, fall = stat["check_rise"], stat["check_fall"]
    check = " ".join(part for part in (stat["check_status"], stat["last_chk"]) if part)
    return Server(
        name=name,
        address=stat["addr"] or f"{state['srv_addr']}:{state['srv_port']}",
        status=stat["status"],
        admin=int(state["srv_admin_state"]),
        operation=int(state["srv_op_state"]),
        weight=int(state["srv_uweight"]),
        sessions=int(stat["scur"]) + int(stat["qcur"]),
        backup=stat["bck"] == "1",
        checked=bool(int(state["srv_check_state"]) & _CHECK_ENABLED),
        check=check,
        health=int(stat["check_health"] or 0),
        full_health=int(rise) + int(fall) - 1 if rise and fall else 1,
    )
