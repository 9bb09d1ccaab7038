"""The page of the gate: it asks without keeping the answer, shows what was answered, makes rules and breaks the glass."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.incidents import scene
from tongchou.changes import gate_actions
from tongchou.changes.models_control import Change, GateAnswer, GateRule
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db


def test_ask_rule_and_emergency(browser: Any) -> None:
    inventory.create_resource(actor=system("tests"), kind="service", name="orders")
    admin, operator = browser(Role.ADMIN), browser(Role.OPERATOR)
    assert "Nobody has asked yet" in operator.get("/gate").content.decode()
    assert "Nothing speaks against it." in operator.get("/gate?service=orders").content.decode()
    assert not GateAnswer.objects.exists()
    assert operator.post("/gate/rules", {"name": "prod"}).status_code == 403
    admin.post("/gate/rules", {"name": "prod", "needs_change": "on", "least_budget": "10", "warn_budget": "30"})
    rule = GateRule.objects.get()
    assert (rule.needs_change, rule.least_budget, rule.warn_budget) == (True, 0.1, 0.3)
    admin.post("/gate/rules", {"name": "x", "least_budget": "NaN"})
    assert GateRule.objects.count() == 1
    page = operator.get("/gate?service=orders&environment=production").content.decode()
    assert "none touches this service" in page
    gate_actions.ask(actor=system("pipeline"), service="orders", version="1.4")
    page = operator.get("/gate").content.decode()
    assert "1.4" in page
    assert "1 times no" in page
    made = operator.post("/gate/break-glass", {"service": "orders", "reason": "down", "minutes": "30"})
    assert made.status_code == 302
    assert Change.objects.get().broke_glass == "down"
    assert "Yes, by an emergency." in operator.get("/gate?service=orders").content.decode()
    admin.post(f"/gate/rules/{rule.pk}/remove")
    assert not GateRule.objects.exists()


def test_a_critical_incident_says_no_and_leads_to_itself(browser: Any) -> None:
    service = scene.resource("service", "orders")
    scene.opened("ErrorRatioHigh", service)
    scene.run_jobs()
    operator = browser(Role.OPERATOR)
    page = operator.get("/gate?service=orders").content.decode()
    assert "<strong>No.</strong>" in page
    assert '<a href="/incidents/1">It is on hold: INC-1 ' in page
    assert "It is lifted when the incident is mitigated" in page
    resource = operator.get(f"/resources/{service.pk}").content.decode()
    assert re.search(r'<span class="faint"><a href="/incidents/1">INC-1 [^<]+</a>, ', resource)
