"""When something that repeats takes place: an RFC 5545 rule in local time, with its exceptions. Pure.

The wall time stays as it is when clocks change: a window at 02:00 in Berlin is at 02:00 in summer and in winter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr
from django.utils.translation import gettext_lazy as _

from tongchou.core.local_time import to_utc, to_wall
from tongchou.core.problems import Invalid, Text
from tongchou.core.spans import Span

MAX_RULE = 500
MAX_COUNT = 10_000
MAX_DURATION = timedelta(days=366)
MAX_LOOK = timedelta(days=366 * 5)  # of one question
MAX_AGE = timedelta(days=366 * 50)  # of a series
CYCLE_YEARS = 400  # after so many the calendar repeats, to the weekday
MAX_A_DAY = 96  # times of a day: every quarter of an hour
# Nothing below a day repeats: BYHOUR says the hours. BYWEEKNO and BYYEARDAY are read by few calendars.
KEYS = (
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYDAY",
    "BYMONTHDAY",
    "BYMONTH",
    "BYSETPOS",
    "BYHOUR",
    "BYMINUTE",
    "WKST",
)
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
NUMBERS = {"BYMONTHDAY": 31, "BYMONTH": 12, "BYSETPOS": 366, "BYHOUR": 23, "BYMINUTE": 59}
_STAMP = "%Y%m%dT%H%M%S"
_PART = re.compile(r"([A-Z]+)=([A-Z0-9,+\-]+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,4}", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)


def _refused(detail: Text, value: str, remedy: Text | None = None) -> Invalid:
    usual = _("Write an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=TU,TH or FREQ=MONTHLY;BYDAY=2SA.")
    return Invalid("recurrence.rule", detail, field="rule", value=value, remedy=remedy or usual)


def _until(text: str, zone: ZoneInfo) -> datetime:
    """Read UNTIL as naive wall time: a day counts whole, a time with Z is UTC."""
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise _refused(_("UNTIL is a day (20261231) or a time (20261231T155959Z)."), text)
    day, clock, zulu = found.groups()
    try:
        at = datetime.strptime(day + (clock or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007  # wall time, or made aware below
        if at.year < 1000:  # strftime writes such a year in three digits
            raise ValueError(day)
        return to_wall(at.replace(tzinfo=UTC), zone) if zulu else at
    except (ValueError, OverflowError):
        raise _refused(_("UNTIL is no day there is."), text) from None


def _check_numbers(parts: dict[str, str], text: str) -> None:
    for key, most in (("COUNT", MAX_COUNT), ("INTERVAL", 1000)):
        if key in parts and not (parts[key].isdecimal() and 1 <= int(parts[key]) <= most):
            raise _refused(_("%(key)s is a number from 1 to %(most)s.") % {"key": key, "most": most}, text)
    for key, most in NUMBERS.items():
        if any(not (_NUMBER.fullmatch(each) and abs(int(each)) <= most) for each in _items(parts, key)):
            raise _refused(_("%(key)s is a list of numbers up to %(most)s.") % {"key": key, "most": most}, text)


def _check_times(parts: dict[str, str], text: str) -> None:
    """Refuse more times a day than anybody needs: each is looked at whenever somebody asks about the window."""
    hours, minutes = ({int(each) for each in _items(parts, key)} for key in ("BYHOUR", "BYMINUTE"))
    count = max(1, len(hours)) * max(1, len(minutes))
    if count > MAX_A_DAY:
        raise _refused(
            _("The rule begins %(count)s times a day; %(most)s are the most.") % {"count": count, "most": MAX_A_DAY},
            text,
            _("Name fewer hours (BYHOUR) or minutes (BYMINUTE), and let each time last longer."),
        )


def parse_rule(text: str, zone: ZoneInfo, *, stored: bool = False) -> dict[str, str]:
    """Return the parts of a rule ("" has none), checked, UNTIL as naive wall time. Raises Invalid on field `rule`.

    One that was `stored` may begin more than MAX_A_DAY times a day: a release before took it, and it stays readable.
    """
    text = text.strip().upper().removeprefix("RRULE:")
    if not text:
        return {}
    if len(text) > MAX_RULE:
        raise _refused(_("The rule is longer than %(n)s characters.") % {"n": MAX_RULE}, text)
    parts: dict[str, str] = {}
    for piece in text.split(";"):
        found = _PART.fullmatch(piece)
        if found is None or found[1] not in KEYS or found[1] in parts:
            raise _refused(_("This part is not understood, or is there twice: %(part)s.") % {"part": piece}, text)
        parts[found[1]] = found[2]
    if parts.get("FREQ") not in FREQUENCIES:
        raise _refused(_("FREQ is one of %(known)s.") % {"known": ", ".join(FREQUENCIES)}, text)
    if "COUNT" in parts and "UNTIL" in parts:
        raise _refused(_("COUNT and UNTIL exclude each other."), text)
    _check_numbers(parts, text)
    if not stored:
        _check_times(parts, text)
    if "UNTIL" in parts:
        parts["UNTIL"] = _until(parts["UNTIL"], zone).strftime(_STAMP)
    try:
        rrulestr(_joined(parts), dtstart=datetime(2026, 1, 1))  # noqa: DTZ001  # wall time has no zone
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise _refused(_("The rule cannot be read: %(why)s.") % {"why": error}, text) from error
    return parts


def _items(parts: dict[str, str], key: str) -> list[str]:
    return parts[key].split(",") if key in parts else []


def _nearer(start: datetime, parts: dict[str, str], low: datetime) -> tuple[datetime, dict[str, str]]:
    """Return a start shortly before `low` and parts that give the same occurrences from `low` on. Pure.

    It moves by whole intervals and stays at least one before `low`: the first period of a series is cut at its start.
    What a rule takes from its start (the day of a month or year) is written out, for the new start has another.
    """
    every, days, place = int(parts.get("INTERVAL", "1")), (low - start).days, parts["FREQ"]
    if place in ("DAILY", "WEEKLY"):
        step = every * (7 if place == "WEEKLY" else 1)
        return start + timedelta(days=max(0, days // step - 2) * step), parts
    months, step = (low.year - start.year) * 12 + low.month - start.month, every * (1 if place == "MONTHLY" else 12)
    turns = months // step - 2
    if turns <= 0:
        return start, parts
    given = dict(parts)
    if "BYDAY" not in parts and "BYMONTHDAY" not in parts:
        given["BYMONTHDAY"] = str(start.day)
        if place == "YEARLY":
            given.setdefault("BYMONTH", str(start.month))
    month = (start.month - 1 if place == "MONTHLY" else 0) + turns * step
    return start.replace(year=start.year + month // 12, month=month % 12 + 1, day=1), given


def _later(at: datetime, years: int) -> datetime:
    """Return the same day of the same calendar: `years` is a multiple of CYCLE_YEARS."""
    return at.replace(year=at.year + years)


def _joined(parts: dict[str, str]) -> str:
    return ";".join(f"{key}={value}" for key, value in parts.items())


@dataclass(frozen=True)
class Recurrence:
    """A first wall time, a length, a rule ("" = once), and the wall times that are left out or added."""

    start: datetime  # naive wall time in `zone`
    zone: ZoneInfo
    duration: timedelta
    rule: str = ""
    left_out: frozenset[datetime] = field(default_factory=frozenset)
    added: frozenset[datetime] = field(default_factory=frozenset)

    def starts(self, since: datetime, until: datetime) -> list[datetime]:
        """Return the naive wall times in [since, until) (aware) at which it begins, in order.

        At most MAX_LOOK is looked at; Invalid on field `until` when more is asked for.
        """
        if until - since > MAX_LOOK:
            raise Invalid(
                "recurrence.look",
                _("At most %(n)s days can be looked at in one question.") % {"n": MAX_LOOK.days},
                field="until",
                value=until.isoformat(),
                remedy=_("Ask for a shorter time."),
            )
        # a day more on both sides: wall time and UTC differ by less
        low, high = to_wall(since, self.zone) - timedelta(days=1), to_wall(until, self.zone) + timedelta(days=1)
        high = min(high, self.start + MAX_AGE)
        found = {each for each in (self.start, *self.added) if low <= each <= high}
        parts = parse_rule(self.rule, self.zone, stored=True)
        if parts:
            found.discard(self.start)
            found |= {each for each in self.added if low <= each <= high}
            found |= set(self._repeated(parts, low, high))
        return [each for each in sorted(found - self.left_out) if since <= to_utc(each, self.zone) < until]

    def _repeated(self, parts: dict[str, str], low: datetime, high: datetime) -> Iterator[datetime]:
        """Yield what the rule gives in [low, high]. A rule that counts is walked from its start, MAX_COUNT at most.

        A rule that never fits is given up by dateutil in the year 9999 only: it is walked in the last years before.
        """
        if self.start > high:
            return
        most, end, start = parts.pop("COUNT", None), high, self.start
        if "UNTIL" in parts:
            end = min(end, datetime.strptime(parts["UNTIL"], _STAMP))  # noqa: DTZ007  # wall time has no zone
        if most is None:
            start, parts = _nearer(start, parts, low)
        years = (MAXYEAR - high.year) // CYCLE_YEARS * CYCLE_YEARS
        parts["UNTIL"] = _later(end, years).strftime(_STAMP)
        rule = rrulestr(_joined(parts), dtstart=_later(start, years))
        assert isinstance(rule, rrule)  # noqa: S101  # one RRULE and nothing else was read
        for each in islice(rule, None if most is None else int(most)):
            at = _later(each, -years)
            if low <= at <= high:
                yield at

    def spans(self, since: datetime, until: datetime) -> list[Span]:
        """Return the occurrences that overlap [since, until), whole, in order. Two may overlap each other."""
        return [
            span
            for span in (self.span(start) for start in self.starts(since - self.duration, until))
            if span.start < until and span.end > since
        ]

    def span(self, start: datetime) -> Span:
        """Return the occurrence that begins at a wall time: its length is real seconds, whatever the clocks do."""
        at = to_utc(start, self.zone)
        return Span(at, at + self.duration)
