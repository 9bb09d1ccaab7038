"""A kind in a real browser: defined with a field and a relation type, one made, found in its list and by the palette."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.defining import relation_type, required_text
from tests.served import Served

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_a_kind_is_defined_used_and_found(platform: Served, signed_in: Any, theme: str, language: str) -> None:
    mark = "z" if language == "zh-hans" else "e"
    title = f"读卡器 {mark}" if mark == "z" else f"Badge reader {mark}"
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/kinds/new")
    page.fill("#name", f"reader_{mark}")
    page.fill("#label_en", f"Badge reader {mark}")
    page.fill("#label_zh", f"读卡器 {mark}")
    page.fill("#icon", "scan-line")
    page.select_option("#group", "security")
    seen.shot(f"kind-new-{theme}-{language}")
    page.click("form.stack .btn.primary")
    page.wait_for_url(f"**/kinds/reader_{mark}")
    required_text(page, f"door_{mark}", "Door", "门")
    relation_type(seen, f"guards_{mark}", f"reader_{mark}")
    seen.shot(f"kinds-{theme}-{language}")
    page = seen.open(f"/resources/new?kind=reader_{mark}")
    page.fill("#name", f"North gate {mark}")
    page.fill(f"#cf-door_{mark}", "north")
    seen.shot(f"resource-new-{theme}-{language}")
    page.click("form.stack .btn.primary")
    page.wait_for_selector(f"h1:has-text('North gate {mark}')")
    page.click("[data-dialog=relate]")
    page.select_option("#relate-type", f"out:guards_{mark}")
    page.fill("#relate-other", "service/checkout")
    page.click("#relate .btn.primary")
    page.wait_for_selector("td a:has-text('checkout')")
    seen.shot(f"resource-of-kind-{theme}-{language}")
    page = seen.open(f"/resources?kind=reader_{mark}&cf.door_{mark}=north")
    page.wait_for_selector(f"td a:has-text('North gate {mark}')")
    assert title in page.inner_text("h1")
    seen.shot(f"list-of-kind-{theme}-{language}")
    page = seen.open("/resources/kinds")
    page.wait_for_selector(f".kind-groups a:has-text('{title}')")
    seen.shot(f"inventory-home-{theme}-{language}")
