"""Custom fields in a real browser: an administrator defines a select and an object field, somebody fills them in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.served import Served

pytestmark = pytest.mark.browser


def made(platform: Served) -> tuple[str, int]:
    """A choice set, and the resource and the incident that get values; made once."""
    with platform.client() as client:
        choices = [
            {"value": "gold", "en": "Gold", "zh": "黄金", "colour": "yellow"},
            {"value": "tin", "en": "Tin", "zh": "锡", "colour": "grey"},
        ]
        client.put("/api/v1/choice-sets/tiers", json={"label": {"en": "Tiers", "zh": "等级"}, "choices": choices})
        resource = client.get("/api/v1/resources", params={"q": "checkout"}).json()["items"][0]["id"]
        incident = client.get("/api/v1/incidents").json()["items"][0]["number"]
        return resource, incident


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_fields_are_defined_and_filled_in(platform: Served, signed_in: Any, theme: str, language: str) -> None:
    resource, incident = made(platform)
    zh = language == "zh-hans"
    mark = "z" if zh else "e"
    seen = signed_in(theme=theme, language=language)
    for kind in ("inventory.resource", "incidents.incident"):
        for type_, name in (("select", f"tier_{mark}"), ("object", f"twin_{mark}")):
            page = seen.open(f"/fields/new/{kind}")
            page.click(f"a[href='?type={type_}']")
            page.fill("#name", name)
            page.fill("#label_en", f"Field {name}")
            page.fill("#label_zh", f"字段 {name}")
            if type_ == "select":
                page.select_option("#choice_set", "tiers")
            else:
                page.select_option("#object_kind", "inventory.resource")
            page.wait_for_selector(f"#preview :text('{'字段' if zh else 'Field'} {name}')")
            seen.shot(f"field-{type_}-{theme}-{language}")
            page.click("form.stack .btn.primary")
            page.wait_for_url("**/fields?kind=*")
    seen.shot(f"fields-{theme}-{language}")
    for address in (f"/resources/{resource}", f"/incidents/{incident}"):
        page = seen.open(address)
        page.click("#custom-fields .panel-head a")
        page.select_option(f"[name=cf-tier_{mark}]", "gold")
        page.fill(f"#q-cf-twin_{mark}", "paym")
        options = page.locator(f".cf-options:has([name=cf-twin_{mark}])")
        options.locator("label:has-text('checkout')").wait_for(state="detached")
        options.locator("label:has-text('payments') input").check()
        page.click("#custom-fields .btn.primary")
        page.wait_for_selector(f"#custom-fields dd :text('{'黄金' if zh else 'Gold'}')")
        page.wait_for_selector("#custom-fields dd a:has-text('payments')")
        seen.shot(f"fields-filled-{'incident' if 'incident' in address else 'resource'}-{theme}-{language}")
    page = seen.open("/fields/sets/tiers")
    seen.shot(f"choice-set-{theme}-{language}")
