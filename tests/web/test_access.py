"""Every page has a door: anonymous people are sent to sign in, and nobody opens what their role does not include."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from tests.web.conftest import HTML
from tongchou.core.access import PERMISSIONS, RANK
from tongchou.core.models import Role
from tongchou.web.urls import urlpatterns

UUID = "00000000-0000-4000-8000-000000000001"
SAMPLES = {"stamp": "000000000000", "number": 1, "name": "sample", "act": "none"}
PUBLIC = {"echarts", "favicon", "language", "theme"}


def kwargs_of(pattern: URLPattern) -> dict[str, Any]:
    return {name: SAMPLES.get(name, UUID) for name in pattern.pattern.converters}


def address(pattern: URLPattern) -> str:
    return reverse(f"web:{pattern.name}", kwargs=kwargs_of(pattern))


PATTERNS = pytest.mark.parametrize("pattern", urlpatterns, ids=lambda each: each.name)


@PATTERNS
def test_every_view_names_its_permission(pattern: URLPattern) -> None:
    assert hasattr(pattern.callback, "permission"), "decorate the view with gate.page or gate.public"
    permission = pattern.callback.permission
    assert permission is None if pattern.name in PUBLIC else permission == "" or permission in PERMISSIONS


@PATTERNS
def test_anonymous_people_are_sent_to_sign_in(pattern: URLPattern, db: None) -> None:
    client = Client(headers=HTML)
    for method in (client.get, client.post):
        response = method(address(pattern))
        if pattern.name in PUBLIC:
            assert response.status_code in (200, 204, 302, 404, 405)
            assert "/accounts/login" not in response.headers.get("Location", "")
        elif pattern.name == "live":
            assert response.status_code == 401
        else:
            assert response.status_code == 302
            assert response.headers["Location"].startswith("/accounts/login/?next=")


@PATTERNS
def test_a_script_without_a_session_gets_401_and_not_a_login_page(pattern: URLPattern, db: None) -> None:
    if pattern.name in PUBLIC:
        return
    response = Client(headers={"HX-Request": "true"}).get(address(pattern))
    assert response.status_code == 401


@PATTERNS
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_role_opens_what_it_includes_and_nothing_else(pattern: URLPattern, role: Role, browser: Any) -> None:
    if pattern.name == "live":
        return  # a stream; tests/web/test_live.py
    client = browser(role)
    permission = pattern.callback.permission
    least = PERMISSIONS.get(permission) if permission else None
    response = client.get(address(pattern))
    if least is not None and RANK[role] < RANK[least]:
        assert response.status_code == 403
        assert "access.denied" in response.content.decode()
    else:
        assert response.status_code in (200, 204, 302, 404, 405, 422, 503)  # 503: no telemetry store in this test


def test_someone_without_any_role_sees_no_page_but_their_own(browser: Any, db: None) -> None:
    client = browser(Role.VIEWER)
    client.user.memberships.all().delete()
    assert client.get("/account").status_code == 200
    assert client.get("/incidents").status_code == 403
    assert "data-key" not in client.get("/account").content.decode()


def test_a_post_without_the_csrf_token_is_refused_with_a_remedy(browser: Any) -> None:
    client = browser(Role.ADMIN)
    strict = Client(headers=HTML, enforce_csrf_checks=True)
    strict.cookies = client.cookies
    response = strict.post("/account", {"language": "en"})
    assert response.status_code == 403
