"""The second factor on our own pages: enrolment, signing in with it, recovery codes, removal, and what is stored."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.conftest import PASSWORD, make_user
from tests.web.conftest import HTML
from tongchou.core.models import Event, Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    cache.clear()  # rate limits and used codes of other tests


def code_of(secret: str, ahead: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead)))


def sign_in(name: str = "amy") -> Client:
    client = Client(headers=HTML)
    client.post("/accounts/login/", {"login": name, "password": PASSWORD})
    return client


def enrol(client: Client) -> tuple[str, list[str]]:
    """Add an authenticator app as a person does; return its secret and the recovery codes."""
    asked = client.get("/accounts/2fa/totp/activate/")
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
    assert client.post(asked.headers["Location"], {"password": PASSWORD, "next": "/accounts/2fa/totp/activate/"})
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)[1]  # type: ignore[index]  # the page shows it
    assert "data:image/svg+xml;base64," in page
    wrong = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert wrong.status_code == 200
    assert not Authenticator.objects.exists()
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', wrong.content.decode())[1]  # type: ignore[index]  # shown again
    done = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert done.headers["Location"] == "/accounts/2fa/recovery-codes/"
    codes = re.findall(r"^(?:<pre[^>]*>)?(\d{8})$", client.get(done.headers["Location"]).content.decode(), re.MULTILINE)
    assert len(codes) == 10
    return secret, codes


@pytest.mark.django_db(transaction=True)  # what a library does after the commit must happen, too
def test_enrol_sign_in_and_recover() -> None:
    make_user("amy", Role.OPERATOR)
    client = sign_in()
    secret, codes = enrol(client)
    again = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert not any(code in again for code in codes)  # shown once
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert "fernet:" in stored

    fresh = sign_in()
    assert fresh.get("/account").status_code == 302  # the password alone opens nothing
    page = fresh.get("/accounts/2fa/authenticate/")
    assert page.status_code == 200
    assert fresh.post("/accounts/2fa/authenticate/", {"code": "123456"}).status_code == 200
    cache.clear()  # the code of these 30 seconds was used to enrol
    assert fresh.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}).status_code == 302
    assert fresh.get("/account").status_code == 200
    assert "password+totp" in str(Event.objects.filter(verb="user.signed_in").last().payload)  # type: ignore[union-attr]  # just made

    for expected in (302, 200):  # a recovery code works once
        lost = sign_in()
        assert lost.post("/accounts/2fa/authenticate/", {"code": codes[0]}).status_code == expected
    verbs = set(Event.objects.values_list("verb", flat=True))
    assert {"second_factor.added", "second_factor.failed"} <= verbs


def test_new_codes_end_the_old_ones_and_removal_asks_again_who_it_is() -> None:
    make_user("amy", Role.OPERATOR)
    client = sign_in()
    _secret, codes = enrol(client)
    made = client.post("/accounts/2fa/recovery-codes/generate/")
    fresh_codes = re.findall(r"\b\d{8}\b", client.get(made.headers["Location"]).content.decode())
    assert len(set(fresh_codes) & set(codes)) == 0
    lost = sign_in()
    assert lost.post("/accounts/2fa/authenticate/", {"code": codes[1]}).status_code == 200
    assert lost.post("/accounts/2fa/authenticate/", {"code": fresh_codes[0]}).status_code == 302
    # signing in is not confirming: removing asks for it
    asked = lost.post("/accounts/2fa/totp/deactivate/")
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
    assert Authenticator.objects.filter(type="totp").exists()
    assert client.post("/accounts/2fa/totp/deactivate/").headers["Location"] == "/accounts/2fa/"
    assert not Authenticator.objects.exists()  # codes alone would guard nothing
    assert Event.objects.filter(verb="second_factor.removed").exists()
    assert sign_in().get("/account").status_code == 200


def test_guessing_codes_is_slowed_down() -> None:
    amy = make_user("amy", Role.OPERATOR)
    Authenticator.objects.create(user=amy, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})  # stored before encryption
    client = sign_in()
    texts = [client.post("/accounts/2fa/authenticate/", {"code": "111111"}).content.decode() for _ in range(25)]
    assert "/accounts/2fa/authenticate/" in texts[0]
    cache_hit = client.post("/accounts/2fa/authenticate/", {"code": code_of("JBSWY3DPEHPK3PXP")})
    assert cache_hit.status_code == 200  # even the right one, for a while
    cache.clear()
    assert client.post("/accounts/2fa/authenticate/", {"code": code_of("JBSWY3DPEHPK3PXP")}).status_code == 302


def test_a_service_account_gets_in_by_no_way(browser: Any) -> None:
    robot = make_user("robot", Role.OPERATOR)  # with a password, as a slip of somebody's hand could leave one
    User.objects.filter(pk=robot.pk).update(is_service=True)
    assert sign_in("robot").get("/account").status_code == 302


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_pages_speak_both_languages(language: str, browser: Any) -> None:
    client = browser(Role.OPERATOR, language)
    amy = User.objects.get(pk=client.user.pk)
    Authenticator.objects.create(user=amy, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    for path, chinese, english in (
        ("/accounts/2fa/", "身份验证器应用", "Authenticator app"),
        ("/accounts/2fa/totp/deactivate/", "移除身份验证器应用", "Remove the authenticator app"),
        ("/accounts/2fa/recovery-codes/generate/", "重新生成恢复码", "Make new codes"),
        ("/accounts/2fa/webauthn/", "通行密钥", "Passkeys"),
        ("/accounts/2fa/webauthn/add/", "添加通行密钥", "Add a passkey"),
    ):
        response = client.get(path)
        assert response.status_code == 200, (path, response.headers)
        assert (chinese if language == "zh-hans" else english) in response.content.decode(), path


def test_other_pages_of_the_library_stay_closed(browser: Any) -> None:
    for name in ("mfa_signup_webauthn", "mfa_trust", "usersessions_list", "account_signup", "account_email"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
    assert browser(Role.ADMIN).get("/accounts/2fa/webauthn/signup/").status_code == 404
