"""Recording deployments: once for each delivery, about the service and its instances, nothing lost."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tongchou.changes import actions, reads
from tongchou.changes.deployment import Report, read
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Event, Membership, Role, Team, User
from tongchou.core.problems import AccessDenied, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")


def report(now: datetime | None = None, **more: Any) -> Report:
    """A report that ended now."""
    fields = {"service": "orders", "version": "2", "delivery_id": "d-1", **more}
    return read(fields, now=now or timezone.now())


def service(name: str = "orders", **more: Any) -> Resource:
    """A service of the inventory."""
    return inventory.create_resource(actor=TESTS, kind="service", name=name, **more)


def test_a_deployment_is_told_about_its_service_and_instances() -> None:
    orders = service()
    instance = inventory.create_resource(actor=TESTS, kind="instance", name="orders-1")
    inventory.relate(actor=TESTS, from_resource=instance, to_resource=orders, type="part_of")
    row, created = actions.record_deployment(
        actor=TESTS, source="ci", report=report(previous_version="1", started_at=timezone.now().timestamp() - 30)
    )
    assert created
    assert row.title == "orders 1 → 2"
    (event,) = ledger.events(about=ref(instance), verbs=["deployment.finished"])
    assert event.subject == ref(row)
    assert (event.payload["service"], event.payload["version"], event.payload["service_known"]) == ("orders", "2", True)
    assert event.payload["started_at"] == row.started_at.isoformat()
    assert event.at == row.finished_at
    assert ledger.events(about=ref(orders), verbs=["deployment.finished"])[0] == event


def test_a_running_release_is_told_as_begun() -> None:
    service()
    actions.record_deployment(actor=TESTS, source="ci", report=report(status="running"))
    assert Event.objects.filter(verb="deployment.started").count() == 1
    assert not Event.objects.filter(verb="deployment.finished").exists()


def test_a_repeated_delivery_is_the_same_deployment() -> None:
    service()
    first, created = actions.record_deployment(actor=TESTS, source="ci", report=report())
    again, created_again = actions.record_deployment(actor=TESTS, source="ci", report=report(version="3"))
    assert (created, created_again) == (True, False)
    assert again == first
    assert again.version == "2"
    assert Event.objects.filter(verb="deployment.finished").count() == 1


def test_two_sources_may_use_the_same_delivery_id() -> None:
    for source in ("ci", "cd"):
        assert actions.record_deployment(actor=TESTS, source=source, report=report())[1]
    assert Event.objects.filter(verb="deployment.finished").count() == 2


def test_an_unknown_service_is_recorded_and_flagged() -> None:
    row, created = actions.record_deployment(actor=TESTS, source="ci", report=report(service="ghost"))
    assert created
    assert row.service is None
    event = Event.objects.get(verb="deployment.finished")
    assert event.payload["service_known"] is False
    assert [about.ref for about in event.abouts.all()] == [ref(row)]


def test_the_version_before_is_looked_up_when_the_sender_does_not_say() -> None:
    now = timezone.now()
    for number, version in enumerate(["1", "2"]):
        told = report(now, version=version, delivery_id=f"d{number}", started_at=now.timestamp() - 100 + number)
        row, _created = actions.record_deployment(actor=TESTS, source="ci", report=told)
    assert (row.previous_version, row.title) == ("1", "orders 1 → 2")


def test_of_two_services_of_one_name_the_environment_decides_or_nobody() -> None:
    for env in ("live", "test"):
        # Two stated services of one name are one resource; here two sources know one each.
        Resource.objects.create(kind="service", name="orders", labels={"env": env}, source=env)
    assert actions.find_service("orders", "test").labels == {"env": "test"}  # type: ignore[union-attr]  # it is found
    assert actions.find_service("orders", "") is None
    assert actions.find_service("orders", "third") is None


def test_a_service_comes_before_another_resource_of_its_name() -> None:
    inventory.create_resource(actor=TESTS, kind="instance", name="orders")
    assert actions.find_service("orders").kind == "instance"  # type: ignore[union-attr]  # it is found
    known = service()
    assert actions.find_service("orders") == known


@pytest.mark.django_db(transaction=True)
def test_the_same_delivery_twice_at_once_is_one_deployment() -> None:
    service()
    start = threading.Barrier(4)
    created: list[bool] = []
    told = report()

    def race() -> None:
        start.wait()
        created.append(actions.record_deployment(actor=TESTS, source="ci", report=told)[1])
        connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(created) == [False, False, False, True]
    assert Deployment.objects.count() == 1
    assert Event.objects.filter(verb="deployment.finished").count() == 1


def test_a_source_keeps_its_secret_encrypted_and_may_change_it(admin_actor: Actor) -> None:
    actions.put_source(actor=admin_actor, name="ci", secret="a" * 16)
    actions.put_source(actor=admin_actor, name="ci", secret="b" * 16)
    assert DeploymentSource.objects.count() == 1
    assert secrets.reveal("deployments:ci") == "b" * 16
    assert not [event for event in Event.objects.all() if "b" * 16 in str(event.payload)]


@pytest.mark.parametrize(("name", "secret"), [("CI", "a" * 16), ("", "a" * 16), ("a/b", "a" * 16), ("ci", "short")])
def test_a_bad_name_or_short_secret_is_refused(admin_actor: Actor, name: str, secret: str) -> None:
    with pytest.raises(Invalid):
        actions.put_source(actor=admin_actor, name=name, secret=secret)
    assert not DeploymentSource.objects.exists()


def test_only_an_administrator_makes_sources(approver_actor: Actor, viewer_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        actions.put_source(actor=approver_actor, name="ci", secret="a" * 16)
    with pytest.raises(AccessDenied):
        actions.record_deployment(actor=viewer_actor, source="ci", report=report())


def test_a_team_sees_the_deployments_of_its_services() -> None:
    team = Team.objects.create(name="storage")
    service("archive", owner=team)
    service("orders")
    for number, name in enumerate(("archive", "orders", "ghost")):
        told = report(service=name, delivery_id=f"d{number}")
        actions.record_deployment(actor=TESTS, source="ci", report=told)
    user = User.objects.create(username="keeper")
    Membership.objects.create(user=user, team=team, role=Role.VIEWER)
    member = actor_for_user(user)
    assert [row.service_name for row in reads.deployments(member)] == ["archive"]
    with pytest.raises(NotFound):
        reads.deployment(member, Deployment.objects.get(service_name="orders").pk)
