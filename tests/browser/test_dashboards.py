"""Dashboards in a real browser: looking, choosing variables, importing, editing by keyboard, the full view."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Served, send
from tests.browser.test_accessible import WCAG
from tests.telemetry.dashboards.grafana_files import HOSTS

pytestmark = pytest.mark.browser
LOOKS = [("light", "zh-hans"), ("dark", "en")]
ALL = 'service=~"$service"'


def panel(id_: int, kind: str, x: int, y: int, expr: str, **more: Any) -> dict[str, Any]:
    queries = [{"expr": expr, "legend": "{{service}}"}] if expr else []
    return {"id": id_, "kind": kind, "x": x, "y": y, "w": 8, "h": 6, "queries": queries, **more}


DEFINITION = {
    "variables": [
        {"name": "service", "query": "label_values(board_requests_total, service)", "multi": True, "all": True, "label": "Service"},
        {"name": "window", "kind": "interval", "query": "1m,5m"},
    ],
    "rows": [
        {"panels": [
            panel(1, "graph", 0, 0, f"rate(board_requests_total{{{ALL}}}[$window])", title="Rate of $service", unit="per_second"),
            panel(2, "stat", 8, 0, f"board_requests_total{{{ALL}}}", title="Total"),
            panel(3, "gauge", 16, 0, f"board_share{{{ALL}}}", title="Share", unit="ratio", min=0, max=1, thresholds=[{"at": None, "tone": "ok"}, {"at": 0.8, "tone": "critical"}]),
            panel(4, "table", 0, 6, f"board_share{{{ALL}}}", title="Shares", unit="percent"),
            panel(5, "heatmap", 8, 6, "sum by (le) (rate(board_seconds_bucket[1m]))", title="Latency", unit="seconds"),
            panel(6, "text", 16, 6, "", title="", text="### Look **here** <b>not bold</b> at $service"),
            panel(7, "graph", 0, 12, "sum(", title="Broken"),
            panel(8, "log", 8, 12, "level:error", title="Errors"),
        ]},
        {"title": "Folded of $service", "collapsed": True, "panels": [panel(9, "stat", 0, 0, "count(board_share)", title="Count")]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def boards(platform: Served) -> Served:
    """Two services' counters, shares and a histogram of twenty minutes, and a dashboard of them."""
    now = int(time.time() * 1000)
    for service, speed in (("checkout", 4), ("search", 9)):
        past = [(now - 1000 * back, (1200 - back) * speed) for back in range(1200, -1, -15)]
        send(platform, "board_requests_total", {"service": service}, past)
        send(platform, "board_share", {"service": service}, [(at, speed / 10) for at, _value in past])
        for le, share in (("0.1", 0.6), ("1", 0.9), ("+Inf", 1.0)):
            send(
                platform,
                "board_seconds_bucket",
                {"service": service, "le": le},
                [(at, value * share) for at, value in past],
            )
    with platform.client() as client:
        body = {"title": "Board", "definition": DEFINITION, "folder": "shop", "tags": ["shop"]}
        client.put("/api/v1/dashboards/board", json=body).raise_for_status()
    return platform


def forgive(seen: Any) -> None:
    """The panel that is broken on purpose is refused with 400."""
    seen.faults = [each for each in seen.faults if "/panels/7" not in each and "status of 400" not in each]


def opened(seen: Any, path: str = "/dashboards/board") -> Any:
    page = seen.open(path)
    page.wait_for_selector("#dash[data-ready]", state="attached")
    page.wait_for_selector("#panel-2[data-ready='1']", state="attached")
    return page


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_a_dashboard_shows_its_panels_and_follows_its_variables(
    boards: Served, signed_in: Any, theme: str, language: str
) -> None:
    seen = signed_in(theme=theme, language=language)
    page = opened(seen)
    page.wait_for_selector("#panel-1 canvas")
    assert page.locator("#panel-2 .dash-stat").count() == 2
    assert page.locator("#panel-3 .dash-gauge[data-tone=critical]").count() == 1
    assert page.locator("#panel-4 tbody tr").count() == 2
    page.wait_for_selector("#panel-5 canvas")
    page.wait_for_selector("#panel-6 strong >> text=here")
    assert "<b>not bold</b>" in page.inner_text("#panel-6")
    assert ("全部" if language == "zh-hans" else "All") in page.inner_text("#panel-1 h2") or "All" in page.inner_text(
        "#panel-1 h2"
    )
    seen.shot(f"dashboard-{theme}-{language}")
    page.click("#dash-vars details summary")
    page.click("#dash-vars .dash-options label:has-text('search')")
    page.click("h1")  # the choice is taken when the menu closes
    page.wait_for_selector("#panel-2 .dash-stat:nth-child(2)", state="detached")
    assert "var-service=search" in page.url
    page.wait_for_selector("#panel-1 h2 >> text=Rate of search")
    page.select_option("#dash-vars select", "5m")
    page.wait_for_url("**var-window=5m*")
    page.reload()
    page.wait_for_selector("#panel-2[data-ready='1']", state="attached")
    assert page.locator("#panel-2 .dash-stat").count() == 1
    forgive(seen)


def test_a_broken_panel_says_why_in_itself_and_is_tried_again(boards: Served, signed_in: Any) -> None:
    seen = signed_in(language="en")
    page = opened(seen)
    page.locator("#panel-7").scroll_into_view_if_needed()
    page.wait_for_selector("#panel-7 [data-dash-alert]:not([hidden])")
    assert "A:" in page.inner_text("#panel-7 .chart-note")
    with page.expect_response("**/panels/7*") as again:
        page.click("#panel-7 [data-dash-retry]")
    assert again.value.status == 400
    assert page.locator("#panel-8 .dash-empty, #panel-8 .dash-lines").count() <= 1
    page.click(".dash-row summary")
    page.wait_for_selector("#panel-9[data-ready='1'] .dash-stat", state="attached")
    forgive(seen)


def test_the_full_view_and_one_panel_alone_by_keyboard(boards: Served, signed_in: Any) -> None:
    seen = signed_in(language="en", theme="dark")
    page = opened(seen)
    page.keyboard.press("j")
    page.keyboard.press("v")
    page.wait_for_url("**panel=1*")
    assert page.locator("#panel-2").is_hidden()
    page.wait_for_selector("#panel-1 canvas")
    page.keyboard.press("Escape")
    assert page.locator("#panel-2").is_visible()
    page.keyboard.press("f")
    page.wait_for_url("**kiosk=1*")
    assert page.locator(".sidebar").is_hidden()
    assert page.locator(".topbar").is_hidden()
    seen.shot("dashboard-kiosk")
    page.reload()
    page.wait_for_selector("#panel-2[data-ready='1']", state="attached")
    assert page.locator(".sidebar").is_hidden()
    page.keyboard.press("Escape")
    assert page.locator(".sidebar").is_visible()
    assert "kiosk" not in page.url
    forgive(seen)


def test_panels_are_moved_doubled_removed_and_edited_with_a_preview(boards: Served, signed_in: Any) -> None:
    with boards.client() as client:
        body = {"title": "Draft", "definition": {"rows": [{"panels": DEFINITION["rows"][0]["panels"][1:3]}]}}  # type: ignore[index]
        body["definition"]["variables"] = DEFINITION["variables"]  # type: ignore[index]
        client.put("/api/v1/dashboards/draft", json=body).raise_for_status()
    seen = signed_in("operator", language="en")
    page = opened(seen, "/dashboards/draft?edit=1")
    page.keyboard.press("j")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    page.click("#dash-places button")
    page.wait_for_selector("form[action$='/restore']")
    placed = page.evaluate("[...document.querySelectorAll('.dash-panel')].map(e => e.style.cssText)")
    with boards.client() as client:
        panels = client.get("/api/v1/dashboards/draft").json()["definition"]["rows"][0]["panels"]
    assert sorted((each["id"], each["w"]) for each in panels) == [(2, 9), (3, 8)], placed
    page.click("form[action$='/restore'] button")
    page.wait_for_selector("form[action$='/restore']", state="detached")
    page.click("#panel-2 [data-dash-double]")
    page.wait_for_selector("#panel-4")
    page.locator("#panel-4").focus()
    page.keyboard.press("Delete")
    page.wait_for_selector("#panel-4", state="detached")
    page.click("#panel-2 [data-dash-edit]")
    page.wait_for_selector("#preview-out .dash-stat")
    page.fill("[name=expr-0]", "board_share * 100")
    page.fill("[name=thresholds]", "ok\n80 critical")
    page.wait_for_selector("#preview-out .dash-stat[data-tone=critical] >> text=90")
    seen.shot("dashboard-panel-form")
    page.fill("[name=title]", "Percent")
    page.locator("[name=expr-0]").press("Control+Enter")
    page.wait_for_selector("#panel-2 h2 >> text=Percent")
    seen.shot("dashboard-edit")
    page.goto(f"{boards.url}/dashboards/draft/history")
    assert "board_share * 100" in page.inner_text("#dash-diff .add >> nth=0") + page.inner_text("#dash-diff")
    seen.shot("dashboard-history")


@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_a_file_of_grafana_is_imported_after_its_list_was_seen(
    boards: Served, signed_in: Any, theme: str, language: str
) -> None:
    seen = signed_in("operator", theme=theme, language=language)
    page = seen.open("/dashboards")
    page.wait_for_selector("#dash-offers")
    seen.shot(f"dashboards-{theme}-{language}")
    page.click("a[href='/dashboard-import']")
    page.fill("#text", json.dumps({**HOSTS, "title": f"Imported {theme}"}))
    page.click("main button.primary")
    page.wait_for_selector("#dash-notes tr[data-weight=lost] >> text=repeat: node")
    seen.shot(f"dashboard-import-{theme}-{language}")
    page.click("button[name=save]")
    page.wait_for_url(f"**/dashboards/imported-{theme}")
    page.wait_for_selector("#dash[data-ready]", state="attached")
    assert page.locator(".dash-panel").count() == 13
    page.click("header details:has(a[href$='/history']) > summary")
    page.click("form[action$='/delete'] button")
    page.wait_for_selector("form[action^='/dashboard-deleted/'] button")
    page.click("form[action^='/dashboard-deleted/'] button")
    page.wait_for_url(f"**/dashboards/imported-{theme}")


PAGES = ("", "?edit=1", "/edit/1", "/edit/0", "/settings", "/history")


@pytest.mark.parametrize(("theme", "language", "width"), [("light", "en", 390), ("dark", "zh-hans", 1280)])
def test_the_pages_violate_no_wcag_a_or_aa_and_fit_the_window(
    boards: Served, signed_in: Any, theme: str, language: str, width: int
) -> None:
    seen = signed_in(theme=theme, language=language, width=width)
    axe, wrong = Axe(), []
    for address in (*(f"/dashboards/board{each}" for each in PAGES), "/dashboards", "/dashboard-import"):
        page = seen.open(address)
        page.wait_for_load_state("networkidle")
        for each in axe.run(page, options=WCAG).response["violations"]:
            wrong.append(f"{address}: {each['id']} {[(n['target'], n['html'][:150]) for n in each['nodes'][:3]]}")
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            wrong.append(f"{address}: wider than {width}")
        if address in ("/dashboards/board", "/dashboards/board/edit/1", "/dashboards/board/settings"):
            seen.shot(f"dashboard{address.replace('/', '-')}-{width}")
    forgive(seen)
    assert not wrong, "\n" + "\n".join(wrong)
