"""Dashboards as pages: the list, one of them, its panels' answers, its variables, who may do what."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.telemetry.dashboards.grafana_files import HOSTS
from tongchou.core.access import Actor
from tongchou.core.models import Event, Role
from tongchou.telemetry import dashboard_actions
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.dashboards import definition
from tongchou.telemetry.models import Dashboard
from tongchou.telemetry.series import labels_of
from tongchou.wire.log_stream import Entry, Stream

EVIL = "<script>alert(1)</script>"


def write(telemetry: Telemetry, labels: dict[str, str], samples: list[tuple[int, float]]) -> None:
    row = telemetry.row(labels_of(labels))
    ts = np.array([at for at, _value in samples], np.int64)
    telemetry.submit(np.full(len(ts), row, np.int64), ts, np.array([v for _at, v in samples], np.float64)).result()


@pytest.fixture
def shop(telemetry_db: Telemetry) -> int:
    """Ten minutes of two jobs and of a histogram; now in ms."""
    now = round(time.time()) * 1000
    for job, speed in (("api", 2.0), ('we"b.1', 5.0)):
        past = [(now - 1000 * back, (600 - back) * speed) for back in range(600, -1, -10)]
        write(telemetry_db, {"__name__": "shop_requests_total", "job": job, "code": "200"}, past)
        for le, share in (("0.1", 0.5), ("1", 0.9), ("+Inf", 1.0)):
            counts = [(at, value * share) for at, value in past]
            write(telemetry_db, {"__name__": "shop_seconds_bucket", "job": job, "le": le}, counts)
    return now


def panel(id_: int, kind: str, *queries: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "kind": kind, "y": id_ * 10, "queries": [{"expr": each} for each in queries], **more}


RATE = 'sum by (job) (rate(shop_requests_total{job=~"$job"}[$__rate_interval]))'
DEFINITION: dict[str, Any] = {
    "variables": [{"name": "job", "query": "label_values(shop_requests_total, job)", "multi": True, "all": True}],
    "rows": [
        {
            "title": f"Row of $job {EVIL}",
            "panels": [
                panel(1, "graph", RATE, title=f"Rate of $job {EVIL}", unit="per_second"),
                panel(2, "stat", RATE),
                panel(
                    3,
                    "table",
                    'shop_requests_total{job=~"$job"}',
                    'count by (job, code) (shop_requests_total{job=~"$job"})',
                ),
                panel(4, "heatmap", "sum by (le) (rate(shop_seconds_bucket[1m]))"),
                panel(5, "text", text=f"**Now** $job {EVIL} [x](javascript:alert(1))"),
                panel(6, "text", text=f"**Still** {EVIL}"),
                panel(7, "graph", "up", "sum(", title="wrong"),
                panel(8, "gauge", "vector($job)"),
            ],
        }
    ],
}


@pytest.fixture
def made(admin_actor: Actor) -> Dashboard:
    content = dashboard_actions.content({"title": f"Shop {EVIL}", "tags": ["shop"], "definition": DEFINITION})
    return dashboard_actions.create(actor=admin_actor, made=content, name="shop")


def span(now: int, **more: Any) -> dict[str, Any]:
    return {"start": now - 600_000, "end": now, **more}


def answer(client: Any, id_: int, now: int, status: int = 200, **more: Any) -> Any:
    found = client.get(f"/dashboards/shop/panels/{id_}", span(now, **more), headers={"Accept": "application/json"})
    assert found.status_code == status, found.content
    return found.json()


def test_the_page_shows_its_panels_and_runs_nothing_of_what_people_wrote(
    browser: Any, made: Dashboard, django_assert_max_num_queries: Any
) -> None:
    client = browser(Role.VIEWER)
    with django_assert_max_num_queries(12):
        found = client.get("/dashboards/shop")
    text = found.content.decode()
    assert found.status_code == 200
    assert text.count("data-panel=") == 8
    assert EVIL not in text
    assert "<strong>Still</strong>" in text
    assert "/dashboards/shop/delete" not in text
    assert "/dashboards/shop/delete" in browser(Role.OPERATOR).get("/dashboards/shop").content.decode()


def test_the_page_asks_no_more_of_the_database_for_more_panels(
    browser: Any, admin_actor: Actor, django_assert_max_num_queries: Any
) -> None:
    many = {"rows": [{"panels": [panel(at, "graph", "up") for at in range(1, 101)]}]}
    dashboard_actions.create(
        actor=admin_actor, made=dashboard_actions.content({"title": "Many", "definition": many}), name="many"
    )
    client = browser(Role.VIEWER)
    client.get("/dashboards/many")
    began = time.perf_counter()
    with django_assert_max_num_queries(12):
        text = client.get("/dashboards/many").content.decode()
    assert text.count("data-panel=") == 100
    assert time.perf_counter() - began < 2  # a hundred milliseconds on a machine of its own


def test_panels_answer_with_the_variables_filled_in(browser: Any, made: Dashboard, shop: int) -> None:
    client = browser(Role.VIEWER)
    graph = answer(client, 1, shop, points=60)
    assert graph["title"] == f"Rate of All {EVIL}"  # as JSON; the page sets it as text
    assert sorted(each["name"] for each in graph["series"]) == ["api", 'we"b.1']
    assert graph["queries"] == ['sum by (job) (rate(shop_requests_total{job=~"(api|we\\"b\\\\.1)"}[60s]))']
    one = answer(client, 1, shop, **{"var-job": 'we"b.1'})
    assert [each["labels"]["job"] for each in one["series"]] == ['we"b.1']
    assert [value for value in one["series"][0]["values"] if value is not None][-1] == pytest.approx(5, rel=0.1)
    assert answer(client, 1, shop, **{"var-job": ['x"} or up{a="']})["series"] == []
    table = answer(client, 3, shop)["table"]
    assert table["labels"] == ["code", "job"]
    assert table["rows"] == [["200", "api", 1200.0, 1.0], ["200", 'we"b.1', 3000.0, 1.0]]
    cells = answer(client, 4, shop)["heat"]
    assert cells["bounds"] == [0.1, 1.0, "inf"]
    assert len(cells["counts"]) == 3
    html = answer(client, 5, shop, **{"var-job": EVIL})["html"]
    assert "<strong>Now</strong>" in html
    assert "<script" not in html
    assert 'href="javascript' not in html


def test_a_panel_that_fails_says_which_query_and_why_and_the_others_go_on(
    browser: Any, made: Dashboard, shop: int
) -> None:
    client = browser(Role.VIEWER)
    problem = answer(client, 7, shop, status=400)
    assert problem["query"] == "B"
    assert problem["detail"]
    assert answer(client, 8, shop, status=422, **{"var-job": "a b"})["field"] == "$job"
    assert answer(client, 99, shop, status=404)["remedy"]
    assert answer(client, 1, shop, status=422, start="x")["field"] == "start"


def test_the_variables_answer_with_options_and_what_is_chosen(browser: Any, made: Dashboard, shop: int) -> None:
    client = browser(Role.VIEWER)
    found = client.get("/dashboards/shop/variables", span(shop)).json()["variables"]
    assert found[0]["options"] == [["api", "api"], ['we"b.1', 'we"b.1']]
    assert found[0]["value"] == ["$__all"]
    chosen = client.get("/dashboards/shop/variables", span(shop, **{"var-job": "api"})).json()["variables"]
    assert chosen[0]["value"] == ["api"]


def test_the_list_finds_makes_deletes_and_brings_back(browser: Any, made: Dashboard) -> None:
    client = browser(Role.OPERATOR)
    listed = client.get("/dashboards").content.decode()
    assert "/dashboards/shop" in listed
    assert EVIL not in listed
    assert "/dashboards/shop" not in client.get("/dashboards?q=nothing").content.decode()
    gone = client.post("/dashboards/shop/delete", follow=True).content.decode()
    assert f"/dashboard-deleted/{made.pk}" in gone
    assert client.get("/dashboards/shop").status_code == 404
    assert client.post(f"/dashboard-deleted/{made.pk}", follow=True).status_code == 200
    assert client.get("/dashboards/shop").status_code == 200
    again = client.post("/dashboard-new", {"title": "Shop"}, follow=True)
    assert again.redirect_chain[-1][0] == "/dashboards/shop-2"
    assert "/dashboards" in again.content.decode()
    assert list(Event.objects.order_by("at").values_list("verb", flat=True).filter(verb__startswith="dashboard")) == [
        "dashboard.created", "dashboard.deleted", "dashboard.undeleted", "dashboard.created",
    ]  # fmt: skip


def test_a_viewer_changes_nothing_and_a_role_in_a_team_sees_nothing(browser: Any, made: Dashboard) -> None:
    client = browser(Role.VIEWER)
    assert client.post("/dashboards/shop/delete").status_code == 403
    assert client.post("/dashboard-new", {"title": "x"}).status_code == 403
    assert client.post(f"/dashboard-deleted/{made.pk}").status_code == 403
    assert Dashboard.objects.get().deleted_at is None


def test_the_palette_finds_it(browser: Any, made: Dashboard) -> None:
    groups = browser(Role.VIEWER).get("/search", {"q": "dashboard"}).json()["groups"]
    assert any(item["url"] == "/dashboards" for group in groups for item in group["items"])


def test_a_file_is_shown_with_what_is_lost_before_it_is_saved(browser: Any, db: None) -> None:
    client = browser(Role.OPERATOR)
    file = copy.deepcopy(HOSTS) | {"title": f"Hosts {EVIL}"}
    file["panels"][1]["title"] = EVIL
    upload = SimpleUploadedFile("hosts.json", b"\xef\xbb\xbf" + json.dumps(file).encode())
    text = client.post("/dashboard-import", {"file": upload}).content.decode()
    assert EVIL not in text
    assert "repeat: node" in text
    assert "currencyUSD" in text
    assert not Dashboard.objects.exists()
    saved = client.post(
        "/dashboard-import", {"text": json.dumps(file), "save": "1", "title": "Mine", "folder": "f"}, follow=True
    )
    assert saved.redirect_chain[-1][0] == "/dashboards/mine"
    assert EVIL not in saved.content.decode()
    row = Dashboard.objects.get()
    assert (row.origin, row.folder, row.panel_count) == ("grafana", "f", 13)
    own = client.get("/dashboards/mine/export")
    assert own["Content-Disposition"] == 'attachment; filename="mine.json"'
    assert client.post("/dashboard-import", {"text": own.content.decode()}).content.decode().count("<code>$") == 3
    theirs = client.get("/dashboards/mine/export?form=grafana").json()
    assert theirs["schemaVersion"] == 39


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a": 1}', "[" * 100_000, '{"definition": {"rows": 1}}'])
def test_a_file_that_is_no_dashboard_is_refused_on_the_page(browser: Any, db: None, text: str) -> None:
    answer = browser(Role.OPERATOR).post("/dashboard-import", {"text": text})
    assert answer.status_code in (400, 422)
    assert 'role="alert"' in answer.content.decode()


def form(**more: Any) -> dict[str, Any]:
    return {"kind": "stat", "title": f"New {EVIL}", "unit": "bytes", "reduce": "max", "draw": "lines", "w": "6", "h": "4",
            "expr-0": "up", "legend-0": "{{job}}", "expr-2": "sum(up)", "hidden-2": "on", "thresholds": "ok\r\n5 critical",
            "names": "1 = Up [ok]", "decimals": "2", "min": "0", "max": "10.5", "row": "0", "version": "1", **more}  # fmt: skip


@pytest.mark.parametrize("field", ["decimals", "min", "max"])
@pytest.mark.parametrize("text", ["inf", "nan", "1e999", "much"])
def test_what_is_no_number_is_told_on_the_form(browser: Any, made: Dashboard, field: str, text: str) -> None:
    answer = browser(Role.OPERATOR).post("/dashboards/shop/edit/0", form(**{field: text}))
    assert 'role="alert"' in answer.content.decode()
    assert Dashboard.objects.get().version == 1


def test_a_panel_is_added_and_changed_by_its_form(browser: Any, made: Dashboard) -> None:
    client = browser(Role.OPERATOR)
    assert client.get("/dashboards/shop/edit/0?row=0").status_code == 200
    added = client.post("/dashboards/shop/edit/0", form(), follow=True)
    assert added.redirect_chain[-1][0] == "/dashboards/shop?edit=1#panel-9"
    assert EVIL not in added.content.decode()
    row = Dashboard.objects.get()
    found = definition.parse(row.definition).panel(9)
    assert found is not None
    assert (found.kind, found.unit, found.decimals, found.min, found.max, found.reduce, found.w) == (
        "stat",
        "bytes",
        2,
        0,
        10.5,
        "max",
        6,
    )
    assert [(each.expr, each.legend, each.hidden) for each in found.queries] == [
        ("up", "{{job}}", False),
        ("sum(up)", "", True),
    ]
    assert found.thresholds[1].at == 5
    text = client.get("/dashboards/shop/edit/9").content.decode()
    assert "5 critical" in text
    assert EVIL not in text
    changed = client.post("/dashboards/shop/edit/9", form(title="Old", version="2"))
    assert changed.status_code == 302
    late = client.post("/dashboards/shop/edit/9", form(title="Late", version="2"))
    assert late.status_code == 409
    assert 'value="Late"' in late.content.decode()  # what was typed is still there
    wrong = client.post("/dashboards/shop/edit/9", form(version="3", thresholds="5 loud"))
    assert (wrong.status_code, "thresholds:1" in wrong.content.decode()) == (422, True)
    assert client.get("/dashboards/shop/edit/77").status_code == 404


def test_a_panel_is_tried_before_it_is_saved(browser: Any, made: Dashboard, shop: int) -> None:
    client = browser(Role.OPERATOR)
    asked = f"/dashboards/shop/try?start={shop - 600_000}&end={shop}&points=60"
    body = client.post(asked, form(kind="graph", **{"expr-0": RATE}), headers={"Accept": "application/json"}).json()
    assert body["about"]["kind"] == "graph"
    assert len(body["answer"]["series"]) == 2
    assert client.post(asked, form(**{"expr-0": "", "expr-2": ""})).json()["answer"] is None
    failed = client.post(asked, form(**{"expr-0": "sum("}), headers={"Accept": "application/json"})
    assert failed.json()["query"] == "A"
    assert Dashboard.objects.get().version == 1


def test_panels_and_rows_are_changed_in_one_step_and_put_back(browser: Any, made: Dashboard) -> None:
    client = browser(Role.OPERATOR)

    def change(**said: Any) -> Any:
        row = Dashboard.objects.get()
        answer = client.post("/dashboards/shop/change", {"version": row.version, **said})
        assert answer.status_code == 302, answer.content
        return definition.parse(Dashboard.objects.get().definition), answer["Location"]

    found, where = change(act="double:2")
    assert len(list(found.panels())) == 9
    assert where == "/dashboards/shop?edit=1&undo=1"
    page = client.get(where).content.decode()
    assert EVIL not in page
    assert 'action="/dashboards/shop/restore"' in page
    assert (
        client.post("/dashboards/shop/restore", {"version": 2, "number": 1, "edit": "1"})["Location"]
        == "/dashboards/shop?edit=1"
    )
    assert len(list(definition.parse(Dashboard.objects.get().definition).panels())) == 8
    found, _where = change(act="row-add")
    found, _where = change(act="row-name:1", title="Below", collapsed="on")
    assert (found.rows[1].title, found.rows[1].collapsed) == ("Below", True)
    found, _where = change(act="places", places=json.dumps({"1": [1, 3, 0, 6, 5]}))
    assert [(each.id, each.x, each.w) for each in found.rows[1].panels] == [(1, 3, 6)]
    found, _where = change(act="row-up:1")
    assert found.rows[0].title == "Below"
    found, _where = change(act="row-remove:0")
    assert len(found.rows) == 1
    found, _where = change(act="remove:1")
    assert found.panel(1) is None
    for wrong in (
        {"act": "explode"},
        {"act": "remove:1"},
        {"act": "places", "places": "{"},
        {"act": "places", "places": "[1]"},
        {"act": "places", "places": '{"1": [1e999, 3, 0, 6, 5]}'},
    ):
        version = Dashboard.objects.get().version
        assert client.post("/dashboards/shop/change", {"version": version, **wrong}).status_code in (404, 422)
    assert client.post("/dashboards/shop/change", {"version": 1, "act": "double:2"}).status_code == 409


def test_settings_and_variables_are_saved(browser: Any, made: Dashboard) -> None:
    client = browser(Role.OPERATOR)
    assert client.get("/dashboards/shop/settings").status_code == 200
    said = {"version": 1, "title": "Renamed", "folder": "ops", "tags": "a，b, a", "range": "4h", "refresh_seconds": "30", "description": "d",
            "name-0": "job", "kind-0": "query", "query-0": "label_values(up, job)", "multi-0": "on", "sort-0": "name", "value-0": "api\r\nweb",
            "name-1": "win", "kind-1": "interval", "query-1": "1m,5m", "sort-1": "", "name-2": "gone", "gone-2": "on", "kind-2": "custom"}  # fmt: skip
    assert client.post("/dashboards/shop/settings", said).status_code == 302
    row = Dashboard.objects.get()
    found = definition.parse(row.definition)
    assert (row.title, row.folder, row.tags, found.range, found.refresh_seconds, found.marks) == (
        "Renamed",
        "ops",
        ["a", "b"],
        "4h",
        30,
        False,
    )
    assert [each.name for each in found.variables] == ["job", "win"]
    assert found.variables[0].value == ("api", "web")
    assert len(list(found.panels())) == 8
    wrong = client.post("/dashboards/shop/settings", {**said, "version": 2, "query-1": "soon"})
    assert (wrong.status_code, "variables[1].query" in wrong.content.decode()) == (422, True)


def test_versions_show_what_changed(browser: Any, made: Dashboard, admin_actor: Actor) -> None:
    content = dashboard_actions.content({"title": f"Shop {EVIL}2", "tags": ["shop"], "definition": DEFINITION})
    dashboard_actions.update(actor=admin_actor, dashboard=made, version=1, made=content, note=EVIL)
    text = browser(Role.VIEWER).get("/dashboards/shop/history").content.decode()
    assert EVIL not in text
    assert 'class="add">+ &quot;title&quot;' in text
    assert 'class="del">- &quot;title&quot;' in text
    assert "/restore" not in text
    assert browser(Role.OPERATOR).get("/dashboards/shop/history?number=1").content.decode().count("/restore") == 1


def test_a_log_panel_shows_the_newest_lines_of_its_search(
    browser: Any, admin_actor: Actor, telemetry_db: Telemetry
) -> None:
    now = telemetry_db.logs.clock_ns()
    lines = [Entry(now - at * 10**9, f"level=error refused {at} {EVIL}".encode(), []) for at in range(3)]
    _rows, done = telemetry_db.logs.take([Stream([("service", "api")], lines), Stream([("service", "web")], lines)])
    done.result(60)
    said = {"variables": [{"name": "s", "kind": "custom", "query": "api,web", "multi": True, "all": True}],
            "rows": [{"panels": [panel(1, "log", "refused service:$s")]}]}  # fmt: skip
    dashboard_actions.create(actor=admin_actor, made=dashboard_actions.content({"title": "Shop", "definition": said}))
    client, at = browser(Role.VIEWER), now // 10**6 + 1000
    found = answer(client, 1, at)
    assert len(found["lines"]) == 6
    one = answer(client, 1, at, **{"var-s": "web"})["lines"]
    assert {each["service"] for each in one} == {"web"}
    assert one[0]["body"].startswith("level=error refused 0")
    assert len(answer(client, 1, at, **{"var-s": ["web", "api"]})["lines"]) == 6


def test_an_empty_list_offers_dashboards_and_each_once(browser: Any, telemetry_db: Telemetry) -> None:
    client = browser(Role.OPERATOR, "zh-hans")
    listed = client.get("/dashboards").content.decode()
    assert listed.count("/dashboard-offered/") == 3
    opened = client.post("/dashboard-offered/hosts", follow=True)
    assert opened.status_code == 200
    row = Dashboard.objects.get()
    assert (row.origin, row.title) == ("offered:hosts", "主机")
    assert "/dashboard-offered/hosts" not in client.get("/dashboards").content.decode()
    assert client.post("/dashboard-offered/nothing").status_code == 404
    assert "/dashboard-offered/" not in browser(Role.VIEWER).get("/dashboards").content.decode()
