"""Silences over Alertmanager's v2 API, as amtool and Grafana use it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Api
from tongchou.alerting.models import Silence
from tongchou.core.access import Actor
from tongchou.core.models import Event, User

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

BASE = "/alertmanager/api/v2"


def body_of(response: Any) -> Any:
    return json.loads(response.content)


def wanted(**changes: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "matchers": [
            {"name": "service", "value": "orders", "isRegex": False},
            {"name": "severity", "value": "warning|info", "isRegex": True, "isEqual": True},
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + dt.timedelta(hours=2)).isoformat().replace("+00:00", "Z"),
        "createdBy": "amtool",
        "comment": "work",
        **changes,
    }


def test_create_read_list_delete(api: Api) -> None:
    made = api.post(f"{BASE}/silences", wanted())
    assert made.status_code == 200
    key = body_of(made)["silenceID"]
    row = body_of(api.get(f"{BASE}/silence/{key}"))
    assert row["status"] == {"state": "active"}
    assert row["createdBy"] == "admin"
    assert row["comment"] == "work (amtool)"
    assert row["matchers"][1] == {"name": "severity", "value": "warning|info", "isRegex": True, "isEqual": True}
    assert row["endsAt"].endswith("Z")
    assert [each["id"] for each in body_of(api.get(f"{BASE}/silences", filter='service="orders"'))] == [key]
    assert body_of(api.get(f"{BASE}/silences", filter='service="other"')) == []
    assert api.delete(f"{BASE}/silence/{key}").status_code == 200
    assert body_of(api.get(f"{BASE}/silence/{key}"))["status"] == {"state": "expired"}
    assert Event.objects.filter(verb__startswith="silence.").count() == 2


def test_an_id_with_the_same_matchers_extends_and_with_others_makes_a_new_one(api: Api) -> None:
    key = body_of(api.post(f"{BASE}/silences", wanted()))["silenceID"]
    longer = wanted(id=key, endsAt=(timezone.now() + dt.timedelta(hours=9)).isoformat())
    assert body_of(api.post(f"{BASE}/silences", longer))["silenceID"] == key
    other = wanted(id=key, matchers=[{"name": "service", "value": "x", "isRegex": False, "isEqual": True}])
    assert body_of(api.post(f"{BASE}/silences", other))["silenceID"] != key
    states = {str(row.pk) == key: str(row.state_at(timezone.now())) for row in Silence.objects.all()}
    assert states == {True: "expired", False: "active"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[", 400),
        ("[]", 400),
        ({}, 400),
        (wanted(comment=""), 400),
        (wanted(endsAt="tomorrow"), 400),
        (wanted(endsAt="2020-13-99T00:00:00Z"), 400),
        (wanted(matchers=[]), 400),
        (wanted(matchers=[{"name": "a", "value": ".*", "isRegex": True}]), 400),
        (wanted(matchers=[{"name": "a", "value": 1, "isRegex": False}]), 400),
        (wanted(id="x"), 404),
        (wanted(id=str(uuid.uuid4())), 404),
    ],
)
def test_what_does_not_fit_is_refused_in_a_json_string(api: Api, body: Any, status: int) -> None:
    refused = api.post(f"{BASE}/silences", body)
    assert refused.status_code == status
    assert isinstance(body_of(refused), str)
    assert not Silence.objects.exists()


def test_only_tokens_write_and_nobody_reads_unknown(
    viewer_actor: Actor, api_as: Any, admin_user: User, api: Api
) -> None:
    assert Client().get(f"{BASE}/silences").status_code == 401
    signed_in = Client(enforce_csrf_checks=True)
    signed_in.force_login(admin_user)
    assert signed_in.get(f"{BASE}/silences").status_code == 200
    answer = signed_in.post(f"{BASE}/silences", json.dumps(wanted()), content_type="application/json")
    assert answer.status_code == 401
    assert api_as(viewer_actor).post(f"{BASE}/silences", wanted()).status_code == 403
    assert api.get(f"{BASE}/silence/{uuid.uuid4()}").status_code == 404
    assert api.put(f"{BASE}/silences", {}).status_code == 405
    assert not Silence.objects.exists()
