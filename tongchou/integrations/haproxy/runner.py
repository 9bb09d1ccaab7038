"""Does one haproxy step: look, do the least, look again and prove it; nothing is taken on trust."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from tongchou.core import settings_store
from tongchou.core.http import Failed, Refused
from tongchou.integrations.haproxy.client import Endpoint, RuntimeApi, endpoint
from tongchou.integrations.haproxy.decide import ACTIONS, Intent, decide
from tongchou.integrations.haproxy.run_time_settings import SOCKETS
from tongchou.integrations.haproxy.table import Server, Table, UnreadableError, read
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult
from tongchou.runbooks.reasons import Reason

NAME = r"[A-Za-z0-9_.:-]{1,200}"
POLL_SECONDS = 0.2
LOOKS = 5  # of a table that is being changed while it is read
_STATES = {"drain": "drain", "maint": "maint", "ready": "ready"}


class StoppedError(Exception):
    """The step cannot go on; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


class HaproxyStep:
    """Satisfies runbooks.Runner and runbooks.Previewer. Every action comes to the same when it is done twice."""

    kind = "haproxy"
    fields: ClassVar[Mapping[str, Field]] = {
        "action": Field("choice", required=True, choices=ACTIONS),
        "runtime_api": Field("string", required=True, most=300, template=True, spaces=("target",)),
        "backend": Field("string", required=True, pattern=NAME, template=True),
        "server": Field("string", pattern=NAME, template=True),
        "weight": Field("integer", least=0, most=256, template=True),
        "address": Field("string", most=60, template=True),
        "check": Field("boolean", default=True),
        "check_interval": Field("string", pattern="[1-9][0-9]{0,6}(ms|s|m)"),
        "rise": Field("integer", least=1, most=100),
        "fall": Field("integer", least=1, most=100),
        "maxconn": Field("integer", least=1, most=1_000_000),
        "wait_seconds": Field("number", default=30.0, least=1, most=3500),
        "if_busy": Field("choice", choices=("fail", "continue"), default="fail"),
        "allow_last": Field("boolean", default=False),
        "timeout_seconds": Field("number", default=60.0, least=2, most=3600),
    }

    def alters(self, step: Mapping[str, Any]) -> bool:
        """Every action but show."""
        return step.get("action") != "show"

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """Each action looks first and does only what is still missing."""
        return True

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a resolved step; whether HAProxy answers only the preview and the run find out."""
        action = step["action"]
        out = []
        if action != "show" and "server" not in step:
            out.append(_("The key %(key)s is missing.") % {"key": "server"})
        if action == "weight" and "weight" not in step:
            out.append(_("The key %(key)s is missing.") % {"key": "weight"})
        if action == "add" and not _is_address(step.get("address")):
            out.append(_("address is where the new server listens: an IP address and a port, such as 10.0.0.7:8080."))
        if step["wait_seconds"] >= step["timeout_seconds"]:
            out.append(_("wait_seconds must be less than timeout_seconds."))
        at = endpoint(step["runtime_api"])
        if at is None:
            out.append(_("runtime_api is host:port, or unix: and an absolute path."))
        elif why := _not_listed(at):
            out.append(why)
        return out

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The deadline of all commands and waits together."""
        return float(step["timeout_seconds"])

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """The table and what would change. What an earlier step may still put right is said, and refuses nothing."""
        try:
            work = _begin(call.input)
            intent = decide(call.input, work.look())
        except StoppedError as stopped:
            return StepResult(reason=stopped.reason)
        output = _shown(call.input, intent)
        if intent.refusal is not None:
            output |= {"refused_as_it_stands": intent.refusal.code, "says": intent.says()}
        elif call.input["action"] != "show":
            output |= {"diff": intent.diff(), "changes": not intent.done, "says": intent.says()}
        return StepResult(output)

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Do the action and prove it by the table afterwards."""
        step = call.input
        output: dict[str, Any] = {}
        try:
            work = _begin(step)
            intent = decide(step, work.look())
            output = _shown(step, intent)
            output["did"] = work.did
            if intent.refusal is not None:
                return StepResult(output, intent.refusal)
            if step["action"] == "show":
                return StepResult(output)
            output |= {"says": intent.says(), **ACTS[step["action"]](work, intent)}
            output["after"] = work.look().as_json(work.server)
        except StoppedError as stopped:
            return StepResult(output, stopped.reason)
        return StepResult(output)


def _is_address(text: object) -> bool:
    at = endpoint(str(text or ""))
    try:
        return at is not None and not at.path and bool(ipaddress.ip_address(at.host))
    except ValueError:
        return False


def _not_listed(at: Endpoint) -> str:
    if not at.path or at.path in settings_store.get(SOCKETS):
        return ""
    return _("The socket %(path)s is not listed in the setting %(setting)s.") % {"path": at.path, "setting": SOCKETS}


def _shown(step: Mapping[str, Any], intent: Intent) -> dict[str, Any]:
    shown = {"backend": step["backend"], "before": intent.table.as_json(str(step.get("server", "")))}
    return {**shown, "serving": len(intent.table.serving), "servers": len(intent.table.servers)}


def _begin(step: Mapping[str, Any]) -> Work:
    at = endpoint(step["runtime_api"])
    why = _not_listed(at) if at else step["runtime_api"]
    if at is None or why:
        raise StoppedError(Reason("http_refused", {"why": why}))
    return Work(step, RuntimeApi(at, time.monotonic() + step["timeout_seconds"] * 0.95))


@dataclass
class Work:
    """One step under way: `did` are the commands HAProxy took."""

    step: Mapping[str, Any]
    api: RuntimeApi
    did: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend, self.server = str(self.step["backend"]), str(self.step.get("server", ""))
        self.path = f"{self.backend}/{self.server}"
        self.began = time.monotonic()

    def look(self) -> Table:
        """The backend's servers now."""
        for _again in range(LOOKS):
            state = self._ask("show", "servers", "state", self.backend)
            stat = self._ask("show", "stat", self.backend, "4", "-1")
            try:
                table = read(self.backend, state, stat)
            except UnreadableError as error:
                said = {"command": f"show servers state {self.backend}", "said": str(error)}
                raise StoppedError(Reason("haproxy_said", said)) from error
            if table is not None:
                return table
        raise StoppedError(self._failed("protocol", "the servers changed each time they were read"))

    def find(self) -> Server:
        """The step's server now; stops the step when it has gone."""
        found = self.look().find(self.server)
        if found is None:
            raise StoppedError(Reason("haproxy_no_server", {"backend": self.backend, "server": self.server}))
        return found

    def do(self, *words: str, answer: str = "") -> None:
        """Give one command; stops the step unless HAProxy answers exactly so."""
        said = self._ask(*words).strip()
        if said != answer:
            raise StoppedError(Reason("haproxy_said", {"command": " ".join(words), "said": said[:300] or "nothing"}))
        self.did.append(" ".join(words))

    def wait(self, holds: Callable[[Server], bool]) -> Server:
        """Look until it holds or wait_seconds of the step are over; the server as it was last seen."""
        while True:
            server = self.find()
            if holds(server) or self.waited >= self.step["wait_seconds"]:
                return server
            time.sleep(POLL_SECONDS)

    @property
    def waited(self) -> float:
        """Seconds since the step began."""
        return round(time.monotonic() - self.began, 3)

    def _ask(self, *words: str) -> str:
        try:
            return self.api.ask(*words)
        except Refused as error:
            raise StoppedError(Reason("http_refused", {"why": error.detail})) from error
        except Failed as error:
            raise StoppedError(self._failed(error.reason, error.detail)) from error

    def _failed(self, reason: str, why: str) -> Reason:
        return Reason("haproxy_failed", {"at": str(self.api.at), "reason": reason, "why": why})


# --- the actions


def _switch(work: Work, intent: Intent) -> None:
    """Set the state the step names, unless it is set, and prove it; undone when it left nobody to take traffic."""
    action = work.step["action"]
    words = ("set", "server", work.path, "state", _STATES[action])
    if not intent.done:
        work.do(*words)
    table = work.look()
    server = table.find(work.server)
    proven = server is not None and (server.in_maintenance if action == "maint" else server.draining)
    if server is None or not proven:
        raise _unproven(" ".join(words), server)
    _undo_if_last(work, intent, table, ("set", "server", work.path, "state", "ready"))


def _undo_if_last(work: Work, intent: Intent, table: Table, undo: tuple[str, ...]) -> None:
    """Two runs may each see the other's server as the one that is left, and HAProxy has no compare-and-set."""
    took_out = intent.now is not None and intent.now.serving and not intent.done
    if took_out and not table.serving and not work.step["allow_last"]:
        work.do(*undo)
        raise StoppedError(Reason("haproxy_raced", {"backend": work.backend, "server": work.server}))


def _unproven(command: str, server: Server | None) -> StoppedError:
    return StoppedError(
        Reason("haproxy_unproven", {"command": command, "status": server.status if server else "absent"})
    )


def _drain(work: Work, intent: Intent) -> dict[str, Any]:
    _switch(work, intent)
    server = work.wait(lambda each: each.sessions == 0)
    if server.sessions and work.step["if_busy"] == "fail":
        raise _busy(work, server)
    return {"drained": server.sessions == 0, "sessions": server.sessions, "waited_seconds": work.waited}


def _busy(work: Work, server: Server) -> StoppedError:
    seconds = f"{work.step['wait_seconds']:g}"
    return StoppedError(
        Reason("haproxy_busy", {"sessions": server.sessions, "server": server.name, "seconds": seconds})
    )


def _maint(work: Work, intent: Intent) -> dict[str, Any]:
    _switch(work, intent)
    return {"sessions": work.find().sessions}


def _ready(work: Work, intent: Intent) -> dict[str, Any]:
    """Bring it in only after its check has come to a verdict: HAProxy itself would send requests before the first.

    So too when it drains already: this very step may have been cut off after it had set that.
    """
    words = ("set", "server", work.path, "state", "ready")
    server = work.find()
    if (server.in_maintenance or server.draining) and server.checked:
        if server.in_maintenance:
            work.do("set", "server", work.path, "state", "drain")
        server = work.wait(lambda each: each.judged)
        if not server.judged:
            raise _not_up(work, server)
    if server.in_maintenance or server.draining:
        work.do(*words)
        server = work.find()
    if server.in_maintenance or server.draining:
        raise _unproven(" ".join(words), server)
    server = work.wait(lambda each: each.healthy)
    if not server.healthy:
        raise _not_up(work, server)
    return {"up": True, "waited_seconds": work.waited}


def _not_up(work: Work, server: Server) -> StoppedError:
    seconds = f"{work.step['wait_seconds']:g}"
    return StoppedError(
        Reason("haproxy_not_up", {"server": server.name, "seconds": seconds, "check": server.check or server.status})
    )


def _weight(work: Work, intent: Intent) -> dict[str, Any]:
    wanted = int(work.step["weight"])
    words = ("set", "server", work.path, "weight", str(wanted))
    if not intent.done:
        work.do(*words)
    table = work.look()
    server = table.find(work.server)
    if server is None or server.weight != wanted:
        raise _unproven(" ".join(words), server)
    before = intent.now.weight if intent.now else 0
    _undo_if_last(work, intent, table, ("set", "server", work.path, "weight", str(before)))
    return {"weight": server.weight}


def _add(work: Work, intent: Intent) -> dict[str, Any]:
    """A server added at run time takes nothing from default-server, begins in maintenance and has its check off."""
    step = work.step
    if intent.now is None:
        options = ["check"] if step["check"] else []
        for key, keyword in (("check_interval", "inter"), ("rise", "rise"), ("fall", "fall")):
            options += [keyword, str(step[key])] if key in step and step["check"] else []
        for key in ("weight", "maxconn"):
            options += [key, str(step[key])] if key in step else []
        work.do("add", "server", work.path, str(step["address"]), *options, answer="New server registered.")
    if step["check"] and not work.find().checked:
        work.do("enable", "health", work.path)
    return _ready(work, intent)


def _remove(work: Work, intent: Intent) -> dict[str, Any]:
    if intent.done:
        return {"removed": False}
    server = work.wait(lambda each: each.sessions == 0)
    if server.sessions:
        raise _busy(work, server)
    while True:
        try:
            work.do("del", "server", work.path, answer="Server deleted.")
            break
        except StoppedError as stopped:  # idle connections to it are closed in the background
            held = "connection" in str(stopped.reason.params.get("said", ""))
            if not held or work.waited >= work.step["wait_seconds"]:
                raise
            time.sleep(POLL_SECONDS)
    left = work.look().find(work.server)
    if left is not None:
        raise _unproven(f"del server {work.path}", left)
    return {"removed": True, "waited_seconds": work.waited}


ACTS: Mapping[str, Callable[[Work, Intent], dict[str, Any]]] = {
    "drain": _drain,
    "maint": _maint,
    "ready": _ready,
    "weight": _weight,
    "add": _add,
    "remove": _remove,
}

HAPROXY_STEP = HaproxyStep()
