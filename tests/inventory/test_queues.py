from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Event, Membership, Role, Team
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions, queues, refresh, sources, work
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Identity,
    Resource,
    ResourceState,
    Sighting,
    SourceConfig,
)
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName
from tongchou.inventory.observation import Observation, ObservedResource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")


def at(days: float = 0) -> Any:
    return timezone.now() + timedelta(days=days)


def look() -> None:
    refresh.refresh(timezone.now())


def names(queue: QueueName) -> list[str]:
    return sorted(row.resource.name if row.resource else row.key for row in QueueItem.objects.filter(queue=queue))


def only(queue: QueueName) -> QueueItem:
    return QueueItem.objects.select_related("resource").get(queue=queue)


@pytest.fixture
def eyes() -> SourceConfig:
    return SourceConfig.objects.create(name="eyes", kind="x", precedence=50)


@pytest.fixture
def file() -> SourceConfig:
    return SourceConfig.objects.create(name="file", kind="x", precedence=80, declares=True)


def sees(config: SourceConfig, *found: ObservedResource) -> Any:
    return sources.apply_sync(actor=ACTOR, source=config, observation=Observation(found))


def host(name: str, *keys: str, **attributes: Any) -> ObservedResource:
    return ObservedResource("host", name, keys or (f"serial:{name}",), attributes)


def declared(name: str, **attributes: Any) -> Resource:
    return actions.create_resource(actor=ACTOR, kind="host", name=name, attributes=attributes, keys=(f"serial:{name}",))


# --- declared differs from observed -----------------------------------------------------------------------------------


def test_a_declared_word_beside_another_observed_one_is_drift(eyes: SourceConfig, file: SourceConfig) -> None:
    declared("a", os="Debian 12", cores=4)
    sees(eyes, host("a", os="Debian 11", cores="4", room="b"))
    sees(file, host("b", os="RHEL 9"))
    sees(eyes, host("a", os="Debian 11", cores="4"), host("b", os="rhel 9 "))
    look()
    row = only(QueueName.DIFFERS)
    assert (row.resource.name, row.key) == ("a", "os")  # type: ignore[union-attr]
    assert row.facts == {
        "declared": "Debian 12", "declared_by": "manual", "observed": "Debian 11", "observed_by": "eyes"
    }  # fmt: skip


def test_accepting_what_is_observed_ends_the_drift_and_tells_it(eyes: SourceConfig, operator_actor: Actor) -> None:
    row = declared("a", os="Debian 12")
    sees(eyes, host("a", os="Debian 11"))
    look()
    work.accept_observed(actor=operator_actor, row=only(QueueName.DIFFERS))
    look()
    assert names(QueueName.DIFFERS) == []
    assert AttributeValue.objects.get(resource=row, source="manual").value == "Debian 11"
    event = Event.objects.get(verb="drift.accepted", abouts__ref=ref(row))
    assert (event.payload["declared"], event.payload["observed"]) == ("Debian 12", "Debian 11")
    sees(eyes, host("a", os="Debian 13"))
    look()
    assert only(QueueName.DIFFERS).facts["observed"] == "Debian 13"


def test_what_is_kept_stays_away_until_something_else_is_observed(eyes: SourceConfig, operator_actor: Actor) -> None:
    declared("a", os="Debian 12")
    sees(eyes, host("a", os="Debian 11"))
    look()
    with pytest.raises(Invalid):
        work.keep_declared(actor=operator_actor, row=only(QueueName.DIFFERS), reason=" ")
    work.keep_declared(actor=operator_actor, row=only(QueueName.DIFFERS), reason="the scanner is wrong")
    look()
    assert (only(QueueName.DIFFERS).state, queues.counts(ACTOR)["differs"]) == (ItemState.KEPT, 0)
    sees(eyes, host("a", os="Debian 10"))
    look()
    assert (only(QueueName.DIFFERS).state, queues.counts(ACTOR)["differs"]) == (ItemState.OPEN, 1)


def test_a_decision_about_what_was_shown_is_not_taken_for_something_else(eyes: SourceConfig) -> None:
    declared("a", os="Debian 12")
    sees(eyes, host("a", os="Debian 11"))
    look()
    shown = only(QueueName.DIFFERS)
    sees(eyes, host("a", os="Debian 10"))
    look()
    with pytest.raises(Conflict):
        work.keep_declared(actor=ACTOR, row=shown, reason="as before")


def test_what_agrees_by_now_is_not_accepted(eyes: SourceConfig) -> None:
    declared("a", os="Debian 12")
    sees(eyes, host("a", os="Debian 11"))
    look()
    sees(eyes, host("a", os="Debian 12"))
    with pytest.raises(Conflict):
        work.accept_observed(actor=ACTOR, row=only(QueueName.DIFFERS))


# --- seen, not recorded -----------------------------------------------------------------------------------------------


def test_only_what_nobody_declared_and_nobody_accepted_is_not_recorded(eyes: SourceConfig, file: SourceConfig) -> None:
    declared("by-hand")
    sees(file, host("in-the-file"))
    sees(eyes, host("by-hand"), host("in-the-file"), host("stray"), ObservedResource("disk", "sda", ("disk:1",)))
    look()
    assert names(QueueName.UNRECORDED) == ["stray"]
    work.accept(actor=ACTOR, row=only(QueueName.UNRECORDED), reason="a new one")
    look()
    assert names(QueueName.UNRECORDED) == []
    stray = Resource.objects.get(name="stray")
    assert Event.objects.filter(verb="resource.recorded", abouts__ref=ref(stray)).count() == 1
    assert not Sighting.objects.filter(resource=stray, source="manual").exists()  # its sources may still give it up


def test_an_instance_that_only_sends_metrics_is_taken_in_and_found_by_its_series() -> None:
    refresh.report_instances([("node", "10.0.0.9:9100"), ("node", "10.0.0.9:9100")], at())
    assert names(QueueName.UNRECORDED) == ["node/10.0.0.9:9100"]
    refresh.report_instances([("node", "10.0.0.9:9100")], at())
    look()
    work.accept(actor=ACTOR, row=only(QueueName.UNRECORDED))
    assert names(QueueName.UNRECORDED) == []
    endpoint = Endpoint.objects.get(job="node", instance="10.0.0.9:9100")
    assert (endpoint.purpose, endpoint.resource.name) == ("pushed", "10.0.0.9:9100")


# --- unseen, without owner, identity ----------------------------------------------------------------------------------


def test_what_is_not_seen_for_days_waits_until_somebody_says_what_is_so(eyes: SourceConfig) -> None:
    sees(eyes, host("old"), host("new"))
    old = Resource.objects.get(name="old")
    Resource.objects.update(created_at=at(-30))
    Sighting.objects.filter(resource=old).update(last_seen=at(-8))
    look()
    assert names(QueueName.UNSEEN) == ["old"]
    work.confirm(actor=ACTOR, row=only(QueueName.UNSEEN))
    look()
    assert names(QueueName.UNSEEN) == []
    assert Sighting.objects.filter(resource=old, source="manual").count() == 1


def test_what_is_declared_gone_leaves_every_queue() -> None:
    declared("a")
    look()
    work.retire(actor=ACTOR, row=only(QueueName.UNOWNED), reason="scrapped")
    assert QueueItem.objects.count() == 0
    look()
    assert QueueItem.objects.count() == 0


def test_an_owner_is_given_in_the_queue() -> None:
    red = Team.objects.create(name="red")
    declared("a")
    look()
    work.own(actor=ACTOR, row=only(QueueName.UNOWNED), team=red)
    look()
    assert names(QueueName.UNOWNED) == []
    assert Resource.objects.get().owner == red


def test_a_service_without_anything_it_runs_on_is_not_complete() -> None:
    shop = actions.create_resource(actor=ACTOR, kind="service", name="shop")
    part = actions.create_resource(actor=ACTOR, kind="instance", name="shop-1")
    look()
    assert names(QueueName.UNRELATED) == ["shop", "shop-1"]
    relation = actions.relate(actor=ACTOR, from_resource=part, to_resource=shop, type="part_of")
    look()
    assert names(QueueName.UNRELATED) == []
    actions.unrelate(actor=ACTOR, relation=relation)
    look()
    assert names(QueueName.UNRELATED) == ["shop", "shop-1"]


def test_one_thing_with_the_keys_of_two_is_a_conflict_until_it_is_none(eyes: SourceConfig) -> None:
    sees(eyes, host("a", "k:a"), host("b", "k:b"))
    sees(eyes, host("a", "k:a", "k:b"), host("c", "k:c"))
    row = only(QueueName.IDENTITY)
    b = Identity.objects.get(key="k:b").resource_id
    assert (row.resource.name, row.facts["others"]) == ("a", [str(b)])  # type: ignore[union-attr]
    look()
    assert names(QueueName.IDENTITY) == ["a"]
    sees(eyes, host("a", "k:a"), host("b", "k:b"))
    assert names(QueueName.IDENTITY) == []


def test_two_of_one_kind_and_name_may_be_one(eyes: SourceConfig) -> None:
    sees(eyes, host("a", "k:1"), host("a", "k:2"), ObservedResource("service", "a", ("service:a",)))
    look()
    assert names(QueueName.IDENTITY) == ["a"]
    assert only(QueueName.IDENTITY).facts["count"] == 2


# --- items ------------------------------------------------------------------------------------------------------------


def test_to_look_again_changes_nothing_and_an_item_keeps_its_age(eyes: SourceConfig) -> None:
    declared("a", os="1")
    sees(eyes, host("a", os="2"), host("b"))
    look()
    before = list(QueueItem.objects.order_by("pk").values())
    assert before
    assert refresh.refresh(at(0.5)) == 0
    assert list(QueueItem.objects.order_by("pk").values()) == before


def test_an_ignored_item_is_back_on_its_day_as_old_as_it_is() -> None:
    declared("a")
    look()
    row = only(QueueName.UNOWNED)
    with pytest.raises(Invalid):
        work.ignore(actor=ACTOR, row=row, reason="later", until=at(400))
    with pytest.raises(Invalid):
        work.ignore(actor=ACTOR, row=row, reason="later", until=at(-1))
    work.ignore(actor=ACTOR, row=row, reason="moves to another team", until=at(3))
    look()
    assert queues.counts(ACTOR)["unowned"] == 0
    refresh.refresh(at(4))
    again = only(QueueName.UNOWNED)
    assert (again.state, again.since) == (ItemState.OPEN, row.since)
    assert queues.counts(ACTOR)["unowned"] == 1


def test_a_decision_of_another_queue_is_refused() -> None:
    declared("a")
    look()
    with pytest.raises(Conflict):
        work.accept_observed(actor=ACTOR, row=only(QueueName.UNOWNED))


def test_a_team_sees_and_decides_only_about_its_own(django_user_model: Any) -> None:
    red, blue = Team.objects.create(name="red"), Team.objects.create(name="blue")
    for team in (red, blue):
        actions.create_resource(actor=ACTOR, kind="service", name=team.name, owner=team)
    look()
    user = django_user_model.objects.create_user(username="r", password="correct horse battery")
    Membership.objects.create(user=user, team=red, role=Role.OPERATOR)
    actor = actor_for_user(user)
    assert queues.counts(actor)["unrelated"] == 1
    theirs = QueueItem.objects.get(resource__name="blue")
    with pytest.raises(NotFound):
        work.item(actor, theirs.pk)
    with pytest.raises(AccessDenied):
        work.ignore(actor=actor, row=theirs, reason="x", until=at(3))


def test_counts_are_kept_until_the_queues_change() -> None:
    declared("a")
    look()
    assert queues.counts(ACTOR)["unowned"] == 1
    with CaptureQueriesContext(connection) as seen:
        queues.counts(ACTOR)
    assert "count" not in json.dumps([each["sql"].lower() for each in seen.captured_queries]).replace("counts", "")
    work.retire(actor=ACTOR, row=only(QueueName.UNOWNED))
    assert queues.counts(ACTOR)["unowned"] == 0
    assert Resource.objects.get().state == ResourceState.TOMBSTONE


def test_the_number_of_statements_does_not_grow_with_the_inventory(eyes: SourceConfig) -> None:
    def asked(more: int) -> int:
        sees(eyes, *(host(f"h{n}", os="1") for n in range(more)))
        look()
        with CaptureQueriesContext(connection) as seen:
            look()
        return len(seen)

    assert asked(3) == asked(60)


def test_a_refresh_is_due_when_something_was_recorded_and_the_last_one_has_rested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresh, "_last", {"stamp": None, "at": 0.0, "seconds": 0.0})
    declared("a")
    assert refresh.due()
    refresh.refresh_now()
    assert names(QueueName.UNOWNED) == ["a"]
    refresh._last["seconds"] = 0.0
    assert not refresh.due()
    declared("b")
    assert refresh.due()
    refresh._last["seconds"] = 60.0  # a dear one rests
    assert not refresh.due()


def test_a_standard_field_that_is_required_or_wanted_and_lacks_is_in_the_queue(file: SourceConfig) -> None:
    def said(kind: str, name: str, **attributes: Any) -> ObservedResource:
        return ObservedResource(kind, name, (f"serial:{name}",), attributes)

    sees(file, said("certificate", "shop"), said("vlan", "office"), said("contract", "support", ends_on="2027-01-01"))
    actions.create_resource(actor=ACTOR, kind="domain", name="example.org")  # wanted, so nobody is refused
    look()
    rows = QueueItem.objects.filter(queue=QueueName.UNFILLED).values_list("resource__name", "key")
    assert set(rows) == {("shop", "not_after"), ("office", "vid"), ("example.org", "expires_on")}
    sees(
        file,
        said("certificate", "shop", not_after="2027-01-01T00:00:00Z"),
        said("vlan", "office", vid=7),
        said("contract", "support", ends_on="2027-01-01"),
    )
    look()
    assert names(QueueName.UNFILLED) == ["example.org"]
