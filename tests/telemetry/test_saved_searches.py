from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tongchou.alerting import actions as alerting
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups
from tongchou.alerting.models import Alert
from tongchou.core import ledger, settings_store
from tongchou.core.jobs import run_due
from tongchou.core.problems import Conflict
from tongchou.telemetry import reads, saved_searches
from tongchou.telemetry.jobs import apply_log_retention
from tongchou.telemetry.models import SavedSearch
from tongchou.wire.log_stream import Entry, Stream

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def put(telemetry, *bodies, service="shop"):
    now = telemetry.logs.clock_ns()
    _rows, done = telemetry.logs.take(
        [
            Stream(
                [("service", service)] if service else [("n", "1")],
                [Entry(now + i, body.encode()) for i, body in enumerate(bodies)],
            )
        ]
    )
    done.result(60)


def totals(name="refusals"):
    found = reads.instant_vector(f'log_search_lines_total{{search="{name}"}}', timezone.now() + timedelta(seconds=1))
    return {sample.labels.get("service", ""): sample.value for sample in found}


def test_new_lines_are_counted_once_by_service(telemetry_db, operator_actor):
    put(telemetry_db, "refused before")
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    assert saved_searches.count_new() == 0
    assert totals() == {"": 0.0}
    put(telemetry_db, "refused 1", "fine", "refused 2")
    put(telemetry_db, "refused 3", service="orders")
    put(telemetry_db, "refused 4", service="")
    for _again in range(3):
        saved_searches.count_new()
    assert totals() == {"": 1.0, "shop": 2.0, "orders": 1.0}
    put(telemetry_db, "refused 5")
    saved_searches.count_new()
    assert totals()["shop"] == 3.0


def test_a_search_that_is_off_or_wrong_does_not_stop_the_others(telemetry_db, operator_actor):
    for name in ("broken", "off", "refusals"):
        saved_searches.save(actor=operator_actor, name=name, query="refused", enabled=name != "off")
    SavedSearch.objects.filter(name="broken").update(query="(")
    put(telemetry_db, "refused")
    assert saved_searches.count_new() == 1
    assert (totals(), totals("off")) == ({"": 0.0, "shop": 1.0}, {})
    assert "logs.bad_query" in SavedSearch.objects.get(name="broken").last_error


def increase(window, at=None):
    query = f'sum by (service) (increase(log_search_lines_total{{search="refusals"}}[{window}]))'
    found = reads.instant_vector(query, at or timezone.now() + timedelta(seconds=1))
    return {sample.labels.get("service", ""): sample.value for sample in found}


def test_the_first_lines_of_a_service_are_an_increase(telemetry_db, operator_actor):
    """A counter that is born at five has no increase in PromQL: the alert on a service's first errors would be lost."""
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    SavedSearch.objects.update(created_at=timezone.now() - timedelta(hours=1))
    saved_searches.count_new()
    put(telemetry_db, *["refused"] * 5)
    saved_searches.count_new()
    assert increase("5m")["shop"] == pytest.approx(5, rel=0.1)
    assert increase("30s")["shop"] >= 5
    assert reads.instant_vector('resets(log_search_lines_total{search="refusals"}[5m]) > 0', timezone.now()) == []


def test_a_rule_on_a_search_fires_when_lines_come(telemetry_db, operator_actor):
    """The documented example, end to end: lines pushed, counted, the rule file's alert about the service that logs."""
    rules = """
groups:
  - name: logs
    rules:
      - alert: PaymentsRefused
        expr: sum by (service) (increase(log_search_lines_total{search="refusals"}[5m])) > 3
        labels: {severity: warning}
"""
    saved_searches.save(actor=operator_actor, name="refusals", query="refused level:error")
    SavedSearch.objects.update(created_at=timezone.now() - timedelta(hours=1))
    alerting.put_rule_file(actor=operator_actor, name="logs.yml", text=rules)
    (group,) = load_groups()
    put(telemetry_db, *["level=error refused"] * 2, "level=info refused", service="payments")
    saved_searches.count_new()
    evaluate_group(group, GroupMemory(), timezone.now().timestamp() + 1)
    assert not Alert.objects.filter(state="firing").exists()
    put(telemetry_db, *["level=error refused"] * 4, service="payments")
    saved_searches.count_new()
    evaluate_group(group, GroupMemory(), timezone.now().timestamp() + 2)
    assert [alert.labels["service"] for alert in Alert.objects.filter(state="firing")] == ["payments"]


def test_a_search_that_ends_ends_its_series_at_once(telemetry_db, operator_actor):
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    put(telemetry_db, "refused")
    saved_searches.count_new()
    assert totals() == {"": 0.0, "shop": 1.0}
    saved_searches.save(actor=operator_actor, name="refusals", query="refused", enabled=False)
    assert totals() == {}
    put(telemetry_db, "refused while it is off")
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    saved_searches.count_new()
    assert totals() == {"": 0.0, "shop": 1.0}
    saved_searches.delete(actor=operator_actor, name="refusals")
    assert totals() == {}


def test_services_without_end_are_bounded(telemetry_db, operator_actor, monkeypatch):
    monkeypatch.setattr(saved_searches, "MAX_SERVICES", 2)
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    for i in range(5):
        put(telemetry_db, "refused", service=f"s{i}")
    saved_searches.count_new()
    assert totals() == {"": 3.0, "s0": 1.0, "s1": 1.0}


def test_saving_is_in_the_ledger_and_bounded(telemetry_db, operator_actor, monkeypatch):
    saved_searches.save(actor=operator_actor, name="refusals", query="refused")
    saved_searches.delete(actor=operator_actor, name="refusals")
    assert {event.verb for event in ledger.events(limit=10)} >= {"search.saved", "search.deleted"}
    monkeypatch.setattr(saved_searches, "MAX_SEARCHES", 0)
    with pytest.raises(Conflict):
        saved_searches.save(actor=operator_actor, name="more", query="x")


def test_the_retention_follows_the_setting(telemetry_db, admin_actor):
    settings_store.put(actor=admin_actor, key="logs.retention_days", value=7)
    run_due()
    apply_log_retention()
    assert telemetry_db.logs.tables.retention_days == 7
    shown = telemetry_db.engine.fetch(
        f"SELECT engine_full AS e FROM system.tables WHERE database = '{telemetry_db.options.database}' AND name = 'logs'"
    )
    assert "toIntervalDay(7)" in str(shown.column("e")[0].as_py())
    old = telemetry_db.logs.take(
        [Stream([("a", "b")], [Entry(telemetry_db.logs.clock_ns() - 8 * 86_400 * 10**9, b"x")])]
    )[0]
    assert old.refused.total == 1
