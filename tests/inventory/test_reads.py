from __future__ import annotations

from typing import Any

import pytest

from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Membership, Role, Team, User
from tongchou.inventory import actions, reads
from tongchou.inventory.models import Resource
from tongchou.inventory.reads import Filter

pytestmark = pytest.mark.django_db
ACTOR = system("tests")


@pytest.fixture
def shop() -> dict[str, Resource]:
    team = Team.objects.create(name="shop")
    found = {
        "web": actions.create_resource(actor=ACTOR, kind="service", name="web", owner=team, labels={"env": "prod"}),
        "web-1": actions.create_resource(actor=ACTOR, kind="instance", name="web-1", labels={"env": "prod"}),
        "db": actions.create_resource(actor=ACTOR, kind="database", name="db", labels={"env": "test"}),
        "box": actions.create_resource(actor=ACTOR, kind="host", name="box"),
        "old": actions.create_resource(actor=ACTOR, kind="host", name="old"),
    }
    actions.relate(actor=ACTOR, from_resource=found["web-1"], to_resource=found["web"], type="part_of")
    labels = {"job": "shop", "instance": "10.0.0.1:80"}
    actions.register_endpoint(actor=ACTOR, resource=found["web-1"], url="http://10.0.0.1/metrics", labels=labels)
    actions.retire_resource(actor=ACTOR, resource=found["old"])
    return found


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"job": "shop", "instance": "10.0.0.1:80"}, ["web-1", "web"]),
        ({"instance": "10.0.0.1:80"}, ["web-1", "web"]),
        ({"job": "other", "instance": "10.0.0.1:80", "service": "db"}, []),
        ({"job": "other", "instance": "10.0.0.1:80", "service": "web"}, ["web"]),
        ({"service": "web", "host": "box"}, ["web"]),
        ({"host": "box"}, ["box"]),
        ({"instance": "box:9100"}, ["box"]),
        ({"host": "old"}, []),
        ({}, []),
    ],
)
def test_labels_mean_the_endpoint_then_the_service_then_the_host(
    shop: dict[str, Resource], labels: dict[str, str], expected: list[str], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(3):
        assert [row.name for row in reads.resources_for_labels(labels)] == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), ["box", "db", "web", "web-1"]),
        (Filter(state=None), ["box", "db", "old", "web", "web-1"]),
        (Filter(state="tombstone"), ["old"]),
        (Filter(kind="service,database"), ["db", "web"]),
        (Filter(owner="shop"), ["web"]),
        (Filter(owner=""), ["box", "db", "web-1"]),
        (Filter(label=("env=prod",)), ["web", "web-1"]),
        (Filter(label=("env",)), ["db", "web", "web-1"]),
        (Filter(label=("env=prod", "env=test")), []),
        (Filter(q="WEB"), ["web", "web-1"]),
        (Filter(q="%"), []),
        (Filter(source="manual", kind="host"), ["box"]),
    ],
)
def test_lists_are_filtered(shop: dict[str, Resource], wanted: Filter, expected: list[str]) -> None:
    assert [row.name for row in reads.find(ACTOR, wanted)] == expected


def test_a_team_sees_what_it_owns(shop: dict[str, Resource]) -> None:
    user = User.objects.create(username="member")
    Membership.objects.create(user=user, team=Team.objects.get(name="shop"), role=Role.VIEWER)
    member = actor_for_user(user)
    assert [row.name for row in reads.find(member, Filter())] == ["web"]
    assert reads.may_see(member, shop["web"].owner_id)
    assert not reads.may_see(member, None)
    assert list(reads.relations(member)) == []


def test_nobody_sees_nothing(shop: dict[str, Resource]) -> None:
    stranger = actor_for_user(User.objects.create(username="stranger"))
    assert list(reads.find(stranger, Filter())) == []


def test_a_token_without_the_read_scope_sees_nothing(shop: dict[str, Resource], admin_actor: Actor) -> None:
    ingest = Actor("token", "t", admin_actor.user_id, admin_actor.global_role, scopes=("ingest",))
    assert list(reads.find(ingest, Filter())) == []


def test_a_page_of_the_list_costs_two_queries_and_the_detail_seven(
    shop: dict[str, Resource], django_assert_num_queries: Any
) -> None:
    for i in range(30):
        actions.create_resource(actor=ACTOR, kind="host", name=f"h{i}", labels={"a": "b"}, attributes={"x": i})
    with django_assert_num_queries(2):
        rows = list(reads.find(ACTOR, Filter(kind="host"))[:25])
        reads.last_seen(row.pk for row in rows)
    assert len(rows) == 25
    with django_assert_num_queries(7):
        reads.detail(shop["web-1"])


def test_endpoints_of_what_is_gone_are_not_read(shop: dict[str, Resource], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert [row.resource_id for row in reads.metric_endpoints()] == [shop["web-1"].pk]
    actions.retire_resource(actor=ACTOR, resource=shop["web-1"])
    assert reads.metric_endpoints() == []


def test_a_person_means_one_by_its_kind_and_name_or_by_its_name_alone(db: None) -> None:
    everybody = system("tests")
    for kind, name in (("host", "web-1"), ("service", "web-1"), ("host", "a/b"), ("service", "orders")):
        actions.create_resource(actor=everybody, kind=kind, name=name)
    found = {
        text: [each.kind for each in reads.called(everybody, text)]
        for text in ("host/web-1", "web-1", "orders", "a/b", "host/a/b", "host/orders", "nothing")
    }
    assert found == {
        "host/web-1": ["host"],
        "web-1": ["host", "service"],
        "orders": ["service"],
        "a/b": ["host"],
        "host/a/b": ["host"],
        "host/orders": [],
        "nothing": [],
    }
