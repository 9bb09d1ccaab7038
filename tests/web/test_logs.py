from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tongchou.core.models import User
from tongchou.incidents.models import Incident
from tongchou.inventory.models import Resource
from tongchou.telemetry import log_reads
from tongchou.telemetry.logs.log_store import line_id
from tongchou.telemetry.models import SavedSearch
from tongchou.telemetry.store.log_tables import Cost
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


def test_a_search_is_saved_from_the_page_and_deleted(browser, lines):
    answer = browser.post("/logs/searches", {"name": "refusals", "query": "refused level:error"}, follow=True)
    page = answer.content.decode()
    assert "log_search_lines_total{search=&quot;refusals&quot;}" in page
    assert SavedSearch.objects.get().query == "refused level:error"
    for form in ({"name": "Bad Name", "query": "x"}, {"name": "ok", "query": "("}):
        assert browser.post("/logs/searches", form, follow=True).status_code == 200
    assert SavedSearch.objects.count() == 1
    browser.post("/logs/searches", {"delete": "refusals"})
    assert not SavedSearch.objects.exists()


def test_a_viewer_saves_no_search(lines, viewer_actor):
    client = Client()
    client.force_login(User.objects.get(pk=viewer_actor.user_id))
    assert 'id="log-save"' not in client.get("/logs").content.decode()
    assert client.post("/logs/searches", {"name": "x", "query": "y"}).status_code == 403


def test_a_line_offers_its_values_and_more_of_its_surroundings(browser, lines):
    now = lines.logs.clock_ns()
    body = b'{"msg":"<b>x</b>","trace_id":"00000000000000000000000000000abc","http":{"status":500}}'
    lines.logs.take([Stream([("service", "shop"), ("host", "web-1")], [Entry(now, body)])])[1].result(60)
    found = lines.logs.search(log_reads.query_of("abc*", *around_now()), limit=1, cost=Cost()).lines[0]
    page = browser.get(f"/logs/lines/{line_id(found)}").content.decode()
    assert 'data-log-name="http.status" data-log-value="500"' in page
    assert "<b>x" not in page
    assert 'data-log-filter="trace_id:00000000000000000000000000000abc"' in page
    assert "host:&quot;web-1&quot; service:&quot;shop&quot;" in page
    assert page.count("<time") == 9
    assert 'data-log-around="40"' in page
    more = browser.get(f"/logs/lines/{line_id(found)}?around=40").content.decode()
    assert more.count("<time") == 21
    assert "data-log-around" not in more
    assert browser.get(f"/logs/lines/{line_id(found)}?around=-1").status_code == 200


def around_now():
    return timezone.now() - timedelta(hours=1), timezone.now() + timedelta(minutes=1)
