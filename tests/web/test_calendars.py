"""The pages of calendars and windows: the year's picture, exceptions, a window tried and put in force."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.core.china import make_china
from tongchou.core.models import Role
from tongchou.core.models_calendars import Calendar, CalendarDay, Window

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def china(db: None) -> None:
    """The calendar of the first migration, also where a test that empties tables ran before."""
    make_china()


@pytest.fixture
def client(browser: Callable[..., Client]) -> Client:
    return browser(Role.OPERATOR)


def test_the_year_shows_holidays_and_worked_weekends_by_a_mark(client: Client) -> None:
    text = client.get("/calendars/china?year=2026").content.decode()
    assert "248 workdays" in text or "workdays" in text
    assert 'title="春节"' in text
    assert text.count("day exchanged") - 1 == 6  # and one in the legend
    assert "State Council" not in text
    assert "State Council" in client.get("/calendars/china?year=2030").content.decode()


def test_an_exception_is_made_and_taken_back(client: Client) -> None:
    client.post("/calendars/china", {"day": "2026-10-01", "working": "1", "hours": "10:00-12:00", "note": "release"})
    assert CalendarDay.objects.get().hours == [["10:00", "12:00"]]
    client.post("/calendars/china", {"day": "2026-10-01", "do": "remove"})
    assert not CalendarDay.objects.exists()
    refused = client.post("/calendars/china", {"day": "2026-10-01", "working": "1", "hours": "late"})
    assert refused.status_code == 422
    assert "hours" in refused.content.decode()


def test_a_calendar_is_made_changed_and_deleted(client: Client) -> None:
    assert client.post("/calendars/new", {"name": "germany"}).headers["Location"] == "/calendars/germany"
    week = {f"week{n}": "09:00-17:00" if n < 4 else "" for n in range(7)}
    given = {"title": "Germany", "time_zone": "Europe/Berlin", "country": "DE", **week}
    assert client.post("/calendars/germany", given).status_code == 302
    row = Calendar.objects.get(name="germany")
    assert (row.country, row.week[3], row.week[4]) == ("DE", [["09:00", "17:00"]], [])
    assert client.post("/calendars/germany", {**given, "time_zone": "Mars"}).status_code == 422
    assert client.post("/calendars/germany", {"delete": "1"}).status_code == 302
    assert not Calendar.objects.filter(name="germany").exists()


WINDOW = {
    "name": "patching",
    "kind": "maintenance",
    "starts_at": "2030-01-07T22:00",
    "hours": "2",
    "minutes": "30",
    "time_zone": "Asia/Shanghai",
    "repeat": "weekly",
    "weekday": ["MO", "TH"],
    "days": "workdays",
    "calendar": "china",
}


def test_a_window_is_tried_put_in_force_changed_and_ended(client: Client) -> None:
    tried = client.post("/windows/new", {**WINDOW, "try": "1"})
    assert "It would be open" in tried.content.decode()
    assert not Window.objects.exists()
    assert client.post("/windows/new", WINDOW).status_code == 302
    row = Window.objects.get()
    assert (row.rule, row.duration_seconds) == ("FREQ=WEEKLY;BYDAY=MO,TH", 9000)
    assert "patching" in client.get("/calendars").content.decode()
    form = client.get(f"/windows/{row.pk}").content.decode()
    assert 'value="MO" checked' in form
    client.post(f"/windows/{row.pk}", {**WINDOW, "repeat": "custom", "rule": "FREQ=MONTHLY;BYDAY=2SA", "days": "all"})
    row.refresh_from_db()
    assert row.rule == "FREQ=MONTHLY;BYDAY=2SA"
    client.post(f"/windows/{row.pk}", {"end": "1"})
    row.refresh_from_db()
    assert row.ended_at is not None


@pytest.mark.parametrize(
    ("given", "field"), [({"hours": "many"}, "hours"), ({"repeat": "custom", "rule": "X"}, "rule"), ({"days": "workdays", "calendar": ""}, "calendar")]
)  # fmt: skip
def test_a_window_that_cannot_be_is_refused_by_name_and_keeps_what_was_written(
    client: Client, given: dict[str, str], field: str
) -> None:
    answer = client.post("/windows/new", {**WINDOW, "reason": "kept words", **given})
    assert answer.status_code == 422
    assert f"<strong>{field}</strong>" in answer.content.decode()
    assert "kept words" in answer.content.decode()


def test_a_viewer_reads_and_is_offered_nothing_to_write(browser: Callable[..., Client]) -> None:
    reader = browser(Role.VIEWER)
    assert b'<form class="row push"' not in reader.get("/calendars").content
    assert reader.get("/calendars/china").status_code == 200
    assert reader.post("/calendars/china", {"day": "2026-10-01", "working": "0"}).status_code in (403, 422)
    assert not CalendarDay.objects.exists()
    assert reader.post("/windows/new", WINDOW).status_code == 403


def test_the_page_asks_the_same_however_many_windows_count_by_a_calendar(client: Client) -> None:
    counts = []
    for number in (1, 6):
        for n in range(number):
            assert client.post("/windows/new", {**WINDOW, "name": f"w-{number}-{n}"}).status_code == 302
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/calendars").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
