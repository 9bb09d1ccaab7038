"""Every page of the menu, and the first thing each lists: all of it by keyboard, and nothing beside the window."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.walking import forget_refusals, some_pages

WIDTHS = {"1280": 1280, "390": 390, "1280 at 200 %": 640}

# What can be reached by Tab: as browsers see it, one radio of a group, nothing hidden or inert.
FOCUSABLE = """() => {
  const found = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
    .filter((e) => !e.matches(':disabled') && e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true}) && !e.closest('[inert]'))
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


@pytest.fixture(scope="module")
def addresses(platform: Any, chromium: Any) -> list[str]:
    """What this module looks at, found once."""
    return []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_page_scrolls_sideways(signed_in: Any, addresses: list[str], width: int) -> None:
    seen = signed_in(width=width, language="en")
    wide = []
    for address in some_pages(seen, addresses, "" if width == 390 else str(width)):
        page = seen.open(address)
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            who = "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 100))"
            wide.append(f"{address}: {page.evaluate('document.documentElement.scrollWidth')} {page.evaluate(who)}")
    forget_refusals(seen)
    assert not wide, "\n" + "\n".join(wide)


def by_tab(page: Any) -> list[str]:
    """What is wrong with a walk through all controls."""
    wanted = page.evaluate(FOCUSABLE)
    reached, seen_at, blind = set(), set(), {}
    if wanted:
        page.evaluate("document.querySelector('[data-walk=\"0\"]').focus({focusVisible: true})")
    # a date has parts, and what is drawn meanwhile brings more: twice as many are a trap
    stops = 2 * len(wanted) + 60 + 7 * page.locator("input[type=datetime-local], input[type=date]").count()
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
    if page.locator("[data-walk]").count() < len(wanted):
        return ["a refresh brought others meanwhile"]
    missed = [html for number, html in enumerate(wanted) if str(number) not in reached]
    dark = [html for walk, html in blind.items() if walk not in seen_at]
    return [f"not reached {html}" for html in missed[:3]] + [f"no mark {html}" for html in dark[:3]]


@pytest.mark.timeout(900)
def test_every_control_is_reached_by_tab_and_shows_it(signed_in: Any, addresses: list[str]) -> None:
    seen = signed_in(language="en", width=1280)
    wrong = []
    for address in some_pages(seen, addresses, "tab"):
        for _try in range(3):
            page = seen.open(address)
            page.wait_for_load_state("load")
            found = by_tab(page)
            if found != ["a refresh brought others meanwhile"]:
                break
        wrong += [f"{address}: {each}" for each in found]
    forget_refusals(seen)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(("address", "part"), [("/", "#cockpit-live"), ("/jobs", "#jobs")])
def test_who_works_by_keyboard_stays_where_they_are_when_the_page_refreshes(
    signed_in: Any, address: str, part: str
) -> None:
    seen = signed_in(language="en")
    page = seen.open(address)
    links = page.locator(f"{part} a[href]:not([id])")
    last = links.nth(links.count() - 1)
    href = last.get_attribute("href")
    last.evaluate("(e) => { e.dataset.before = '1'; e.focus({focusVisible: true}); }")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('ledger'))")
    page.locator("[data-before]").wait_for(state="detached")
    now = "({href: document.activeElement.getAttribute('href'), marked: document.activeElement.matches(':focus-visible')})"
    for _try in range(50):
        if page.evaluate(now) == {"href": href, "marked": True}:
            return
        page.wait_for_timeout(100)
    assert page.evaluate(now) == {"href": href, "marked": True}
