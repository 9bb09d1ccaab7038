from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tongchou.core import http

HITS: list[str] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        HITS.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
        elif self.path == "/big":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(60):
                    self.wfile.write(b"x" * 1_000_000)
            except OSError:
                pass
        elif self.path == "/bomb":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(b"\0" * 30_000_000))
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(200):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass
        elif self.path == "/flaky":
            ok = len([each for each in HITS if each == "/flaky"]) >= 3
            self.send_response(200 if ok else 503)
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    HITS.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]


def both(url: str, **more: Any) -> list[Any]:
    """Call fetch and that of a place; return what each gave or raised."""

    async def run() -> Any:
        place = http.Place()
        try:
            return await place.fetch("GET", url, purpose="test", **more)
        finally:
            await place.close()

    results: list[Any] = []
    for call in (lambda: http.fetch("GET", url, purpose="test", **more), lambda: asyncio.run(run())):
        try:
            results.append(call())
        except http.HttpError as error:
            results.append(error)
    return results


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://localhost:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://224.0.0.1/",
        "http://100.100.100.200/latest/meta-data/",
        "http://192.0.0.192/opc/v2/instance/",
        "http://168.63.129.16/machine/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[::ffff:100.100.100.200]/",
        "http://[2002:7f00:1::]/",  # 6to4 of 127.0.0.1
        "http://[2002:a9fe:a9fe::1]/",  # 6to4 of 169.254.169.254
        "http://[64:ff9b::7f00:1]/",  # NAT64 of 127.0.0.1
        "http://[64:ff9b::a9fe:a9fe]/",  # NAT64 of 169.254.169.254
    ],
)
def test_addresses_of_this_host_and_of_the_cloud_are_refused_before_anything_is_sent(target: str) -> None:
    for result in both(target):
        assert isinstance(result, http.Refused), result


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "gopher://x/", "http://", "//x", "http://user:pw@example.org/", "", "http://a b/"]
)
def test_what_is_no_plain_http_url_is_refused(target: str) -> None:
    for result in both(target):
        assert isinstance(result, http.HttpError), result


@pytest.mark.usefixtures("allowed")
def test_an_allowed_address_answers_and_sees_the_right_host_header(url: str) -> None:
    for result in both(f"{url}/hello"):
        assert result.status == 200
        assert result.body.decode() == url.removeprefix("http://")


@pytest.mark.usefixtures("allowed")
def test_a_deny_entry_wins_over_an_allow_entry(url: str, settings: Any) -> None:
    settings.HTTP_DENY = ["127.0.0.1/32"]
    for result in both(url):
        assert isinstance(result, http.Refused)


@pytest.mark.usefixtures("allowed")
def test_a_redirect_is_not_followed_unless_asked_and_then_passes_the_guard(url: str) -> None:
    for result in both(f"{url}/redirect"):
        assert isinstance(result, http.Failed)
        assert result.reason == "redirect"
    with pytest.raises(http.Refused):
        http.fetch("GET", f"{url}/redirect", purpose="test", follow_redirects=True)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("path", ["/big", "/bomb"])
def test_an_answer_over_the_cap_is_cut_off(url: str, path: str) -> None:
    for result in both(url + path, max_bytes=2_000_000):
        assert isinstance(result, http.Failed)
        assert result.reason == "too_large"


@pytest.mark.usefixtures("allowed")
def test_the_beginning_of_a_large_answer_is_had_by_who_asks_for_it(url: str) -> None:
    answer = http.fetch("GET", f"{url}/big", purpose="test", max_bytes=1000, cut=True)
    assert (answer.status, answer.body, answer.cut) == (200, b"x" * 1000, True)
    whole = http.fetch("GET", f"{url}/other", purpose="test", max_bytes=1000, cut=True)
    assert (whole.cut, whole.body) == (False, url.removeprefix("http://").encode())


@pytest.mark.usefixtures("allowed")
def test_an_answer_that_drips_for_ever_ends_at_the_deadline(url: str) -> None:
    for result in both(f"{url}/drip", timeout_seconds=0.6):
        assert isinstance(result, http.Failed)
        assert result.reason == "timeout"


@pytest.mark.usefixtures("allowed")
def test_a_listener_that_never_answers_ends_at_the_deadline() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for result in both(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_seconds=0.5):
            assert isinstance(result, http.Failed)
            assert result.reason == "timeout"


@pytest.mark.usefixtures("allowed")
def test_a_closed_port_is_a_connect_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for result in both(f"http://127.0.0.1:{port}/"):
        assert isinstance(result, http.Failed)
        assert result.reason == "connect"


@pytest.mark.usefixtures("allowed")
def test_retries_repeat_a_503_and_stop_at_success(url: str) -> None:
    answer = http.fetch("GET", f"{url}/flaky", purpose="test", retries=3)
    assert answer.status == 200
    assert HITS.count("/flaky") == 3
    HITS.clear()
    assert http.fetch("GET", f"{url}/flaky", purpose="test").status == 503


def test_a_name_with_one_forbidden_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("192.0.2.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    for result in both("http://rebinding.example/"):
        assert isinstance(result, http.Refused)


def test_an_address_inside_another_is_judged_by_where_it_ends(settings: Any) -> None:
    inside = [ipaddress.ip_address(each) for each in ("64:ff9b::c000:201", "2002:c000:201::1", "::ffff:192.0.2.1")]
    assert [http.refusal("host", each) for each in inside] == [None, None, None]
    settings.HTTP_DENY = ["192.0.2.0/24"]
    assert all(http.refusal("host", each) for each in inside)
    settings.HTTP_DENY, settings.HTTP_ALLOW = [], ["169.254.169.254"]
    assert http.refusal("host", ipaddress.ip_address("64:ff9b::a9fe:a9fe")) is None


def read(url: str, *, method: str = "GET", purpose: str = "scrape") -> Any:
    async def run() -> Any:
        place = http.Place()
        try:
            return await place.fetch(method, url, purpose=purpose)
        finally:
            await place.close()

    try:
        return asyncio.run(run())
    except http.HttpError as error:
        return error


def test_only_a_scrape_reads_the_own_metrics_and_a_deny_entry_still_wins(url: str, settings: Any) -> None:
    settings.PORT = int(url.rpartition(":")[2])
    assert read(f"{url}/metrics").status == 200
    for refused in (
        read(f"{url}/metrics", purpose="runbook step"),
        read(f"{url}/metrics", purpose="http_sd"),
        read(f"{url}/metrics", method="POST"),
        read(f"{url}/api/v1/me"),
    ):
        assert isinstance(refused, http.Refused), refused
    with pytest.raises(http.Refused):
        http.fetch("GET", f"{url}/metrics", purpose="runbook step")
    settings.HTTP_DENY = ["127.0.0.0/8"]
    assert isinstance(read(f"{url}/metrics"), http.Refused)
    assert HITS == ["/metrics"]


def test_another_protocol_gets_the_addresses_the_guard_lets_through(settings: Any) -> None:
    with pytest.raises(http.Refused, match="loopback"):
        http.permitted("localhost", 9999)
    settings.HTTP_ALLOW = ["127.0.0.0/8", "::1"]
    assert set(http.permitted("localhost", 9999)) <= {"127.0.0.1", "::1"}
    settings.HTTP_DENY = ["localhost"]
    with pytest.raises(http.Refused, match="DENY"):
        http.permitted("localhost", 9999)
    with pytest.raises(http.Failed):
        http.permitted("no-such-host.invalid", 9999)
