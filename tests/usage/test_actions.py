"""Losses on a real store: what is read, kept and said; that computing again from what was kept changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tongchou.core import ledger, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.problems import AccessDenied, Invalid
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.series import SeriesBlock, labels_of
from tongchou.usage import actions, words
from tongchou.usage.impact import Loss, assess, from_json
from tongchou.usage.models import Impact
from tongchou.usage.run_time_settings import REVENUE

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ABOUT = "incidents.incident:00000000-0000-4000-8000-000000000001"
METRIC = {
    "query": "sum(rate(revenue_cny_total[$window]))",
    "currency": "CNY",
    "day_seconds": 3600,
    "catch_up_seconds": 120,
}
Earn = Callable[[float, Callable[[float], float]], None]


@pytest.fixture
def earn(telemetry_db: Telemetry, admin_actor: Actor) -> Earn:
    """Set the metric and write `days` of an hour of a counter that ends at NOW; its rate is a function of the second."""
    settings_store.put(actor=admin_actor, key=REVENUE, value=METRIC)

    def make(days: float, rate: Callable[[float], float]) -> None:
        end = NOW.timestamp()
        times = [end - days * 3600 + 15 * at for at in range(int(days * 240) + 1)]
        total, values = 0.0, []
        for at in times:
            total += 15 * rate(at - end)
            values.append(total)
        rows = [(labels_of({"__name__": "revenue_cny_total"}), [int(at * 1000) for at in times], values)]
        append(SeriesBlock.build(rows), actor=system("tests"))

    return make


def computed(minutes_ago: float = 10, length: float = 5) -> Impact:
    start = NOW - timedelta(minutes=minutes_ago)
    return actions.compute(about=ABOUT, start=start, end=start + timedelta(minutes=length), now=NOW)


def outage(second: float) -> float:
    return 20.0 if -600 < second <= -300 else 100.0


def test_an_outage_costs_what_was_not_earned(earn: Earn) -> None:
    earn(3.5, outage)
    row = computed()
    assert row.reason == ""
    assert float(row.lost or 0) == pytest.approx(80 * 300, rel=0.02)
    assert (row.expected or 0) - (row.actual or 0) - (row.caught_up or 0) == row.lost
    assert row.final
    assert (row.currency, row.inputs["lag_seconds"]) == ("CNY", 3600)
    assert words.sentences(row)["en"].startswith("About 24,")
    assert words.sentences(row)["zh"].startswith("约损失收入 24,")


@pytest.mark.parametrize(("every", "step"), [(15, 60), (30, 60), (60, 120), (120, 300)])
def test_a_slow_scrape_makes_a_longer_step_and_not_a_missing_history(
    telemetry_db: Telemetry, admin_actor: Actor, every: int, step: int
) -> None:
    """A counter scraped once a minute has no rate over a minute: that is no reason to say there is no history."""
    settings_store.put(actor=admin_actor, key=REVENUE, value=METRIC | {"day_seconds": 14_400})
    end, total, times, values = NOW.timestamp(), 0.0, [], []
    for at in range(-int(3.5 * 14_400), 1, every):
        total += every * (20.0 if -3600 < at <= -1800 else 100.0)
        times.append(int((end + at) * 1000))
        values.append(total)
    rows = [(labels_of({"__name__": "revenue_cny_total"}), times, values)]
    append(SeriesBlock.build(rows), actor=system("tests"))
    row = computed(minutes_ago=60, length=30)
    assert (row.reason, row.inputs["series"]["step_seconds"]) == ("", step)
    assert float(row.lost or 0) == pytest.approx(80 * 1800, rel=0.1)


def test_what_is_kept_gives_the_same_figure_again(earn: Earn, operator_actor: Actor) -> None:
    earn(3.5, outage)
    kept = actions.keep(actor=operator_actor, computed=computed())
    kept.refresh_from_db()
    again = assess(from_json(kept.inputs["series"]))
    assert isinstance(again, Loss)
    assert (again.lost, again.low, again.high) == (kept.lost, kept.low, kept.high)
    assert actions.keep(actor=operator_actor, computed=computed()).pk == kept.pk
    assert Impact.objects.count() == 1


def test_without_a_fault_no_loss_stands_out(earn: Earn) -> None:
    earn(3.5, lambda second: 100.0 + 10 * ((int(second) // 15 * 7919) % 13 - 6) / 6)
    row = computed()
    assert row.low is not None
    assert row.high is not None
    assert row.low <= 0 <= row.high
    assert "No loss stands out" in words.sentences(row)["en"]


def test_a_short_history_is_said_not_guessed(earn: Earn) -> None:
    earn(1.1, outage)
    row = computed()
    assert (row.reason, row.lost) == ("history_short", None)
    said = words.sentences(row)
    assert "The history is too short: 0 earlier days" in said["en"] or "1 earlier days" in said["en"]
    assert "历史太短" in said["zh"]


def test_without_a_metric_nothing_is_computed(db: None) -> None:
    row = computed()
    assert (row.reason, row.lost) == ("no_metric", None)
    assert "usage.revenue" in words.sentence(row)


def test_an_outage_that_goes_on_is_not_final(earn: Earn) -> None:
    earn(3.5, lambda second: 20.0 if second > -300 else 100.0)
    row = actions.compute(about=ABOUT, start=NOW - timedelta(seconds=300), end=None, now=NOW)
    assert not row.final
    assert float(row.lost or 0) == pytest.approx(80 * 300, rel=0.05)
    assert "not final" in words.sentences(row)["en"]


@pytest.mark.parametrize("seconds", [7, 29, 61])
def test_an_outage_that_just_ended_has_a_figure_at_once(earn: Earn, seconds: int) -> None:
    """No step lies partly in the future, whatever the second of the minute."""
    earn(3.5, lambda second: 20.0 if second > -300 else 100.0)
    end = NOW - timedelta(seconds=seconds)
    row = actions.compute(about=ABOUT, start=end - timedelta(seconds=100), end=end, now=NOW)
    assert row.reason == ""
    assert float(row.lost or 0) == pytest.approx(80 * 120, rel=0.05)


def test_what_came_in_later_is_taken_off(earn: Earn) -> None:
    earn(3.5, lambda second: 180.0 if -300 < second <= -180 else outage(second))
    row = computed()
    assert float(row.caught_up or 0) == pytest.approx(80 * 120, rel=0.05)


@pytest.mark.both_databases
def test_keeping_is_told_and_guarded(operator_actor: Actor, viewer_actor: Actor) -> None:
    row = Impact(about=ABOUT, begins_at=NOW, ends_at=NOW, lost=Decimal("1.50"), low=Decimal(1), high=Decimal(2))
    row.method, row.inputs = "test", {}
    with pytest.raises(AccessDenied):
        actions.keep(actor=viewer_actor, computed=row)
    actions.keep(actor=operator_actor, computed=row)
    assert [event.payload["lost"] for event in ledger.events(about=ABOUT)] == ["1.50"]
    actions.keep(actor=system("impact"), computed=row)
    assert len(ledger.events(about=ABOUT)) == 1


@pytest.mark.parametrize(
    "value",
    [
        {"query": ""},
        {"currency": "CNY"},
        {"query": "x", "currency": "yuan"},
        {"query": "x", "day_seconds": 5},
        {"query": "x", "catch_up_seconds": True},
        {"query": "x", "price": 3},
    ],
)
def test_a_wrong_metric_is_refused(admin_actor: Actor, value: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        settings_store.put(actor=admin_actor, key=REVENUE, value=value)
