"""Who was seen to use what: how sure that is, and what becomes of it over time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.inventory import actions, jobs
from tongchou.inventory.apply import current_stamp
from tongchou.inventory.connections import FIRST, LEAST, MOST, SeenUse, confidence, merged, place, relation_type
from tongchou.inventory.models import AttributeValue, Endpoint, Identity, Relation, Resource
from tongchou.inventory.models_queues import QueueItem
from tongchou.inventory.models_seen import Use
from tongchou.inventory.observation import OWN_SERVICE
from tongchou.inventory.uses import note_uses

SYSTEM = system("tests")
NOW = timezone.now()
SOURCE = "box/seen"


@given(st.integers(1, 5000), st.integers(0, 60 * 24 * 30), st.integers(1, 5000))
def test_confidence_grows_with_looks_fades_with_time_and_stays_within_bounds(
    looks: int, minutes: int, more: int
) -> None:
    seen = NOW - timedelta(minutes=minutes)
    sure = confidence(looks, seen, NOW)
    assert 0 <= sure <= MOST
    assert confidence(looks + more, seen, NOW) >= sure
    assert confidence(looks, seen, NOW + timedelta(minutes=more)) <= sure
    if minutes <= 60:
        assert sure >= FIRST


def test_a_connection_unseen_for_a_month_is_nothing() -> None:
    assert confidence(10_000, NOW - timedelta(days=30), NOW) < LEAST
    assert confidence(0, NOW, NOW) == 0.0


def test_what_it_is_called_depends_on_who_is_called() -> None:
    assert relation_type("service", "database") == "stores_in"
    assert relation_type("load_balancer", "service") == "calls"
    assert relation_type("host", "listener") == relation_type("host", "service") == "depends_on"


def test_many_connections_are_one_edge_and_the_rare_ones_go_first() -> None:
    uses = [SeenUse(("a",), ("b",))] * 3 + [SeenUse(("a",), (f"c{n}",)) for n in range(5)]
    assert merged(uses, most=2) == [SeenUse(("a",), ("b",), 3.0), SeenUse(("a",), ("c0",), 1.0)]
    assert (place("10.0.0.5", 5432), place("fe80::1", 80)) == ("addr:10.0.0.5:5432", "addr:[fe80::1]:80")


def shop_and_store() -> tuple[Resource, Resource]:
    shop = actions.create_resource(actor=SYSTEM, kind="service", name="shop")
    store = actions.create_resource(actor=SYSTEM, kind="database", name="store", keys=("service:store",))
    return shop, store


def note(uses: list[SeenUse], now: datetime = NOW, source: str = SOURCE) -> int:
    return note_uses(actor=SYSTEM, source=source, uses=uses, now=now)


USE = [SeenUse(("service:shop",), ("service:store",), 4.0)]


@pytest.mark.django_db
def test_a_relation_opens_grows_sure_fades_and_closes_and_a_declared_one_stays() -> None:
    shop, store = shop_and_store()
    declared = actions.relate(actor=SYSTEM, from_resource=shop, to_resource=store, type="stores_in")
    note(USE)
    row = Relation.objects.get(source=SOURCE)
    assert (row.type, row.origin, row.confidence, row.valid_to) == ("stores_in", "observed", FIRST, None)
    assert note(USE, NOW + timedelta(seconds=20)) == 0  # a second look within the minute says nothing new
    for minute in range(1, 90):
        note(USE, NOW + timedelta(minutes=minute))
    row.refresh_from_db()
    assert row.confidence >= 0.9
    assert Use.objects.get().looks == 90
    note([], NOW + timedelta(days=2))
    row.refresh_from_db()
    assert 0.1 < row.confidence < 0.9
    note([], NOW + timedelta(days=10))
    row.refresh_from_db()
    assert row.valid_to == NOW + timedelta(days=10)
    note([], NOW + timedelta(days=30))
    assert not Use.objects.exists()
    declared.refresh_from_db()
    assert (declared.valid_to, declared.confidence) == (None, 1.0)


@pytest.mark.django_db
def test_who_reports_to_the_platform_does_not_need_it_nor_it_what_it_reads_but_its_stores() -> None:
    shop, store = shop_and_store()
    own = actions.service(actor=SYSTEM, name=OWN_SERVICE)
    ends = ("service:shop", "service:store", f"service:{OWN_SERVICE}")
    note([SeenUse((a,), (b,)) for a in ends for b in ends if a != b])
    found = {(row.from_resource, row.to_resource) for row in Relation.objects.filter(source=SOURCE)}
    assert found == {(shop, store), (store, shop), (own, store)}
    assert not QueueItem.objects.filter(key__startswith="peer:").exists()


@pytest.mark.django_db
def test_an_address_means_who_is_read_there_or_who_listens_there_and_an_instance_its_service() -> None:
    shop, store = shop_and_store()
    part = actions.create_resource(actor=SYSTEM, kind="instance", name="store-1")
    actions.relate(actor=SYSTEM, from_resource=part, to_resource=store, type="part_of")
    Endpoint.objects.create(
        resource=part, url="http://10.0.0.5:9187/metrics", instance="10.0.0.5:9187", job="s", source="t"
    )
    box = actions.create_resource(actor=SYSTEM, kind="host", name="box", keys=("machine-id:1",))
    wire = actions.create_resource(
        actor=SYSTEM, kind="interface", name="box eth0", keys=("machine-id:1/interface:eth0",)
    )
    AttributeValue.objects.create(resource=wire, source="t", name="addresses", value=["10.0.0.6", "127.0.0.1"])
    port = actions.create_resource(actor=SYSTEM, kind="listener", name="pg:5432", keys=("machine-id:1/tcp:5432",))
    ends = {
        "addr:10.0.0.5:9187": ("stores_in", store),
        "addr:10.0.0.6:5432": ("depends_on", port),
        "addr:10.0.0.6:9999": ("depends_on", box),
    }
    note([SeenUse(("service:shop",), (end,)) for end in ends])
    found = {(row.type, row.to_resource) for row in Relation.objects.filter(source=SOURCE, from_resource=shop)}
    assert found == set(ends.values())


@pytest.mark.django_db
def test_a_peer_that_is_no_resource_waits_in_the_queue_until_it_is_one() -> None:
    shop_and_store()
    note([SeenUse(("service:shop",), ("addr:10.9.9.9:6379",))])
    item = QueueItem.objects.get(queue="unrecorded", key__startswith="peer:")
    assert item.facts["instance"] == "10.9.9.9:6379"
    assert not Relation.objects.filter(source=SOURCE).exists()
    cache = actions.create_resource(actor=SYSTEM, kind="cache", name="cache")
    Endpoint.objects.create(resource=cache, url="http://10.9.9.9:6379/", instance="10.9.9.9:6379", source="t")
    note([], NOW + timedelta(minutes=5))
    assert not QueueItem.objects.filter(key__startswith="peer:").exists()
    assert Relation.objects.get(source=SOURCE).to_resource == cache
    assert Identity.objects.filter(resource=cache).exists()


@pytest.mark.django_db
def test_what_was_seen_fades_and_closes_though_its_source_looks_no_more() -> None:
    shop, store = shop_and_store()
    actions.relate(actor=SYSTEM, from_resource=shop, to_resource=store, type="stores_in")
    for source in (SOURCE, "traces"):
        note(USE, NOW - timedelta(days=9), source)
    note(USE, NOW - timedelta(minutes=20), "other/seen")
    untouched = Relation.objects.get(source="other/seen")
    jobs.fade_uses()
    closed = Relation.objects.filter(source__in=[SOURCE, "traces"])
    assert [row.valid_to is not None for row in closed] == [True, True]
    assert Event.objects.filter(verb="relation.removed").count() == 2
    assert not Relation.objects.filter(source="other/seen").exclude(confidence=untouched.confidence).exists()
    assert Relation.objects.filter(source="manual", valid_to=None).count() == 1
    before = current_stamp()
    jobs.fade_uses()  # once more says nothing new
    assert (current_stamp(), Event.objects.filter(verb="relation.removed").count()) == (before, 2)
    Use.objects.filter(source="traces").update(last_seen=NOW - timedelta(days=15))
    jobs.fade_uses()
    assert set(Use.objects.values_list("source", flat=True)) == {SOURCE, "other/seen"}
    Use.objects.filter(source=SOURCE).update(last_seen=NOW)  # the source looks again
    note(USE, timezone.now())
    assert Relation.objects.filter(source=SOURCE, valid_to=None).count() == 1


@pytest.mark.django_db
def test_a_peer_nobody_names_any_more_leaves_the_queue_when_its_source_is_silent() -> None:
    shop_and_store()
    note([SeenUse(("service:shop",), ("addr:10.9.9.9:6379",))], NOW - timedelta(days=2))
    assert QueueItem.objects.filter(key__startswith="peer:").exists()
    jobs.fade_uses()
    assert not QueueItem.objects.filter(key__startswith="peer:").exists()
