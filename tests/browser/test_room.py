"""The incident room on a crafted incident: every part loads by itself, keeps its state and says when it cannot."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.browser.conftest import Served
from tests.browser.test_pages import charts_ready

pytestmark = pytest.mark.browser
PARTS = ("suspects", "procedures", "metrics", "map", "alerts", "impact", "logs", "postmortem")


@pytest.fixture(scope="module")
def known(platform: Served) -> Served:
    """The failing service logs errors."""
    with platform.client() as client:
        now = time.time_ns()
        values = [
            [str(now - i * 10**9), json.dumps({"level": "error" if i % 3 else "info", "msg": f"card refused {i}"})]
            for i in range(30)
        ]
        streams = {"streams": [{"stream": {"service": "checkout"}, "values": values}]}
        client.post("/loki/api/v1/push", json=streams).raise_for_status()
    return platform


def ready(page: Any) -> None:
    page.wait_for_selector(".room[data-ready='1']")
    charts_ready(page)


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_every_part_loads_and_is_read(known: Served, signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in("operator", theme=theme, language=language)
    page = seen.open("/incidents/1")
    ready(page)
    for name in PARTS:
        part = page.locator(f"[data-part={name}]")
        assert part.inner_text().strip(), name
        assert part.locator("[data-part-again]").count() == 0, part.inner_text()
    assert page.locator("#metrics canvas").count() >= 1
    seen.shot(f"room-{theme}-{language}")


def test_a_dry_run_stays_while_the_room_goes_on(known: Served, signed_in: Any) -> None:
    seen = signed_in("operator", language="en")
    page = seen.open("/incidents/1#procedures")
    ready(page)
    page.click("#procedures button:has-text('Dry run')")
    page.wait_for_selector("#plan-0 >> text=could run now")
    page.fill("#note", "the dry run looks right")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#timeline >> text=the dry run looks right")


def test_a_part_that_cannot_be_read_says_so_and_is_asked_for_again(known: Served, signed_in: Any) -> None:
    seen = signed_in("operator", language="en")
    page = seen.open("/incidents")
    page.route("**/incidents/1?part=alerts**", lambda route: route.fulfill(status=503, body="{}"))
    page.goto(f"{seen.base}/incidents/1")
    page.wait_for_selector("[data-part=alerts] [data-part-again]")
    page.wait_for_selector(".room[data-ready='1']")
    assert "could not be read" in page.inner_text("[data-part=alerts]")
    assert page.inner_text("[data-part=suspects]").strip()  # the others are there
    seen.shot("room-unread")
    page.unroute("**/incidents/1?part=alerts**")
    page.click("[data-part=alerts] [data-part-again]")
    page.wait_for_selector("[data-part=alerts] >> text=checkout")
    seen.faults = [fault for fault in seen.faults if "part=alerts" not in fault and "503" not in fault]


def test_the_room_fits_a_phone(known: Served, signed_in: Any) -> None:
    seen = signed_in("operator", width=390)
    page = seen.open("/incidents/1")
    page.wait_for_selector(".room[data-ready='1']")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen.shot("room-phone")
