"""Teams over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.core.models import Event, Team

pytestmark = pytest.mark.django_db


def test_a_team_is_made_once_and_listed(api: Any) -> None:
    made = api.post("/api/v1/teams", {"name": "shop"})
    assert made.status_code == 201
    assert api.post("/api/v1/teams", {"name": "shop"}).status_code == 409
    assert api.post("/api/v1/teams", {"name": ""}).status_code == 422
    assert [each["name"] for each in api.get("/api/v1/teams").json()["items"]] == ["shop"]
    assert Team.objects.count() == 1
    assert Event.objects.filter(verb="team.created").count() == 1
