from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tongchou.incidents.models import Incident
from tongchou.inventory.models import Resource
from tongchou.wire.log_stream import Entry, Stream

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.fixture
def lines(telemetry_db):
    now = telemetry_db.logs.clock_ns()
    entries = [Entry(now - i * 10**9, f"level=error <b>refused</b> {i}".encode(), [("user", "<i>")]) for i in range(20)]
    _rows, done = telemetry_db.logs.take([Stream([("service", "shop"), ("host", "web-1")], entries)])
    done.result(60)
    return telemetry_db


def ms(moment):
    return str(round(moment.timestamp() * 1000))


def test_the_page_opens_with_its_search(browser, lines):
    answer = browser.get("/logs", {"query": '<script> "x"'})
    assert answer.status_code == 200
    assert "&lt;script&gt; &quot;x&quot;" in answer.content.decode()


def test_the_histogram_speaks_in_columns(browser, lines):
    now = timezone.now()
    found = browser.get(
        "/logs/histogram",
        {"query": "refused", "start": ms(now - timedelta(minutes=10)), "end": ms(now + timedelta(seconds=1))},
    ).json()
    assert [each["name"] for each in found["series"]] == ["error"]
    assert sum(found["series"][0]["values"]) == found["total"] == 20
    assert len(found["times"]) == len(found["series"][0]["values"])
    for bad in ({"start": "x", "end": "1"}, {"start": "2", "end": "1"}, {"start": "0", "end": ms(now), "query": "("}):
        assert browser.get("/logs/histogram", bad, headers={"Accept": "application/json"}).status_code == 422


def test_a_line_opens_with_its_context_resource_and_incident(browser, lines):
    Resource.objects.create(kind="host", name="web-1")
    incident = Incident.objects.create(number=7, title="down", started_at=timezone.now() - timedelta(minutes=5))
    line = browser.get("/api/v1/logs", {"query": '"refused</b> 10"'}).json()["items"][0]
    text = browser.get(f"/logs/lines/{line['id']}").content.decode()
    assert "&lt;b&gt;refused&lt;/b&gt; 10" in text
    assert "<b>refused" not in text
    assert text.count("refused&lt;/b&gt;") == 1 + 17
    assert "web-1</a>" in text
    assert f"/incidents/{incident.number}" in text
    assert browser.get("/logs/lines/1-1").status_code == 404


def test_an_incident_shows_the_logs_of_its_time(browser, lines):
    start = timezone.now() - timedelta(hours=2)
    Incident.objects.create(number=7, title="down", started_at=start, resolved_at=start + timedelta(hours=1))
    answer = browser.get("/logs", {"incident": "7", "query": "level:error"})
    assert answer.status_code == 302
    assert f"from={ms(start - timedelta(minutes=10))}&to={ms(start + timedelta(minutes=61))}" in answer["Location"]
    assert browser.get("/logs", {"incident": "8"}).status_code == 404
    assert browser.get("/logs", {"incident": "x"}).status_code == 404
