"""The pages of delivery performance: n/a with a reason, the rows behind a number, the file; and naming a cause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tongchou.changes.models import Deployment
from tongchou.core.models import Role
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident
from tongchou.incidents.models_caused import CausedBy

pytestmark = pytest.mark.django_db


def deployment(version: str, **more: Any) -> Deployment:
    """A release to production an hour ago."""
    at = timezone.now() - timedelta(hours=1)
    fields = {"service_name": "=orders", "version": version, "status": "succeeded", **more}
    return Deployment.objects.create(source="ci", delivery_id=uuid4().hex, started_at=at, finished_at=at, **fields)


@pytest.fixture
def incident() -> Incident:
    """One that goes on."""
    at = timezone.now() - timedelta(minutes=50)
    return Incident.objects.create(number=7, title="down", started_at=at, opened_at=at)


def test_without_deployments_the_page_says_what_to_do(browser: Any) -> None:
    page = browser(Role.VIEWER).get("/dora").content.decode()
    assert "No deployment to production in these days" in page
    assert "/deployments/senders" in page


def test_a_number_that_is_not_there_says_why_and_each_leads_to_its_rows(browser: Any, incident: Incident) -> None:
    bad = deployment("2")
    CausedBy.objects.create(incident=incident, ref=ref(bad), named_by_name="ann")
    client = browser(Role.VIEWER)
    page = client.get("/dora?days=7").content.decode()
    assert "n/a" in page
    assert "no commit time known for 1 of 1 commit" in page
    assert "100.0 %" in page
    assert "0 of 1 failed deployments have recovered" in page
    rows = client.get("/dora/service?days=7&service=name%3A%3Dorders").content.decode()
    assert "INC-7" in rows
    assert f"/deployments/{bad.pk}" in rows
    assert client.get("/dora/service?service=none").status_code == 404
    assert client.get("/dora?days=nonsense").status_code == 200


def test_the_file_holds_all_and_no_formula(browser: Any) -> None:
    deployment("2", commit_sha="a", commit_at=timezone.now() - timedelta(hours=2))
    client = browser(Role.VIEWER)
    lines = client.get("/dora/export?days=7").content.decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("'=orders,7,1,3")
    rows = client.get("/dora/export?days=7&service=name%3A%3Dorders").content.decode("utf-8-sig")
    assert "=orders 2" in rows


def test_a_cause_is_named_in_the_room_and_taken_back(browser: Any, incident: Incident) -> None:
    row = deployment("2")
    deployment("3", status="cancelled")
    client = browser(Role.OPERATOR)
    part = client.get("/incidents/7?part=causes").content.decode()
    assert part.count("<option") == 2
    client.post("/incidents/7/cause", {"ref": ref(row), "do": "name"})
    assert CausedBy.objects.get().ref == ref(row)
    assert "Take back" in client.get("/incidents/7?part=causes").content.decode()
    assert "Take back" not in browser(Role.VIEWER).get("/incidents/7?part=causes").content.decode()
    client.post("/incidents/7/cause", {"ref": ref(row), "do": "withdraw"})
    assert not CausedBy.objects.exists()
    assert browser(Role.VIEWER).post("/incidents/7/cause", {"ref": ref(row)}).status_code == 403
