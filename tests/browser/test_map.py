"""The map: layers, what is around a resource and a time gone by; by keyboard; light and dark, Chinese and English."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser
LOOKS = [("light", "zh-hans"), ("dark", "en"), ("light", "en"), ("dark", "zh-hans")]


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_the_map_has_layers_a_past_and_a_list(signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/map?show=all")
    page.wait_for_selector("svg.scene a")
    boxes = page.locator("svg.scene a").count()
    seen.shot(f"map-layers-{theme}-{language}")
    page.locator("input[name=origin][value=declared]").uncheck()
    page.click("#map-ask button.primary")
    page.wait_for_url("**origin=observed**")
    assert "origin=declared" not in page.url
    page = seen.open("/map?show=all&at=2001-01-01T00:00")
    banner = page.locator(".map-past").inner_text()
    assert ("当时还没有任何记录" if language == "zh-hans" else "Nothing was known at that time") in banner
    assert page.locator("svg.scene g.new").count() == page.locator("svg.scene a").count() >= boxes  # more may be found
    page.click("#map-list summary")
    assert page.locator("#map-list tbody tr").count() >= boxes
    seen.shot(f"map-past-{theme}-{language}")
    seen.open("/map/weak-points")
    seen.shot(f"map-weak-{theme}-{language}")


def test_arrows_walk_the_map_and_a_letter_asks_what_is_around(signed_in: Any) -> None:
    seen = signed_in(theme="light", language="en")
    page = seen.open("/map?show=all")
    first = page.locator("svg.scene a").first
    first.focus()
    before = page.evaluate("document.activeElement.getAttribute('aria-label')")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    after = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert after
    assert before
    page.keyboard.press("a")
    page.wait_for_url("**focus=**")
    page.wait_for_selector("svg.scene .is-focus")
    seen.shot("map-around")
