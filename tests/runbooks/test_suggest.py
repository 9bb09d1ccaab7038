"""Suggestions: procedures by labels, targets from alert, selector or query, parameters from labels."""

from __future__ import annotations

import pytest

from tests.runbooks.conftest import PROMOTE, TESTS, Metrics, make_resource
from tongchou.core.refs import ref
from tongchou.inventory.models import Endpoint, Resource
from tongchou.runbooks import actions
from tongchou.runbooks.suggest import for_alerts

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

ALERT = {"alertname": "PrimaryDown", "job": "database", "instance": "db-a:9000", "count": "3"}


def save(extra: str) -> None:
    actions.put_procedure(actor=TESTS, name="promote", text=PROMOTE + extra)


def at(resource: Resource, instance: str) -> Resource:
    Endpoint.objects.create(resource=resource, url=f"http://{instance}", job="database", instance=instance, source="t")
    return resource


def test_targets_are_by_default_those_of_the_alert() -> None:
    save("")
    down = at(make_resource("db-a"), "db-a:9000")
    (found,) = for_alerts([ALERT])
    assert (found.name, found.title["zh"], found.grade) == ("promote", "提升", "reversible")
    assert (found.targets, found.target_names, found.params) == ([ref(down)], ["db-a"], {"count": 3})


def test_a_selector_finds_by_kind_and_labels_up_to_the_cap() -> None:
    save("targets: {kind: database, labels: {role: standby}}\n")
    make_resource("db-a", labels={"role": "primary"})
    make_resource("cache", kind="cache", labels={"role": "standby"})
    make_resource("db-gone", labels={"role": "standby"})
    Resource.objects.filter(name="db-gone").update(state="tombstone")
    first = make_resource("db-b", labels={"role": "standby"})
    make_resource("db-c", labels={"role": "standby"})
    (found,) = for_alerts([ALERT])
    assert found.targets == [ref(first)]


def test_a_query_names_the_resources_its_labels_mean(metrics: Metrics) -> None:
    save("targets: {from: query, kind: database, query: 'db_role{role=\"standby\"} == 1'}\n")
    standby = at(make_resource("db-b"), "db-b:9000")
    at(make_resource("db-a"), "db-a:9000")
    query = 'db_role{role="standby"} == 1'
    metrics.said[query] = [1.0]
    metrics.labels[query] = [{"job": "database", "instance": "db-b:9000"}]
    (found,) = for_alerts([ALERT])
    assert found.targets == [ref(standby)]
    metrics.said[query] = []
    (found,) = for_alerts([ALERT])
    assert found.targets == []


def test_what_does_not_match_is_not_suggested_and_a_retired_procedure_never() -> None:
    save("")
    assert for_alerts([{**ALERT, "alertname": "DiskFull"}]) == []
    assert for_alerts([]) == []
    row = actions.put_procedure(actor=TESTS, name="promote", text=PROMOTE)
    actions.retire_procedure(actor=TESTS, procedure=row)
    assert for_alerts([ALERT]) == []


@pytest.mark.parametrize("count", ["9", "x", "", "1.0", "true", "[1]"])
def test_a_label_that_does_not_fit_its_parameter_fills_nothing_in(count: str) -> None:
    save("")
    (found,) = for_alerts([{**ALERT, "count": count}])
    assert found.params == {}
