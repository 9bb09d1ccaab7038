"""Pages of signing in: the list of sessions, a forced password, service accounts, the access review."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import PASSWORD, make_user
from tests.web.conftest import HTML
from tongchou.core import people, settings_store, tokens
from tongchou.core.access import system
from tongchou.core.models import ApiToken, Event, Membership, Role, User
from tongchou.web.session_gate import CHECKED

SYSTEM = system("tests")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def signed_in(name: str, password: str = PASSWORD, **headers: str) -> Client:
    client = Client(headers={**HTML, "User-Agent": FIREFOX, **headers})
    response = client.post("/accounts/login/", {"login": name, "password": password})
    assert response.status_code == 302, response.content[:2000]
    return client


def test_a_session_is_listed_with_what_tells_it_apart_and_ended(db: None) -> None:
    make_user("amy", Role.VIEWER)
    here, there = signed_in("amy"), signed_in("amy", **{"User-Agent": "curl/8.5.0"})
    text = here.get("/account/sessions").content.decode()
    for word in ("Firefox 128", "curl/8.5.0", "127.0.0.1"):
        assert word in text
    rows = {each.user_agent: each for each in UserSession.objects.all()}
    assert rows[FIREFOX].data == {"method": "password"}
    assert Event.objects.filter(verb="user.signed_in").first().payload["method"] == "password"  # type: ignore[union-attr]  # there is one
    assert here.post(f"/account/sessions/{rows['curl/8.5.0'].pk}/end").status_code == 302
    assert there.get("/account").headers["Location"].startswith("/accounts/login/")
    assert here.get("/account").status_code == 200
    assert here.post(f"/account/sessions/{rows[FIREFOX].pk}/end").headers["Location"] == "/accounts/logout/"


def test_nobody_ends_anothers_session_but_an_administrator(browser: Any) -> None:
    amy = make_user("amy", Role.VIEWER)
    theirs = signed_in("amy")
    row = UserSession.objects.get(user=amy)
    stranger, admin = browser(Role.OPERATOR), browser(Role.ADMIN)
    assert stranger.post(f"/account/sessions/{row.pk}/end").status_code == 404
    assert stranger.get(f"/people/{amy.pk}/sessions").status_code == 403
    assert "Firefox 128" in admin.get(f"/people/{amy.pk}/sessions").content.decode()
    admin.post(f"/people/{amy.pk}/sessions", {"session": str(row.pk)})
    assert theirs.get("/account").status_code == 302
    both = [signed_in("amy"), signed_in("amy")]
    both[0].post("/account/sessions")  # all others
    assert [each.get("/account").status_code for each in both] == [200, 302]


def test_a_password_change_keeps_this_session_listed_and_ends_the_others(db: None) -> None:
    make_user("amy", Role.VIEWER)
    here, there = signed_in("amy"), signed_in("amy")
    new = "another horse battery"
    assert here.post("/account/password", {"old": PASSWORD, "new": new, "again": new}).status_code == 302
    assert there.get("/account").status_code == 302
    assert "Firefox 128" in here.get("/account/sessions").content.decode()
    assert UserSession.objects.get().session_key == here.session.session_key


def test_a_given_password_is_good_for_one_sign_in(browser: Any) -> None:
    admin = browser(Role.ADMIN)
    admin.post("/people/create", {"username": "amy", "password": PASSWORD, "role": "viewer", "must_change": "1"})
    client = signed_in("amy")
    assert client.get("/").headers["Location"] == "/account/password"
    assert client.get("/api/v1/me").status_code == 403
    _row, token = tokens.create(
        actor=SYSTEM, user=User.objects.get(username="amy"), name="t", scopes=["read"], expires_at=None
    )
    assert Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/me").status_code == 200
    assert "new-password" in client.get("/account/password").content.decode()
    assert client.post("/account/password", {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD}).status_code == 422
    assert client.get("/").status_code == 302  # a refused one frees nobody
    new = "another horse battery"
    assert client.post("/account/password", {"old": PASSWORD, "new": new, "again": new}).status_code == 302
    assert client.get("/account").status_code == 200


def test_a_role_that_needs_a_second_factor_is_led_to_it(db: None) -> None:
    make_user("amy", Role.APPROVER)
    settings_store.put(actor=SYSTEM, key="sign_in.second_factor_roles", value=["approver"])
    client = signed_in("amy")
    assert client.get("/approvals").headers["Location"] == "/accounts/2fa/"
    refused = client.get("/api/v1/approvals", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, "sign_in.owes_second_factor")
    settings_store.put(actor=SYSTEM, key="sign_in.second_factor_grace_days", value=2)
    page = client.get("/account")
    assert page.status_code == 200
    assert page.context["second_factor_days"] == 2
    _row, token = tokens.create(
        actor=SYSTEM, user=User.objects.get(username="amy"), name="t", scopes=["read"], expires_at=None
    )
    settings_store.put(actor=SYSTEM, key="sign_in.second_factor_grace_days", value=0)
    api = Client(headers={"Authorization": f"Bearer {token}"})
    assert api.get("/api/v1/approvals").status_code == 200


def test_the_date_of_last_use_is_written_once_a_minute(db: None) -> None:
    make_user("amy", Role.VIEWER)
    client = signed_in("amy")
    client.get("/account/sessions")
    for minutes, expected in ((0, 0), (2, 1), (0, 0)):
        session = client.session
        session[CHECKED] = time.time() - 60 * minutes
        session.save()
        with CaptureQueriesContext(connection) as seen:
            client.get("/account/sessions")
        written = [each["sql"] for each in seen if each["sql"].startswith('UPDATE "usersessions_usersession"')]
        assert len(written) == expected


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(db: None) -> None:
    make_user("amy", Role.VIEWER)
    cookie = signed_in("amy").cookies["tongchou_session"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_service_account_is_made_given_a_token_rotated_and_disabled(browser: Any) -> None:
    admin = browser(Role.ADMIN)
    body = {"username": "deployer", "role": "operator", "purpose": "ships"}
    refused = admin.post("/people/service-accounts", body)
    assert (refused.status_code, refused.context["problem"].field) == (422, "owner")
    assert 'value="deployer"' in refused.content.decode()
    assert admin.post("/people/service-accounts", {**body, "owner": str(admin.user.pk)}).status_code == 302
    account = User.objects.get(username="deployer")
    base = f"/people/service-accounts/{account.pk}"
    made = admin.post(f"{base}/token", {"name": "ci", "scopes": ["write"], "days": "30"})
    assert made.headers["Cache-Control"] == "no-store"
    old = ApiToken.objects.get()
    text = admin.post(f"{base}/rotate", {"token": str(old.pk), "hours": "1"}).content.decode()
    shown = text.partition('id="new-token">')[2].partition("<")[0]
    assert Client(headers={"Authorization": f"Bearer {shown}"}).get("/api/v1/me").json()["name"] == "deployer"
    assert shown not in admin.get(base).content.decode()
    for wrong in ({"token": "x"}, {"token": str(account.pk)}):
        assert admin.post(f"{base}/rotate", wrong).status_code == 404
    assert admin.post(f"{base}/rotate", {"token": str(old.pk), "hours": "soon"}).status_code == 422
    admin.post(f"{base}/disable")
    assert Client(headers={"Authorization": f"Bearer {shown}"}).get("/api/v1/me").status_code == 401
    assert "deployer" in admin.get("/people/service-accounts").content.decode()
    assert admin.get(f"/people/service-accounts/{admin.user.pk}").status_code == 404


def test_the_review_lists_confirms_withdraws_and_exports(browser: Any) -> None:
    admin = browser(Role.ADMIN)
    other = browser(Role.OPERATOR).user
    User.objects.filter(pk=other.pk).update(username="=cmd()")
    row = Membership.objects.get(user=other)
    admin.post(f"/people/review/{row.pk}/confirm")
    row.refresh_from_db()
    assert row.reviewed_by_name == admin.user.username
    assert "=cmd()" not in admin.get("/people/review?show=open").content.decode()
    exported = admin.get("/people/review?format=csv").content.decode()
    assert "'=cmd()" in exported  # no spreadsheet takes it for a formula
    assert exported.startswith("\ufeffaccount,")
    own = Membership.objects.get(user=admin.user)
    admin.post(f"/people/review/{own.pk}/withdraw")
    assert Membership.objects.filter(pk=own.pk).exists()
    admin.post(f"/people/review/{row.pk}/withdraw")
    assert not Membership.objects.filter(pk=row.pk).exists()
    people.set_active(actor=SYSTEM, user=User.objects.get(pk=other.pk), active=False)
    assert admin.get("/people/review?show=kept-out").status_code == 200


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_pages_speak_both_languages(language: str, browser: Any) -> None:
    admin = browser(Role.ADMIN, language)
    for path, words in (
        ("/people/service-accounts", ("服务账号", "Service accounts")),
        ("/people/review", ("权限复核", "Access review")),
        ("/account/sessions", ("会话", "Sessions")),
        ("/account/password", ("设置新密码", "Choose a new password")),
    ):
        text = admin.get(path).content.decode()
        assert words[language == "en"] in text, path
