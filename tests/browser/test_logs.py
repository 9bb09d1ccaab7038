"""The logs explorer in a real browser: search, a mistake with its place, an opened line, the live tail."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.browser.conftest import Served
from tests.browser.test_pages import charts_ready

pytestmark = pytest.mark.browser


def push(served: Served, *bodies: str, service: str = "checkout") -> None:
    now = time.time_ns()
    values = [[str(now + i), body] for i, body in enumerate(bodies)]
    with served.client() as client:
        body = {"streams": [{"stream": {"service": service}, "values": values}]}
        client.post(
            "/loki/api/v1/push", content=json.dumps(body), headers={"Content-Type": "application/json"}
        ).raise_for_status()


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_lines_are_searched_opened_and_followed(platform: Served, signed_in: Any, theme: str, language: str) -> None:
    push(
        platform,
        *[
            f'{{"level":"{"error" if i % 3 else "info"}","msg":"payment {theme} {i} refused","latency_ms":{i}}}'
            for i in range(40)
        ],
    )
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/logs")
    page.wait_for_selector("#logs[data-ready='1']")
    page.fill("#query", f"{theme} latency_ms:<10 level:error")
    page.keyboard.press("Enter")
    page.wait_for_selector(f".log-row:has-text('payment {theme} 8 refused')")
    for _try in range(50):
        if page.locator(".log-row").count() == 6:
            break
        page.wait_for_timeout(100)
    assert page.locator(".log-row").count() == 6
    charts_ready(page)
    page.locator(".log-row").first.click()
    page.wait_for_selector(".log-around li.own")
    seen.shot(f"logs-{theme}-{language}")
    page.click("#live")
    page.wait_for_timeout(2000)
    push(platform, f'{{"level":"error","msg":"{theme} fresh","latency_ms":1}}')
    page.wait_for_selector(f".log-row:has-text('{theme} fresh')")
    page.click("#live")
