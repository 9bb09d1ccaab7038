"""The metrics explorer in a real browser: several queries, completion by keyboard, comparison, sharing, mistakes."""

from __future__ import annotations

import math
import time
from typing import Any
from urllib.parse import parse_qs, quote, urlparse

import pytest

from tests.browser.conftest import Served, send
from tests.browser.test_pages import charts_ready

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shop(platform: Served) -> Served:
    """A counter and a gauge of two services: half an hour now, and the same half hour a day ago at half the rate."""
    now = int(time.time() * 1000)
    for service, speed in (("checkout", 4), ("search", 9)):
        for ago, share in ((86_400_000, 0.5), (0, 1.0)):
            past = [(now - ago - 1000 * back, (3600 - back) * speed * share) for back in range(1800, -1, -15)]
            send(platform, "explore_requests_total", {"service": service, "code": "200"}, past)
            send(
                platform,
                "explore_memory_bytes",
                {"service": service},
                [(at, 2e8 * speed + value) for at, value in past],
            )
    for le in (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, float("inf")):
        total, past = 0.0, []
        for back in range(1800, -1, -15):  # slower and slower: at first nearly all within 100 ms, at last half a second
            total += 60 * (1 - math.exp(-le / (0.05 + 0.5 * (1800 - back) / 1800)))
            past.append((now - 1000 * back, total))
        bound = "+Inf" if math.isinf(le) else f"{le:g}"
        send(platform, "explore_duration_seconds_bucket", {"service": "checkout", "le": bound}, past)
    return platform


def legend(page: Any) -> list[str]:
    return [each.inner_text() for each in page.locator("#legend .legend-name").all()]


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_two_queries_are_written_with_completion_and_compared(
    shop: Served, signed_in: Any, theme: str, language: str
) -> None:
    seen = signed_in(theme=theme, language=language)
    page = seen.open("/explore")
    for _try in range(20):  # names are remembered for some seconds, and another test may just have asked for them
        if page.locator("[data-name=explore_requests_total]").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.wait_for_selector("#query-A:focus")
    page.keyboard.type("rate")
    page.wait_for_selector(".offer[aria-selected=true] >> text=rate(v[5m])")
    page.keyboard.press("Tab")
    page.keyboard.type("explore_req")
    page.wait_for_selector(".offer >> text=explore_requests_total")
    page.keyboard.press("Enter")
    page.keyboard.type("{ser")
    page.wait_for_selector(".offer >> text=service")
    page.keyboard.press("Enter")
    page.wait_for_selector(".offer >> text=checkout")
    seen.shot(f"explore-completion-{theme}-{language}")
    page.keyboard.press("Enter")
    page.keyboard.type("}[5m]")
    assert page.input_value("#query-A") == 'rate(explore_requests_total{service="checkout"}[5m])'
    page.keyboard.press("Control+Enter")
    charts_ready(page)
    page.click("#add")
    page.keyboard.type("explore_memory_bytes")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#legend tr:nth-child(3)")
    page.click("#compare > summary")
    page.check("#compare input[value='86400']")
    page.wait_for_selector("#legend tr:nth-child(6)")
    assert sum("一天前" in name or "a day ago" in name for name in legend(page)) == 3
    page.keyboard.press("Escape")
    charts_ready(page)
    seen.shot(f"explore-{theme}-{language}")
    asked = parse_qs(urlparse(page.url).query)
    assert len(asked["query"]) == 2
    assert asked["compare"] == ["86400"]
    page.click("[data-view=stat]")
    assert page.locator(".stat").count() == 3
    seen.shot(f"explore-stat-{theme}-{language}")
    page.click("[data-view=table]")
    page.wait_for_selector("#rows tr:nth-child(6)")
    page.reload()  # all of it stands in the address
    page.wait_for_selector("#rows tr:nth-child(6)")
    assert page.input_value("#query-B") == "explore_memory_bytes"
    assert page.locator("[data-view=table][aria-selected=true]").count() == 1
    seen.shot(f"explore-table-{theme}-{language}")


def test_queries_are_switched_off_doubled_and_removed_and_series_hidden(shop: Served, signed_in: Any) -> None:
    page = signed_in(language="en").open("/explore?query=explore_memory_bytes&query=vector(1)")
    page.wait_for_selector("#legend tr:nth-child(3)")
    page.click(".query:nth-child(2) [data-do=toggle]")
    page.wait_for_selector("#legend tr:nth-child(3)", state="detached")
    assert "off=B" in page.url
    page.click(".query:nth-child(1) [data-do=duplicate]")
    page.wait_for_selector("#query-C")
    page.wait_for_selector("#legend tr:nth-child(4)")
    page.click(".query:nth-child(1) [data-do=remove]")
    page.wait_for_selector("#query-C", state="detached")
    first = page.locator("#legend .legend-name").first
    first.click()
    assert page.locator("#legend .legend-name[aria-pressed=false]").count() == 1
    page.click("#as-graph [data-sort=name]")
    assert legend(page) == sorted(legend(page))
    page.click("#as-graph [data-sort=name]")
    assert legend(page) == sorted(legend(page), reverse=True)
    page.click("#history > summary")
    page.wait_for_selector("#history-list button:nth-child(2)")
    page.click("#history-list button >> nth=-1")
    page.wait_for_selector("#query-B")
    assert page.input_value("#query-A") == "explore_memory_bytes"


HEAT = "sum by (le) (rate(explore_duration_seconds_bucket[1m]))"


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_a_histogram_is_a_heatmap_that_stands_in_the_address_and_zooms(
    shop: Served, signed_in: Any, theme: str, language: str
) -> None:
    seen = signed_in(theme=theme, language=language)
    page = seen.open(f"/explore?query={quote(HEAT)}&range=1h")
    charts_ready(page)
    page.wait_for_selector("#legend tr:nth-child(8)")
    page.click("#as-graph [data-sort=name]")
    assert legend(page) == ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"]
    with page.expect_response("**/panels/query?*heat=1*") as answer:
        page.click("[data-view=heatmap]")
    assert answer.value.json()["heat"]["bounds"] == [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, "inf"]
    assert "view=heatmap" in page.url
    page.wait_for_selector("#heats section[data-ready] canvas")
    assert page.get_attribute("#heats .heatmap", "aria-label").startswith(f"{HEAT}: 8 ×")
    assert page.inner_text("#heats [data-most]").endswith("/s")
    assert page.locator("#stack-as").is_hidden()
    box = page.locator("#heats .heatmap").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7)
    page.wait_for_selector("#heats .heatmap b")  # what a cell holds
    seen.shot(f"explore-heatmap-{theme}-{language}")
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 100, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=*")
    asked = parse_qs(urlparse(page.url).query)
    assert 600_000 < int(asked["to"][0]) - int(asked["from"][0]) < 900_000
    assert asked["view"] == ["heatmap"]
    page.reload()
    page.wait_for_selector("#heats section[data-ready] canvas")
    page.click("#add")
    page.keyboard.type("vector(1)")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#heats section:nth-child(2) .empty")
    seen.shot(f"explore-heatmaps-{theme}-{language}")
    page.click("[data-view=graph]")
    charts_ready(page)
    page.wait_for_selector("#chart canvas")
    assert page.locator("#legend tr").count() == 9


def test_a_query_is_copied_as_promql_and_as_a_call(shop: Served, signed_in: Any) -> None:
    page = signed_in(language="en").open(f"/explore?query={quote(HEAT)}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = []
    for which in ("promql", "curl"):
        page.click(".query details.menu > summary")
        page.click(f".query [data-do=copy-{which}]")
        page.wait_for_selector(".toast")
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    assert copied[0] == HEAT
    assert copied[1].startswith(f"curl -G '{shop.url}/prometheus/api/v1/query_range' ")
    assert f"'query={HEAT}'" in copied[1]


def test_the_numbers_are_downloaded_and_the_range_zoomed_by_dragging(shop: Served, signed_in: Any) -> None:
    page = signed_in(language="en").open("/explore?query=explore_memory_bytes&range=15m")
    charts_ready(page)
    page.wait_for_selector("#chart canvas")
    with page.expect_download() as download:
        page.click("#csv")
    assert 'explore_memory_bytes{service=""checkout""}' in download.value.path().read_text(encoding="utf-8-sig")
    box = page.locator("#chart canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=*")
    asked = parse_qs(urlparse(page.url).query)
    assert 100_000 < int(asked["to"][0]) - int(asked["from"][0]) < 500_000
    assert asked["query"] == ["explore_memory_bytes"]


def test_a_mistake_is_shown_under_its_query_and_the_others_are_drawn(shop: Served, signed_in: Any) -> None:
    seen = signed_in(language="en")
    page = seen.open("/explore")
    page.fill("#query-A", "sum(checkout_error_ratio")
    page.click("#add")
    page.fill("#query-B", "checkout_error_ratio")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".query:nth-child(1) .query-error:not([hidden])")
    told = page.inner_text(".query:nth-child(1) .query-error").split("\n")
    assert told[2].index("^") == 3  # under the bracket that stays open
    assert page.get_attribute("#query-A", "aria-invalid") == "true"
    page.wait_for_selector("#legend tr:nth-child(2)")
    page.wait_for_selector("#chart canvas")
    seen.shot("explore-mistake")
    seen.faults = [fault for fault in seen.faults if "panels/query" not in fault and "status of 4" not in fault]


def test_what_begins_to_send_is_drawn_before_the_next_refresh(shop: Served, signed_in: Any) -> None:
    page = signed_in(language="en").open("/explore?query=just_begun_ratio&range=4h")  # refreshed each 30 s
    page.wait_for_selector("[data-chart][data-ready='1'] .chart-note")
    now = int(time.time() * 1000)
    send(shop, "just_begun_ratio", {"service": "checkout"}, [(now - 1000 * ago, 0.5) for ago in range(600, -1, -15)])
    page.wait_for_selector("[data-chart] canvas", timeout=14_000)
