"""The deployment webhook as a sender sees it: accepted once, refused with a reason, never broken by a body."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client

from tongchou.changes import actions
from tongchou.changes.models import Deployment
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.integrations.deployments.receive import MAX_BODY_BYTES
from tongchou.integrations.deployments.signature import sign

pytestmark = pytest.mark.django_db
SECRET = "a secret of the tests"
BODY = {"service": "orders", "version": "2", "previous_version": "1", "delivery_id": "d-1"}


@pytest.fixture(autouse=True)
def _source() -> None:
    actions.put_source(actor=system("tests"), name="ci", secret=SECRET)


def post(body: Any, *, source: str = "ci", secret: str = SECRET, at: float | None = None, **headers: str) -> Any:
    """Post a body, signed as a sender signs it; `headers` replace the usual ones."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    seconds = int(time.time() if at is None else at)
    sent = {"X-Tongchou-Timestamp": str(seconds), "X-Tongchou-Signature": sign(secret, seconds, raw)}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/hooks/deployments/{source}", raw, content_type="application/json", headers=sent)


def refusal(response: Any) -> tuple[int, str]:
    """Status and code of a problem."""
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"]
    return response.status_code, response.json()["code"]


def test_a_signed_deployment_is_accepted_once() -> None:
    first, again = post(BODY), post(BODY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["created"] is True
    assert again.json() == {**first.json(), "created": False}
    assert first.json()["service_known"] is False
    assert Deployment.objects.get().source == "ci"
    assert Event.objects.get(verb="deployment.finished").actor_name == "deployments:ci"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"secret": "another secret, also long"}, (401, "deployment.signature")),
        ({"source": "unknown"}, (401, "deployment.signature")),
        ({"source": "CI"}, (401, "deployment.signature")),
        ({"source": "x" * 300}, (401, "deployment.signature")),
        ({"X_Tongchou_Signature": ""}, (401, "deployment.signature")),
        ({"X_Tongchou_Signature": "sha256=" + "0" * 64}, (401, "deployment.signature")),
        ({"X_Tongchou_Signature": "md5=\u00e9"}, (401, "deployment.signature")),
        ({"X_Tongchou_Timestamp": ""}, (401, "deployment.signature")),
        ({"X_Tongchou_Timestamp": "yesterday"}, (401, "deployment.timestamp")),
        ({"X_Tongchou_Timestamp": "1"}, (401, "deployment.signature")),
        ({"shifted_seconds": -301}, (401, "deployment.timestamp")),
        ({"shifted_seconds": 400}, (401, "deployment.timestamp")),
    ],
)
def test_who_cannot_prove_it_is_refused(more: dict[str, Any], expected: tuple[int, str]) -> None:
    if "shifted_seconds" in more:  # from now on, not from when the tests were collected
        more = {"at": time.time() + more["shifted_seconds"]}
    assert refusal(post(BODY, **more)) == expected
    assert not Deployment.objects.exists()


def test_a_delivery_played_again_later_is_stale() -> None:
    old = time.time() - 3600
    assert refusal(post(BODY, at=old)) == (401, "deployment.timestamp")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "deployment.json")),
        (b"{", (400, "deployment.json")),
        (b"\xff\xfe\x00", (400, "deployment.json")),
        (b"[" * 30_000, (400, "deployment.json")),
        (b"null", (422, "deployment.body")),
        (b"[]", (422, "deployment.body")),
        ({}, (422, "deployment.field")),
        ({**BODY, "delivery_id": ""}, (422, "deployment.field")),
        ({**BODY, "service": "a\u0000b"}, (422, "deployment.field")),
        ({**BODY, "started_at": "2999-01-01T00:00:00Z"}, (422, "deployment.field")),
        (b'{"service": NaN}', (422, "deployment.field")),
        (b"x" * (MAX_BODY_BYTES + 1), (413, "deployment.too_large")),
    ],
)
def test_garbage_is_refused_and_nothing_is_written(body: Any, expected: tuple[int, str]) -> None:
    assert refusal(post(body)) == expected
    assert not Deployment.objects.exists()


def test_size_is_refused_before_the_signature_is_looked_at() -> None:
    assert refusal(post(b"x" * (MAX_BODY_BYTES + 1), secret="wrong, and long too"))[0] == 413


def test_only_post_is_answered() -> None:
    for method in ("get", "put", "delete"):
        response = getattr(Client(), method)("/hooks/deployments/ci")
        assert (response.status_code, response["Allow"]) == (405, "POST")
