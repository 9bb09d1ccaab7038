from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tongchou.core import people
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Membership, Role, User
from tongchou.telemetry import log_reads
from tongchou.wire.log_stream import Entry, Stream

pytestmark = pytest.mark.django_db
LOGS = "/api/v1/logs"


@pytest.fixture
def lines(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()

    def put(*bodies, service="shop", back_seconds=0):
        entries = [Entry(now - (back_seconds + i) * 10**9, body.encode()) for i, body in enumerate(bodies)]
        _rows, done = store.take([Stream([("service", service)], entries)])
        done.result(60)

    put("level=error refused 1", "level=info placed 2", '{"level":"warn","status":500}')
    put.store = store
    return put


def test_search_pages_and_one_line(api, lines):
    first = api.get(LOGS, limit="2").json()
    assert [each["level"] for each in first["items"]] == ["error", "info"]
    rest = api.get(LOGS, limit="2", cursor=first["next"]).json()
    assert ([each["body"] for each in rest["items"]], rest["next"]) == (['{"level":"warn","status":500}'], None)
    (found,) = api.get(LOGS, query="status:>=500").json()["items"]
    assert api.get(f"{LOGS}/lines/{found['id']}").json() == found
    assert [each["body"] for each in api.get(LOGS, query="refused OR placed", direction="forward").json()["items"]] == [
        "level=info placed 2",
        "level=error refused 1",
    ]


def test_histogram_counts_levels(api, lines):
    start = timezone.now() - timedelta(minutes=10)
    found = api.get(f"{LOGS}/histogram", start=start.isoformat(), end=timezone.now().isoformat(), steps="10").json()
    assert (found["total"], found["steps"]) == (3, 10)
    assert {level: sum(row) for level, row in found["counts"].items()} == {"error": 1, "info": 1, "warning": 1}


def test_the_tail_gives_each_new_line_once(api, lines):
    after = api.get(f"{LOGS}/tail").json()["after"]
    lines("refused again", "fine", back_seconds=600)
    found = api.get(f"{LOGS}/tail", after=after, query="refused").json()
    assert [each["body"] for each in found["items"]] == ["refused again"]
    assert api.get(f"{LOGS}/tail", after=found["after"], query="refused").json()["items"] == []
    assert api.get(f"{LOGS}/tail", after="x").status_code == 422


def test_context_labels_and_storage(api, lines):
    (middle,) = api.get(LOGS, query="placed").json()["items"]
    around = api.get(f"{LOGS}/lines/{middle['id']}/context", before="5", after="5").json()
    assert [[each["body"] for each in around[side]] for side in ("before", "after")] == [
        ['{"level":"warn","status":500}'],
        ["level=error refused 1"],
    ]
    assert api.get(f"{LOGS}/labels").json() == ["service"]
    assert api.get(f"{LOGS}/labels/service/values").json() == ["shop"]
    assert api.get(f"{LOGS}/storage").json()["lines"] == 3


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("", {"query": "a ("}, 422),
        ("", {"limit": "0"}, 422),
        ("", {"limit": "99999"}, 422),
        ("", {"cursor": "x"}, 422),
        ("", {"start": "2020-01-02T00:00:00Z", "end": "2020-01-01T00:00:00Z"}, 422),
        ("/histogram", {"steps": "501"}, 422),
        ("/lines/1-1", {}, 404),
        ("/lines/x", {}, 422),
        ("/lines/1-1/context", {"before": "501"}, 422),
    ],
)
def test_what_cannot_be_answered_says_why(api, telemetry_db, path, query, status):
    answer = api.get(LOGS + path, **query)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_bad_query_says_where(api, telemetry_db):
    answer = api.get(LOGS, query="level:error (refused").json()
    assert (answer["code"], answer["position"], answer["field"]) == ("logs.bad_query", 12, "query")


def test_strangers_and_senders_may_not_read(telemetry_db, api_as, operator_actor):
    assert Client().get(LOGS).status_code == 401
    assert api_as(operator_actor, ["ingest"]).get(LOGS).status_code == 403


def test_searches_are_saved_listed_changed_and_removed(api, api_as, viewer_actor, telemetry_db):
    url = f"{LOGS}/searches/refusals"
    assert api.put(url, {"query": "refused"}).status_code == 200
    assert api.put(url, {"query": "refused OR denied", "enabled": False}).json()["enabled"] is False
    assert [each["query"] for each in api.get(f"{LOGS}/searches").json()["items"]] == ["refused OR denied"]
    assert api.put(url, {"query": "("}).status_code == 422
    assert api.put(f"{LOGS}/searches/Bad Name", {"query": ""}).status_code == 422
    assert api_as(viewer_actor).put(url, {"query": "x"}).status_code == 403
    assert api.delete(url).status_code == 204
    assert api.delete(url).status_code == 404


def test_facets_say_what_a_search_holds(api, lines):
    found = api.get(f"{LOGS}/facets").json()
    assert [each["name"] for each in found["labels"]] == ["level", "service"]
    assert found["labels"][1]["values"] == [{"value": "shop", "lines": 3}]
    assert found["fields"] == [{"name": "status", "distinct": 1, "values": [{"value": "500", "lines": 1}]}]
    assert found["sampled"] == 3
    assert api.get(f"{LOGS}/facets", query="refused").json()["labels"][0]["values"] == [{"value": "error", "lines": 1}]
    assert api.get(f"{LOGS}/facets", query="(").status_code == 422


def test_a_download_goes_on_where_it_ended_and_is_whole(api, lines, monkeypatch):
    monkeypatch.setattr(log_reads, "FILE_PAGE", 2)
    lines("=cmd|' /C calc'!A0", "x" * 20_000)
    answer = api.get(f"{LOGS}/download", limit="3")
    assert answer["Content-Type"] == "application/x-ndjson"
    assert "attachment" in answer["Content-Disposition"]
    rest = api.get(f"{LOGS}/download", limit="3", cursor=answer["X-Next-Cursor"])
    assert "X-Next-Cursor" not in rest
    rows = [json.loads(each) for each in (answer.content + rest.content).splitlines()]
    assert (answer["X-Lines"], rest["X-Lines"], len(rows)) == ("3", "2", 5)
    assert [row["body"] for row in rows if row["body"].startswith("x")] == ["x" * 20_000]
    sheet = api.get(f"{LOGS}/download", format="csv").content.decode()
    assert sheet.count("time,level,resource") == 1
    assert "'=cmd" in sheet
    assert api.get(f"{LOGS}/download", format="xlsx").status_code == 422
    assert api.get(f"{LOGS}/download", limit="50001").status_code == 422


def test_a_download_stops_at_its_size_and_says_where(api, lines, monkeypatch):
    monkeypatch.setattr(log_reads, "FILE_PAGE", 1)
    monkeypatch.setattr(log_reads, "MAX_FILE_BYTES", 10)
    answer = api.get(f"{LOGS}/download")
    assert answer["X-Lines"] == "1"
    assert answer["X-Next-Cursor"]


def test_a_download_of_long_lines_reads_few_at_a_time(api, lines, monkeypatch):
    monkeypatch.setattr(log_reads, "FIRST_PAGE", 2)
    monkeypatch.setattr(log_reads, "MAX_FILE_BYTES", 100_000)
    lines(*(f"{number} " + "x" * 20_000 for number in range(12)))
    answer = api.get(f"{LOGS}/download")
    assert len(answer.content) < 2 * 100_000
    assert answer["X-Next-Cursor"]


def test_only_who_sees_all_telemetry_downloads_logs(api_as, lines):
    member = User.objects.create(username="member")
    team = people.create_team(actor=system("tests"), name="ours")
    Membership.objects.create(user=member, team=team, role=Role.ADMIN)
    api = api_as(actor_for_user(member))
    assert {api.get(f"{LOGS}/{path}").status_code for path in ("", "facets", "download", "tail", "labels")} <= {
        403,
        404,
    }
