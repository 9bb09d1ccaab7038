"""A bad incident stops deployments to what it breaks, once each, until its impact has ended."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.core.refs import ref
from tongchou.incidents import actions, holding
from tongchou.incidents.models import Incident
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Hold

TESTS = system("tests")
PERSON = system("person")  # whoever is not the keeper
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def held() -> list[str]:
    """The services that nothing may be deployed to now."""
    rows = Hold.objects.filter(kind="deployment", lifted_at__isnull=True)
    return sorted(rows.values_list("resource__name", flat=True))


def told(verb: str) -> int:
    return Event.objects.filter(verb=verb).count()


def test_a_critical_incident_holds_what_it_breaks_until_its_impact_has_ended(shop: Shop) -> None:
    group = scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    incident = scene.only_incident()
    hold = Hold.objects.get(kind="deployment", resource=shop.orders)
    assert (hold.opened_by, hold.reason) == (ref(incident), f"INC-1 {incident.title}")
    assert "storefront" not in held()  # it only needs what is broken
    scene.close(group)
    scene.run_jobs()
    assert held() == []
    lifted = Event.objects.filter(verb="hold.lifted").latest("pk")
    assert lifted.payload["reason"] == "INC-1: mitigated"


@pytest.mark.parametrize("way", ["mitigate", "resolve"])
def test_a_person_who_says_that_it_is_over_ends_them(shop: Shop, way: str) -> None:
    scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    more: dict[str, Any] = {"force": True, "comment": "rolled back"} if way == "resolve" else {}
    getattr(actions, way)(actor=TESTS, incident=scene.only_incident(), **more)
    scene.run_jobs()
    assert held() == []
    actions.reopen(actor=TESTS, incident=scene.only_incident())
    scene.run_jobs()
    assert "orders" in held()


def test_a_piece_that_fails_holds_its_service_and_no_whole_of_that(shop: Shop) -> None:
    whole = scene.resource("service", "all-of-it")
    inventory.relate(actor=TESTS, from_resource=shop.orders, to_resource=whole, type="part_of")
    scene.opened("TargetDown", shop.orders_1)
    scene.run_jobs()
    assert "orders" in held()
    assert "all-of-it" not in held()


def test_a_host_that_fails_holds_the_services_that_stand_on_it(shop: Shop) -> None:
    scene.opened("TargetDown", shop.host)
    scene.run_jobs()
    assert held() == ["search"]  # the others have pieces there, and elsewhere


@pytest.mark.parametrize("seed", range(4))
def test_duplicate_late_and_reordered_events_place_one_hold_a_service(shop: Shop, seed: int) -> None:
    began = timezone.now() - timedelta(minutes=1)
    rows = [scene.group(name, began) for name in ("db", "orders")]
    scene.alert(rows[0], "TargetDown", shop.primary, at=began)
    scene.alert(rows[1], "ErrorRatioHigh", shop.orders, at=began + timedelta(seconds=5))
    events = [(row, verb) for row in rows for verb in ("group_opened", "group_changed")] * 3
    random.Random(seed).shuffle(events)
    for row, verb in events:
        scene.tell(row, verb)
    scene.run_jobs()
    for _twice in range(2):
        assert holding.keep(scene.only_incident().pk) == (0, 0)
    assert held() == ["database", "orders"]
    assert told("hold.placed") == 2
    scene.tell(scene.close(rows[0]), "group_closed")
    scene.tell(scene.close(rows[1]), "group_closed")
    scene.run_jobs()
    assert (held(), told("hold.lifted")) == ([], 2)


def test_what_is_not_bad_enough_holds_nothing_until_it_is(shop: Shop) -> None:
    group = scene.opened("ErrorRatioHigh", shop.orders, severity="major")
    scene.run_jobs()
    assert held() == []
    scene.alert(group, "TargetDown", shop.orders_1, at=timezone.now())
    group.severity = "critical"
    group.save(update_fields=["severity"])
    scene.tell(group, "group_changed")
    scene.run_jobs()
    assert "orders" in held()


def test_the_setting_says_from_which_severity_on_and_switches_it_off(shop: Shop) -> None:
    settings_store.put(actor=TESTS, key="incidents.hold_severity", value="")
    scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    assert held() == []
    settings_store.put(actor=TESTS, key="incidents.hold_severity", value="major")
    scene.run_jobs()
    assert "orders" in held()
    settings_store.put(actor=TESTS, key="incidents.hold_severity", value="")
    scene.run_jobs()
    assert held() == []


def test_what_a_person_lifted_stays_lifted(shop: Shop) -> None:
    group = scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    hold = Hold.objects.get(kind="deployment", resource=shop.orders)
    inventory.lift_hold(actor=PERSON, hold=hold)
    scene.tell(group, "group_changed")
    scene.run_jobs()
    actions.mitigate(actor=TESTS, incident=Incident.objects.get())
    actions.reopen(actor=TESTS, incident=Incident.objects.get())
    scene.run_jobs()
    assert "orders" not in held()


def test_a_hold_that_a_person_placed_is_left_alone(shop: Shop) -> None:
    inventory.place_hold(actor=PERSON, resource=shop.orders, kind="deployment", reason="stocktaking")
    group = scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    assert Hold.objects.filter(resource=shop.orders).count() == 2
    scene.close(group)
    scene.run_jobs()
    assert held() == ["orders"]
