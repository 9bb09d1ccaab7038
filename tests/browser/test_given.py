"""The inventory elsewhere, in the browser: snippets that can be copied, files to take along, a subscription."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.alerting.receiver import receiving
from tests.served import Served


@pytest.mark.parametrize(
    ("language", "title"), [("zh-hans", "在别处使用资源清单"), ("en", "Use this inventory elsewhere")]
)
def test_snippets_carry_the_callers_address_and_files_come_down(
    platform: Served, signed_in: Any, language: str, title: str
) -> None:
    seen = signed_in(language=language, theme="dark" if language == "en" else "light")
    page = seen.open("/resources/uses")
    assert page.inner_text("h1") == title
    assert f"{platform.url}/prometheus/sd/targets" in page.inner_text("#snippet-prometheus")
    assert "Bearer" in page.inner_text("#snippet-prometheus")
    assert f"{platform.url}/api/v1/inventory/ansible" in page.inner_text("#snippet-ansible")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#hosts [data-copy]")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.inner_text("#snippet-hosts").strip()
    with page.expect_download() as download:
        page.click("#ansible a[download]")
    assert "_meta" in download.value.path().read_text()
    seen.shot(f"uses-{language}")
    assert seen.faults == []


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_a_subscription_is_made_told_and_sent_again(platform: Served, signed_in: Any, language: str) -> None:
    seen = signed_in(language=language)
    with receiving() as receiver, platform.client() as client:
        page = seen.open("/resources/subscriptions")
        page.fill("[name=name]", f"receiver-{language}")
        page.fill("[name=url]", receiver.url)
        page.fill("[name=verbs]", "resource.created")
        page.fill("[name=secret]", "a long enough secret")
        page.click("form.panel-body button.primary")
        page.wait_for_url(re.compile("/resources/subscriptions/[0-9a-f-]{36}$"))
        assert page.locator(".empty h2").count() == 1
        body = {"kind": "host", "name": f"told-{language}"}
        client.post("/api/v1/resources", json=body).raise_for_status()

        def got() -> list[Any]:  # this host's own look may tell of others
            return [each for each in receiver.got if f"told-{language}" in str(each[1])]

        platform.wait(got, seconds=60, what="the event")
        headers, _body = got()[0]
        again = f"tr:has-text('{headers.get('ce-id') or headers['webhook-id']}') button[name=delivery]"

        def sent() -> int:  # the receiver knows before the platform has noted its answer
            page.reload()
            return page.locator(again).count()

        platform.wait(sent, seconds=30, what="the delivery that can be sent again")
        seen.shot(f"subscription-{language}")
        page.click(again)
        platform.wait(lambda: len(got()) >= 2, seconds=60, what="the same event once more")
        assert len({headers["ce-id"] if "ce-id" in headers else headers["webhook-id"] for headers, _b in got()}) == 1

    assert seen.faults == []
