"""The Runtime API's edges: whatever a peer answers, a step ends in time, with a reason, and nothing is injected."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.http import Refused
from tongchou.integrations.haproxy import client
from tongchou.integrations.haproxy.client import Endpoint, RuntimeApi, endpoint
from tongchou.integrations.haproxy.runner import HAPROXY_STEP
from tongchou.integrations.haproxy.table import UnreadableError, read
from tongchou.runbooks import fields, procedure
from tongchou.runbooks.ports import Context, StepCall

STATE = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_check_state srv_port\n"
    "3 web 1 a 10.0.0.1 2 0 100 6 80\n"
)
STAT = (
    "# pxname,svname,qcur,scur,status,bck,check_status,check_rise,check_fall,check_health,addr,last_chk,\n"
    "web,a,1,2,UP,0,L7OK,1,2,2,10.0.0.1:80,HTTP status check returned code <200>,\n"
)


@pytest.fixture
def peer(settings: Any) -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Listens on a free port and treats each connection as told."""
    settings.HTTP_ALLOW = ["127.0.0.1"]
    opened: list[socket.socket] = []

    def listen(treat: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        treat(connection)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for each in opened:
        each.close()


def step(**given: Any) -> dict[str, Any]:
    defaults = {key: each.default for key, each in fields.of(HAPROXY_STEP).items() if each.default is not None}
    return {**defaults, "action": "drain", "backend": "web", "server": "a", "runtime_api": "127.0.0.1:9", **given}


def why(port: int, **given: Any) -> tuple[str, str]:
    result = HAPROXY_STEP.run(StepCall("s", step(runtime_api=f"127.0.0.1:{port}", **given), "k", True), Context())
    assert result.reason is not None
    return result.reason.code, str(result.reason.params.get("reason", result.reason.params.get("said", "")))


def answer(text: str) -> Callable[[socket.socket], None]:
    def treat(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(text.encode())

    return treat


def test_a_peer_that_says_something_else_is_no_runtime_api(peer: Any) -> None:
    assert why(peer(answer("HTTP/1.1 400 Bad request\r\n\r\n"))) == ("haproxy_said", "HTTP/1.1 400 Bad request")
    assert why(peer(answer(""))) == ("haproxy_said", "an empty answer")
    assert why(peer(answer("1\n# be_id be_name srv_name\n3 web\n"))) == (
        "haproxy_said",
        "the fields srv_addr, srv_port, srv_admin_state, srv_op_state, srv_uweight, srv_check_state are missing",
    )


def test_nobody_listening_is_told(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.1"]
    assert why(1) == ("haproxy_failed", "connect")


def test_a_peer_that_drips_is_left_in_time(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "EXCHANGE_SECONDS", 0.5)

    def drip(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    assert why(peer(drip)) == ("haproxy_failed", "timeout")
    assert time.monotonic() - began < 2


def test_an_endless_answer_is_cut(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 100_000)

    def pour(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 65_536)

    assert why(peer(pour)) == ("haproxy_failed", "too_large")


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=20))
def test_no_text_makes_two_commands_of_one(text: str) -> None:
    sent = RuntimeApi(Endpoint("127.0.0.1", 1), time.monotonic() - 1)
    fine = all(char.isascii() and (char.isalnum() or char in "_.:/[]-") for char in text)
    with pytest.raises(Refused) as refused:
        sent.ask("set", "server", f"web/{text}")
    assert refused.value.reason == ("refused" if fine else "command"), "what may be sent meets the guard of loopback"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9999", Endpoint("127.0.0.1", 9999)),
        ("lb.example.org:1", Endpoint("lb.example.org", 1)),
        ("[::1]:65535", Endpoint("::1", 65535)),
        ("unix:/run/haproxy/admin.sock", Endpoint(path="/run/haproxy/admin.sock")),
        ("lb", None),
        ("lb:0", None),
        ("lb:65536", None),
        ("http://lb:80", None),
        ("user@lb:80", None),
        ("unix:run/x", None),
        ("unix:/run/x\n", None),
        ("::1:80", None),
        ("lb:80\n", None),
        ("-lb:80", None),
    ],
)
def test_where_it_listens(text: str, found: Endpoint | None) -> None:
    assert endpoint(text) == found
    if found is not None:
        assert str(found) == text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, []),
        ({"action": "show", "server": ...}, []),
        ({"server": ...}, ["server"]),
        ({"action": "weight"}, ["weight"]),
        ({"action": "weight", "weight": 0}, []),
        ({"action": "add"}, ["address"]),
        ({"action": "add", "address": "name.example.org:80"}, ["address"]),
        ({"action": "add", "address": "[::1]:80"}, []),
        ({"wait_seconds": 60.0}, ["wait_seconds"]),
        ({"runtime_api": "http://x"}, ["runtime_api"]),
    ],
)
def test_what_a_resolved_step_lacks_is_said_before_it_runs(given: dict[str, Any], says: list[str]) -> None:
    found = {key: value for key, value in step(**given).items() if value is not ...}
    told = HAPROXY_STEP.validate("haproxy", found)
    assert len(told) == len(says)
    assert all(word in line for word, line in zip(says, told, strict=True))


def defects(**keys: Any) -> list[str]:
    lines = "\n".join(f"      {key}: {value}" for key, value in {"action": "drain", "backend": "web", **keys}.items())
    text = (
        "name: x\ntitle: x\ngrade: reversible\nparameters: {where: {type: string}, server: {type: string}}\n"
        f"steps:\n  - name: s\n    haproxy:\n{lines}\n"
    )
    return [defect.path for defect in procedure.examine(text)[1]]


def test_who_asks_for_a_run_does_not_choose_which_balancer() -> None:
    assert defects(runtime_api='"${target.runtime_api}"', server='"${params.server}"') == []
    assert defects(runtime_api="lb.example.org:9999", server="a") == []
    assert defects(runtime_api='"${params.where}"') == ["steps[0].haproxy.runtime_api"]
    assert defects(runtime_api='"${params.where}:9999"') == ["steps[0].haproxy.runtime_api"]


@pytest.mark.parametrize("name", ["a;show", "a b", "a/b", '"a\\n"', "a#b", "''"])
def test_a_name_is_a_name(name: str) -> None:
    assert defects(runtime_api="lb:1", server=name) == ["steps[0].haproxy.server"]


# --- the table


def test_both_answers_make_one_table() -> None:
    table = read("web", STATE, STAT)
    assert table is not None
    (server,) = table.servers
    assert (server.sessions, server.healthy, server.serving, server.checked) == (3, True, True, True)


def test_answers_of_different_moments_make_none() -> None:
    assert read("web", STATE, STAT + "web,b,0,0,UP,0,,,,,10.0.0.2:80,,\n") is None
    assert read("web", STATE + "3 web 2 b 10.0.0.2 2 0 100 6 80\n", STAT) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_broken_answer_is_unreadable_and_never_another_table(data: st.DataObject) -> None:
    which = data.draw(st.sampled_from([0, 1]))
    texts = [STATE, STAT]
    at = data.draw(st.integers(0, len(texts[which]) - 1))
    texts[which] = (
        texts[which][:at] + data.draw(st.text(max_size=3)) + texts[which][at + data.draw(st.integers(1, 9)) :]
    )
    try:
        table = read("web", *texts)
    except UnreadableError:
        return
    assert table is None or all(each.name and isinstance(each.weight, int) for each in table.servers)
