"""What an incident cost, over the API: figures with their inputs, a reason when there are none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.usage.outage import outage
from tests.usage.test_actions import METRIC
from tongchou.core import settings_store
from tongchou.core.access import Actor, system
from tongchou.incidents import impact
from tongchou.incidents.models import Incident
from tongchou.telemetry.backend import Telemetry
from tongchou.usage.models import Impact
from tongchou.usage.run_time_settings import REVENUE

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(telemetry_db: Telemetry, admin_actor: Actor) -> Incident:
    return outage(admin_actor)


def path(incident: Incident) -> str:
    return f"/api/v1/incidents/{incident.pk}/impact"


def test_an_incident_has_a_price_with_its_inputs(api: Any, incident: Incident) -> None:
    body = api.get(path(incident)).json()
    assert body["computable"], body
    assert float(body["lost"]) == pytest.approx(24_000, rel=0.03)
    assert float(body["low"]) <= float(body["lost"]) <= float(body["high"])
    assert (body["currency"], body["final"], body["lag_seconds"]) == ("CNY", True, 3600)
    assert body["query"] == METRIC["query"]
    series = body["series"]
    assert len(series["times"]) == len(series["actual"]) == len(series["expected"]) == len(series["low"])
    assert "24," in body["sentence"]["en"]
    assert "约损失收入" in body["sentence"]["zh"]
    assert not Impact.objects.exists()  # looking writes nothing


def test_what_was_kept_stays_and_asking_again_gives_the_same(api: Any, incident: Incident) -> None:
    kept = api.post(path(incident)).json()
    assert api.get(path(incident)).json()["assessed_at"] == kept["assessed_at"]
    again = api.post(path(incident)).json()
    assert {name: again[name] for name in ("lost", "low", "high")} == {
        name: kept[name] for name in ("lost", "low", "high")
    }


def test_ended_incidents_are_assessed_until_final(incident: Incident) -> None:
    assert impact.assess_ended(actor=system("impact"), now=datetime.now(UTC)) == 1
    assert Impact.objects.get().final
    assert impact.assess_ended(actor=system("impact"), now=datetime.now(UTC)) == 0


def test_without_a_metric_there_is_a_reason(api: Any, incident: Incident, admin_actor: Actor) -> None:
    settings_store.put(actor=admin_actor, key=REVENUE, value={})
    body = api.get(path(incident)).json()
    assert (body["computable"], body["reason_code"], body["lost"]) == (False, "no_metric", None)
    assert "usage.revenue" in body["reason"]


def test_a_viewer_looks_and_does_not_assess(api_as: Any, viewer_actor: Actor, incident: Incident) -> None:
    client = api_as(viewer_actor)
    assert client.get(path(incident)).status_code == 200
    assert client.post(path(incident)).status_code == 403
    assert client.get("/api/v1/incidents/00000000-0000-4000-8000-000000000000/impact").status_code == 404
