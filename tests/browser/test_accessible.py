"""Every page of the menu, and the first thing each lists, for everybody: WCAG A and AA by axe."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.walking import forget_refusals, some_pages

WCAG = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
}
LOOKS = [("light", "en", ""), ("dark", "zh-hans", "a"), ("dark", "en", "b"), ("light", "zh-hans", "c")]  # parts


@pytest.fixture(scope="module")
def addresses(platform: Any, chromium: Any) -> list[str]:
    """What this module looks at, found once."""
    return []


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("theme", "language", "part"), LOOKS)
def test_no_page_violates_wcag_a_or_aa(
    signed_in: Any, addresses: list[str], theme: str, language: str, part: str
) -> None:
    seen = signed_in(theme=theme, language=language)
    axe, wrong = Axe(), []
    for address in some_pages(seen, addresses, part):
        page = seen.open(address)
        page.wait_for_load_state("load")
        for each in axe.run(page, options=WCAG).response["violations"]:
            nodes = [
                f"{n['target']} {n['html'][:150]} {n.get('any') and n['any'][0]['message'][:150]}"
                for n in each["nodes"][:3]
            ]
            wrong.append(f"{address}: {each['id']} x{len(each['nodes'])} {nodes}")
    forget_refusals(seen)
    assert not wrong, "\n" + "\n".join(wrong)
