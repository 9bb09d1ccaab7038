"""What an action comes to, given the servers as they stand. Pure: asks nothing, changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tongchou.integrations.haproxy.table import Server, Table
from tongchou.runbooks.reasons import Reason, in_both_languages

Action = Literal["drain", "maint", "ready", "weight", "add", "remove", "show"]
ACTIONS: tuple[Action, ...] = ("drain", "maint", "ready", "weight", "add", "remove", "show")


@dataclass(frozen=True)
class Intent:
    """`then`: the server as it would be (None: gone). `done`: it is so already. `refusal`: why it is not to be done."""

    table: Table
    now: Server | None
    then: Server | None
    left: int
    done: bool = False
    refusal: Reason | None = None

    @property
    def after(self) -> Table:
        """The table as it would be."""
        kept = [self.then if each is self.now else each for each in self.table.servers]
        added = [self.then] if self.now is None else []
        return Table(self.table.backend, [each for each in [*kept, *added] if each is not None])

    def diff(self) -> str:
        """A unified diff of the table; empty when nothing would change."""
        before, after = ([str(each) for each in table.servers] for table in (self.table, self.after))
        name = f"backend {self.table.backend}"
        return "\n".join(difflib.unified_diff(before, after, name, name, lineterm=""))

    def says(self) -> dict[str, str]:
        """One line for people, in both languages: `UP -> DRAIN, 3 sessions open, 1 of 2 servers left`."""
        return in_both_languages(self._line)

    def _line(self) -> str:
        if self.refusal is not None:
            return _("As things stand it would be refused: %(why)s") % {"why": self.refusal}
        if self.done:
            return _("nothing to do: %(state)s") % {"state": _state(self.now)}
        sessions = self.now.sessions if self.now else 0
        parts = [f"{_state(self.now)} -> {_state(self.then)}"]
        if sessions:
            parts.append(ngettext("%(count)d session open", "%(count)d sessions open", sessions) % {"count": sessions})
        parts.append(
            _("%(left)d of %(all)d servers take traffic then") % {"left": self.left, "all": len(self.after.servers)}
        )
        return ", ".join(parts)


def _state(server: Server | None) -> str:
    return _("absent") if server is None else _("%(status)s weight %(weight)d") % {
        "status": server.status, "weight": server.weight,
    }  # fmt: skip


def decide(step: Mapping[str, Any], table: Table) -> Intent:
    """What the action of `step` means now. For `show` nothing."""
    name, action = str(step.get("server", "")), step["action"]
    now = table.find(name)
    if action == "show":
        return Intent(table, now, now, len(table.serving), done=True)
    if action == "add":
        return _add(step, table, now)
    if now is None:
        if action == "remove":
            return Intent(table, None, None, len(table.serving), done=True)
        missing = Reason("haproxy_no_server", {"backend": table.backend, "server": name})
        return Intent(table, None, None, len(table.serving), refusal=missing)
    if action == "remove":
        wrong = Reason("haproxy_not_maint", {"server": name, "status": now.status})
        return _intent(step, table, now, None, refusal=None if now.in_maintenance else wrong)
    then = _changed(step, now)
    return _intent(step, table, now, then, done=_same(now, then))


def _changed(step: Mapping[str, Any], now: Server) -> Server:
    match step["action"]:
        case "drain":
            return replace(now, admin=8, status="DRAIN") if not now.draining or now.in_maintenance else now
        case "maint":
            return now if now.in_maintenance else replace(now, admin=1, status="MAINT", operation=0)
        case "ready" if now.in_maintenance:
            return replace(now, admin=0, status="UP", operation=2)
        case "ready" if now.draining:
            return replace(now, admin=0, status="UP" if now.operation else "DOWN")
        case "weight":
            return replace(now, weight=int(step["weight"]))
        case _:
            return now


def _same(now: Server, then: Server | None) -> bool:
    return then is not None and (now.admin, now.weight) == (then.admin, then.weight)


def _add(step: Mapping[str, Any], table: Table, now: Server | None) -> Intent:
    if now is not None and now.address != step["address"]:
        taken = {"backend": table.backend, "server": now.name, "address": now.address}
        return Intent(table, now, now, len(table.serving), refusal=Reason("haproxy_taken", taken))
    if now is not None:
        then = _changed({"action": "ready"}, now)
        return _intent(step, table, now, then, done=_same(now, then))
    new = Server(
        name=str(step["server"]),
        address=str(step["address"]),
        status="UP",
        admin=0,
        operation=2,
        weight=int(step.get("weight", 1)),
        sessions=0,
        backup=False,
        checked=bool(step["check"]),
        check="",
        health=0,
        full_health=1,
    )
    return _intent(step, table, None, new)


def _intent(
    step: Mapping[str, Any],
    table: Table,
    now: Server | None,
    then: Server | None,
    *,
    done: bool = False,
    refusal: Reason | None = None,
) -> Intent:
    intent = Intent(table, now, then, 0, done, refusal)
    left = len(intent.after.serving)
    takes_out = now is not None and now.serving and not (then is not None and then.serving)
    if takes_out and left == 0 and not step.get("allow_last") and refusal is None and now is not None:
        refusal = Reason("haproxy_last", {"server": now.name, "backend": table.backend})
    return replace(intent, left=left, refusal=refusal)
