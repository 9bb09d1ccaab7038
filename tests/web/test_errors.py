"""Refusals say what to do now: as pages to people, as problem+json to scripts."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings

from tests.web.conftest import HTML
from tongchou.core.models import Role
from tongchou.core.problems import Conflict
from tongchou.web import errors, sign_in


def test_a_missing_page_tells_people_to_search(browser: Any) -> None:
    response = browser(Role.VIEWER).get("/no/such/page")
    assert response.status_code == 404
    assert "Ctrl-K" in response.content.decode()


def test_a_script_gets_problem_json(browser: Any) -> None:
    response = browser(Role.VIEWER).get("/no/such/page", headers={"Accept": "application/json"})
    assert response.status_code == 404
    assert response.json()["code"] == "page.not_found"
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/prometheus/api/v1/nothing"])
def test_the_api_never_answers_with_a_page(path: str, db: None) -> None:
    assert "text/html" not in Client(headers=HTML).get(path).headers["Content-Type"]


def test_a_refusal_shows_place_value_and_remedy(db: None) -> None:
    request = RequestFactory().get("/", headers=HTML)
    request.user = None
    problem = Conflict("a.b", "It is taken.", field="name", value="<b>x</b>", remedy="Choose another.")
    text = errors.problem_response(request, problem).content.decode()
    for word in ("It is taken.", "name", "&lt;b&gt;x&lt;/b&gt;", "Choose another.", "a.b"):
        assert word in text
    assert "<b>x</b>" not in text


def test_an_accident_is_answered_without_database_and_context() -> None:
    request = RequestFactory().get("/", headers=HTML)
    response = errors.server_error(request)
    assert response.status_code == 500
    assert "/static/tongchou/base.css" in response.content.decode()
    plain = errors.server_error(RequestFactory().get("/api/v1/x"))
    assert plain.headers["Content-Type"] == "application/problem+json"


def test_a_lockout_says_how_long_it_lasts(db: None) -> None:
    request = RequestFactory().post("/accounts/login/", headers=HTML)
    request.user = None
    with override_settings(AXES_COOLOFF_TIME=0.25):
        response = sign_in.locked_out(request)
    assert response.status_code == 429
    assert "15" in response.content.decode()


def test_too_many_wrong_passwords_lock_the_name_out(browser: Any) -> None:
    browser(Role.VIEWER)
    client = Client(headers=HTML)
    cache.clear()  # the rate limits of other tests
    codes = [
        client.post("/accounts/login/", {"login": "viewer-0", "password": f"wrong {n}"}).status_code for n in range(12)
    ]
    assert codes[0] == 200
    assert codes[-1] == 429


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "signup/",
        "email/",
        "confirm-email/",
        "confirm-email/key/",
        "password/change/",
        "password/set/",
        "password/reset/",
        "password/reset/done/",
        "password/reset/key/1-set-password/",
        "login/code/confirm/",
    ],
)
def test_accounts_change_only_through_an_administrator_or_ones_own_page(
    browser: Any, path: str, signed_in: bool
) -> None:
    client = browser(Role.VIEWER) if signed_in else Client(headers=HTML)
    assert client.get(f"/accounts/{path}").status_code == 404
    assert client.post(f"/accounts/{path}", {"email": "a@example.org"}).status_code == 404


def test_signing_in_and_the_second_factor_stay(browser: Any) -> None:
    assert Client(headers=HTML).get("/accounts/login/").status_code == 200
    assert Client(headers=HTML).get("/accounts/inactive/").status_code == 200
    client = browser(Role.VIEWER)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/accounts/reauthenticate/").status_code == 200
    assert client.get("/accounts/2fa/").status_code == 200
    assert client.get("/accounts/2fa/totp/activate/").headers["Location"].startswith("/accounts/reauthenticate/")
