from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tongchou.core.problems import Invalid, Unavailable
from tongchou.inventory import sources
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedResource

pytestmark = pytest.mark.django_db


class Fake:
    kind = "fake"
    title = "Fake"
    settings_schema: Mapping[str, Any] = {"type": "object"}
    precedence = 100
    interval_seconds = 60.0
    sees: Observation | Exception = Observation((ObservedResource("host", "h1", ("k:h1",), {"os": "x"}),))

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        if settings.get("url") == "bad":
            raise Invalid("fake.url", "bad", field="settings.url", value="bad", remedy="mend it")
        return dict(settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        if isinstance(self.sees, Exception):
            raise self.sees
        return self.sees


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(sources, "source_kinds", lambda: {"fake": made})
    return made


def test_a_source_is_made_changed_listed_and_deleted(api: Any) -> None:
    made = api.post("/api/v1/sources", {"name": "sd", "kind": "fake", "settings": {"url": "x"}})
    assert made.status_code == 201
    assert made.json()["precedence"] == 100
    changed = api.put("/api/v1/sources/sd", {"interval_seconds": 30, "enabled": False}).json()
    assert (changed["interval_seconds"], changed["enabled"], changed["settings"]) == (30, False, {"url": "x"})
    assert [row["name"] for row in api.get("/api/v1/sources").json()["items"]] == ["sd"]
    assert api.get("/api/v1/source-kinds").json()[0]["kind"] == "fake"
    assert api.delete("/api/v1/sources/sd").status_code == 204
    assert api.get("/api/v1/sources/sd").status_code == 404


def test_a_source_has_precedences_of_its_own_for_single_attributes(api: Any) -> None:
    api.put("/api/v1/sources/sd", {"kind": "fake"})
    changed = api.put("/api/v1/sources/sd", {"attribute_precedence": {"owner": 300, "os": 5}})
    assert changed.json()["attribute_precedence"] == {"os": 5, "owner": 300}
    assert api.put("/api/v1/sources/sd", {"precedence": 7}).json()["attribute_precedence"] == {"os": 5, "owner": 300}
    refused = api.put("/api/v1/sources/sd", {"attribute_precedence": {"owner": 1000}})
    assert (refused.status_code, refused.json()["field"]) == (422, "attribute_precedence.owner")
    assert api.put("/api/v1/sources/sd", {"attribute_precedence": {}}).json()["attribute_precedence"] == {}


def test_a_dry_run_shows_the_plan_and_a_sync_carries_it_out(api: Any) -> None:
    api.put("/api/v1/sources/sd", {"kind": "fake"})
    plan = api.post("/api/v1/sources/sd/plan").json()
    assert plan["changes"] is True
    assert plan["created"] == [{"kind": "host", "name": "h1", "keys": ["k:h1"]}]
    assert not Resource.objects.exists()
    done = api.post("/api/v1/sources/sd/sync").json()
    assert done["counts"] == {"created": 1, "seen": 1}
    assert Resource.objects.get().name == "h1"
    again = api.post("/api/v1/sources/sd/plan").json()
    assert (again["changes"], again["counts"]) == (False, {"seen": 1})


def test_a_failing_source_answers_with_its_problem_and_keeps_it_on_the_source(api: Any, fake: Fake) -> None:
    api.put("/api/v1/sources/sd", {"kind": "fake"})
    fake.sees = Unavailable("fake.down", "down", remedy="switch it on")
    answer = api.post("/api/v1/sources/sd/sync")
    assert (answer.status_code, answer.json()["remedy"]) == (503, "switch it on")
    assert api.get("/api/v1/sources/sd").json()["last_remedy"] == "switch it on"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "nope"}, "kind"),
        ({}, "kind"),
        ({"kind": "fake", "settings": {"url": "bad"}}, "settings.url"),
        ({"kind": "fake", "interval_seconds": 1}, "interval_seconds"),
        ({"kind": "fake", "interval_seconds": "soon"}, "interval_seconds"),
        ({"kind": "fake", "settings": []}, "settings"),
    ],
)
def test_a_wrong_source_is_refused_by_field(api: Any, body: dict[str, Any], field: str) -> None:
    answer = api.put("/api/v1/sources/sd", body)
    assert answer.status_code == 422
    assert answer.json()["field"].endswith(field)
    assert not SourceConfig.objects.exists()


def test_only_an_administrator_touches_sources(api_as: Any, approver_actor: Any, api: Any) -> None:
    api.put("/api/v1/sources/sd", {"kind": "fake"})
    approver = api_as(approver_actor)
    assert approver.get("/api/v1/sources").status_code == 200
    for answer in (
        approver.put("/api/v1/sources/x", {"kind": "fake"}),
        approver.post("/api/v1/sources", {"name": "x", "kind": "fake"}),
        approver.post("/api/v1/sources/sd/sync"),
        approver.post("/api/v1/sources/sd/plan"),
        approver.delete("/api/v1/sources/sd"),
        approver.get("/api/v1/source-kinds"),
    ):
        assert answer.status_code == 403


def test_every_kind_there_is_says_what_it_needs(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    kinds = {each["kind"]: each for each in api.get("/api/v1/source-kinds").json()}
    assert kinds["terraform"]["settings_schema"]["properties"]["path"]["description"]
    assert kinds["prometheus"]["settings_schema"]["required"] == ["url"]


def test_a_file_is_handed_over_dry_first(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    api.put("/api/v1/sources/net", {"kind": "terraform"})
    state = (
        '{"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "aws_vpc", "name": "a", '
        '"instances": [{"attributes": {"id": "vpc-1"}}]}]}'
    )
    path = "/api/v1/sources/net/documents"
    planned = api.post(f"{path}?file=../terraform.tfstate", state, "application/octet-stream").json()
    assert planned["created"] == [
        {"kind": "network", "name": "aws_vpc.a", "keys": ["aws:vpc-1", "terraform:x:aws_vpc.a"]}
    ]
    assert not Resource.objects.exists()
    done = api.post(f"{path}?dry_run=false", state, "application/octet-stream").json()
    assert done["counts"]["created"] == 1
    refused = api.post(path, "{", "application/octet-stream")
    assert (refused.status_code, refused.json()["code"]) == (422, "source.json")
    assert api.post("/api/v1/sources/net/sync").json()["code"] == "source.no_file"
