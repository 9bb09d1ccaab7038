"""The IP plan and a rack in a real browser: take the next free address, mount a device, see both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.served import Served

pytestmark = pytest.mark.browser


def made(platform: Served, mark: str) -> tuple[str, str]:
    """A prefix with an address in it, a rack, and a device to be mounted."""
    with platform.client() as client:

        def make(kind: str, name: str, **attributes: Any) -> str:
            body = {"kind": kind, "name": name, "attributes": attributes}
            answer = client.post("/api/v1/resources", json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        make("prefix", f"10.{mark}.0.0/16", prefix=f"10.{mark}.0.0/16", role="data centre", prefix_status="container")
        prefix = make("prefix", f"10.{mark}.1.0/26", prefix=f"10.{mark}.1.0/26", role="servers")
        make("ip_address", f"10.{mark}.1.1/26", address=f"10.{mark}.1.1/26", dns_name="gw.example")
        rack = make("rack", f"rack-{mark}", rack_units=12, power_capacity_watts=2000)
        make("device", f"server-{mark}", u_height=2, power_draw_watts=450)
        return prefix, rack


@pytest.mark.parametrize(("theme", "language", "mark"), [("light", "zh-hans", "71"), ("dark", "en", "72")])
def test_an_address_is_taken_and_a_device_mounted(
    platform: Served, signed_in: Any, theme: str, language: str, mark: str
) -> None:
    prefix, rack = made(platform, mark)
    seen = signed_in(theme=theme, language=language)
    page = seen.open(f"/ip/prefixes/{prefix}")
    page.click("#take-next")
    page.wait_for_selector(f"td:has-text('10.{mark}.1.2')")
    assert page.locator(".ip-map .address").count() == 2
    seen.shot(f"ip-prefix-{theme}-{language}")
    page = seen.open("/ip")
    row = page.locator("tr", has_text=f"10.{mark}.1.0/26")
    assert "3.2 %" in row.inner_text()
    seen.shot(f"ip-{theme}-{language}")
    page = seen.open(f"/racks/{rack}")
    page.locator(".rack-face .rack-slot.free").first.click()
    page.wait_for_url("**position=1**")
    page.select_option("#resource", label=f"server-{mark}")
    page.fill("#position", "5")
    page.locator("#mount button[value=mount]").press("Enter")
    page.wait_for_selector(f".rack-slot:has-text('server-{mark}')")
    assert page.locator(".rack-slot", has_text=f"server-{mark}").count() == 2  # front and rear
    seen.shot(f"rack-{theme}-{language}")
    page = seen.open("/racks")
    assert "22.5 %" in page.locator("tr", has_text=f"rack-{mark}").inner_text()
