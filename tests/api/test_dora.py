"""The API of DORA's five and of the link from an incident to a deployment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tongchou.changes.models import Deployment
from tongchou.core.access import Actor
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident

pytestmark = pytest.mark.django_db


def test_the_link_makes_the_rate_and_its_undoing_unmakes_it(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    at = timezone.now() - timedelta(hours=1)
    row = Deployment.objects.create(
        source="ci", delivery_id=uuid4().hex, service_name="orders", version="2", started_at=at, finished_at=at
    )
    incident = Incident.objects.create(number=7, title="down", started_at=at, opened_at=at, recovered_at=timezone.now())
    address = f"/api/v1/incidents/{incident.pk}/caused-by"
    assert api.post(address, {"ref": ref(row)}).status_code == 201
    assert api.get(address).json()["items"][0]["title"] == "orders 2"
    (item,) = api.get("/api/v1/dora", days=7).json()["items"]
    assert (item["fail_rate"]["value"], item["recovery_time"]["unit"]) == (1.0, "s")
    assert (item["lead_time"]["value"], item["lead_time"]["reason"]) == (None, "no_commit_time")
    (behind,) = api.get("/api/v1/dora/deployments", service=item["key"], days=7).json()["items"]
    assert (behind["ref"], behind["incidents"]) == (ref(row), [7])
    assert api_as(viewer_actor).post(address, {"ref": ref(row)}).status_code == 403
    assert api.delete(f"{address}?ref={ref(row)}").status_code == 204
    (item,) = api.get("/api/v1/dora", days=7).json()["items"]
    assert (item["fail_rate"]["value"], item["recovery_time"]["reason"]) == (0.0, "no_failed")
    assert api.get("/api/v1/dora", days=5).status_code == 422
