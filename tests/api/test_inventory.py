from __future__ import annotations

from typing import Any

import pytest

from tongchou.core.access import Actor
from tongchou.core.models import Membership, Role, Team, User
from tongchou.inventory import actions
from tongchou.inventory.models import Hold, Relation, Resource

pytestmark = pytest.mark.django_db
NOWHERE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def chain(admin_actor: Actor) -> dict[str, Resource]:
    """lb -> web -> orders -> db, and a lonely host owned by nobody."""
    team = Team.objects.create(name="shop")
    kinds = {"lb": "load_balancer", "web": "service", "orders": "service", "db": "database", "box": "host"}
    made = {
        name: actions.create_resource(
            actor=admin_actor, kind=kind, name=name, owner=None if name == "box" else team, labels={"env": "prod"}
        )
        for name, kind in kinds.items()
    }
    for a, b in (("lb", "web"), ("web", "orders"), ("orders", "db")):
        actions.relate(actor=admin_actor, from_resource=made[a], to_resource=made[b], type="calls")
    return made


@pytest.fixture
def member(api_as: Any, chain: dict[str, Resource]) -> Any:
    """The API as a person who is an operator in the team shop only."""
    user = User.objects.create(username="member")
    Membership.objects.create(user=user, team=Team.objects.get(name="shop"), role=Role.OPERATOR)
    return api_as(user)


def test_a_resource_is_made_read_changed_and_retired(api: Any, chain: dict[str, Resource]) -> None:
    body = {"kind": "host", "name": "h1", "owner": "shop", "labels": {"env": "test"}, "attributes": {"os": "x"}}
    answer = api.post("/api/v1/resources", body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["owner"], made["labels"], made["state"]) == ("shop", {"env": "test"}, "active")
    timed = dict.fromkeys(("changed_at", "last_seen", "age_seconds"))
    assert made["attributes"][0] | timed == {
        "name": "os", "value": "x", "source": "manual", "conflicts": [], "freshness": "fresh",
        "stale_after_seconds": 365 * 86_400.0, **timed
    }  # fmt: skip
    assert made["attributes"][0]["last_seen"]
    path = f"/api/v1/resources/{made['id']}"
    changed = api.patch(path, {"name": "h2", "owner": None, "labels": {"env": None}, "attributes": {"os": None}}).json()
    assert (changed["name"], changed["owner"], changed["labels"], changed["attributes"]) == ("h2", None, {}, [])
    assert api.patch(path, {"state": "tombstone", "reason": "sold"}).json()["state"] == "tombstone"
    assert api.get("/api/v1/resources", q="h2").json()["count"] == 0
    assert api.get("/api/v1/resources", q="h2", state="all").json()["count"] == 1
    assert api.patch(path, {"state": "active"}).json()["state"] == "active"
    assert api.get(path).json()["name"] == "h2"


def test_lists_page_filter_and_count(api: Any, chain: dict[str, Resource], django_assert_num_queries: Any) -> None:
    body = api.get("/api/v1/resources", limit=2, offset=1).json()
    assert ([row["name"] for row in body["items"]], body["count"]) == (["db", "lb"], 5)
    assert body["items"][0]["last_seen"]
    assert api.get("/api/v1/resources", kind="service", label="env=prod").json()["count"] == 2
    assert api.get("/api/v1/resources", owner="").json()["items"][0]["name"] == "box"
    assert api.get("/api/v1/resources", limit=501).status_code == 422


def test_a_list_costs_the_same_queries_for_one_row_and_for_many(
    api: Any, admin_actor: Actor, django_assert_max_num_queries: Any
) -> None:
    for i in range(40):
        actions.create_resource(actor=admin_actor, kind="host", name=f"h{i}")
    with django_assert_max_num_queries(8):  # token and roles, keys, page, last seen, count
        assert len(api.get("/api/v1/resources", limit=40).json()["items"]) == 40


def test_the_detail_costs_a_fixed_number_of_queries(
    api: Any, chain: dict[str, Resource], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(11):  # token and roles, the resource, and the rest for all about it
        body = api.get(f"/api/v1/resources/{chain['web'].pk}").json()
    assert {(r["from"]["name"], r["to"]["name"]) for r in body["relations"]} == {("lb", "web"), ("web", "orders")}
    assert body["keys"] == ["service:web"]


def test_the_graph_tells_steps_up_and_down(api: Any, chain: dict[str, Resource]) -> None:
    def steps(**query: Any) -> dict[str, int]:
        body = api.get(f"/api/v1/resources/{chain['orders'].pk}/graph", **query).json()
        return {node["name"]: node["steps"] for node in body["nodes"]}

    assert steps() == {"orders": 0, "web": -1, "lb": -2, "db": 1}
    assert steps(direction="upstream") == {"orders": 0, "web": -1, "lb": -2}
    assert steps(direction="downstream", depth=1) == {"orders": 0, "db": 1}
    assert api.get(f"/api/v1/resources/{chain['orders'].pk}/graph", depth=0).status_code == 422


def test_a_path_is_found_in_either_direction(api: Any, chain: dict[str, Resource]) -> None:
    there = api.get(f"/api/v1/resources/{chain['lb'].pk}/path", to=chain["db"].pk).json()
    assert ([n["name"] for n in there["path"]], there["direction"]) == (["lb", "web", "orders", "db"], "needs")
    back = api.get(f"/api/v1/resources/{chain['db'].pk}/path", to=chain["lb"].pk).json()
    assert ([n["name"] for n in back["path"]], back["direction"]) == (["db", "orders", "web", "lb"], "is_needed_by")
    assert api.get(f"/api/v1/resources/{chain['box'].pk}/path", to=chain["db"].pk).json()["distance"] is None


def test_the_map_is_tiered_and_leaves_hosts_out_unless_asked(api: Any, chain: dict[str, Resource]) -> None:
    body = api.get("/api/v1/map").json()
    tiers = {node["name"]: node["tier"] for node in body["nodes"]}
    assert tiers == {"lb": 0, "web": 1, "orders": 2, "db": 3}
    assert len(body["edges"]) == 3
    assert "box" in {node["name"] for node in api.get("/api/v1/map", kind="all").json()["nodes"]}
    assert api.get("/api/v1/map", at="2020-01-01T00:00:00Z").json()["nodes"] == []
    assert api.get("/api/v1/map", at="2020-01-01T00:00:00").status_code == 422


def test_relations_are_opened_listed_and_closed(api: Any, chain: dict[str, Resource]) -> None:
    body = {"from_id": str(chain["db"].pk), "to_id": str(chain["box"].pk), "type": "runs_on"}
    made = api.post("/api/v1/relations", body)
    assert made.status_code == 201
    assert api.post("/api/v1/relations", body).json()["id"] == made.json()["id"]
    listed = api.get("/api/v1/relations", resource_id=chain["box"].pk).json()
    assert [row["type"] for row in listed["items"]] == ["runs_on"]
    assert api.delete(f"/api/v1/relations/{made.json()['id']}").json()["valid_to"]
    assert api.get("/api/v1/relations", resource_id=chain["box"].pk).json()["count"] == 0
    assert Relation.objects.filter(type="runs_on").count() == 1
    wrong = api.post("/api/v1/relations", {**body, "type": "likes"})
    assert (wrong.status_code, wrong.json()["field"], wrong.json()["value"]) == (422, "type", "likes")
    assert "runs_on" in wrong.json()["remedy"]


def test_holds_are_placed_listed_and_lifted(api: Any, chain: dict[str, Resource]) -> None:
    body = {"resource_id": str(chain["db"].pk), "kind": "maintenance", "reason": "disk swap"}
    made = api.post("/api/v1/holds", body).json()
    assert api.get("/api/v1/holds", resource_id=chain["db"].pk).json()["count"] == 1
    assert [h["reason"] for h in api.get(f"/api/v1/resources/{chain['db'].pk}").json()["holds"]] == ["disk swap"]
    assert api.post(f"/api/v1/holds/{made['id']}/lift").json()["lifted_at"]
    assert api.get("/api/v1/holds").json()["count"] == 0
    for until in ("2h", "2,5", "²", "2027-01-01T08:00:00"):
        wrong = api.post("/api/v1/holds", {**body, "until": until})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "until")
    assert api.post("/api/v1/holds", {**body, "hours": "2"}).status_code == 422
    past = api.post("/api/v1/holds", {**body, "until": "2020-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["field"]) == (422, "until")


def test_an_endpoint_is_registered_and_switched_off(api: Any, chain: dict[str, Resource]) -> None:
    path = f"/api/v1/resources/{chain['db'].pk}"
    made = api.post(f"{path}/endpoints", {"url": "http://10.0.0.9/metrics"})
    assert made.status_code == 201
    assert made.json()["labels"] == {"job": "database", "instance": "db"}
    assert api.patch(f"/api/v1/endpoints/{made.json()['id']}", {"enabled": False}).json()["enabled"] is False
    assert api.get(path).json()["endpoints"][0]["enabled"] is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/resources/{}"),
        ("get", "/resources/{}/graph"),
        ("patch", "/resources/{}"),
        ("post", "/resources/{}/endpoints"),
        ("patch", "/endpoints/{}"),
        ("delete", "/relations/{}"),
        ("post", "/holds/{}/lift"),
    ],
)
def test_what_does_not_exist_is_a_problem(api: Any, method: str, path: str) -> None:
    call = getattr(api, method)
    url = f"/api/v1{path.format(NOWHERE)}"
    bodies = {"/endpoints/{}": {"enabled": True}, "/resources/{}/endpoints": {"url": "http://x/"}}
    answer = call(url) if method in ("get", "delete") else call(url, bodies.get(path, {}))
    assert answer.status_code == 404
    assert answer.json()["code"].startswith("inventory.")
    assert call(f"/api/v1{path.format('nonsense')}").status_code in (404, 422)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"kind": 5}', b"\xff", b'{"kind": "host", "name": null}'])
def test_a_malformed_body_is_refused_and_nothing_written(api: Any, body: bytes) -> None:
    before = Resource.objects.count()
    answer = api.post("/api/v1/resources", body)
    assert answer.status_code in (400, 422)
    assert answer["Content-Type"].startswith("application/problem+json")
    assert Resource.objects.count() == before


def test_a_team_member_sees_and_changes_what_the_team_owns_and_nothing_else(
    member: Any, chain: dict[str, Resource]
) -> None:
    names = [row["name"] for row in member.get("/api/v1/resources").json()["items"]]
    assert names == ["db", "lb", "orders", "web"]
    assert member.get(f"/api/v1/resources/{chain['box'].pk}").status_code == 404
    own = member.patch(f"/api/v1/resources/{chain['web'].pk}", {"labels": {"x": "y"}})
    assert own.status_code == 200
    other = {"from_id": str(chain["web"].pk), "to_id": str(chain["box"].pk), "type": "runs_on"}
    assert member.post("/api/v1/relations", other).status_code == 404
    assert member.post("/api/v1/resources", {"kind": "host", "name": "x"}).status_code == 403
    assert member.post("/api/v1/resources", {"kind": "host", "name": "x", "owner": "shop"}).status_code == 201
    assert member.get("/api/v1/sources").status_code == 403


def test_the_graph_hides_what_is_not_the_teams(api: Any, member: Any, chain: dict[str, Resource]) -> None:
    api.post("/api/v1/relations", {"from_id": str(chain["db"].pk), "to_id": str(chain["box"].pk), "type": "runs_on"})
    body = member.get(f"/api/v1/resources/{chain['db'].pk}/graph").json()
    assert "box" not in {node["name"] for node in body["nodes"]}
    assert body["hidden"] == 1
    assert "box" not in {node["name"] for node in member.get("/api/v1/map", kind="all").json()["nodes"]}


def test_a_resource_tells_nothing_of_those_the_caller_may_not_see(
    api: Any, member: Any, chain: dict[str, Resource]
) -> None:
    body = {"from_id": str(chain["db"].pk), "to_id": str(chain["box"].pk), "type": "runs_on"}
    api.post("/api/v1/relations", body)
    path = f"/api/v1/resources/{chain['db'].pk}"
    assert {r["type"] for r in api.get(path).json()["relations"]} == {"runs_on", "calls"}
    read, written = member.get(path), member.patch(path, {"labels": {"x": "y"}})
    assert (read.status_code, written.status_code) == (200, 200)
    for answer in (read, written):
        assert [r["type"] for r in answer.json()["relations"]] == ["calls"]
        assert str(chain["box"].pk) not in answer.content.decode()


def test_a_merged_resource_points_only_where_the_caller_may_see(
    api: Any, member: Any, admin_actor: Actor, chain: dict[str, Resource]
) -> None:
    api.post(f"/api/v1/resources/{chain['box'].pk}/merge", {"absorbed_id": str(chain["db"].pk)})
    path = f"/api/v1/resources/{chain['db'].pk}"
    box = api.get(path).json()["merged_into"]["id"]
    assert api.get(f"/api/v1/resources/{box}").json()["owner"] == "shop"  # it takes the owner that only one had
    assert member.get(path).json()["merged_into"]["id"] == box
    actions.update_resource(actor=admin_actor, resource=Resource.objects.get(pk=box), clear_owner=True)
    assert member.get(path).json()["merged_into"] is None


def test_a_viewer_reads_and_writes_nothing(api_as: Any, viewer_actor: Actor, chain: dict[str, Resource]) -> None:
    viewer = api_as(viewer_actor)
    assert viewer.get("/api/v1/resources").json()["count"] == 5
    assert viewer.get("/api/v1/map").status_code == 200
    for answer in (
        viewer.post("/api/v1/resources", {"kind": "host", "name": "x"}),
        viewer.patch(f"/api/v1/resources/{chain['web'].pk}", {"name": "x"}),
        viewer.post("/api/v1/holds", {"resource_id": str(chain["web"].pk), "kind": "x", "reason": "x"}),
        viewer.put("/api/v1/sources/x", {"kind": "host"}),
    ):
        assert answer.status_code == 403
    assert not Hold.objects.exists()


def test_an_unknown_owner_is_refused_by_field(api: Any) -> None:
    answer = api.post("/api/v1/resources", {"kind": "host", "name": "x", "owner": "ghosts"})
    assert (answer.status_code, answer.json()["field"], answer.json()["value"]) == (422, "owner", "ghosts")
