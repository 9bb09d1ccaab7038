"""Releases through the API, as a pipeline and the people behind it use it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.changes.release.conftest import (
    DEPLOY,
    TESTS,
    _loopback,
    _no_store,
    effects,
    make_service,
    metrics,
    work,
)
from tests.conftest import make_user
from tests.runbooks.conftest import Effects
from tongchou.changes.models_release import Release
from tongchou.core import jobs, settings_store
from tongchou.core.models import Role
from tongchou.runbooks import actions as runbooks

__all__ = ["_loopback", "_no_store", "effects", "metrics"]  # fixtures
pytestmark = pytest.mark.django_db
ROLLOUT = {"procedure": "deploy", "batches": [1, "100%"], "bake_seconds": 0}


@pytest.fixture
def people(effects: Effects, api_as: Any) -> tuple[Any, Any]:
    """Who administers and asks, who agrees; a service of three hosts and a procedure."""
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    runbooks.put_procedure(actor=TESTS, name="deploy", text=DEPLOY)
    make_service("shop", 3, effects.url)
    return api_as(make_user("root", Role.ADMIN)), api_as(make_user("second", Role.APPROVER))


def test_a_pipeline_tells_a_version_and_people_release_it(people: tuple[Any, Any], effects: Effects) -> None:
    asks, agrees = people
    assert asks.put("/api/v1/environments/production", {"position": 30}).json()["consent"] == "each"
    rollout = asks.put("/api/v1/services/shop/rollouts/production", ROLLOUT).json()
    assert (rollout["version"], rollout["agreed"]) == (1, False)
    told = {"service": "shop", "version": "1.4", "reference": "registry/shop:1.4", "digest": "sha256:" + "a" * 64}
    assert [asks.post("/api/v1/versions", told).status_code for _twice in range(2)] == [201, 200]
    other = asks.post("/api/v1/versions", told | {"digest": "b" * 64})
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "artefact.digest", "digest")

    made = asks.post(
        "/api/v1/releases", {"environment": "production", "items": [{"service": "shop", "version": "1.4"}]}
    )
    assert made.status_code == 201, made.content
    assert [each["targets"] for each in made.json()["items"][0]["batches"]] == [["shop-1"], ["shop-2", "shop-3"]]
    early = asks.post("/api/v1/releases/1/start", {})
    assert (early.status_code, early.json()["code"]) == (409, "release.not_now")
    asked = asks.post("/api/v1/releases/1/ask", {"reason": "new prices"}).json()
    assert asked["state"] == "authorize"
    assert asks.post(f"/api/v1/approvals/{asked['approval']}/approve", {}).status_code == 403, "it is one's own"
    assert agrees.post(f"/api/v1/approvals/{asked['approval']}/approve", {}).status_code == 200
    jobs.run_due()
    assert asks.get("/api/v1/releases/1/refusals").json() == {"refusals": []}
    assert asks.post("/api/v1/releases/1/start", {}).json()["state"] == "running"
    work(Release.objects.get(number=1))
    done = asks.get("/api/v1/releases/1").json()
    assert (done["state"], done["items"][0]["deployment"] is not None) == ("succeeded", True)
    (where,) = asks.get("/api/v1/versions/where").json()
    assert (where["service"], where["environment"], where["version"]) == ("shop", "production", "1.4")
    assert asks.get("/api/v1/releases?state=succeeded&environment=production").json()["count"] == 1
    withdrawn = asks.post(f"/api/v1/versions/{asks.get('/api/v1/versions').json()['items'][0]['id']}/withdraw", {
        "reason": "it loses orders"
    })  # fmt: skip
    assert withdrawn.json()["withdrawn_reason"] == "it loses orders"


def test_what_is_wrong_is_named(people: tuple[Any, Any]) -> None:
    asks, _agrees = people
    asks.put("/api/v1/environments/production", {})
    for more, field in (
        ({"procedure": "gone"}, "procedure"),
        ({"batches": [0]}, "batches"),
        ({"batches": ["101%"]}, "batches"),
        ({"targets": {"from": "moon"}}, "targets.from"),
        ({"targets": {"from": "selector"}}, "targets"),
        ({"params": {"version": "${verison}"}}, "params"),
        ({"checks": [{"query": "up ==", "is": "> 0"}]}, "checks[0].query"),
        ({"checks": [{"query": "up", "is": "fine"}]}, "checks[0].is"),
        ({"on_failure": "hope"}, "on_failure"),
    ):
        answer = asks.put("/api/v1/services/shop/rollouts/production", ROLLOUT | more)
        assert (answer.status_code, answer.json().get("field")) == (422, field), more
    assert asks.get("/api/v1/rollouts").json()["count"] == 0, "nothing was kept"
    release = {"environment": "production", "items": [{"service": "shop", "version": "9"}]}
    assert asks.post("/api/v1/releases", release).json()["code"] == "release.artefact"
    asks.post("/api/v1/versions", {"service": "shop", "version": "9"})
    refused = asks.post("/api/v1/releases", release)
    assert (refused.status_code, [each["code"] for each in refused.json()["problems"]]) == (409, ["no_rollout"])


def test_who_may_not_see_a_service_learns_nothing_of_its_releases(people: tuple[Any, Any], api_as: Any) -> None:
    asks, _agrees = people
    asks.put("/api/v1/environments/production", {})
    asks.put("/api/v1/services/shop/rollouts/production", ROLLOUT)
    asks.post("/api/v1/versions", {"service": "shop", "version": "1"})
    asks.post("/api/v1/releases", {"environment": "production", "items": [{"service": "shop", "version": "1"}]})
    viewer = api_as(make_user("looks", Role.VIEWER))
    assert viewer.get("/api/v1/releases/1").status_code == 200
    for act in ("ask", "start", "pause", "resume", "rollback", "leave", "cancel", "replan", "change"):
        assert viewer.post(f"/api/v1/releases/1/{act}", {"reason": "x"}).status_code == 403, act
    nobody = api_as(make_user("stranger", None))
    assert nobody.get("/api/v1/releases/1").status_code in (403, 404)
    assert nobody.get("/api/v1/versions").status_code == 403


@pytest.mark.parametrize(
    "odd",
    [
        {"targets": {"from": "names", "names": [f"h{n}" for n in range(501)]}},
        {"targets": {"from": "selector", "kind": {"a": 1}}},
        {"targets": {"from": "selector", "kind": "host", "labels": [1]}},
        {"targets": {"from": ["names"]}},
        {"checks": [{"query": "up", "is": "> 0", "says": {"a": 1}}]},
        {"checks": [{"query": "up", "is": "> 0", "always": "no"}]},
        {"checks": [{"query": "up", "is": ["> 0"]}]},
        {"checks": [{"objective": "x" * 5000}]},
        {"batches": ["0%"]},
    ],
)
def test_odd_rollouts_are_refused_with_their_field(people: tuple[Any, Any], odd: dict[str, Any]) -> None:
    asks, _agrees = people
    asks.put("/api/v1/environments/production", {"position": 30})
    answer = asks.put("/api/v1/services/shop/rollouts/production", ROLLOUT | odd)
    assert answer.status_code == 422, answer.content[:300]
    assert answer.json()["field"]
