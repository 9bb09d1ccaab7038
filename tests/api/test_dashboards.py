from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.telemetry.dashboards.grafana_files import OLD
from tongchou.telemetry.models import Dashboard

pytestmark = pytest.mark.django_db
PATH = "/api/v1/dashboards/hosts"


def body(**more: Any) -> dict[str, Any]:
    return {"title": "Hosts", "definition": {"rows": [{"panels": [{"id": 1}]}]}, **more}


def test_a_dashboard_is_made_read_changed_restored_listed_and_deleted(api: Any) -> None:
    assert api.put(PATH, body(folder="ops", tags=["a"])).json()["version"] == 1
    assert api.get(PATH).json()["definition"]["rows"][0]["panels"][0]["kind"] == "graph"
    assert api.put(PATH, body()).status_code == 409
    assert api.put(PATH, body(version=7)).json()["code"] == "dashboard.changed_meanwhile"
    assert api.put(PATH, body(title="Machines", version=1, note="why")).json()["version"] == 2
    listed = api.get("/api/v1/dashboards", q="machine").json()
    assert (listed["count"], listed["items"][0]["name"], listed["items"][0]["panels"]) == (1, "hosts", 1)
    assert "definition" not in listed["items"][0]
    assert api.get("/api/v1/dashboards", folder="ops").json()["count"] == 0
    versions = api.get(f"{PATH}/versions").json()["items"]
    assert [(each["number"], each["note"]) for each in versions] == [(2, "why"), (1, "")]
    assert api.post(f"{PATH}/restore", {"number": 1, "version": 2}).json()["folder"] == "ops"
    assert api.delete(PATH).status_code == 204
    assert api.get(PATH).status_code == 404


def test_a_wrong_definition_is_refused_with_its_place(api: Any) -> None:
    found = api.put(PATH, body(definition={"rows": [{"panels": [{"id": 1, "kind": "pie"}]}]}))
    assert (found.status_code, found.json()["field"]) == (422, "rows[0].panels[0].kind")
    assert not Dashboard.objects.exists()


def test_who_only_looks_reads_and_writes_nothing(api_as: Any, viewer_actor: Any, api: Any) -> None:
    api.put(PATH, body())
    viewer = api_as(viewer_actor)
    assert viewer.get(PATH).status_code == 200
    assert viewer.put(PATH, body(version=1)).status_code == 403
    assert viewer.delete(PATH).status_code == 403
    assert viewer.post(f"{PATH}/restore", {"number": 1, "version": 1}).status_code == 403


def test_a_file_of_grafana_is_imported_with_its_notes_and_exported_again(api: Any) -> None:
    asked = {"dashboard": copy.deepcopy(OLD), "dry_run": True}
    dry = api.post("/api/v1/dashboard-imports", asked).json()
    assert (dry["name"], dry["panels"]) == ("", 4)
    assert not Dashboard.objects.exists()
    assert any(each["where"] == "By code" and "seriesOverrides" in each["what"] for each in dry["notes"])
    made = api.post("/api/v1/dashboard-imports", {**asked, "dry_run": False, "folder": "shop"}).json()
    assert made["name"] == "old-shop"
    assert api.get("/api/v1/dashboards/old-shop").json()["folder"] == "shop"
    for form in ("own", "grafana"):
        file = api.get("/api/v1/dashboards/old-shop/export", form=form).json()
        again = api.post("/api/v1/dashboard-imports", {"dashboard": file, "dry_run": True}).json()
        assert again["definition"] == made["definition"]
        assert {each["where"] for each in again["notes"] if each["weight"] == "lost"} <= {"$datasource"}
    assert api.get("/api/v1/dashboards/old-shop/export", form="x").status_code == 422
    assert api.post("/api/v1/dashboard-imports", {"dashboard": {}}).json()["code"] == "grafana.no_dashboard"
