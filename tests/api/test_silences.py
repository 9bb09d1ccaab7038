"""The API of silences."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Api
from tongchou.core.access import Actor

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

MATCHERS = [{"name": "service", "op": "=~", "value": "ord.*"}]


def end(hours: float = 1) -> str:
    return (timezone.now() + dt.timedelta(hours=hours)).isoformat()


def body_of(response: Any) -> Any:
    return json.loads(response.content)


def test_create_list_extend_expire(api: Api) -> None:
    made = api.post("/api/v1/silences", {"matchers": MATCHERS, "ends_at": end(), "comment": "work"})
    assert made.status_code == 201
    row = body_of(made)
    assert (row["state"], row["matchers"], row["created_by"]) == ("active", MATCHERS, "admin")
    one = f"/api/v1/silences/{row['id']}"
    assert body_of(api.get(one)) == row
    assert body_of(api.get("/api/v1/silences", state="active"))["count"] == 1
    assert body_of(api.get("/api/v1/silences", state="pending")) == {"items": [], "count": 0}
    longer = body_of(api.post(f"{one}/extend", {"ends_at": end(5)}))
    assert longer["ends_at"] > row["ends_at"]
    assert body_of(api.post(f"{one}/expire"))["state"] == "expired"
    refused = api.post(f"{one}/extend", {"ends_at": end(5)})
    assert (refused.status_code, body_of(refused)["code"]) == (409, "silence.expired")


def test_the_preview_creates_nothing(api: Api) -> None:
    assert body_of(api.post("/api/v1/silences/preview", {"matchers": MATCHERS})) == {
        "count": 0, "items": [], "ended_count": 0, "ended": {}, "looked_back": True,
    }  # fmt: skip
    assert body_of(api.get("/api/v1/silences"))["count"] == 0
    refused = api.post("/api/v1/silences/preview", {"matchers": [{"name": "a", "op": "=~", "value": "("}]})
    assert (refused.status_code, body_of(refused)["code"]) == (422, "matchers.syntax")


def test_a_viewer_reads_and_does_not_silence(viewer_actor: Actor, api_as: Any) -> None:
    viewer = api_as(viewer_actor)
    assert viewer.get("/api/v1/silences").status_code == 200
    refused = viewer.post("/api/v1/silences", {"matchers": MATCHERS, "ends_at": end(), "comment": "x"})
    assert refused.status_code == 403
