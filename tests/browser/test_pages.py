"""What a person sees: cockpit, incident room, a run; light and dark, Chinese and English, on a desk and on a phone.

Every test also proves, by its fixture, that no request left the host and nothing was written to the console.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.walking import third_of

pytestmark = pytest.mark.browser
LOOKS = [("light", "zh-hans"), ("dark", "en")]
PAGES = [
    "/",
    "/resources",
    "/resources/sources",
    "/map",
    "/deployments",
    "/approvals",
    "/incidents",
    "/incidents/1",
    "/alerts",
    "/alerts/all",
    "/alerts/rules",
    "/alerts/rule-files/shop.yml",
    "/alerts/channels",
    "/alerts/channels/new?kind=smtp",
    "/alerts/silences",
    "/slos",
    "/slo-form",
    "/logs",
    "/explore?query=checkout_error_ratio",
    "/procedures",
    "/procedures/look-and-ask",
    "/procedures/new",
    "/runs",
    "/postmortems",
    "/postmortems?state=draft",
    "/improvements",
    "/events",
    "/people",
    "/jobs",
    "/settings",
    "/cardinality",
    "/account",
    "/accounts/2fa/",
]


def charts_ready(page: Any) -> None:
    """Wait until every chart in the window is drawn. (The content policy forbids eval, so no wait_for_function.)"""
    ready = (
        "[...document.querySelectorAll('[data-chart]')].filter(c => c.getBoundingClientRect().top < innerHeight)"
        ".every(c => c.dataset.ready === '1')"
    )
    for _try in range(150):
        if page.evaluate(ready):
            return
        page.wait_for_timeout(100)
    raise AssertionError("charts are not drawn")


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_the_cockpit_draws_its_charts_and_hears_the_stream(signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/")
    page.locator("[data-chart]").first.scroll_into_view_if_needed()
    charts_ready(page)
    page.wait_for_selector("[data-live-state][data-state=on]")
    page.wait_for_selector("[data-chart] canvas")
    assert page.locator(".kpi").first.inner_text().strip()
    assert ("驾驶舱" in page.title()) == (language == "zh-hans")
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert (dark == "rgb(13, 17, 25)") == (theme == "dark")
    seen.shot(f"cockpit-{theme}-{language}")


def test_the_first_charts_are_asked_for_while_the_page_is_read_and_only_once(signed_in: Any) -> None:
    seen = signed_in(language="en")
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url) if "/panels/query" in request.url else None)
    page = seen.open("/")
    charts_ready(page)
    queries = [parse_qs(urlsplit(url).query)["query"][0] for url in asked]
    assert len(queries) == len(set(queries)) >= 2
    early = (
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/panels/query')).every("
        "e => e.startTime < performance.getEntriesByType('navigation')[0].domContentLoadedEventStart)"
    )
    assert page.evaluate(early)
    asked.clear()
    page = seen.open("/?range=4h")  # another range than the page's own: the charts ask for it themselves
    charts_ready(page)
    hours = {
        (int(each["end"][0]) - int(each["start"][0])) / 3.6e6 for each in (parse_qs(urlsplit(u).query) for u in asked)
    }
    assert hours == {4.0}


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_the_incident_room_is_live_and_takes_notes(signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in("operator", theme=theme, language=language)
    page = seen.open("/incidents/1")
    page.wait_for_selector("[data-live-state][data-state=on]")
    charts_ready(page)
    other = signed_in("admin", theme=theme, language=language)
    theirs = other.open("/incidents/1")
    theirs.wait_for_selector("[data-live-state][data-state=on]")
    note = f"looked at the checkout log ({theme})"
    page.fill("#note", note)
    page.keyboard.press("Control+Enter")
    theirs.wait_for_selector(f"#timeline >> text={note}")  # without a reload
    seen.shot(f"incident-{theme}-{language}")


def test_an_incident_is_acknowledged_and_everybody_sees_it(signed_in: Any) -> None:
    page = signed_in("operator", language="en").open("/incidents/1")
    theirs = signed_in("viewer", language="en").open("/incidents/1")
    theirs.wait_for_selector("[data-live-state][data-state=on]")
    assert theirs.locator("text=Acknowledge").count() == 0  # a viewer has no buttons
    page.click("#head button:has-text('Acknowledge')")
    theirs.wait_for_selector("#head >> text=Acknowledged")
    page.wait_for_selector(".toast")


def test_a_run_is_watched_live_and_answered(signed_in: Any) -> None:
    seen = signed_in("operator", language="en")
    page = seen.open("/incidents/1")
    page.wait_for_selector("#procedures a")
    page.click("#procedures a:has-text('Look and ask')")
    page.click("text=Dry run")
    page.wait_for_selector("#plan >> text=could run now")
    page.click("#ask button.primary")
    page.wait_for_url("**/runs/*")
    page.wait_for_selector(".step[data-state=waiting]")
    assert "Is the checkout page up?" in page.inner_text("#run")
    seen.shot("run-waiting")
    watcher = signed_in("viewer", language="en").open(page.url.removeprefix(seen.base))
    watcher.wait_for_selector(".step[data-state=waiting]")
    page.click("button[name=answer][value=continue]")
    watcher.wait_for_selector("text=Every step succeeded.")
    page.wait_for_selector("text=Every step succeeded.")
    seen.shot("run-done")


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_every_page_opens_without_a_fault(signed_in: Any, theme: str, language: str) -> None:
    seen = signed_in(theme=theme, language=language)
    for path in third_of(PAGES, "" if (theme, language) == LOOKS[0] else f"{theme} {language}"):
        page = seen.open(path)
        page.wait_for_load_state("load")
        assert page.locator("h1").count() >= 1, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        name = path.strip("/").replace("/", "-").partition("?")[0] or "cockpit"
        seen.shot(f"{name}-{theme}")


def test_a_phone_gets_a_drawer_and_no_sideways_scroll(signed_in: Any) -> None:
    seen = signed_in(width=390)
    for path in ("/", "/incidents/1", "/resources", "/alerts", "/runs", "/people"):
        page = seen.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert not page.locator("#sidebar").is_visible()
    page.click(".menu-open")
    page.wait_for_selector("#sidebar a >> visible=true")
    seen.shot("phone-drawer")
    page.keyboard.press("Escape")
    page.wait_for_selector("#sidebar", state="hidden")


def test_the_palette_finds_pages_and_things_by_keyboard_alone(signed_in: Any) -> None:
    seen = signed_in(language="en")
    page = seen.open("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("look-and")
    page.wait_for_selector(".palette-item >> text=Look and ask")
    page.keyboard.press("Enter")
    page.wait_for_url("**/procedures/look-and-ask")
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/incidents")
    page.keyboard.press("g")
    page.keyboard.press("Shift+K")
    page.wait_for_url("**/kinds")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")


def test_the_theme_is_kept_over_pages_and_sessions(signed_in: Any) -> None:
    page = signed_in("viewer", language="en").open("/")
    with page.expect_response("**/shell/theme"):
        page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_an_error_page_says_what_to_do(signed_in: Any) -> None:
    seen = signed_in("viewer", language="en")
    page = seen.open("/people")
    assert "What to do now" in page.inner_text("main")
    seen.shot("error-403")
    page = seen.open("/no/such/page")
    assert "There is no page at this address." in page.inner_text("main")
    seen.shot("error-404")
    seen.faults = [fault for fault in seen.faults if not any(code in fault for code in ("403", "404"))]


def test_the_api_reference_works_without_another_host(signed_in: Any) -> None:
    seen = signed_in(language="en")
    page = seen.open("/api/v1/docs")
    page.wait_for_selector(".swagger-ui .info", timeout=60_000)  # it draws every operation
    seen.shot("api-docs")
