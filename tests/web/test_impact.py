"""The panel of an incident's room that says what it cost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.usage.outage import outage
from tests.usage.test_actions import METRIC
from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Role
from tongchou.incidents.models import Incident
from tongchou.telemetry.backend import Telemetry
from tongchou.usage.run_time_settings import REVENUE

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(telemetry_db: Telemetry, admin_actor: Actor) -> Incident:
    return outage(admin_actor)


@pytest.mark.parametrize(("language", "word"), [("en", "Inputs and arithmetic"), ("zh-hans", "输入与算式")])
def test_the_room_shows_what_it_cost(browser: Any, incident: Incident, language: str, word: str) -> None:
    client = browser(Role.VIEWER, language)
    assert 'data-part="impact"' in client.get(f"/incidents/{incident.number}").content.decode()
    part = client.get(f"/incidents/{incident.number}?part=impact").content.decode()
    assert word in part
    assert METRIC["query"] in part
    columns = client.get(f"/incidents/{incident.number}?part=impact-chart&start=0&end=1").json()
    assert len(columns["series"]) == 4
    assert all(len(each["values"]) == len(columns["times"]) for each in columns["series"])


def test_the_room_says_why_there_is_no_figure(browser: Any, incident: Incident, admin_actor: Actor) -> None:
    settings_store.put(actor=admin_actor, key=REVENUE, value={})
    part = browser(Role.VIEWER).get(f"/incidents/{incident.number}?part=impact").content.decode()
    assert "cannot be computed" in part
