"""The logs explorer in a real browser: search, a mistake with its place, an opened line, the live tail."""

from __future__ import annotations

import json
import time
from pathlib import Path
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


def rows(page: Any, count: int) -> None:
    """Wait until so many lines are listed."""
    for _try in range(100):
        if page.locator(".log-row").count() == count:
            return
        page.wait_for_timeout(100)
    assert page.locator(".log-row").count() == count


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
    rows(page, 6)
    charts_ready(page)
    page.locator(".log-row").first.click()
    page.wait_for_selector(".log-around li.own")
    seen.shot(f"logs-{theme}-{language}")
    page.click("#live")
    page.wait_for_timeout(2000)
    push(platform, f'{{"level":"error","msg":"{theme} fresh","latency_ms":1}}')
    page.click("#waiting")  # a line is open: what arrives waits
    page.wait_for_selector(f".log-row:has-text('{theme} fresh')")
    page.click("#live")


def test_values_narrow_the_search_become_columns_and_keys_walk_the_lines(platform: Served, signed_in: Any) -> None:
    bodies = [f'{{"msg":"walk {i}","level":"info","colour":"{"red" if i % 4 else "green"}"}}' for i in range(8)]
    push(platform, *bodies, service="walker")
    page = signed_in(language="en").open("/logs?query=service:walker")
    page.wait_for_selector("#logs[data-facets='1']")
    page.click("#facets summary:has-text('colour')")
    page.click("#facets [data-log-name='colour'][data-log-value='green']:not([data-log-not])")
    rows(page, 2)
    assert page.input_value("#query") == 'service:walker colour:"green"'
    page.fill("#query", "service:walker")
    page.keyboard.press("Enter")
    rows(page, 8)
    page.click("#facets summary:has-text('colour') ~ [data-log-column]")
    page.wait_for_selector(".log-cell:has-text('colour=red')")
    assert "column=colour" in page.url
    page.click("h1")
    for key, text in (("j", "walk 7"), ("j", "walk 6"), ("k", "walk 7")):
        page.keyboard.press(key)
        assert text in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.wait_for_selector(".log-open [data-log-name='msg']")
    with page.expect_download() as download:
        page.click("summary:has-text('Export')")
        page.click("[data-log-download='csv']")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.count("walk ") == 8
