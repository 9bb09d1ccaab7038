"""A haproxy step against the real HAProxy: it does the least, proves what it did, and never leaves nobody to answer."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from typing import Any

import pytest

from tests.integrations.haproxy.conftest import Balancer, Behind
from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.registry import implementations
from tongchou.integrations.haproxy import runner
from tongchou.integrations.haproxy.runner import HAPROXY_STEP
from tongchou.runbooks.ports import Previewer, Runner, StepResult

pytestmark = pytest.mark.django_db


def code(result: StepResult) -> str | None:
    return result.reason.code if result.reason else None


def test_it_is_found_as_a_runner_that_can_preview() -> None:
    assert HAPROXY_STEP in implementations(Runner)  # type: ignore[type-abstract]  # a Protocol is what it looks for
    assert HAPROXY_STEP in implementations(Previewer)  # type: ignore[type-abstract]  # the same


# --- what only real traffic shows


class Traffic:
    """Requests from several clients without a pause, each counted by what came back."""

    def __init__(self, balancer: Balancer, clients: int = 4) -> None:
        self.answers: Counter[object] = Counter()
        self._balancer, self._stop = balancer, threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(20)

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                status, body = self._balancer.get()
            except OSError as error:
                status, body = 0, str(error)
            self.answers[body if status == 200 else (status, body)] += 1

    def wait_for(self, name: str, count: int) -> None:
        until = time.monotonic() + 20
        seen = self.answers[name]
        while self.answers[name] < seen + count:
            assert time.monotonic() < until, self.answers
            time.sleep(0.01)


def test_draining_stopping_and_bringing_back_under_traffic_loses_no_request(balancer: Balancer) -> None:
    server = balancer.behind["a"]
    for each in balancer.behind.values():
        each.delay_seconds = 0.02
    with Traffic(balancer) as traffic:
        traffic.wait_for("a", 5)
        drained = balancer.run("drain", "a")
        assert (code(drained), drained.output["drained"], drained.output["sessions"]) == (None, True, 0)
        server.stop()
        traffic.wait_for("b", 20)
        balancer.wait_for("a", "DOWN")
        server.start()
        ready = balancer.run("ready", "a")
        assert (code(ready), ready.output["up"]) == (None, True)
        traffic.wait_for("a", 5)
    assert set(traffic.answers) == {"a", "b"}, traffic.answers


def test_adding_a_server_that_is_slow_to_start_and_removing_it_loses_no_request(balancer: Balancer) -> None:
    new = Behind("c", healthy=False)
    new.start()
    balancer.behind["c"] = new
    threading.Timer(0.6, lambda: setattr(new, "healthy", True)).start()
    with Traffic(balancer) as traffic:
        added = balancer.run("add", "c", address=new.address, weight=100, check_interval="100ms", fall=2, rise=2)
        assert code(added) is None, added.reason
        assert added.output["did"][0] == f"add server web/c {new.address} check inter 100ms rise 2 fall 2 weight 100"
        assert balancer.statuses() == {"a": "UP", "b": "UP", "c": "UP"}
        traffic.wait_for("c", 5)
        assert code(balancer.run("remove", "c")) == "haproxy_not_maint"
        assert code(balancer.run("drain", "c")) is None
        assert code(balancer.run("maint", "c")) is None
        removed = balancer.run("remove", "c")
        assert (code(removed), removed.output["removed"]) == (None, True)
        traffic.wait_for("a", 5)
    assert set(traffic.answers) == {"a", "b", "c"}, traffic.answers
    assert balancer.statuses() == {"a": "UP", "b": "UP"}


def test_a_server_from_maintenance_takes_no_traffic_before_its_check_has_passed(balancer: Balancer) -> None:
    """HAProxy alone sends requests at once: the check begins optimistic."""
    server = balancer.behind["a"]
    assert code(balancer.run("maint", "a")) is None
    server.stop()
    with Traffic(balancer) as traffic:
        result = balancer.run("ready", "a", wait_seconds=1)
        assert code(result) == "haproxy_not_up"
        assert "refused" in str(result.reason)
        traffic.wait_for("b", 10)
    assert set(traffic.answers) == {"b"}
    server.start()
    balancer.wait_for("a", "UP")


def test_a_repeat_of_a_step_cut_off_while_it_waited_for_the_check_waits_too(balancer: Balancer) -> None:
    """What such a step leaves behind: the server drains, and its check has not come to a verdict."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "registered" in balancer.tell(f"add server web/c {at} check inter 20s rise 2 fall 3 weight 100")
        balancer.tell("set server web/c state drain")
        balancer.tell("enable health web/c")
        result = balancer.run("ready", "c", wait_seconds=1)
    assert code(result) == "haproxy_not_up"
    assert result.output["did"] == []
    assert balancer.statuses()["c"].startswith("DRAIN")


# --- sessions


def held_request(balancer: Balancer, name: str) -> threading.Thread:
    """A request that server `name` answers when its hold is set."""
    server = balancer.behind[name]
    server.hold = threading.Event()

    def ask() -> None:
        try:
            balancer.get("/held")
        except (OSError, IndexError):
            return  # the balancer went first: the test is over

    for _ in range(2):  # round robin: one of two in a row is its turn
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        if server.held.wait(1):
            return thread
    raise AssertionError("no request arrived")


def test_open_sessions_are_waited_for_and_said(balancer: Balancer) -> None:
    thread = held_request(balancer, "a")
    shown = balancer.preview("drain", "a")
    assert shown.output["says"]["en"] == (
        "UP weight 100 -> DRAIN weight 100, 1 session open, 1 of 2 servers take traffic then"
    )
    assert "还有 1 个会话" in shown.output["says"]["zh"]
    busy = balancer.run("drain", "a", wait_seconds=1)
    assert code(busy) == "haproxy_busy"
    assert balancer.statuses()["a"] == "DRAIN", "it stays drained: no new session comes in"
    went_on = balancer.run("drain", "a", wait_seconds=1, if_busy="continue")
    assert (code(went_on), went_on.output["drained"], went_on.output["sessions"]) == (None, False, 1)
    assert went_on.output["did"] == []
    assert code(balancer.run("maint", "a")) is None
    assert code(balancer.run("remove", "a", wait_seconds=1)) == "haproxy_busy"
    hold = balancer.behind["a"].hold
    assert hold is not None
    threading.Timer(0.3, hold.set).start()
    removed = balancer.run("remove", "a", wait_seconds=10)
    assert (code(removed), removed.output["removed"]) == (None, True)
    thread.join(10)


# --- the least, twice


@pytest.mark.parametrize(
    ("action", "more", "command"),
    [
        ("drain", {}, "set server web/a state drain"),
        ("maint", {}, "set server web/a state maint"),
        ("weight", {"weight": 7}, "set server web/a weight 7"),
    ],
)
def test_the_second_time_nothing_is_commanded(
    balancer: Balancer, action: str, more: dict[str, Any], command: str
) -> None:
    first, second = balancer.run(action, "a", **more), balancer.run(action, "a", **more)
    assert (code(first), first.output["did"]) == (None, [command])
    assert (code(second), second.output["did"]) == (None, [])
    assert second.output["before"] == first.output["after"]


def test_adding_twice_removing_twice_and_finishing_what_was_cut_off(balancer: Balancer) -> None:
    new = Behind("c")
    new.start()
    balancer.behind["c"] = new
    balancer.tell(f"add server web/c {new.address} check inter 100ms")  # the platform died here
    assert balancer.statuses()["c"] == "MAINT"
    assert code(balancer.run("add", "c", address=new.address)) is None
    assert balancer.statuses()["c"] == "UP"
    assert balancer.run("add", "c", address=new.address).output["did"] == []
    assert code(balancer.run("add", "c", address="127.0.0.1:1")) == "haproxy_taken"
    balancer.run("maint", "c")
    assert balancer.run("remove", "c").output["removed"] is True
    again = balancer.run("remove", "c")
    assert (code(again), again.output["removed"]) == (None, False)


def test_a_server_without_a_check_is_in_at_once(balancer: Balancer) -> None:
    result = balancer.run("add", "c", address="127.0.0.1:1", check=False, weight=0)
    assert (code(result), result.output["up"]) == (None, True)
    assert "check" not in result.output["did"][0]


# --- the last one


@pytest.mark.parametrize(("action", "more"), [("drain", {}), ("maint", {}), ("weight", {"weight": 0})])
def test_the_last_server_that_takes_traffic_is_not_taken_out(
    balancer: Balancer, action: str, more: dict[str, Any]
) -> None:
    balancer.behind["b"].healthy = False
    balancer.wait_for("b", "DOWN")
    refused = balancer.run(action, "a", **more)
    assert (code(refused), refused.output["did"]) == ("haproxy_last", [])
    assert balancer.statuses()["a"] == "UP"
    shown = balancer.preview(action, "a", **more)
    assert shown.reason is None, "a step before it may bring another one in"
    assert shown.output["refused_as_it_stands"] == "haproxy_last"
    assert "allow_last" in shown.output["says"]["en"]
    assert code(balancer.run(action, "a", allow_last=True, **more)) is None
    assert code(balancer.run("drain", "b")) is None, "one that takes none anyway may be taken out"


def test_two_that_take_the_last_two_out_at_once_are_told_and_undone(
    balancer: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = runner.Work.do

    def do(work: runner.Work, *words: str, answer: str = "") -> None:
        if words[-1] == "drain":
            balancer.tell("set server web/b state maint")  # between our look and our command
        plain(work, *words, answer=answer)

    monkeypatch.setattr(runner.Work, "do", do)
    result = balancer.run("drain", "a")
    assert code(result) == "haproxy_raced"
    assert result.output["did"] == ["set server web/a state drain", "set server web/a state ready"]
    assert balancer.statuses()["a"] == "UP"


# --- preview and show


def test_a_preview_shows_the_change_and_makes_none(balancer: Balancer) -> None:
    before = balancer.tell("show servers state web")
    drain, weight = balancer.preview("drain", "a").output, balancer.preview("weight", "a", weight=5).output
    a, b = balancer.behind["a"].address, balancer.behind["b"].address
    assert drain["diff"].splitlines()[2:] == [
        "@@ -1,2 +1,2 @@",
        f"-a  {a}  UP  weight 100",
        f"+a  {a}  DRAIN  weight 100",
        f" b  {b}  UP  weight 100",
    ]
    assert f"+a  {a}  UP  weight 5" in weight["diff"]
    add = balancer.preview("add", "c", address="10.0.0.7:80").output
    assert "+c  10.0.0.7:80  UP  weight 1" in add["diff"]
    assert add["says"]["en"] == "absent -> UP weight 1, 3 of 3 servers take traffic then"
    for action in ("maint", "ready", "remove"):
        assert balancer.preview(action, "a").reason is None
    assert balancer.preview("ready", "a").output["changes"] is False
    assert balancer.preview("drain", "z").output["says"]["en"].endswith("no server z.")
    assert [line.split()[:7] for line in before.splitlines()] == [
        line.split()[:7] for line in balancer.tell("show servers state web").splitlines()
    ]


def test_show_shows(balancer: Balancer) -> None:
    result = balancer.run("show")
    assert result.reason is None
    assert [(row["server"], row["status"], row["sessions"]) for row in result.output["before"]] == [
        ("a", "UP", 0),
        ("b", "UP", 0),
    ]
    assert not HAPROXY_STEP.alters(balancer.step("show"))
    assert HAPROXY_STEP.alters(balancer.step("drain", "a"))
    nobody = balancer.run("show", backend="nobody")
    assert (nobody.reason, nobody.output["servers"]) == (None, 0)


# --- what HAProxy will not do


def test_what_haproxy_says_is_passed_on(balancer: Balancer) -> None:
    unknown = balancer.run("drain", "a", backend="nope")
    assert (code(unknown), "find backend" in str(unknown.reason)) == ("haproxy_said", True)
    assert code(balancer.preview("drain", "a", backend="nope")) == "haproxy_said"
    missing = balancer.run("ready", "z")
    assert code(missing) == "haproxy_no_server"
    fixed = balancer.run("weight", "s", backend="static", weight=50)
    assert (code(fixed), "static LB algorithm" in str(fixed.reason)) == ("haproxy_said", True)


@pytest.mark.enable_socket  # loopback is no host of a socket in a folder
def test_a_socket_of_this_host_only_when_it_is_listed(balancer: Balancer) -> None:
    admin, operator = f"unix:{balancer.folder}/admin.sock", f"unix:{balancer.folder}/operator.sock"
    assert code(balancer.run("drain", "a", runtime_api=admin)) == "http_refused"
    assert "haproxy.sockets" in HAPROXY_STEP.validate("haproxy", balancer.step("drain", "a", runtime_api=admin))[0]
    paths = [text.removeprefix("unix:") for text in (admin, operator)]
    settings_store.put(actor=system("tests"), key="haproxy.sockets", value=paths)
    assert HAPROXY_STEP.validate("haproxy", balancer.step("drain", "a", runtime_api=admin)) == []
    denied = balancer.run("drain", "a", runtime_api=operator)
    assert (code(denied), "Permission denied" in str(denied.reason)) == ("haproxy_said", True)
    assert balancer.statuses()["a"] == "UP"
    assert code(balancer.run("drain", "a", runtime_api=admin)) is None


def test_the_guard_of_outgoing_requests_holds_for_the_runtime_api(balancer: Balancer, settings: Any) -> None:
    settings.HTTP_ALLOW = []
    refused = balancer.run("drain", "a")
    assert (code(refused), "TONGCHOU_HTTP_ALLOW" in str(refused.reason)) == ("http_refused", True)
    assert balancer.statuses()["a"] == "UP"
