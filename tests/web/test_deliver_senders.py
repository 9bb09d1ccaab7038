"""The pages of senders and of one deployment: set up, ruled, looked at; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.web.foreign import SYSTEM, member_of
from tongchou.changes import actions, deliveries
from tongchou.changes.deployment import read
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_deliveries import SenderDelivery
from tongchou.core import people, secrets
from tongchou.core.models import Role

pytestmark = pytest.mark.django_db
SECRET = "sesame-open-sesame"  # a test's
FIELDS = ("name", "part", "environment", "ref", "service", "version", "to_environment")


def rules(*rows: dict[str, str]) -> dict[str, list[str]]:
    """Rows of the form."""
    return {f"rule_{field}": [row.get(field, "") for row in rows] for field in FIELDS}


def test_a_sender_is_set_up_ruled_and_switched_off(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert "No sender yet" in client.get("/deployments/senders").content.decode()
    wrong = client.post("/deployments/senders", {"name": "gh", "format": "github", "secret": "short"})
    assert (wrong.status_code, DeploymentSource.objects.count()) == (422, 0)
    made = client.post("/deployments/senders", {"name": "gh", "format": "github", "secret": SECRET})
    assert made.headers["Location"] == "/deployments/senders/gh"
    page = client.get("/deployments/senders/gh").content.decode()
    assert "http://testserver/hooks/deployments/gh" in page
    assert "Nothing came yet" in page
    form = rules({"name": "acme/*", "service": "orders", "version": "tag"}, {}, {"ref": "renovate/*"})
    client.post("/deployments/senders/gh", {**form, "rule_ignore": ["2"], "format": "github"})
    row = DeploymentSource.objects.get()
    assert [(each["name"], each["service"], each["ignore"]) for each in row.rules] == [
        ("acme/*", "orders", False),
        ("", "", True),
    ]
    assert (row.enabled, secrets.reveal("deployments:gh")) == (False, SECRET)
    assert SECRET not in client.get("/deployments/senders/gh").content.decode()
    again = client.post("/deployments/senders", {"name": "gh", "format": "plain", "secret": SECRET})
    assert again.status_code == 409


def test_a_rule_that_cannot_be_followed_is_shown_again(browser: Any) -> None:
    actions.put_source(actor=SYSTEM, name="gh", secret=SECRET)
    form = rules({"name": "acme/*", "version": "newest"})
    refused = browser(Role.ADMIN).post("/deployments/senders/gh", {**form, "format": "plain"})
    assert refused.status_code == 422
    assert 'value="newest"' in refused.content.decode()
    assert "rules[0].version" in refused.content.decode()


def test_deliveries_are_shown_with_what_became_of_them(browser: Any) -> None:
    row = actions.put_source(actor=SYSTEM, name="ci", secret=SECRET)
    report = read({"service": "ghost", "version": "2", "delivery_id": "d-1"}, now=timezone.now())
    for _twice in range(2):
        deliveries.take(actor=SYSTEM, sender=row, delivery_id="d-1", event="success", report=report)
    deliveries.note_unproven(actor=SYSTEM, sender=row, reason="deployment.signature")
    assert SenderDelivery.objects.count() == 3
    page = browser(Role.VIEWER).get("/deployments/senders/ci").content.decode()
    for word in ("Accepted", "Duplicate", "Refused", "not in the inventory", "signature or token is missing"):
        assert word in page, word
    assert '<button class="btn primary">' not in page


def test_a_deployment_has_a_page_and_is_marked_there(browser: Any) -> None:
    told = {"service": "orders", "version": "2", "delivery_id": "d-1", "commit_sha": "c6d86dc"}
    actions.record_deployment(actor=SYSTEM, source="ci", report=read(told, now=timezone.now()))
    row = Deployment.objects.get()
    address = f"/deployments/{row.pk}"
    client = browser(Role.OPERATOR)
    assert address in client.get("/deployments").content.decode()
    assert "c6d86dc" in client.get(address).content.decode()
    assert client.post(f"{address}/mark", {"do": "mark", "incident": "seven"}).status_code == 422
    client.post(f"{address}/mark", {"do": "mark", "incident": "inc-7"})
    assert "A hotfix because of INC-7" in client.get(address).content.decode()
    client.post(f"{address}/mark", {"do": "clear"})
    row.refresh_from_db()
    assert (row.unplanned, row.incident_number) == (False, None)
    assert browser(Role.VIEWER).post(f"{address}/mark", {"do": "mark"}).status_code == 403


def test_only_an_administrator_sets_up_senders(browser: Any) -> None:
    actions.put_source(actor=SYSTEM, name="ci", secret=SECRET)
    operator = browser(Role.OPERATOR)
    assert "Add a sender" not in operator.get("/deployments/senders").content.decode()
    assert operator.post("/deployments/senders", {"name": "x", "secret": SECRET}).status_code == 403
    assert operator.post("/deployments/senders/ci", {"format": "github"}).status_code == 403
    member = browser(member_of(people.create_team(actor=SYSTEM, name="ours"), Role.ADMIN))
    assert [member.get(each).status_code for each in ("/deployments/senders", "/deployments/senders/ci")] == [403, 403]
