"""The page of jobs in a real browser: what the platform does by itself, live."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_the_page_shows_kinds_and_the_schedule_and_filters(signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/jobs")
    page.wait_for_selector("[data-live-state][data-state=on]")
    assert page.locator("#jobs .kpi").count() == 4
    assert page.locator("#jobs tbody tr").count() > 5
    seen.shot(f"jobs-{theme}-{language}")
    page.click("#jobs .halves td.main a >> nth=0")
    page.wait_for_url("**/jobs?name=*")
    page.click("#jobs .tabs a[href*='state=done']")
    page.wait_for_url("**state=done*")
    page.keyboard.press("Control+k")
    page.keyboard.type("作业" if language == "zh-hans" else "Jobs")
    page.wait_for_selector(".palette-item[href='/jobs']")
