"""Calendars (which days and hours are worked, with sums) and windows (when something may, or must not, be done)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.core import calendars, public_days
from tongchou.core.models_calendars import Calendar, Window
from tongchou.core.problems import Invalid
from tongchou.core.workdays import Worktime, write_hours

router = Router(tags=["calendars"])
MAX_DAYS = 1100
Hours = list[list[str]]
Year = Annotated[int, Query(ge=public_days.FIRST_YEAR, le=public_days.LAST_YEAR)]
Seconds = Annotated[int, Query(ge=-315_360_000, le=315_360_000)]


class CalendarIn(Body):
    """A week's hours, Monday first; an empty list is a day off. `country`: ISO code of two letters, or none."""

    title: str = Field(default="", max_length=120)
    time_zone: str = Field(max_length=64)
    country: str = Field(default="", max_length=2)
    week: list[Hours]


class CalendarOut(Schema):
    """A calendar."""

    name: str
    title: str
    time_zone: str
    country: str
    week: list[Hours]


class DayIn(Body):
    """What is worked on one day; no hours is a day off."""

    hours: Hours = Field(default_factory=list, max_length=24)
    note: str = Field(default="", max_length=200)


class DayOut(Schema):
    """One day: what is worked and why (weekday, weekend, holiday, exchanged, exception)."""

    day: date
    working: bool
    reason: str
    note: str
    hours: Hours


class YearOut(Schema):
    """A year's days. `settled`: whether the exchange of weekends of that year has been published."""

    calendar: str
    year: int
    settled: bool
    workdays: int
    days: list[DayOut]


@router.get("/calendars", response=list[CalendarOut])
def list_calendars(request: HttpRequest) -> list[Calendar]:
    """List every calendar."""
    return list(calendars.calendars(actor_of(request)))


@router.get("/calendars/{slug:name}", response=CalendarOut)
def get_calendar(request: HttpRequest, name: str) -> Calendar:
    """Return one calendar."""
    return calendars.calendar(actor_of(request), name)


@router.put("/calendars/{slug:name}", response=CalendarOut)
def put_calendar(request: HttpRequest, name: str, body: CalendarIn) -> Calendar:
    """Create or replace a calendar; its exceptions stay."""
    return calendars.put_calendar(actor=actor_of(request), name=name, **body.model_dump())


@router.delete("/calendars/{slug:name}", response={204: None})
def remove_calendar(request: HttpRequest, name: str) -> Status[None]:
    """Remove a calendar that no window uses."""
    actor = actor_of(request)
    calendars.remove_calendar(actor=actor, row=calendars.calendar(actor, name))
    return Status(204, None)


@router.get("/calendars/{slug:name}/years/{int:year}", response=YearOut)
def calendar_year(request: HttpRequest, name: str, year: int) -> dict[str, Any]:
    """Return every day of a year with what is worked and why."""
    row = calendars.calendar(actor_of(request), name)
    if not public_days.FIRST_YEAR <= year <= public_days.LAST_YEAR:
        raise Invalid(
            "calendar.year",
            _("This year is out of range."),
            field="year",
            value=year,
            remedy=_("Use a year from %(first)s to %(last)s.")
            % {"first": public_days.FIRST_YEAR, "last": public_days.LAST_YEAR},
        )
    work = calendars.worktime(row)
    first = date(year, 1, 1)
    days = [work.day(first + timedelta(days=n)) for n in range((date(year + 1, 1, 1) - first).days)]
    told = [
        {
            "day": each.day,
            "working": each.working,
            "reason": each.reason,
            "note": each.note,
            "hours": write_hours(each.hours),
        }
        for each in days
    ]
    settled = public_days.settled(row.country, year)
    working = sum(each.working for each in days)
    return {"calendar": row.name, "year": year, "settled": settled, "workdays": working, "days": told}


@router.put("/calendars/{slug:name}/days/{str:day}", response={204: None})
def put_day(request: HttpRequest, name: str, day: str, body: DayIn) -> Status[None]:
    """Say what is worked on one day, whatever the week and the holidays say."""
    actor = actor_of(request)
    row = calendars.calendar(actor, name)
    calendars.put_day(actor=actor, row=row, day=_day(day), hours=body.hours, note=body.note)
    return Status(204, None)


@router.delete("/calendars/{slug:name}/days/{str:day}", response={204: None})
def remove_day(request: HttpRequest, name: str, day: str) -> Status[None]:
    """Take an exception back."""
    actor = actor_of(request)
    calendars.remove_day(actor=actor, row=calendars.calendar(actor, name), day=_day(day))
    return Status(204, None)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(
            "calendar.day", _("This is no day."), field="day", value=text, remedy=_("Write it as 2026-10-01.")
        ) from None


class Sum(Schema):
    """A moment, and the moment that lies so much working time after it."""

    at: datetime
    seconds: int
    reached: datetime


@router.get("/calendars/{slug:name}/after", response=Sum)
def after(request: HttpRequest, name: str, seconds: Seconds, at: datetime | None = None) -> dict[str, Any]:
    """Return the moment `seconds` of working time after `at` (now), before it when negative; at most ten years."""
    work = calendars.worktime(calendars.calendar(actor_of(request), name))
    start = _aware(at or timezone.now(), "at")
    return {"at": start, "seconds": seconds, "reached": work.add_seconds(start, seconds)}


class Between(Schema):
    """How much of a time is worked."""

    since: datetime
    until: datetime
    seconds: float
    workdays: int


@router.get("/calendars/{slug:name}/between", response=Between)
def between(request: HttpRequest, name: str, since: datetime, until: datetime) -> dict[str, Any]:
    """Return how many seconds, and how many days begun, of the time between are worked; at most three years."""
    since, until = _aware(since, "since"), _aware(until, "until")
    if abs((until - since).days) > MAX_DAYS:
        raise Invalid(
            "calendar.between",
            _("This is too long a time."),
            field="until",
            value=until.isoformat(),
            remedy=_("Ask for at most %(n)s days.") % {"n": MAX_DAYS},
        )
    work = calendars.worktime(calendars.calendar(actor_of(request), name))
    first, last = since.astimezone(work.zone).date(), until.astimezone(work.zone).date()
    return {
        "since": since,
        "until": until,
        "seconds": work.seconds_between(since, until),
        "workdays": work.workdays_between(first, last),
    }


def _aware(at: datetime, field: str) -> datetime:
    if at.tzinfo is None or not public_days.FIRST_YEAR < at.year < public_days.LAST_YEAR:
        raise Invalid(
            "time.zone",
            _("This time has no offset, or its year is out of range."),
            field=field,
            value=at.isoformat(),
            remedy=_("Write it as 2026-03-01T22:00:00+08:00 or with Z."),
        )
    return at.astimezone(UTC)


# --- windows --------------------------------------------------------------------------------------------------------


class WindowIn(Body):
    """A time that repeats: wall clock `starts_at` (2026-03-01T22:00) in `time_zone`, RFC 5545 `rule` ("" = once)."""

    name: str = Field(max_length=120)
    kind: str = Field(max_length=12)
    starts_at: str = Field(max_length=16)
    duration_seconds: int = Field(le=2_000_000_000)
    time_zone: str = Field(max_length=64)
    rule: str = Field(default="", max_length=520)
    days: str = Field(default="all", max_length=10)
    calendar: str | None = Field(default=None, max_length=60)
    left_out: list[str] = Field(default_factory=list, max_length=2000)
    added: list[str] = Field(default_factory=list, max_length=2000)
    about: list[str] = Field(default_factory=list)
    reason: str = Field(default="", max_length=2000)


class SpanOut(Schema):
    """One occurrence: from, and to before."""

    start: datetime
    end: datetime


class WindowOut(Schema):
    """A window with what comes next."""

    id: UUID
    name: str
    kind: str
    starts_at: str
    duration_seconds: int
    time_zone: str
    rule: str
    days: str
    calendar: str | None
    left_out: list[str]
    added: list[str]
    about: list[str]
    reason: str
    ended_at: datetime | None
    open_until: datetime | None
    upcoming: list[SpanOut]


def _window(row: Window, work: Worktime | None = None) -> dict[str, Any]:
    now = timezone.now()
    held = calendars.is_open(row, now, work=work)
    return {
        **{name: getattr(row, name) for name in WindowOut.model_fields if hasattr(row, name)},
        "calendar": row.calendar.name if row.calendar else None,
        "open_until": held.end if held else None,
        "upcoming": [{"start": each.start, "end": each.end} for each in calendars.upcoming(row, now, work=work)],
    }


@router.get("/windows", response=list[WindowOut])
def list_windows(request: HttpRequest, kind: str | None = None) -> list[dict[str, Any]]:
    """List windows that are not ended, each with its next five occurrences."""
    rows = list(calendars.windows(actor_of(request), kind=kind)[:200])
    works = calendars.worktimes(row.calendar for row in rows if row.calendar)
    return [_window(row, works[row.calendar_id] if row.calendar_id else None) for row in rows]


@router.put("/windows", response=WindowOut)
def put_window(request: HttpRequest, body: WindowIn) -> dict[str, Any]:
    """Create the window of this name, or replace what it says."""
    actor = actor_of(request)
    given = body.model_dump()
    name = given.pop("calendar")
    row = calendars.calendar(actor, name) if name else None
    return _window(calendars.put_window(actor=actor, calendar_row=row, **given))


@router.get("/windows/{uuid:window_id}/occurrences", response=list[SpanOut])
def occurrences(request: HttpRequest, window_id: UUID, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Return the occurrences that overlap a time of at most five years, whole; at most 5,000."""
    row = calendars.window(actor_of(request), window_id)
    found = calendars.spans(row, _aware(since, "since"), _aware(until, "until"))
    return [{"start": each.start, "end": each.end} for each in found[:5000]]


@router.delete("/windows/{uuid:window_id}", response=WindowOut)
def end_window(request: HttpRequest, window_id: UUID) -> dict[str, Any]:
    """End a window: it has no more occurrences."""
    actor = actor_of(request)
    return _window(calendars.end_window(actor=actor, row=calendars.window(actor, window_id)))
