"""What pages and rooms above read of alerting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.alerting.test_groups import fire, firing, resolve
from tongchou.alerting import reads
from tongchou.alerting.models import Alert
from tongchou.core.access import Actor
from tongchou.core.models import Role, Team
from tongchou.inventory.models import Endpoint, Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def instance(name: str, team: Team | None = None) -> Resource:
    made = Resource.objects.create(kind="instance", name=name, source="t", owner=team)
    Endpoint.objects.create(resource=made, url=f"http://{name}:1/", job="j", instance=f"{name}:1", source="t")
    return made


def about(number: int, where: Resource, **labels: str) -> Alert:
    alert = firing(number, job="j", instance=f"{where.name}:1", **labels)
    alert.severity = labels.get("severity", "")
    return alert


def test_the_worst_that_fires_colours_a_resource(django_assert_num_queries: Any) -> None:
    one, two, calm = instance("one"), instance("two"), instance("calm")
    ended = about(4, calm, severity="critical")
    fire(about(1, one, severity="warning"), about(2, one, severity="critical"), about(3, two), ended)
    resolve(ended)
    with django_assert_num_queries(1):
        found = reads.worst_by_resource()
    assert {key: (state.severity, state.count) for key, state in found.items()} == {
        one.pk: ("critical", 2),
        two.pk: ("", 1),
    }
    assert set(reads.worst_by_resource([two.pk])) == {two.pk}
    assert [alert.severity for alert in reads.alerts_of_resource(calm.pk)] == ["critical"]


def test_counts_are_by_severity_the_worst_first() -> None:
    where = instance("one")
    fire(*[about(number, where, severity=name) for number, name in enumerate(["info", "critical", "info", "warning"])])
    assert list(reads.counts_by_severity().items()) == [("critical", 1), ("warning", 1), ("info", 2)]


def test_open_groups_come_with_alerts_and_resources_in_a_fixed_number_of_queries(
    django_assert_num_queries: Any,
) -> None:
    places = [instance(f"i{number}") for number in range(5)]
    fire(*[about(number, place, service=f"s{number % 3}") for number, place in enumerate(places)])
    with django_assert_num_queries(4):
        groups = list(reads.open_groups())
        names = {each.name for group in groups for alert in group.alerts.all() for each in reads.resources_of(alert)}
    assert len(groups) == 3
    assert names == {place.name for place in places}


def test_a_team_sees_the_groups_about_what_it_owns() -> None:
    mine, theirs = Team.objects.create(name="mine"), Team.objects.create(name="theirs")
    fire(about(1, instance("a", mine), service="a"), about(2, instance("b", theirs), service="b"))
    fire(about(3, instance("c", mine), service="c"), about(4, instance("d", theirs), service="c"))
    member = Actor("user", "member", team_roles={mine.pk: Role.VIEWER})
    everyone = Actor("user", "everyone", global_role=Role.VIEWER)
    assert [group.labels["service"] for group in reads.groups(actor=member)] == ["a"]
    assert {group.labels["service"] for group in reads.groups(actor=everyone)} == {"a", "b", "c"}
    assert [alert.labels["n"] for alert in reads.alerts(actor=member, state="firing")] == ["1"]
    assert reads.counts_by_severity(actor=member) == {"": 1}


def test_the_history_of_a_rule_has_what_fired_newest_first() -> None:
    where = instance("one")
    first, second = about(1, where), about(2, where)
    second.active_at = timezone.now() + timedelta(seconds=5)
    pending = about(3, where)
    fire(first, second)
    pending.state = "pending"
    pending.save()
    assert [alert.labels["n"] for alert in reads.rule_history(first.rule_id)] == ["2", "1"]
