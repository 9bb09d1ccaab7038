"""The search: it follows the ledger, finds rows a pass finds, shows nobody what they may not see, and forgets what is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tongchou.alerting.models import AlertGroup
from tongchou.core import people, search
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Role, User
from tongchou.core.models_search import SearchEntry, SearchProgress, SearchTerm
from tongchou.core.nouns import noun
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")


def make(name: str, **more: object) -> Resource:
    return inventory.create_resource(actor=TESTS, kind="service", name=name, **more)  # type: ignore[arg-type]  # owner, labels


def found(actor: Actor, text: str) -> list[str]:
    return [hit.title for hit in search.find(actor, text)]


def test_what_the_ledger_told_is_found_by_pairs_parts_and_labels(viewer_actor: Actor) -> None:
    make("核心订单服务", labels={"env": "prod"})
    make("PaymentGateway")
    make("web-01.prod")
    assert search.follow() >= 3
    assert found(viewer_actor, "订单") == ["核心订单服务"]
    assert found(viewer_actor, "gate") == ["PaymentGateway"]
    assert found(viewer_actor, "web-01") == ["web-01.prod"]
    assert set(found(viewer_actor, "prod")) == {"核心订单服务", "web-01.prod"}
    assert found(viewer_actor, "订单 prod") == ["核心订单服务"]
    assert found(viewer_actor, "订单 gateway") == []
    assert found(viewer_actor, " ,. ") == []


def test_a_new_name_replaces_the_old_one_and_nothing_is_written_twice(viewer_actor: Actor) -> None:
    row = make("alpha")
    search.follow()
    terms = set(SearchTerm.objects.values_list("pk", flat=True))
    search.follow()
    assert set(SearchTerm.objects.values_list("pk", flat=True)) == terms
    Resource.objects.filter(pk=row.pk).update(name="beta")
    search.index_rows(noun("inventory.resource"), Resource.objects.filter(pk=row.pk))
    assert (found(viewer_actor, "alpha"), found(viewer_actor, "beta")) == ([], ["beta"])
    assert SearchEntry.objects.filter(ref=ref(row)).count() == 1


def test_a_team_s_rows_are_not_shown_to_others(viewer_actor: Actor) -> None:
    ours, theirs = (people.create_team(actor=TESTS, name=name) for name in ("ours", "theirs"))
    make("zanzibar-ours", owner=ours)
    make("zanzibar-theirs", owner=theirs)
    search.follow()
    user = User.objects.create_user("member")
    people.set_role(actor=TESTS, user=user, role=Role.VIEWER, team=ours)
    assert found(actor_for_user(user), "zanzibar") == ["zanzibar-ours"]
    assert len(found(viewer_actor, "zanzibar")) == 2
    assert search.find(actor_for_user(User.objects.create_user("nobody")), "zanzibar") == []


def test_the_whole_name_comes_first(viewer_actor: Actor) -> None:
    for name in ("web-11", "the-web-1", "web-1"):
        make(name)
    search.follow()
    assert found(viewer_actor, "web-1")[0] == "web-1"


MANY = search.CANDIDATES + 20


def many(kind: str, rows: list[Any]) -> None:
    """Rows that are newer in the index than all before."""
    noun(kind).rows(TESTS).model.objects.bulk_create(rows)
    search.index_rows(noun(kind), rows)


def hosts(name: str, **more: Any) -> list[Resource]:
    return [Resource(kind="host", name=f"{name}{n}", source="t", **more) for n in range(MANY)]


def test_the_name_that_was_typed_is_found_below_any_number_of_newer_ones(viewer_actor: Actor) -> None:
    long = "核心订单服务-" * 5
    for name in ("host-1", "Höst-ß", f"{long}z"):
        make(name)
    search.follow()
    many("inventory.resource", hosts("host-1"))
    many("inventory.resource", hosts("höst-ss-"))
    many("inventory.resource", hosts(f"{long}y"))
    assert found(viewer_actor, "host-1")[0] == "host-1"
    assert found(viewer_actor, " HÖST-SS")[0] == "Höst-ß"
    assert found(viewer_actor, f"{long}z") == [f"{long}z"], "longer than one term of the index"


def test_a_name_that_begins_so_comes_before_any_number_that_only_hold_it(viewer_actor: Actor) -> None:
    make("shop-db-7")
    search.follow()
    many("inventory.resource", hosts("the-shop-db-7"))
    assert found(viewer_actor, "shop-db")[0] == "shop-db-7"


@pytest.mark.parametrize("asked_for", ["zanzibar", "env=green"])
def test_what_others_own_hides_nothing_of_one_s_own(asked_for: str) -> None:
    ours, theirs = (people.create_team(actor=TESTS, name=name) for name in ("ours", "theirs"))
    make("zanzibar-ours", owner=ours, labels={"env": "green"})
    search.follow()
    many("inventory.resource", hosts("zanzibar", owner=theirs, labels={"env": "green"}))
    user = User.objects.create_user("member")
    people.set_role(actor=TESTS, user=user, role=Role.VIEWER, team=ours)
    assert found(actor_for_user(user), asked_for) == ["zanzibar-ours"]


def test_one_sort_of_thing_hides_no_other(viewer_actor: Actor) -> None:
    make("checkout", labels={"stage": "berlin"})
    search.follow()
    many(
        "alerting.alertgroup",
        [
            AlertGroup(key=f"berlin-{n}", labels={"alertname": f"berlin-{n}"}, started_at=timezone.now())
            for n in range(MANY)
        ],
    )
    with CaptureQueriesContext(connection) as queries:
        hits = search.find(viewer_actor, "berlin")
    assert "checkout" in [hit.title for hit in hits]
    assert len(hits) == 21
    assert len(queries) <= 4


def test_a_pass_finds_what_no_event_told_and_forgets_what_is_gone(viewer_actor: Actor) -> None:
    rows = Resource.objects.bulk_create(
        Resource(kind="host", name=f"bulk-{n}", source="t") for n in range(search.BATCH + 3)
    )
    stale = SearchEntry.objects.create(
        ref="inventory.resource:x",
        kind="inventory.resource",
        title="x",
        digest="",
        indexed_at=timezone.now() - timedelta(days=2),
    )
    assert not search.go_on(batches=1)
    while not search.go_on(batches=2):
        pass
    assert found(viewer_actor, rows[-1].name) == [rows[-1].name]
    assert not SearchEntry.objects.filter(pk=stale.pk).exists()
    Resource.objects.bulk_create([Resource(kind="host", name="later", source="t")])
    assert search.go_on()
    assert found(viewer_actor, "later") == []
    SearchProgress.objects.update(pass_ended_at=timezone.now() - timedelta(days=2))
    while not search.go_on():
        pass
    assert found(viewer_actor, "later") == ["later"]


def test_a_question_costs_the_same_whatever_is_there(viewer_actor: Actor) -> None:
    counts = []
    for size in (1, 60):
        Resource.objects.bulk_create(Resource(kind="host", name=f"cost-{size}-{n}", source="t") for n in range(size))
        search.index_rows(noun("inventory.resource"), Resource.objects.all())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(search.find(viewer_actor, "cost")) == min(20, Resource.objects.count())
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 3
