"""Calendars and windows: writes with history, what is open now, what comes next, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from tests.core.china import make_china
from tongchou.core import calendars, ledger
from tongchou.core.access import Actor
from tongchou.core.models_calendars import Calendar, Window
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ID = str(UUID(int=7))
OFFICE = [[["09:00", "18:00"]]] * 5 + [[], []]


@pytest.fixture(autouse=True)
def china(db: None) -> None:
    """The calendar of the first migration, also where a test that empties tables ran before."""
    make_china()


def window(actor: Actor, **more: Any) -> Window:
    given = {
        "name": "patching",
        "kind": "maintenance",
        "starts_at": "2026-01-05T22:00",
        "duration_seconds": 7200,
        "time_zone": "Asia/Shanghai",
        "rule": "FREQ=WEEKLY;BYDAY=MO",
    }
    return calendars.put_window(actor=actor, **{**given, **more})


def test_every_installation_has_china_s_calendar(viewer_actor: Actor) -> None:
    work = calendars.worktime(calendars.calendar(viewer_actor, "china"))
    assert work.is_workday(date(2026, 2, 14))
    assert not work.is_workday(date(2026, 10, 1))


def test_a_calendar_is_written_with_its_history_and_the_same_again_is_nothing(operator_actor: Actor) -> None:
    for _n in range(2):
        row = calendars.put_calendar(
            actor=operator_actor, name="berlin", title="", time_zone="Europe/Berlin", country="DE", week=OFFICE
        )
    assert row.title == "berlin"
    assert [each.verb for each in ledger.events(about=ref(row))] == ["calendar.changed"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"time_zone": "Mars/Base"}, "time_zone"), ({"country": "XX"}, "country"), ({"week": OFFICE[:6]}, "week"),
     ({"week": [*OFFICE[:6], [["9", "10"]]]}, "week[6]"), ({"time_zone": "../../etc/passwd"}, "time_zone")],
)  # fmt: skip
def test_what_is_no_calendar_is_refused_by_name(operator_actor: Actor, given: dict[str, Any], field: str) -> None:
    whole = {"name": "x", "title": "X", "time_zone": "UTC", "country": "", "week": OFFICE, **given}
    with pytest.raises(Invalid) as refused:
        calendars.put_calendar(actor=operator_actor, **whole)
    assert refused.value.field == field
    assert not Calendar.objects.filter(name="x").exists()


def test_an_exception_counts_and_can_be_taken_back(operator_actor: Actor) -> None:
    row = calendars.calendar(operator_actor, "china")
    calendars.put_day(actor=operator_actor, row=row, day=date(2026, 10, 1), hours=[["10:00", "12:00"]], note="release")
    assert calendars.worktime(row).day(date(2026, 10, 1)).note == "release"
    calendars.remove_day(actor=operator_actor, row=row, day=date(2026, 10, 1))
    assert not calendars.worktime(row).is_workday(date(2026, 10, 1))
    assert len(ledger.events(about=ref(row))) == 2


def test_a_calendar_in_use_stays(operator_actor: Actor) -> None:
    row = calendars.calendar(operator_actor, "china")
    window(operator_actor, days="workdays", calendar_row=row)
    with pytest.raises(Conflict, match=r"calendar\.used"):
        calendars.remove_calendar(actor=operator_actor, row=row)
    assert not ledger.events(about=ref(row))


def test_a_window_is_open_from_its_start_to_before_its_end(operator_actor: Actor) -> None:
    row = window(operator_actor)
    start = datetime(2026, 1, 12, 14, tzinfo=UTC)  # Monday 22:00 in Shanghai
    for at, is_open in ((start - timedelta(seconds=1), False), (start, True), (start + timedelta(hours=2), False)):
        assert bool(calendars.is_open(row, at)) == is_open
        assert bool(calendars.open_windows(at, kind="maintenance")) == is_open
        assert not calendars.open_windows(at, kind="freeze")


def test_a_window_about_something_is_open_for_that_alone(operator_actor: Actor) -> None:
    one, other = (f"inventory.resource:{UUID(int=each)}" for each in range(2))
    window(operator_actor, about=[one])
    at = datetime(2026, 1, 12, 15, tzinfo=UTC)
    assert calendars.open_windows(at, kind="maintenance", about=[one, other])
    assert not calendars.open_windows(at, kind="maintenance", about=[other])
    assert not calendars.open_windows(at, kind="maintenance")


@pytest.mark.parametrize("about", ["changes.change:1", "inventory.resource:1", "core.user:" + ID])
def test_a_window_that_closes_or_opens_is_about_resources_and_teams(operator_actor: Actor, about: str) -> None:
    for kind in ("freeze", "maintenance"):
        with pytest.raises(Invalid, match=r"window\.about \[about\]"):
            window(operator_actor, kind=kind, about=[about])
    window(operator_actor, kind="hours", about=[about])
    window(operator_actor, kind="freeze", about=[f"core.team:{ID}", f"inventory.resource:{ID}"])


def test_only_workdays_of_the_calendar_with_its_worked_weekends(operator_actor: Actor) -> None:
    row = window(
        operator_actor,
        starts_at="2026-02-12T22:00",
        rule="FREQ=DAILY",
        days="workdays",
        calendar_row=calendars.calendar(operator_actor, "china"),
    )
    found = calendars.spans(row, datetime(2026, 2, 12, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert [each.start.day for each in found] == [12, 13, 14, 24, 25, 26, 27, 28]


def test_what_comes_next_is_found_years_ahead_too(operator_actor: Actor) -> None:
    row = window(operator_actor, rule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29")
    assert [each.start.year for each in calendars.upcoming(row, datetime(2026, 1, 1, tzinfo=UTC), count=1)] == [2028]
    once = window(operator_actor, name="once", rule="")
    assert len(calendars.upcoming(once, datetime(2026, 1, 1, tzinfo=UTC))) == 1


def test_an_occurrence_ends_with_the_window_that_is_ended_meanwhile(operator_actor: Actor) -> None:
    row = window(operator_actor)
    ended = datetime(2026, 11, 30, 14, 25, tzinfo=UTC)  # a Monday, 22:25 in Shanghai
    with time_machine.travel(ended, tick=False):
        calendars.end_window(actor=operator_actor, row=row)
    found = calendars.spans(row, ended - timedelta(days=7), ended + timedelta(days=30))
    assert [(each.start, each.end) for each in found] == [
        (ended.replace(day=23, minute=0), ended.replace(day=23, hour=16, minute=0)),
        (ended.replace(minute=0), ended),
    ]
    assert calendars.upcoming(row, ended) == []
    assert calendars.is_open(row, ended) is None
    assert calendars.is_open(row, ended - timedelta(minutes=1)) == found[1]


def test_an_ended_window_has_no_more_and_frees_its_name(operator_actor: Actor) -> None:
    row = window(operator_actor)
    for _n in range(2):
        calendars.end_window(actor=operator_actor, row=row)
    assert calendars.upcoming(row, row.ended_at or datetime.now(UTC)) == []
    assert window(operator_actor).pk != row.pk
    verbs = [each.verb for each in ledger.events(about=ref(row))]
    assert verbs == ["window.ended", "window.changed"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"rule": "FREQ=HOURLY"}, "rule"), ({"kind": "party"}, "kind"), ({"days": "workdays"}, "calendar"), ({"name": " "}, "name"),
     ({"duration_seconds": 0}, "duration_seconds"), ({"starts_at": "soon"}, "starts_at"), ({"about": ["x"]}, "about"),
     ({"left_out": ["x"]}, "left_out"), ({"time_zone": "X"}, "time_zone"), ({"days": "x"}, "days")],
)  # fmt: skip
def test_what_is_no_window_is_refused_by_name(operator_actor: Actor, given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        window(operator_actor, **given)
    assert refused.value.field == field
    assert not Window.objects.exists()


def test_a_viewer_reads_and_does_not_write(viewer_actor: Actor, operator_actor: Actor) -> None:
    row = window(operator_actor)
    assert calendars.windows(viewer_actor).get() == row
    with pytest.raises(AccessDenied):
        window(viewer_actor)
    with pytest.raises(AccessDenied):
        calendars.end_window(actor=viewer_actor, row=row)
    with pytest.raises(NotFound):
        calendars.calendar(viewer_actor, "none")
