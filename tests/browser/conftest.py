"""A served platform with people, metrics, an alert and a procedure in it, and headless Chromium to look at it.

Everything is written through the public API and remote_write, as its users do. Screenshots go to
tests/browser/screenshots/ (not kept in the repository).
"""

from __future__ import annotations

import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.served import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parent / "screenshots"
START_SECONDS = 180  # a machine busy with other tests takes long to import
PASSWORD = "correct horse battery"
ENVIRONMENT = {"TONGCHOU_ADMIN_PASSWORD": PASSWORD, "TONGCHOU_SCRAPE_INTERVAL_SECONDS": "1"}
RULES = """groups:
  - name: shop
    interval: 1s
    rules:
      - alert: CheckoutFails
        expr: checkout_error_ratio > 0.05
        labels: {severity: critical}
        annotations: {summary: "checkout fails for {{ $value }}"}
"""
PROCEDURE = """name: look-and-ask
title: {en: Look and ask, zh: 查看并询问}
grade: read
matches: [{alertname: CheckoutFails}]
steps:
  - name: errors now
    read: {query: "checkout_error_ratio"}
  - name: go on
    ask: {question: {en: "Is the checkout page up?", zh: "结账页可以打开吗？"}}
"""


def varint(number: int) -> bytes:
    """Encode a protobuf varint."""
    out = bytearray()
    while True:
        number, rest = number >> 7, number & 0x7F
        out.append(rest | (0x80 if number else 0))
        if not number:
            return bytes(out)


def field(number: int, body: bytes) -> bytes:
    """Encode a length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def write_request(name: str, labels: dict[str, str], samples: list[tuple[int, float]]) -> bytes:
    """Return a compressed remote_write 1.0 body of one series."""
    pairs = sorted({"__name__": name, **labels}.items())
    series = b"".join(field(1, field(1, key.encode()) + field(2, value.encode())) for key, value in pairs)
    series += b"".join(field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)) for at, value in samples)
    return bytes(cramjam.snappy.compress_raw(field(1, series)))


def send(served: Served, name: str, labels: dict[str, str], samples: list[tuple[int, float]]) -> None:
    """Write samples as a Prometheus would."""
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    with served.client() as client:
        body = write_request(name, labels, samples)
        client.post("/prometheus/api/v1/write", content=body, headers=headers).raise_for_status()


def scraped_twice(client: httpx.Client) -> bool:
    """Whether the platform has scraped itself twice (every 15 s): a rate, as the cockpit shows, has its first point."""
    asked = {"query": "max(count_over_time(up[1h])) >= 2"}
    return bool(client.get("/prometheus/api/v1/query", params=asked).json()["data"]["result"])


@contextmanager
def failing_on(served: Served) -> Iterator[None]:
    """Keep the checkout failing while the tests run: without news its alert would end after five minutes."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(15):
            with suppress(httpx.HTTPError):  # a late answer of a busy server is not what is tested
                now = int(time.time() * 1000)
                for service, errors in (("checkout", 0.4), ("search", 0.01)):
                    send(served, "checkout_error_ratio", {"service": service}, [(now, errors)])

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform where the checkout fails: an hour of metrics, a firing rule, an incident, a procedure that fits."""
    served = Served(tmp_path_factory.mktemp("browser") / "data", **ENVIRONMENT)
    served.start_seconds = START_SECONDS
    try:
        served.start()
        now = int(time.time() * 1000)
        for service, errors in (("checkout", 0.4), ("search", 0.01)):
            past = [(now - 1000 * second, errors if second < 120 else 0.01) for second in range(3600, -1, -15)]
            send(served, "checkout_error_ratio", {"service": service}, past)
        with served.client() as client:
            for name, role in (("operator", "operator"), ("approver", "approver"), ("viewer", "viewer")):
                body = {"username": name, "password": PASSWORD, "role": role}
                client.post("/api/v1/users", json=body).raise_for_status()
            made = [
                client.post("/api/v1/resources", json={"kind": "service", "name": name}).raise_for_status().json()["id"]
                for name in ("checkout", "payments")
            ]
            relation = {"from_id": made[0], "to_id": made[1], "type": "calls"}
            client.post("/api/v1/relations", json=relation).raise_for_status()
            yaml = {"Content-Type": "application/yaml"}
            client.put("/api/v1/rule-files/shop.yml", content=RULES, headers=yaml).raise_for_status()
            client.put("/api/v1/procedures/look-and-ask", content=PROCEDURE, headers=yaml).raise_for_status()
            served.wait(lambda: client.get("/api/v1/incidents").json()["items"], seconds=60, what="the incident")
            served.wait(lambda: scraped_twice(client), seconds=120, what="a second scrape of itself, which charts show")
        with failing_on(served):
            yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of the system; without one the browser tests say so."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A page and everything that went wrong on it: console errors, exceptions, failed and off-host requests."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.faults: list[str] = []
        self.broken = False
        self.page.on("console", lambda m: self._fault("console", m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self._fault("exception", str(error)))
        self.page.on("request", lambda r: None if self._ours(r.url) else self._fault("off host", r.url))
        self.page.on("response", lambda r: self._fault(str(r.status), r.url) if r.status >= 400 else None)

    def _ours(self, url: str) -> bool:
        return url.startswith((self.base, "data:", "blob:"))

    def _fault(self, kind: str, text: str) -> None:
        # One panel is broken on purpose, and seen wherever its dashboard is opened; the console tells of it, too.
        self.broken = self.broken or "/dashboards/board/panels/7" in text
        if not (self.broken and ("/panels/7" in text or "status of 400" in text)):
            self.faults.append(f"{kind}: {text}")

    def open(self, path: str) -> Page:
        """Go to a page of ours."""
        self.page.goto(self.base + path)
        return self.page

    def shot(self, name: str) -> None:
        """Keep a picture for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)


@pytest.fixture
def signed_in(platform: Served, chromium: Browser) -> Iterator[Any]:
    """Return a function (username, theme, language, width) -> Watched, signed in through the login page."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def make(username: str = "admin", theme: str = "light", language: str = "zh-hans", width: int = 1440) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        seen = Watched(context, platform.url)
        watched.append(seen)
        page = seen.open("/accounts/login/")
        page.fill("[name=login]", username)
        page.fill("[name=password]", PASSWORD)
        page.click("main button.primary")
        page.wait_for_url(platform.url + "/")
        if page.evaluate("document.documentElement.lang") != ("zh-CN" if language == "zh-hans" else language):
            page.click("header details.menu:has(button[name=language]) > summary")
            page.click(f"header button[name=language][value={language}]")
            page.wait_for_selector(f"html[lang={'zh-CN' if language == 'zh-hans' else language}]", state="attached")
        return seen

    yield make
    for context in contexts:
        context.close()
    assert [fault for each in watched for fault in each.faults] == []
