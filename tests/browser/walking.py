"""Finds the pages to look at: those of the menu, and the first things each lists.

Pages are found in the menu and on the pages themselves, so that a new one is looked at without a word here.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import Any

from playwright.sync_api import Page

MOST_DETAILS = 3  # a page
ALWAYS = ["/account", "/account/sessions", "/inbox", "/no/such/page"]
NOT_PAGES = re.compile(r"format=|/static/|/api/|/accounts/|/download|\.csv|\.md$|/shell/|transcript|#|/csv|json")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[0-9]+(?=/|$)")
LINKS = "(root) => [...document.querySelectorAll(root + ' a[href]')].map((a) => a.getAttribute('href'))"


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


def all_pages(seen: Any, known: list[str]) -> list[str]:
    if not known:
        known.extend(pages(seen.page, seen.base))
    assert len(known) > 20
    return known


def some_pages(seen: Any, known: list[str], part: str) -> list[str]:
    """All pages; with `part` a third of them, another third for another name: `make soak` (WALK_ALL) looks at all."""
    return third_of(all_pages(seen, known), part)


def third_of(addresses: list[str], part: str) -> list[str]:
    """A third of these, another for another name; all for "" and with WALK_ALL."""
    if not part or os.environ.get("WALK_ALL"):
        return addresses
    return [each for each in addresses if zlib.crc32(f"{part} {shape(each)}".encode()) % 3 == 0]


def forget_refusals(seen: Any) -> None:
    """The page that is not there is asked for on purpose."""
    seen.faults = [each for each in seen.faults if "404" not in each]
