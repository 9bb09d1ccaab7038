"""How the server is asked: credentials, certificates, refusals, and what is made of answers that are none."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.deploy.test_proxies import certificates
from tongchou.core.problems import Unavailable
from tongchou.integrations.prometheus_backend import client as client_module
from tongchou.integrations.prometheus_backend.backend import PrometheusBackend
from tongchou.integrations.prometheus_backend.client import Client
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher

UP = [Matcher("__name__", "=", "up")]


class Stub(ThreadingHTTPServer):
    """Answers everything with what it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str]] = []  # (path, Authorization)
        self.status, self.body, self.wait_seconds = 200, b'{"status":"success","data":["a"]}', 0.0


class Answering(BaseHTTPRequestHandler):
    """One request to the stub."""

    def do_GET(self) -> None:
        """Answer."""
        stub = self.server
        assert isinstance(stub, Stub)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        stub.asked.append((self.path, self.headers.get("Authorization", "")))
        time.sleep(stub.wait_seconds)
        self.send_response(stub.status)
        self.send_header("Content-Length", str(len(stub.body)))
        self.end_headers()
        self.wfile.write(stub.body)

    do_POST = do_GET  # noqa: N815  # http.server's name

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stub(settings: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stub]:
    """A stub that the settings name; over TLS, with a certificate of the client, when the test's parameter is "tls"."""
    server, scheme = Stub(), "http"
    if getattr(request, "param", "") == "tls":
        authority, scheme = certificates(tmp_path), "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "key.pem")
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    settings.PROMETHEUS_URL = f"{scheme}://localhost:{server.server_address[1]}/under/a/path"
    settings.HTTP_ALLOW = ["127.0.0.0/8", "::1"]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def names(backend: PrometheusBackend) -> list[str]:
    return backend.label_names([UP], 0, 60_000, limits=Limits())


def test_a_token_or_user_and_password_come_from_files(stub: Stub, settings: Any, tmp_path: Path) -> None:
    for file, text in (("token", "secret-token\n"), ("password", "pa:ss\n")):
        (tmp_path / file).write_text(text)
    assert names(PrometheusBackend()) == ["a"]
    settings.PROMETHEUS_USER = "reader"
    settings.PROMETHEUS_PASSWORD_FILE = tmp_path / "password"
    names(PrometheusBackend())
    settings.PROMETHEUS_TOKEN_FILE = tmp_path / "token"
    names(PrometheusBackend())
    assert [given for _path, given in stub.asked] == ["", "Basic cmVhZGVyOnBhOnNz", "Bearer secret-token"]
    assert {path.partition("?")[0] for path, _given in stub.asked} == {"/under/a/path/api/v1/labels"}
    settings.PROMETHEUS_TOKEN_FILE = tmp_path / "nowhere"
    with pytest.raises(Unavailable, match="nowhere"):
        names(PrometheusBackend())


def test_a_password_in_the_address_is_refused_and_not_shown(settings: Any) -> None:
    settings.PROMETHEUS_URL = "http://reader:se@cret@127.0.0.1:9"
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as refused:
        names(PrometheusBackend())
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("stub", ["tls"], indirect=True)
def test_certificates_are_checked_and_shown(stub: Stub, settings: Any, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        names(PrometheusBackend())
    settings.PROMETHEUS_CA_FILE = tmp_path / "authority.pem"
    with pytest.raises(Unavailable):  # the server wants one of ours
        names(PrometheusBackend())
    settings.PROMETHEUS_CERTIFICATE_FILE = tmp_path / "fullchain.pem"
    settings.PROMETHEUS_KEY_FILE = tmp_path / "key.pem"
    assert names(PrometheusBackend()) == ["a"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b"who are you"), (500, b"broken"), (404, b"not here"), (200, b"<html>"), (200, b'{"status":"success"}'),
     (200, b'{"status":"success","data":{"result":7}}'), (302, b"")],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_that_says_what_came(stub: Stub, status: int, body: bytes) -> None:
    stub.status, stub.body = status, body
    with pytest.raises(Unavailable, match="remote_failed"):
        names(PrometheusBackend())
    with pytest.raises(Unavailable, match="remote_failed"):
        PrometheusBackend().select(UP, 0, 60_000, limits=Limits())


def test_a_slow_server_is_given_up_and_let_rest(stub: Stub, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REST_SECONDS", 0.5)
    settings.PROMETHEUS_TIMEOUT_SECONDS = 0.6
    stub.wait_seconds = 1.5
    backend, began = PrometheusBackend(), time.monotonic()
    for _again in range(20):
        with pytest.raises(Unavailable):
            names(backend)
        if time.monotonic() - began > 0.9:
            break
    assert 0.55 < time.monotonic() - began < 1.4
    assert len(stub.asked) <= 2
    stub.wait_seconds = 0.0
    time.sleep(0.6)
    assert names(backend) == ["a"], "it is asked again after the rest"


def test_a_short_wait_of_one_caller_stops_nobody_else(stub: Stub) -> None:
    stub.wait_seconds = 0.3
    client = Client()
    with pytest.raises(Unavailable):
        client.get("/api/v1/labels", [], timeout_seconds=0.1)
    assert json.loads(client.get("/api/v1/labels", [], timeout_seconds=5.0))["data"] == ["a"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_limits_the_rate_is_not_asked_for_more_and_smaller_parts(stub: Stub, status: int) -> None:
    stub.status, stub.body = status, b"request rate limit exceeded"
    with pytest.raises(Unavailable, match="rate limit"):
        PrometheusBackend().select(UP, 0, 3_600_000, limits=Limits(timeout_seconds=3.0))
    assert len(stub.asked) == 1


def test_another_server_under_the_same_address_is_asked_what_it_speaks(stub: Stub) -> None:
    backend = PrometheusBackend()
    stub.body = bytes(cramjam.snappy.compress_raw(b""))  # a ReadResponse without results
    assert len(backend.select(UP, 0, 60_000, limits=Limits())) == 0
    assert backend.way() == "remote_read"
    stub.status = 404
    with pytest.raises(Unavailable, match=r"remote_read: .*export: .*query: "):
        backend.select(UP, 0, 60_000, limits=Limits())
