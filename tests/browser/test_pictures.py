"""The pictures of the guide: every one is taken anew by this, in both languages, and stands on a page of the guide.

`TONGCHOU_SCREENSHOTS=1 pytest tests/browser/test_pictures.py` writes them to docs/images.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Served, send
from tests.browser.test_pages import charts_ready

pytestmark = pytest.mark.browser
DOCS = Path(__file__).resolve().parents[2] / "docs"
IMAGES = DOCS / "images"
SMALLEST, LARGEST = 6_000, 150_000  # bytes: less is an empty page, more is too much for a bundle
PICTURES = {  # name: (address, what is there when it can be looked at)
    "cockpit": ("/", "[data-live-state][data-state=on]"),
    "incident-room": ("/incidents/1", ".room[data-ready='1']"),
    "suspects": ("/incidents/1/suspects", "main"),
    "alerts": ("/alerts", "main"),
    "explore": ("/explore?query=checkout_error_ratio", "[data-chart] canvas"),
    "logs": ("/logs", "#logs[data-ready='1'] .log-row"),
    "service-map": ("/map", "main svg"),
    "lists": ("/events?columns=at,verb,actor", "main"),
    "procedure": ("/procedures/look-and-ask", "main"),
    "objective": ("/slos/checkout", "main"),
    "calendar": ("/calendars/china?year=2026", "main"),
    "storage": ("/storage", "main"),
    "inbox": ("/inbox", "main"),
    "change": ("/changes/{change}", ".way"),
}


NUMBERS: dict[str, int] = {}


def a_change(client: httpx.Client) -> int:
    """One that waits for consent, tonight."""
    checkout = client.get("/api/v1/resources", params={"kind": "service", "q": "checkout"}).json()["items"][0]["id"]
    tonight = datetime.now(UTC).replace(hour=22, minute=0, second=0, microsecond=0) + timedelta(days=1)
    body = {
        "title": "Checkout: new card gateway",
        "description": "The old gateway refuses **one card in three**. The new one is in use in staging since Monday.",
        "resources": [checkout],
        "starts_at": tonight.isoformat(),
        "ends_at": (tonight + timedelta(hours=2)).isoformat(),
        "tasks": [{"title": "Look and ask", "procedure": "look-and-ask"}, {"title": "Watch the refused cards"}],
        "backout": "Point `gateway.url` at the old gateway again.",
        "verification": "Fewer than 1 % of cards are refused for ten minutes.",
        "answers": {
            each["name"]: each["answers"][0]["answer"] for each in client.get("/api/v1/change-questions").json()
        },
    }
    number: int = client.post("/api/v1/changes", json=body).raise_for_status().json()["number"]
    client.post(f"/api/v1/changes/{number}/ask").raise_for_status()
    return number


@pytest.fixture(scope="module")
def shop(platform: Served) -> Served:
    """Beside the failing checkout: what it logs, what it promises."""
    with platform.client() as client:
        now = time.time_ns()
        lines = [
            [
                str(now - i * 7 * 10**9),
                json.dumps({"level": "error" if i % 4 == 0 else "info", "msg": f"card {i} refused"}),
            ]
            for i in range(60)
        ]
        streams = {"streams": [{"stream": {"service": "checkout"}, "values": lines}]}
        client.post("/loki/api/v1/push", json=streams).raise_for_status()
        objective = {
            "title": {"en": "Checkout answers", "zh": "结账可用"},
            "service": "checkout",
            "error_query": "sum(increase(checkout_errors_total[$window]))",
            "total_query": "sum(increase(checkout_requests_total[$window]))",
            "target": 0.999,
        }
        client.put("/api/v1/slos/checkout", json=objective).raise_for_status()
        NUMBERS["change"] = a_change(client)
    times = range(now // 10**6 - 3_600_000, now // 10**6, 15_000)
    for name, each in (("checkout_requests_total", 300), ("checkout_errors_total", 0.2)):
        send(platform, name, {"service": "checkout"}, [(at, each * i) for i, at in enumerate(times)])
    return platform


def test_every_picture_stands_in_the_guide_of_either_language() -> None:
    for language in ("en", "zh"):
        text = "".join(page.read_text() for page in (DOCS / language).glob("*.md"))
        assert set(re.findall(rf"\.\./images/{language}/([a-z-]+)\.webp\)", text)) == set(PICTURES)
        assert {each.stem for each in (IMAGES / language).glob("*.webp")} == set(PICTURES)


@pytest.mark.parametrize(("language", "folder"), [("en", "en"), ("zh-hans", "zh")])
def test_every_picture_can_be_taken(shop: Served, signed_in: Any, language: str, folder: str) -> None:
    seen = signed_in(theme="light", language=language, width=1280)
    sizes = {}
    for name, (address, there) in PICTURES.items():
        page = seen.open(address.format(**NUMBERS))
        page.wait_for_selector(there, state="attached")
        charts_ready(page)
        page.wait_for_timeout(300)  # what slides in has slid in
        taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 75})
        raw = base64.b64decode(taken["data"])
        sizes[name] = len(raw)
        if os.environ.get("TONGCHOU_SCREENSHOTS"):
            (IMAGES / folder).mkdir(parents=True, exist_ok=True)
            (IMAGES / folder / f"{name}.webp").write_bytes(raw)
    assert {name: size for name, size in sizes.items() if not SMALLEST < size < LARGEST} == {}
