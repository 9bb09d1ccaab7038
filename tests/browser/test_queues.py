"""The drift queue in a real browser: find it from the inventory, work one item, see it gone; in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.served import Served


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh-hans", "dark")])
def test_one_item_of_the_drift_queue_is_worked(language: str, theme: str, signed_in: Any, platform: Served) -> None:
    short = language[:2]
    name = f"drift-{short}"
    with platform.client() as client:
        own = client.get("/api/v1/resources", params={"kind": "host", "source": "this-host"}).json()["items"][0]
        # what this host's own source observes, declared otherwise by a person
        detail = client.get(f"/api/v1/resources/{own['id']}").json()
        observed = next(each for each in detail["attributes"] if each["name"] == "os")
        assert observed["freshness"] == "fresh"
        declared = {"attributes": {"os": f"BeOS {short}"}}
        client.patch(f"/api/v1/resources/{own['id']}", json=declared).raise_for_status()
        for n in range(2):
            body = {"kind": "host", "name": name, "keys": [f"serial:{short}{n}"]}
            client.post("/api/v1/resources", json=body).raise_for_status()
        client.post("/api/v1/queues/refresh").raise_for_status()
        wait = {"queue": "differs", "resource_id": own["id"]}
        platform.wait(
            lambda: client.get("/api/v1/queue-items", params=wait).json()["count"], seconds=60, what="the drift"
        )
    seen = signed_in("admin", language=language, theme=theme)
    page = seen.open("/resources/kinds")
    seen.shot(f"queues-home-{short}")
    page.click("[data-queue=differs]")
    page.wait_for_url("**/resources/queues?queue=differs")
    seen.shot(f"queues-drift-{short}")
    row = page.locator("main tbody tr", has_text=f"BeOS {short}")
    assert row.count() == 1
    row.locator("a").first.click()
    page.wait_for_selector("button[value=accept_observed]")
    seen.shot(f"queues-item-{short}")
    page.click("button[value=accept_observed]")
    page.wait_for_url("**/resources/queues?queue=differs")
    assert page.locator("main tbody tr", has_text=f"BeOS {short}").count() == 0
    seen.shot(f"queues-done-{short}")
    page = seen.open("/resources/ends")
    seen.shot(f"ends-{short}")
    page = seen.open("/resources/completeness")
    assert page.locator("main table").count() >= 2
    seen.shot(f"completeness-{short}")
    page = seen.open(f"/resources/queues?queue=identity&name={name}")
    page.locator("main tbody tr a").first.click()
    page.wait_for_selector("button[value=merge]")
    page.click("button[value=merge]")
    page.click("#confirm-ok")
    page.wait_for_selector("button[value=undo]")
    seen.shot(f"identity-{short}")
