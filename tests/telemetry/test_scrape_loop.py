"""The scrape loop against real servers on loopback, the bad ones beside the good one."""

from __future__ import annotations

import gzip
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from uuid import uuid4

import numpy as np
import pytest
from django.test import override_settings

from tongchou.inventory.reads import EndpointRow
from tongchou.telemetry import scrape_loop, target_health
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.scrape_loop import ScrapeLoop
from tongchou.telemetry.sender_limits import SenderLimits, target_name
from tongchou.telemetry.series import STALE_BITS, Matcher

INTERVAL = 0.5
SLOW = 6.0
BOMB = gzip.compress(b"a 1\n" * (3 * 1024 * 1024), compresslevel=1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    over = threading.Event()
    requests: ClassVar[dict[str, int]] = {}

    def do_GET(self):
        count = self.requests[self.path] = self.requests.get(self.path, 0) + 1
        kind = self.path.strip("/")
        try:
            getattr(self, f"serve_{kind}", self.serve_missing)(count)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, body, status=200, content_type="text/plain; version=0.0.4", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve_good(self, count):
        self.answer(b"# TYPE requests_total counter\n# HELP requests_total All.\nrequests_total %d\n" % count)

    def serve_openmetrics(self, count):
        body = gzip.compress(b"requests_total %d\n# EOF\n" % count)
        self.answer(body, content_type="application/openmetrics-text; version=1.0.0", Content_Encoding="gzip")

    def serve_changing(self, count):
        self.answer(b"stays 1\n" + (b"goes 1\n" if count == 1 else b""))

    def serve_missing(self, count):
        self.answer(b"no\n", status=404)

    def serve_redirect(self, count):
        self.answer(b"", status=302, Location="/good")

    def serve_html(self, count):
        self.answer(b"<html>login</html>", content_type="text/html")

    def serve_protobuf(self, count):
        # what carries native histograms; it is never asked for, and a target that sends it all the same is down
        assert "protobuf" not in self.headers["Accept"]
        kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        self.answer(b"\x05\x0a\x03abc", content_type=kind)

    def serve_broken(self, count):
        self.answer(b"a 1\nb b b\n")

    def serve_hang(self, count):
        self.over.wait(30)
        self.close_connection = True

    def serve_huge(self, count):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(50 * 1024 * 1024))
        self.end_headers()
        for _chunk in range(50):
            self.wfile.write(b"a 1\n" * (256 * 1024))

    def serve_bomb(self, count):
        self.answer(BOMB, Content_Encoding="gzip")

    def serve_drip(self, count):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        while not self.over.wait(0.05):
            self.wfile.write(b"a")
            self.wfile.flush()

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def server():
    Handler.over = threading.Event()
    Handler.requests = {}
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Handler.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def endpoint(base, kind):
    # what is refused for its size must not run into the deadline first on a slow machine
    interval = SLOW if kind in ("huge", "bomb") else INTERVAL
    labels = {"job": kind, "instance": kind}
    return EndpointRow(uuid4(), uuid4(), f"{base}/{kind}", labels, interval, interval * 0.8)


class Running:
    """The loop in a thread; `until` waits for a condition about what was written."""

    def __init__(self, telemetry, endpoints):
        self.telemetry = telemetry
        self.endpoints = endpoints
        self.stop = threading.Event()
        loop = ScrapeLoop(lambda: list(self.endpoints), telemetry)
        self.thread = threading.Thread(target=loop.run, args=(self.stop,))
        self.thread.start()

    def values(self, name, **labels):
        now = self.telemetry.clock()
        matchers = [Matcher("__name__", "=", name), *(Matcher(n, "=", v) for n, v in labels.items())]
        return self.telemetry.select(matchers, now - 600_000, now, limits=Limits())

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; health: {target_health.target_health()}")

    def close(self):
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        target_health.forget([each.endpoint_id for each in target_health.target_health()])


@pytest.fixture
def scraping(telemetry_db):
    running = []

    def start(*endpoints):
        running.append(Running(telemetry_db, list(endpoints)))
        return running[0]

    with override_settings(HTTP_ALLOW=["127.0.0.0/8"]):
        yield start
        for each in running:
            each.close()


def test_good_targets_are_scraped_in_both_formats(server, scraping):
    good, openmetrics = endpoint(server, "good"), endpoint(server, "openmetrics")
    loop = scraping(good, openmetrics)
    for kind in ("good", "openmetrics"):
        loop.until(lambda kind=kind: loop.values("requests_total", job=kind).sample_count >= 3)
        block = loop.values("requests_total", job=kind)
        assert block.v.tolist() == [float(n + 1) for n in range(block.sample_count)]
        steps = np.diff(block.ts) / 1000
        assert np.median(steps) == pytest.approx(INTERVAL, abs=0.15)
    health = {each.labels["job"]: each for each in target_health.target_health()}
    assert (health["good"].state, health["good"].last_error) == ("up", "")
    assert target_health.known_metadata()["requests_total"].type == "counter"


BAD = {
    "missing": "404",
    "redirect": "redirect",
    "html": "text/html",
    "protobuf": "application/vnd.google.protobuf",
    "broken": "line 2",
    "hang": "timeout",
    "huge": "too_large",
    "bomb": "too_large",
    "drip": "timeout",
}


@pytest.mark.parametrize("limits", [SenderLimits(series=1), SenderLimits(samples_per_second=1)])
def test_a_target_that_shows_more_than_one_source_may_send_is_down_and_counted(server, scraping, monkeypatch, limits):
    monkeypatch.setattr(scrape_loop, "current", lambda: limits)
    many = endpoint(server, "changing")  # two series, then one, every half second
    loop = scraping(many)
    name = target_name(many.labels)

    def rejected():
        return [each for each in loop.telemetry.sources.all() if each.name == name and each.rejected]

    loop.until(rejected)
    (source,) = rejected()
    (held,) = source.rejected.values()
    assert (held.example, held.samples >= 1) == (many.url, True)
    assert "metrics.source_max" in held.reason
    loop.until(lambda: loop.values("up", job="changing").sample_count)  # written after the source is told
    assert loop.values("up", job="changing").v[0] == 0.0


def test_bad_targets_are_down_with_a_reason_and_disturb_nobody(server, scraping):
    good = endpoint(server, "good")
    loop = scraping(good, *(endpoint(server, kind) for kind in BAD))

    def settled():
        health = {each.labels["job"]: each for each in target_health.target_health()}
        return len(health) == len(BAD) + 1 and all(each.last_scrape_ms for each in health.values())

    loop.until(settled)
    loop.until(lambda: loop.values("up", job="good").sample_count >= 6)
    health = {each.labels["job"]: each for each in target_health.target_health()}
    for kind, reason in BAD.items():
        assert health[kind].state == "down", kind
        assert reason in health[kind].last_error, (kind, health[kind].last_error)
        loop.until(lambda kind=kind: set(loop.values("up", job=kind).v.tolist()) == {0.0})
    assert health["good"].state == "up"
    assert set(loop.values("up", job="good").v.tolist()) == {1.0}
    assert loop.values("requests_total", job="redirect").sample_count == 0


def test_nobody_listening_is_down(scraping):
    with socketserver.TCPServer(("127.0.0.1", 0), None) as closed:
        address = f"http://127.0.0.1:{closed.server_address[1]}"
    loop = scraping(endpoint(address, "good"))
    loop.until(lambda: loop.values("up").sample_count >= 1)
    assert target_health.target_health()[0].last_error.startswith("connect")


def test_an_address_the_guard_refuses_is_down(server, scraping):
    with override_settings(HTTP_ALLOW=[]):
        loop = scraping(endpoint(server, "good"))
        loop.until(lambda: loop.values("up").sample_count >= 1)
    assert "TONGCHOU_HTTP_ALLOW" in target_health.target_health()[0].last_error


def ended(block):
    return block.sample_count and int(block.v.view(np.int64)[-1]) == STALE_BITS


def test_a_series_that_disappears_gets_a_marker(server, scraping):
    loop = scraping(endpoint(server, "changing"))
    loop.until(lambda: loop.values("stays").sample_count >= 3)
    gone = loop.values("goes")
    assert gone.sample_count == 2
    assert ended(gone)
    assert not ended(loop.values("stays"))


def test_a_target_that_is_taken_away_ends_and_a_new_one_begins(server, scraping, monkeypatch):
    monkeypatch.setattr("tongchou.telemetry.scrape_loop.REFRESH_SECONDS", 0.1)
    loop = scraping(endpoint(server, "good"))
    loop.until(lambda: loop.values("requests_total").sample_count >= 1)
    loop.endpoints[:] = [endpoint(server, "openmetrics")]
    loop.until(lambda: ended(loop.values("up", job="good")))
    assert ended(loop.values("requests_total", job="good"))
    loop.until(lambda: loop.values("requests_total", job="openmetrics").sample_count >= 1)
    assert [each.labels["job"] for each in target_health.target_health()] == ["openmetrics"]


def test_stopping_leaves_no_marker_so_that_a_restart_makes_no_gap(server, scraping):
    loop = scraping(endpoint(server, "good"))
    loop.until(lambda: loop.values("up").sample_count >= 2)
    loop.close()
    assert not ended(loop.values("up"))
