"""One http step: sent once, judged by status, nothing of the secret in what comes back but what the other side said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tongchou.core.registry import implementations
from tongchou.integrations.http_step.runner import HTTP_STEP
from tongchou.runbooks.ports import Context, Runner, StepCall, StepResult


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    status = 200
    body = b"{}"
    seen: list[tuple[str, str, dict[str, str], bytes]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.server.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # http.server calls these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """A test's server is silent."""


@pytest.fixture
def server(settings: Any) -> Iterator[_Server]:
    settings.HTTP_ALLOW = ["127.0.0.1"]
    found = _Server(("127.0.0.1", 0), _Handler)
    found.seen = []
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join(5)


def run(server: _Server, **step: Any) -> StepResult:
    given = {
        "method": "POST",
        "url": f"http://127.0.0.1:{server.server_address[1]}/do?x=%2F",
        "headers": {},
        "expect_status": [],
        "timeout_seconds": 5,
        "max_response_bytes": 1000,
        **step,
    }
    return HTTP_STEP.run(StepCall("s", given, "run:0", repeatable=True), Context({"token": "s3cret"}))


def test_it_is_found_as_a_runner() -> None:
    assert [runner.kind for runner in implementations(Runner) if runner.kind == "http"] == ["http"]  # type: ignore[type-abstract]  # a Protocol is what it looks for


def test_the_request_carries_body_key_and_secret(server: _Server) -> None:
    result = run(server, body={"n": 1, "text": "好"}, headers={"Authorization": "Bearer ${secret.token}"})
    assert result.reason is None
    ((method, path, headers, body),) = server.seen
    assert (method, path, body.decode()) == ("POST", "/do?x=%2F", '{"n": 1, "text": "好"}')
    assert (headers["idempotency-key"], headers["authorization"]) == ("run:0", "Bearer s3cret")
    assert headers["content-type"] == "application/json"
    assert "s3cret" not in str(result)


def test_context_does_not_print_its_secrets() -> None:
    assert "s3cret" not in repr(Context({"token": "s3cret"}))


@pytest.mark.parametrize(
    ("status", "expected", "fits"),
    [
        (200, [], True),
        (204, [], True),
        (404, [], False),
        (500, [], False),
        (200, [202], False),
        (409, [200, 409], True),
    ],
)
def test_the_status_decides(server: _Server, status: int, expected: list[int], fits: bool) -> None:
    server.status, server.body = status, b""
    result = run(server, expect_status=expected)
    assert (result.reason is None) == fits
    assert result.output["status"] == status
    assert len(server.seen) == 1, "a step is never repeated here, whatever the status"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"a": [1, NaN], "b": "\\u0000\\ud800"}', {"a": [1, "nan"], "b": "\ufffd?"}),
        (b"\xff\x00text", "\ufffd\ufffdtext"),
        (b"", ""),
        (b"[" * 900, "[" * 900),
    ],
)
def test_whatever_comes_back_can_be_kept(server: _Server, body: bytes, kept: object) -> None:
    server.body = body
    assert run(server).output["body"] == kept


def test_an_answer_over_the_cap_is_not_kept(server: _Server) -> None:
    server.body = b"x" * 1001
    result = run(server)
    assert result.reason is not None
    assert (result.reason.code, result.reason.params["reason"]) == ("http_unknown", "too_large")


def test_what_cannot_have_had_an_effect_is_told_apart(server: _Server, settings: Any) -> None:
    gone = run(server, url="http://127.0.0.1:1/x", timeout_seconds=1)
    assert gone.reason is not None
    assert gone.reason.code == "http_failed"
    settings.HTTP_ALLOW = []
    refused = run(server)
    assert refused.reason is not None
    assert (refused.reason.code, server.seen) == ("http_refused", [])


def test_an_unknown_secret_sends_nothing(server: _Server) -> None:
    result = run(server, headers={"X": "${secret.other}"})
    assert result.reason is not None
    assert server.seen == []


@pytest.mark.parametrize("url", ["", "ftp://h/x", "http://", "/x", "http:///x"])
def test_a_step_without_a_host_does_not_pass_the_look(url: str) -> None:
    assert HTTP_STEP.validate("http", {"url": url})
    assert not HTTP_STEP.validate("http", {"url": "http://h/x"})
