"""Working time: which days and hours are worked, and sums with them. Pure; public_days knows the days of countries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from tongchou.core.local_time import to_utc, to_wall
from tongchou.core.problems import Invalid
from tongchou.core.spans import Span, clip, union

DAY_MINUTES = 24 * 60
FOREVER = Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
MAX_DAYS = 366 * 20  # a sum that finds no working time for so long is given up
Hours = tuple[tuple[int, int], ...]  # minutes of the day, from and to
NINE_TO_SIX: Hours = ((9 * 60, 12 * 60), (13 * 60, 18 * 60))
OFFICE: tuple[Hours, ...] = (NINE_TO_SIX,) * 5 + ((), ())


@dataclass(frozen=True)
class Day:
    """One day: what is worked (minutes of the wall clock), and why it is so."""

    day: date
    hours: Hours
    reason: str  # weekday, weekend, holiday, exchanged, exception
    note: str = ""

    @property
    def working(self) -> bool:
        """Tell whether anything of it is worked."""
        return bool(self.hours)


def no_day_off(day: date) -> str | None:
    """Say that a day is no public holiday."""
    return None


def no_exchange(day: date) -> bool:
    """Say that a weekend is not worked in exchange."""
    return False


@dataclass(frozen=True)
class Worktime:
    """A week's hours (Monday first) in a zone, public holidays, weekends worked in exchange, and exceptions by day.

    An exception wins over everything, an exchanged weekend over a holiday, a holiday over the week. An exchanged
    weekend has the hours of the first day of the week that has any.
    """

    zone: ZoneInfo
    week: tuple[Hours, ...] = OFFICE
    day_off: Callable[[date], str | None] = no_day_off
    exchanged: Callable[[date], bool] = no_exchange
    exceptions: Mapping[date, tuple[Hours, str]] = field(default_factory=dict)

    def day(self, day: date) -> Day:
        """Return what is worked on a day and why."""
        if day in self.exceptions:
            hours, note = self.exceptions[day]
            return Day(day, hours, "exception", note)
        usual = self.week[day.weekday()]
        if not usual and self.exchanged(day):
            return Day(day, next((each for each in self.week if each), ()), "exchanged")
        off = self.day_off(day)
        if off is not None:
            return Day(day, (), "holiday", off)
        return Day(day, usual, "weekday" if usual else "weekend")

    def is_workday(self, day: date) -> bool:
        """Tell whether anything of the day is worked."""
        return self.day(day).working

    def spans_of(self, day: date) -> list[Span]:
        """Return what is worked on a day, as spans."""
        midnight = datetime.combine(day, time())
        return union(
            Span(
                to_utc(midnight + timedelta(minutes=low), self.zone),
                to_utc(midnight + timedelta(minutes=high), self.zone),
            )
            for low, high in self.day(day).hours
        )

    def spans(self, since: datetime, until: datetime) -> list[Span]:
        """Return the working time in [since, until)."""
        first, last = to_wall(since, self.zone).date(), to_wall(until, self.zone).date()
        days = (first + timedelta(days=n) for n in range(-1, (last - first).days + 2))
        return clip((span for day in days for span in self.spans_of(day)), since, until)

    def seconds_between(self, since: datetime, until: datetime) -> float:
        """Return how much of the time from `since` to `until` is worked, in seconds; negative backwards."""
        since, until = since.astimezone(UTC), until.astimezone(UTC)
        if until < since:
            return -self.seconds_between(until, since)
        return sum(each.seconds for each in self.spans(since, until))

    def add_seconds(self, at: datetime, seconds: float) -> datetime:
        """Return the moment that lies so much working time after `at` (before, when negative); 0 is `at` itself.

        Whole amounts end at the end of a span, not at the start of the next: eight hours from 09:00 end at 18:00 today.
        """
        left = abs(seconds)
        if not left:
            return at
        for span in self._ahead(at) if seconds > 0 else self._behind(at):
            if left <= span.seconds:
                step = timedelta(seconds=left)
                return span.start + step if seconds > 0 else span.end - step
            left -= span.seconds
        raise Invalid(
            "calendar.no_working_time",
            _("The calendar has too little working time in %(n)s days.") % {"n": MAX_DAYS},
            field="seconds",
            value=seconds,
            remedy=_("Give the calendar working hours, or ask for less."),
        )

    def _ahead(self, at: datetime) -> Iterator[Span]:
        first = to_wall(at, self.zone).date() - timedelta(days=1)
        for n in range(MAX_DAYS):
            yield from clip(self.spans_of(first + timedelta(days=n)), at, FOREVER.end)

    def _behind(self, at: datetime) -> Iterator[Span]:
        first = to_wall(at, self.zone).date() + timedelta(days=1)
        for n in range(MAX_DAYS):
            found = clip(self.spans_of(first - timedelta(days=n)), FOREVER.start, at)
            yield from reversed(found)

    def add_workdays(self, day: date, days: int) -> date:
        """Return the workday that lies so many workdays after a day (before, when negative).

        0 is the day itself when it is worked, else the next workday.
        """
        step = timedelta(days=1 if days >= 0 else -1)
        left = abs(days)
        for _n in range(MAX_DAYS):
            if left == 0 and self.is_workday(day):
                return day
            day += step
            if left and self.is_workday(day):
                left -= 1
        raise Invalid(
            "calendar.no_workday",
            _("The calendar has too few workdays in %(n)s days.") % {"n": MAX_DAYS},
            field="days",
            value=days,
            remedy=_("Give the calendar working hours, or ask for less."),
        )

    def workdays_between(self, first: date, last: date) -> int:
        """Return how many days from `first` (counted) to `last` (not counted) are worked; negative backwards."""
        if last < first:
            return -self.workdays_between(last, first)
        return sum(self.is_workday(first + timedelta(days=n)) for n in range((last - first).days))


def read_hours(value: object, field_name: str) -> Hours:
    """Return hours given as [["09:00", "12:00"], ...] in minutes, in order. Raises Invalid naming the field.

    "24:00" is the end of the day. Spans of one day may touch, not overlap.
    """
    found: list[tuple[int, int]] = []
    for pair in value if isinstance(value, list) else [value]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise _bad_hours(field_name, pair)
        low, high = (_minutes(str(each), field_name) for each in pair)
        if low >= high:
            raise _bad_hours(field_name, pair)
        found.append((low, high))
    found.sort()
    for (_low, end), (start, _high) in pairwise(found):
        if start < end:
            raise _bad_hours(field_name, value)
    return tuple(found)


def write_hours(hours: Hours) -> list[list[str]]:
    """Return hours as `read_hours` reads them."""
    return [[f"{low // 60:02d}:{low % 60:02d}", f"{high // 60:02d}:{high % 60:02d}"] for low, high in hours]


def _minutes(text: str, field_name: str) -> int:
    hour, colon, minute = text.partition(":")
    if not (
        colon and hour.isascii() and hour.isdecimal() and minute.isascii() and minute.isdecimal() and len(minute) == 2
    ):
        raise _bad_hours(field_name, text)
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > DAY_MINUTES:
        raise _bad_hours(field_name, text)
    return found


def _bad_hours(field_name: str, value: object) -> Invalid:
    return Invalid(
        "calendar.hours",
        _("These are no working hours of a day."),
        field=field_name,
        value=value,
        remedy=_('Write pairs from and to that do not overlap, such as [["09:00", "12:00"], ["13:00", "18:00"]].'),
    )
