"""Every page of the menu, and the first thing each lists, for everybody: WCAG A and AA by axe, keyboard, width, zoom.

Pages are found in the menu and on the pages themselves, so that a new one is looked at without a word here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WCAG = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
}
LOOKS = [("light", "en", None), ("dark", "zh-hans", None), ("dark", "en", 12), ("light", "zh-hans", 12)]  # pages
WIDTHS = {"1280": 1280, "390": 390, "1280 at 200 %": 640}
MOST_DETAILS = 3  # a page
ALWAYS = ["/account", "/account/sessions", "/inbox", "/no/such/page"]
NOT_PAGES = re.compile(r"format=|/static/|/api/|/accounts/|/download|\.csv|\.md$|/shell/|transcript|#|/csv|json")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[0-9]+(?=/|$)")
LINKS = "(root) => [...document.querySelectorAll(root + ' a[href]')].map((a) => a.getAttribute('href'))"

# What can be reached by Tab: as browsers see it, one radio of a group, nothing hidden or inert.
FOCUSABLE = """() => {
  const found = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
    .filter((e) => !e.disabled && e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true}) && !e.closest('[inert]'))
    .filter((e) => e.getClientRects().length > 0);
  const radios = new Set();
  return found.filter((e) => e.type !== 'radio' || (!radios.has(e.name) && radios.add(e.name)))
    .map((e, i) => { e.dataset.walk = i; return e.outerHTML.slice(0, 120); });
}"""
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const seen = (x) => { const s = getComputedStyle(x);
    return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'; };
  const box = e.querySelector('rect.box');  // a node of a map
  const marked = seen(e) || (box && parseFloat(getComputedStyle(box).strokeWidth) >= 2) || (e.parentElement && e.parentElement.matches(':focus-within') && seen(e.parentElement))
    || (e.closest('label') && seen(e.closest('label')));
  return {walk: e.dataset.walk ?? null, seen: marked, html: e.outerHTML.slice(0, 120)};
}"""


def shape(address: str) -> str:
    """An address without its query and with every id the same: one service is looked at, not each."""
    return ID.sub("*", address.partition("?")[0])


def pages(page: Page, base: str) -> list[str]:
    """The addresses of the menu, and for each what its page links to below it."""
    page.goto(f"{base}/")
    menu = list(dict.fromkeys(page.evaluate(LINKS, "#sidebar")))
    found = list(dict.fromkeys([*menu, *ALWAYS]))
    for address in menu:
        page.goto(base + address)
        mine = [each for each in page.evaluate(LINKS, "main") if each.startswith("/") and not NOT_PAGES.search(each)]
        known = {shape(each) for each in found}
        fresh = {shape(each): each for each in reversed(mine) if shape(each) not in known}
        found += list(fresh.values())[-MOST_DETAILS:]
    return found


@pytest.fixture(scope="module")
def addresses(platform: Any, chromium: Any) -> list[str]:
    """What this module looks at, found once."""
    return []


def all_pages(seen: Any, known: list[str]) -> list[str]:
    if not known:
        known.extend(pages(seen.page, seen.base))
    assert len(known) > 20
    return known


def forget_refusals(seen: Any) -> None:
    """The page that is not there is asked for on purpose."""
    seen.faults = [each for each in seen.faults if "404" not in each]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("theme", "language", "most"), LOOKS)
def test_no_page_violates_wcag_a_or_aa(
    signed_in: Any, addresses: list[str], theme: str, language: str, most: int | None
) -> None:
    seen = signed_in(theme=theme, language=language)
    axe, wrong = Axe(), []
    for address in all_pages(seen, addresses)[:most]:
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_page_scrolls_sideways(signed_in: Any, addresses: list[str], width: int) -> None:
    seen = signed_in(width=width, language="en")
    wide = []
    for address in all_pages(seen, addresses):
        page = seen.open(address)
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            who = "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 100))"
            wide.append(f"{address}: {page.evaluate('document.documentElement.scrollWidth')} {page.evaluate(who)}")
    forget_refusals(seen)
    assert not wide, "\n" + "\n".join(wide)


@pytest.mark.timeout(900)
def test_every_control_is_reached_by_tab_and_shows_it(signed_in: Any, addresses: list[str]) -> None:
    seen = signed_in(language="en", width=1280)
    wrong = []
    for address in all_pages(seen, addresses):
        page = seen.open(address)
        page.wait_for_load_state("load")
        wanted = page.evaluate(FOCUSABLE)
        reached, seen_at, blind = set(), set(), {}
        if wanted:
            page.evaluate("document.querySelector('[data-walk=\"0\"]').focus({focusVisible: true})")
        stops = (
            len(wanted) + 10 + 7 * page.locator("input[type=datetime-local], input[type=date]").count()
        )  # their parts
        for _ in range(stops):
            at = page.evaluate(FOCUSED)
            if at is None:
                break  # past the last one: no trap
            reached.add(at["walk"])
            if at["seen"]:
                seen_at.add(at["walk"])
            else:
                blind[at["walk"]] = at["html"]
            page.keyboard.press("Tab")
        blind = [html for walk, html in blind.items() if walk not in seen_at]
        missed = [html for number, html in enumerate(wanted) if str(number) not in reached]
        wrong += [f"{address}: not reached {html}" for html in missed[:3]] + [
            f"{address}: no mark {html}" for html in blind[:3]
        ]
    forget_refusals(seen)
    assert not wrong, "\n" + "\n".join(wrong)
