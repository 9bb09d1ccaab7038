"""What a postmortem begins with, on a real store: money, error budget, runs with who approved them, what was held back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone, translation

from tests.alerting.slo.test_rules import SPEC
from tests.incidents.learning import outage, resolved, shop_outage, written
from tests.incidents.scene import TESTS, Shop
from tests.web.foreign import plant
from tongchou.alerting.models import Alert
from tongchou.alerting.slo import actions as slo
from tongchou.core import approvals, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.incidents import actions, postmortem_actions, postmortem_document, postmortem_prefill
from tongchou.incidents.models import Incident, Postmortem, Suspect
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENDED = timedelta(minutes=10)


def counters(rates: dict[tuple[tuple[str, str], ...], Callable[[float], float]], hours: float, step: int = 15) -> None:
    """Write counters that end 20 minutes after START; a rate is a function of the second from START on."""
    first, last = int(START.timestamp() - hours * 3600), int(START.timestamp()) + 1200
    times = list(range(first, last + 1, step))
    rows = []
    for labels, rate in rates.items():
        total, values = 0.0, []
        for at in times:
            total += step * rate(at - START.timestamp())
            values.append(total)
        rows.append((labels_of(dict(labels)), [at * 1000 for at in times], values))
    append(SeriesBlock.build(rows), actor=TESTS)


def broken(second: float) -> bool:
    return 0 < second <= ENDED.total_seconds()


def over(operator: Actor) -> tuple[Incident, Postmortem]:
    """The shop's orders broken for ten minutes, and the postmortem of it."""
    with time_machine.travel(START + timedelta(minutes=18), tick=False):
        _shop, incident = shop_outage(START)
        return incident, written(operator, resolved(operator, incident))


def test_the_error_budget_that_it_used(telemetry_db: object, operator_actor: Actor) -> None:
    slo.put_objective(actor=TESTS, spec=dataclasses.replace(SPEC, window_seconds=30 * 3600, target=0.99))
    name, code = ("__name__", "http_requests_total"), ("service", "orders")
    good = (name, ("code", "200"), code)
    bad = (name, ("code", "503"), code)
    counters({good: lambda at: 5.0 if broken(at) else 10.0, bad: lambda at: 5.0 if broken(at) else 0.0}, 24)
    _incident, row = over(operator_actor)
    [told] = row.facts["objectives"]
    # 10 a second for 24 h and 10 min: 1 % of them may fail; 5 a second failed for ten minutes
    assert told["allowed"] == pytest.approx(0.01 * 10 * (24 * 3600 + 600), rel=0.03)
    assert told["errors"] == pytest.approx(3000, rel=0.05)
    assert told["used"] == pytest.approx(told["errors"] / told["allowed"])
    assert (told["left_before"], told["left_after"]) == (pytest.approx(1.0), pytest.approx(1 - 3000 / 8700, abs=0.02))


def test_without_samples_the_budget_is_unknown_and_not_met(telemetry_db: object, operator_actor: Actor) -> None:
    slo.put_objective(actor=TESTS, spec=SPEC)
    _incident, row = over(operator_actor)
    [told] = row.facts["objectives"]
    assert (told["used"], told["left_after"], told["reason"]) == (None, None, "no_data")


def test_the_money_with_its_interval_in_both_languages(
    telemetry_db: object, operator_actor: Actor, admin_actor: Actor
) -> None:
    metric = {
        "query": "sum(rate(revenue_cny_total[$window]))",
        "currency": "CNY",
        "day_seconds": 3600,
        "catch_up_seconds": 120,
    }
    settings_store.put(actor=admin_actor, key="usage.revenue", value=metric)
    counters({(("__name__", "revenue_cny_total"),): lambda at: 20.0 if broken(at) else 100.0}, 5)
    _incident, row = over(operator_actor)
    assert float(row.facts["impact"]["lost"]) == pytest.approx(80 * 600, rel=0.03)
    assert row.facts["impact"]["final"]
    for language, words in (("en", "of revenue was lost"), ("zh-hans", "约损失收入")):
        with translation.override(language):
            assert words in postmortem_document.read(row).money


def test_what_was_run_who_approved_it_and_what_was_held_back(approver_actor: Actor) -> None:
    foreign = plant()
    approvals.approve(actor=approver_actor, approval=foreign.approval, comment="go")
    Alert.objects.update(suppressed="silenced", suppressed_by=["alerting.silence:1"])
    facts = postmortem_prefill.gather(foreign.incident, now=timezone.now())
    [run] = facts["runs"]
    assert (run["procedure"], run["approved_by"], run["approval"]) == ("restart", approver_actor.name, "approved")
    assert [step["name"] for step in run["steps"]] == ["call"]
    assert [each["suppressed"] for each in facts["alerts"]] == ["silenced"]
    row = Postmortem.objects.get()
    Postmortem.objects.filter(pk=row.pk).update(facts=facts)
    row.refresh_from_db()
    with translation.override("en"):
        assert postmortem_document.read(row).suppressed == [("held back by a silence", 1)]


def test_an_incident_that_was_opened_again_keeps_its_first_acknowledgement(operator_actor: Actor) -> None:
    shop = Shop()
    incident = outage("CheckoutFails", shop.orders_1, at=timezone.now() - timedelta(minutes=20))
    actions.reopen(actor=operator_actor, incident=incident)
    actions.acknowledge(actor=operator_actor, incident=incident)
    first = Event.objects.get(verb="incident.acknowledged").at
    actions.resolve(actor=operator_actor, incident=incident, comment="over")
    actions.reopen(actor=operator_actor, incident=incident)
    incident = actions.resolve(actor=operator_actor, incident=incident, comment="over")
    assert incident.acknowledged_at is None
    facts = postmortem_prefill.gather(incident, now=timezone.now())
    assert facts["instants"]["acknowledged"] == first.isoformat()


def test_two_who_begin_it_at_once_get_the_same_one(
    operator_actor: Actor, approver_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shop, incident = shop_outage(timezone.now() - timedelta(minutes=20))
    gather = postmortem_prefill.gather

    def slow(found: Incident, *, now: datetime) -> object:
        monkeypatch.setattr(postmortem_prefill, "gather", gather)
        postmortem_actions.start(actor=approver_actor, incident=found)
        return gather(found, now=now)

    monkeypatch.setattr(postmortem_prefill, "gather", slow)
    row = postmortem_actions.start(actor=operator_actor, incident=incident)
    assert row.created_by_name == approver_actor.name
    assert Event.objects.filter(verb="postmortem.started").count() == 1


def test_log_lines_and_curves_behind_a_suspect_are_not_copied(operator_actor: Actor) -> None:
    """Who reads one team's postmortem need not be allowed to read telemetry, which has no owner."""
    with time_machine.travel(START + timedelta(minutes=18), tick=False):
        _shop, incident = shop_outage(START)
        reason = {"code": "hop", "weight": -2.0, "params": {"hops": 2}, "facts": {"line": "card 4111", "points": [1.0]}}
        Suspect.objects.filter(incident=incident).delete()
        Suspect.objects.create(
            incident=incident, rank=1, ref="inventory.resource:x", kind="resource", title="x", score=1, reasons=[reason]
        )
        [told] = postmortem_prefill.gather(incident, now=timezone.now())["suspects"]
    assert told["reasons"] == [{"code": "hop", "weight": -2.0, "params": {"hops": 2}}]


@pytest.mark.parametrize(
    ("final", "reason", "ended", "objectives", "expected"),
    [
        (True, "", 60, [""], []),
        (False, "", 60, [""], ["money"]),
        (False, "failed", 60, ["failed"], ["money", "budget"]),
        (False, "no_model", 60, [], []),
        (True, "", 1, [""], ["budget"]),
        (True, "", 1, [], []),
        (True, "", None, ["no_data"], ["budget"]),
    ],
)
def test_a_snapshot_knows_which_figures_were_not_final(
    final: bool, reason: str, ended: int | None, objectives: list[str], expected: list[str]
) -> None:
    taken = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    over = (taken - timedelta(minutes=ended)).isoformat() if ended is not None else None
    facts = {
        "taken_at": taken.isoformat(),
        "instants": {"mitigated": over, "resolved": None},
        "impact": {"final": final, "reason": reason},
        "objectives": [{"reason": each} for each in objectives],
    }
    assert postmortem_document.unsettled(facts) == expected
