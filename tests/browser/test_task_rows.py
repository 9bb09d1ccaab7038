"""The tasks of a change: rows that are added, moved and removed by the keyboard alone, without a reload."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Served
from tests.browser.test_accessible import WCAG

pytestmark = pytest.mark.browser
DRAIN = """name: drain-slowly
title: {en: Drain slowly, zh: 缓慢排空}
grade: read
parameters:
  how: {type: choice, choices: [gently, at once]}
  wait: {type: integer, default: 5}
steps:
  - {name: look, read: {query: up}}
"""


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.name || document.activeElement.dataset.rowDo || ''"))


def titles(page: Page) -> list[str]:
    return [each.input_value() for each in page.locator("[name=task-title]").all()]


@pytest.mark.parametrize(("theme", "language", "width"), [("light", "en", 1280), ("dark", "zh-hans", 480)])
def test_rows_are_added_moved_and_removed_by_the_keyboard(
    platform: Served, signed_in: Any, theme: str, language: str, width: int
) -> None:
    with platform.client() as client:
        yaml = {"Content-Type": "application/yaml"}
        client.put("/api/v1/procedures/drain-slowly", content=DRAIN.encode(), headers=yaml).raise_for_status()
    seen = signed_in(theme=theme, language=language, width=width)
    page = seen.open("/changes/new")
    assert titles(page) == [""]  # with a script, one empty row is enough
    page.fill("#title", "New kernel")
    page.fill("[name=task-title]", "Drain it")
    page.select_option("[name=task-procedure]", "drain-slowly")
    page.fill("[name=task-params]", "how: at once")
    page.focus("[data-row-add]")
    page.keyboard.press("Enter")
    assert focused(page) == "task-title"
    page.keyboard.type("Look")
    page.focus("[data-row-add]")
    page.keyboard.press("Space")
    page.keyboard.type("Reboot")
    assert titles(page) == ["Drain it", "Look", "Reboot"]
    page.locator("[data-row-do=up]").nth(2).focus()
    page.keyboard.press("Enter")
    assert titles(page) == ["Drain it", "Reboot", "Look"]
    assert focused(page) == "up"
    assert page.locator("[data-rows] [data-row-number]").all_inner_texts() == ["1", "2", "3"]
    ids = [each.get_attribute("id") for each in page.locator("[name=task-title]").all()]
    assert len(set(ids)) == 3
    assert not Axe().run(page, options=WCAG).response["violations"]
    seen.shot(f"task-rows-{theme}")
    page.locator("[data-row-do=remove]").nth(2).focus()
    page.keyboard.press("Enter")
    assert titles(page) == ["Drain it", "Reboot"]
    assert focused(page) == "task-title"
    page.click("form.stack .btn.primary")
    page.wait_for_selector(".tasks")
    page.locator(".planned > summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".planned .step-list .step")
    assert not Axe().run(page, options=WCAG).response["violations"]
    seen.shot(f"task-plan-{theme}")
    page.click(".topbar a[href$='/edit']")
    page.wait_for_selector("[data-rows]")
    assert titles(page) == ["Drain it", "Reboot"]
    assert page.locator("[name=task-params]").first.input_value() == "how: at once\n"


def test_without_a_script_there_are_empty_rows_to_fill(platform: Served, signed_in: Any) -> None:
    seen = signed_in(theme="light", language="en")
    state = seen.page.context.storage_state()
    browser = seen.page.context.browser
    plain = browser.new_context(java_script_enabled=False, storage_state=state, base_url=seen.base)
    page = plain.new_page()
    page.goto("/changes/new")
    assert page.locator("fieldset.task-row").count() == 2
    assert not page.locator("[data-row-add]").is_visible()
    plain.close()
