"""The logs beside an incident: of the affected resources, errors first."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.incidents.models import AffectedResource, Incident
from tongchou.inventory import actions as inventory
from tongchou.telemetry.backend import Telemetry
from tongchou.wire.log_stream import Entry, Stream

SYSTEM = system("tests")


@pytest.fixture
def incident(telemetry_db: Telemetry, db: None) -> Incident:
    """An incident of one service; it and another one wrote lines."""
    row = inventory.create_resource(actor=SYSTEM, kind="service", name="checkout")
    found = Incident.objects.create(number=1, title="t", severity="critical", started_at=timezone.now())
    AffectedResource.objects.create(incident=found, resource=row, role="symptom", distance=0)
    now = time.time_ns()
    for service in ("checkout", "other"):
        entries = [
            Entry(now - 4, f"level=info {service} is calm".encode()),
            Entry(now - 3, f"level=error {service} cannot pay".encode()),
        ]
        _rows, done = telemetry_db.logs.take([Stream([("service", service)], entries)])
        done.result()
    return found


def test_errors_come_first_and_only_of_what_is_affected(browser: Any, incident: Incident) -> None:
    text = browser(Role.VIEWER).get("/incidents/1?part=logs").content.decode()
    assert text.index("checkout cannot pay") < text.index("checkout is calm")
    assert "other cannot pay" not in text
    assert "1 error first" in text
    assert "/logs?query=service%3A%22checkout%22" in text
