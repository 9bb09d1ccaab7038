from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.core.test_icalendar import read, text_of
from tests.inventory.made import make_drift
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Job, User
from tongchou.inventory import actions, refresh

pytestmark = pytest.mark.django_db
ACTOR = system("tests")


@pytest.fixture
def drift(db: None) -> str:
    return str(make_drift("a").pk)


def test_drift_is_counted_listed_and_decided(api: Any, drift: str) -> None:
    counts = {each["name"]: each["count"] for each in api.get("/api/v1/queues").json()["items"]}
    assert (counts["differs"], counts["unowned"]) == (1, 1)
    [item] = api.get("/api/v1/queue-items", queue="differs").json()["items"]
    assert (item["id"], item["resource"]["name"], item["key"]) == (drift, "a", "os")
    assert item["facts"]["observed"] == "Debian 11"
    assert api.get(f"/api/v1/queue-items/{drift}").json() == item
    answer = api.post(f"/api/v1/queue-items/{drift}", {"decision": "accept_observed"})
    assert answer.status_code == 204
    assert api.get("/api/v1/queue-items", queue="differs").json()["count"] == 0
    again = api.post(f"/api/v1/queue-items/{drift}", {"decision": "accept_observed"})
    assert (again.status_code, again.json()["code"]) == (404, "queue.item")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "keep_declared"}, "reason"),
        ({"decision": "ignore", "reason": "x"}, "until"),
        ({"decision": "ignore", "reason": "x", "until": "2001-01-01T00:00:00Z"}, "until"),
        ({"decision": "confirm"}, "queue"),
        ({"decision": "forget"}, "body.decision"),
    ],
)
def test_a_decision_that_cannot_be_taken_names_its_field(api: Any, drift: str, body: Any, field: str) -> None:
    answer = api.post(f"/api/v1/queue-items/{drift}", body)
    assert answer.status_code in (409, 422)
    assert answer.json()["field"] in (field, field.removeprefix("body."))


def test_a_viewer_reads_and_does_not_decide(api_as: Any, viewer_actor: Any, drift: str) -> None:
    viewer = api_as(viewer_actor)
    assert viewer.get(f"/api/v1/queue-items/{drift}").status_code == 200
    assert viewer.post(f"/api/v1/queue-items/{drift}", {"decision": "accept_observed"}).status_code == 403
    assert viewer.post("/api/v1/queues/refresh").status_code == 403


def test_to_look_anew_is_one_job(api: Any) -> None:
    for _time in range(2):
        assert api.post("/api/v1/queues/refresh").status_code == 202
    assert Job.objects.filter(name=refresh.JOB).count() == 1


def test_ends_and_rules_and_scores_are_read(api: Any) -> None:
    facts = {"a": {"os": "CentOS Linux 7 (Core)"}, "b": {"os": "HaikuOS"}, "c": {"warranty_ends_on": "2031-01-02"}}
    for name, attributes in facts.items():
        actions.create_resource(actor=ACTOR, kind="host", name=name, attributes=attributes)
    refresh.refresh(timezone.now())
    items = api.get("/api/v1/ends").json()["items"]
    assert [(each["resource"]["name"], each["due"]) for each in items] == [
        ("a", "2024-06-30"),
        ("c", "2031-01-02"),
        ("b", None),
    ]
    assert api.get("/api/v1/ends", since="2030-01-01", sort="warranty").json()["count"] == 1
    rules = api.get("/api/v1/end-of-life").json()
    promtail = next(each for each in rules["products"] if each["name"] == "promtail")
    assert promtail["cycles"][0]["ends"] == "2026-03-02"
    [whole] = api.get("/api/v1/completeness").json()["all"]
    assert (whole["resources"], whole["lacking"]["unowned"]) == (3, 3)


def certified(name: str, days: int, **more: Any) -> Any:
    attributes = {"warranty_ends_on": (timezone.localdate() + timedelta(days=days)).isoformat()}
    return actions.create_resource(actor=ACTOR, kind="host", name=name, attributes=attributes, **more)


def test_ends_are_a_calendar_that_keeps_its_events(api: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://ops.example.com"
    row = certified("网关；一号, a", 40)
    certified("over", -91)
    actions.create_resource(actor=ACTOR, kind="host", name="nobody knows", attributes={"os": "HaikuOS"})
    refresh.refresh(timezone.now())
    answer = api.get("/api/v1/ends.ics", lang="zh")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    [event] = read(answer.content)
    assert text_of(event["SUMMARY"]).startswith("网关；一号, a")
    assert event["URL"] == f"https://ops.example.com/resources/{row.pk}"
    # the end moves, in another language: the same event on another day
    day = timezone.localdate() + timedelta(days=50)
    actions.set_attributes(actor=ACTOR, resource=row, values={"warranty_ends_on": day.isoformat()})
    refresh.refresh(timezone.now())
    [moved] = read(api.get("/api/v1/ends.ics", lang="en").content)
    assert moved["UID"] == event["UID"]
    assert moved["DTSTART;VALUE=DATE"] == f"{day:%Y%m%d}"
    assert text_of(moved["SUMMARY"]) == "网关；一号, a: Warranty ends (Warranty ends on)"
    since = (timezone.localdate() - timedelta(days=100)).isoformat()
    assert len(read(api.get("/api/v1/ends.ics", since=since).content)) == 2
    assert read(api.get("/api/v1/ends.ics", since=since, sort="os").content) == []


def test_a_calendar_program_is_asked_for_a_password_and_gives_a_token(viewer_actor: Any) -> None:
    certified("a", 10)
    refresh.refresh(timezone.now())
    client = Client()
    asked = client.get("/api/v1/ends.ics")
    assert (asked.status_code, asked.headers["WWW-Authenticate"]) == (401, 'Basic realm="tongchou", charset="UTF-8"')
    assert client.get("/api/v1/ends").headers["WWW-Authenticate"].startswith("Bearer ")  # no page asks for a password
    user = User.objects.get(pk=viewer_actor.user_id)
    _row, token = tokens.create(actor=ACTOR, user=user, name="calendar", scopes=["read"], expires_at=None)

    def given(password: str) -> Any:
        pair = base64.b64encode(f"calendar:{password}".encode()).decode()
        return client.get("/api/v1/ends.ics", headers={"Authorization": f"Basic {pair}"})

    assert len(read(given(token).content)) == 1
    refused = given("tc_wrong")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (
        401,
        'Basic realm="tongchou", charset="UTF-8"',
    )
