"""The drift API: the queue of what nobody explained, decisions, rules."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tongchou.changes import drift_actions
from tongchou.changes.drift import Found, Look
from tongchou.changes.drift_actions import Origin
from tongchou.changes.models_drift import Drift, DriftSource
from tongchou.core.access import system
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db
TESTS = system("tests")
URL = "/api/v1/drift"


@pytest.fixture
def differing() -> Drift:
    web = inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    drift_actions.observe(
        actor=TESTS,
        origin=Origin(DriftSource.BASELINE, "changes.baseline:1", "web"),
        found=[Found("web-1", "/etc/motd", "a", "b", resource_id=web.pk), Found("gone", "/etc/motd", "a", "b")],
        looked=None,
        look=Look(timezone.now()),
    )
    return Drift.objects.get(resource=web)


def test_the_queue_is_listed_and_narrowed(api: Any, differing: Drift) -> None:
    assert api.get(URL).json()["count"] == 2
    (item,) = api.get(URL, resource_id=str(differing.resource_id)).json()["items"]
    assert (item["path"], item["state"], item["resource"]["name"]) == ("/etc/motd", "open", "web-1")
    assert api.get(URL, state="cleared").json()["count"] == 0
    assert api.get(URL, source_kind="iac", state="all").json()["count"] == 0
    assert api.get(URL, what="fact", state="all").json()["count"] == 0
    assert (item["what"], item["touched"]) == ("", 1)
    assert api.get(f"{URL}/{differing.pk}").json()["id"] == str(differing.pk)
    assert api.get(f"{URL}/{uuid4()}").json()["code"] == "drift.unknown"


def test_the_list_costs_the_same_queries_whatever_its_length(
    api: Any, differing: Drift, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):  # token, roles, last use, count, keys, page
        api.get(URL)


def test_a_decision_and_its_refusals(api: Any, differing: Drift) -> None:
    url = f"{URL}/{differing.pk}"
    assert api.post(url, {"decision": "revert"}).json()["code"] == "drift.reason"
    assert api.post(url, {"decision": "odd"}).status_code == 422
    done = api.post(url, {"decision": "revert", "reason": "not ours"}).json()
    assert (done["state"], done["reason"]) == ("revert", "not ours")
    assert api.post(url, {"decision": "open"}).json()["state"] == "open"


def test_rules_are_added_listed_and_removed(api: Any, differing: Drift) -> None:
    url = "/api/v1/drift-ignore-rules"
    assert api.post(url, {"reason": "x"}).json()["code"] == "drift.pattern"
    made = api.post(url, {"reason": "banner", "path": "/etc/motd"})
    assert made.status_code == 201
    assert api.get(url).json()["items"][0]["ignored_now"] == 0
    assert api.delete(f"{url}/{made.json()['id']}").status_code == 204
    assert api.delete(f"{url}/{made.json()['id']}").json()["code"] == "drift.rule"
