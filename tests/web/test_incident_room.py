"""The room's pure choices: which charts tell, what is searched in the logs, how much time is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents.models import Incident
from tongchou.incidents.reads import ReasonView, SuspectView
from tongchou.telemetry.logs.query import parse
from tongchou.web import incident_room

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


def suspect(rank: int, *queries: str) -> SuspectView:
    reasons = [ReasonView("shift", f"{q} rose", 10.0 - at, {"query": q}) for at, q in enumerate(queries)]
    reasons.append(ReasonView("hop", "one call away", 1.0))
    return SuspectView(rank, f"inventory.resource:{rank}", "resource", f"s{rank}", "service", 9.0, reasons, [], None)


def test_alerts_come_first_then_the_shifts_of_the_best_suspects_none_twice() -> None:
    found = incident_room.telling([suspect(1, "a", "b", "c"), suspect(2, "up", "d")], [("Down", "up"), ("Again", "up")])
    assert [each.query for each in found] == ["up", "a", "b", "d"]
    assert [each.title for each in found] == ["Down", "s1", "s1", "s2"]
    assert found[1].why == "a rose"


@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=2), max_size=5), max_size=9), st.integers(0, 9))
def test_there_are_never_too_many_charts_and_no_query_twice(queries: list[list[str]], rules: int) -> None:
    suspects = [suspect(rank, *each) for rank, each in enumerate(queries, start=1)]
    found = incident_room.telling(suspects, [(f"r{n}", f"rule_{n}") for n in range(rules)])
    assert len(found) <= incident_room.MOST_CHARTS
    assert len({each.query for each in found}) == len(found)


@given(st.lists(st.text(max_size=12), max_size=30))
def test_whatever_a_resource_is_called_the_search_reads(names: list[str]) -> None:
    query = incident_room.log_query({"service": names, "host": names})
    assert (query == "") == (not any(name.strip() and name.isprintable() for name in names))
    parse(query)


@pytest.mark.parametrize(("minutes", "preset"), [(1, "15m"), (20, "1h"), (100, "4h"), (2000, "7d"), (100_000, "30d")])
def test_the_range_shows_the_beginning(minutes: int, preset: str) -> None:
    assert incident_room.preset_for(Incident(started_at=NOW - timedelta(minutes=minutes)), NOW) == preset


def test_an_incident_that_is_over_is_looked_at_in_its_own_time() -> None:
    row = Incident(
        started_at=NOW - timedelta(days=3), resolved_at=NOW, recovered_at=NOW - timedelta(days=3, minutes=-9)
    )
    begin, end = incident_room.span(row, NOW)
    assert (row.started_at - begin, end - row.started_at) == (timedelta(minutes=15), timedelta(minutes=24))


def test_a_procedure_says_which_alerts_it_fits() -> None:
    alerts = [{"alertname": "A", "service": "x"}, {"alertname": "B"}, {"alertname": "A", "service": "y"}]
    assert incident_room.fitting_alerts([{"alertname": ["A"]}], alerts) == ["A"]
    assert incident_room.fitting_alerts([{"alertname": ["B"], "service": ["x"]}], alerts) == []


@given(st.integers(1, 5), st.lists(st.floats(-30, 30, allow_nan=False), max_size=14))
def test_a_fold_loses_no_reason_and_keeps_the_weightiest_in_sight(rank: int, weights: list[float]) -> None:
    reasons = [ReasonView("shift", str(at), weight) for at, weight in enumerate(weights)]
    shown, rest = incident_room.fold(rank, reasons)
    assert sorted(shown + rest, key=lambda each: int(each.text)) == reasons
    assert [int(each.text) for each in shown] == sorted(int(each.text) for each in shown)
    assert not rest or (rank > 1 and len(rest) > 1)
    lightest = min((abs(each.weight) for each in shown), default=0.0)
    assert all(abs(each.weight) <= lightest for each in rest)
