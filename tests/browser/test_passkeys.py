"""A passkey in headless Chromium with a virtual authenticator: added, used to sign in, removed; and an authenticator app."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PASSWORD, Watched
from tests.served import Served

pytestmark = pytest.mark.browser
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def amy(platform: Served, chromium: Browser) -> Iterator[Watched]:
    """A person of this test alone, signed in on localhost: passkeys are not for addresses such as 127.0.0.1."""
    name = f"amy{time.monotonic_ns()}"
    with platform.client() as client:
        body = {"username": name, "password": PASSWORD, "role": "operator"}
        client.post("/api/v1/users", json=body).raise_for_status()
    context = chromium.new_context(locale="en-GB", viewport={"width": 1200, "height": 900})
    context.add_cookies([{"name": "tongchou_language", "value": "en", "domain": "localhost", "path": "/"}])
    seen = Watched(context, platform.url.replace("127.0.0.1", "localhost"))
    devices = context.new_cdp_session(seen.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    sign_in(seen, name)
    page = seen.page
    page.click("header details.menu:has(button[name=language]) > summary")
    page.click("header button[name=language][value=en]")
    page.wait_for_selector("html[lang=en]", state="attached")
    yield seen
    context.close()
    assert seen.faults == []


def sign_in(seen: Watched, name: str) -> None:
    page = seen.open("/accounts/login/")
    page.fill("[name=login]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("main form:first-of-type button.primary")
    page.wait_for_url(lambda url: "/accounts/login" not in url)


def sign_out(seen: Watched) -> None:
    page = seen.open("/accounts/logout/")
    page.click("main button.primary")
    page.wait_for_url("**/accounts/login/")


def confirm(page: Page) -> None:
    page.wait_for_url("**/accounts/reauthenticate/**")
    page.fill("#again-password", PASSWORD)
    page.click("main button.primary")


def test_a_passkey_is_added_signs_in_alone_and_is_removed(amy: Watched) -> None:
    page = amy.open("/accounts/2fa/webauthn/add/")
    confirm(page)
    page.fill("#id_name", "ring")
    amy.shot("passkey-add")
    page.click("#mfa_webauthn_add")
    page.wait_for_selector("#recovery-codes")
    assert len(page.inner_text("#recovery-codes").split()) == 10
    with page.expect_download() as saved:
        page.click("[data-save-text]")
    assert len(saved.value.path().read_text().split()) == 10
    amy.shot("recovery-codes")
    sign_out(amy)

    amy.shot("sign-in")
    page.click("#passkey_login")
    page.wait_for_url(amy.base + "/")
    page = amy.open("/account/sessions")
    assert "Passkey" in page.inner_text("main table")

    amy.open("/accounts/2fa/webauthn/")
    assert "ring" in page.inner_text("main")
    amy.shot("passkeys")
    page.click("main a.danger")
    page.wait_for_selector("text=Confirm that it is you")
    page.click("main a:has-text('security key'), main a:has-text('安全密钥'), #mfa_webauthn_reauthenticate")
    if page.locator("#mfa_webauthn_reauthenticate").count():
        page.click("#mfa_webauthn_reauthenticate")
    page.wait_for_selector("main button.danger")
    page.click("main button.danger")
    page.wait_for_selector("text=No passkey yet")
    sign_out(amy)
    page.click("#passkey_login")
    page.wait_for_selector("[data-passkey-error]:visible, .toast, .banner.critical")
    assert page.url.endswith("/accounts/login/")


def test_an_authenticator_app_is_added_and_asked_for(amy: Watched) -> None:
    page = amy.open("/accounts/2fa/")
    amy.shot("second-factor")
    page.click("main a:has-text('Add an authenticator app')")
    confirm(page)
    page.wait_for_selector("img.qr")
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 50
    secret = page.inner_text("#totp-secret")
    amy.shot("authenticator-add")
    page.fill("#code", str(format_hotp_value(hotp_value(secret, int(time.time()) // 30))))
    page.click("main form button.primary")
    codes = re.findall(r"\d{8}", page.inner_text("#recovery-codes"))
    name = page.evaluate("document.querySelector('#sidebar')?.textContent") or ""
    assert "amy" in name
    person = re.search(r"amy\d+", name)
    assert person
    sign_out(amy)
    sign_in(amy, person[0])
    page.wait_for_selector("#code")
    amy.shot("second-factor-asked")
    page.fill("#code", codes[0])
    page.click("main form:first-of-type button.primary")
    page.wait_for_url(amy.base + "/")
