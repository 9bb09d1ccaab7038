"""What a person has opened on a page that refreshes itself stays open, even when a refresh was under way before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Served

pytestmark = pytest.mark.browser


def test_a_refresh_that_answers_late_leaves_alone_what_was_opened_meanwhile(platform: Served, signed_in: Any) -> None:
    with platform.client() as client:
        body = {"title": "Kernel", "tasks": [{"title": "Look", "procedure": "look-and-ask"}]}
        number = client.post("/api/v1/changes", json=body).raise_for_status().json()["number"]
    seen = signed_in(theme="light", language="en")
    page = seen.open(f"/changes/{number}")
    page.wait_for_selector("[data-live-state][data-state=on]")
    held: list[Any] = []
    page.route("**/changes/*part=live", lambda route: held.append(route))  # noqa: PLW0108  # a builtin cannot be marked
    page.evaluate("document.body.dispatchEvent(new CustomEvent('ledger'))")
    page.wait_for_timeout(300)
    page.locator(".planned > summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".planned .step-list .step")
    assert held
    with page.expect_response("**/changes/*part=live"):
        for each in held:
            each.continue_()
    page.wait_for_timeout(300)
    assert page.locator(".planned .step-list .step").first.is_visible()
