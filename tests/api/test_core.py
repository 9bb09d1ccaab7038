from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tongchou.core.access import Actor
from tongchou.core.models import Job, JobState, User

pytestmark = pytest.mark.django_db


def test_without_a_token_the_api_answers_401_with_a_remedy(client: Client) -> None:
    answer = client.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["remedy"]


def test_a_session_without_its_csrf_token_may_not_write(admin_user: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = browser.post("/api/v1/users", {"username": "x"}, content_type="application/json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ("null", 422),
        ('{"username": ""}', 422),
        ('{"username": "a", "role": "king"}', 422),
        ("\xff\xfe", 400),
    ],
)
def test_a_body_that_does_not_fit_is_a_problem_with_a_field(api: Any, body: str, status: int) -> None:
    answer = api.post("/api/v1/users", body.encode("latin-1"))
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"].startswith("api.")
    if status == 422:
        assert answer.json()["field"]


def test_an_oversized_body_is_refused_with_413(api: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = api.post("/api/v1/users", {"username": "x", "display_name": "y" * 2000})
    assert answer.status_code == 413, answer.content
    assert "1,000" in answer.json()["detail"]


def test_a_user_a_token_and_what_the_token_may(api: Any, api_as: Any) -> None:
    made = api.post("/api/v1/users", {"username": "reader", "role": "viewer"})
    assert made.status_code == 201
    token = api.post("/api/v1/tokens", {"name": "t", "username": "reader", "scopes": ["read"], "expires_in_days": 1})
    assert token.status_code == 201
    reader = Client(headers={"Authorization": f"Bearer {token.json()['token']}"})
    assert reader.get("/api/v1/me").json()["role"] == "viewer"
    assert reader.get("/api/v1/events").status_code == 200
    assert reader.get("/api/v1/users").status_code == 403
    listed = api.get("/api/v1/tokens").json()["items"]
    assert all("token" not in each for each in listed)
    assert api.delete(f"/api/v1/tokens/{token.json()['id']}").status_code == 204
    assert reader.get("/api/v1/me").status_code == 401


def test_settings_are_listed_typed_and_kept_with_history(api: Any) -> None:
    listed = {each["key"]: each for each in api.get("/api/v1/settings").json()["items"]}
    assert "execution.enabled" in listed
    assert listed["execution.enabled"]["default"] is False
    assert api.put("/api/v1/settings/execution.enabled", {"value": "yes"}).status_code == 422
    assert api.put("/api/v1/settings/execution.enabled", {"value": True}).json()["value"] is True


def test_secrets_are_never_returned(api: Any) -> None:
    assert api.put("/api/v1/secrets/shop-control", {"value": "hunter2"}).status_code == 204
    for path in ("/api/v1/secrets", "/api/v1/events", "/api/v1/jobs", "/api/v1/settings"):
        assert b"hunter2" not in api.get(path).content


def test_dead_jobs_are_listed_and_can_be_retried(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    row = Job.objects.create(name="test.nobody", state=JobState.DEAD, error="broken")
    assert [each["id"] for each in api.get("/api/v1/jobs", state="dead").json()["items"]] == [str(row.pk)]
    assert api_as(viewer_actor).post(f"/api/v1/jobs/{row.pk}/retry").status_code == 403
    assert api.post(f"/api/v1/jobs/{row.pk}/retry").json() == {"queued": True}


def test_the_ledger_can_be_verified_over_the_api(api: Any) -> None:
    assert api.get("/api/v1/ledger/verify").json()["findings"] == []
