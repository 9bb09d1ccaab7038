"""When something that repeats takes place: an RFC 5545 rule in local time, with its exceptions. Pure.

The wall time stays as it is when clocks change: a window at 02:00 in Berlin is at 02:00 in summer and in winter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
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
MAX_AGE = timedelta(days=366 * 50)  # of a series: every occurrence since its start is walked
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
_PART = re.compile(r"([A-Z]+)=([A-Z0-9,+\-]+)", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)


def _refused(detail: Text, value: str) -> Invalid:
    return Invalid(
        "recurrence.rule",
        detail,
        field="rule",
        value=value,
        remedy=_("Write an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=TU,TH or FREQ=MONTHLY;BYDAY=2SA."),
    )


def _until(text: str, zone: ZoneInfo) -> datetime:
    """Read UNTIL as naive wall time: a day counts whole, a time with Z is UTC."""
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise _refused(_("UNTIL is a day (20261231) or a time (20261231T155959Z)."), text)
    day, clock, zulu = found.groups()
    try:
        if clock is None:
            return datetime.combine(datetime.strptime(day, "%Y%m%d"), time.max)  # noqa: DTZ007  # wall time has no zone
        at = datetime.strptime(day + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007  # wall time, or made aware below
    except ValueError:
        raise _refused(_("UNTIL is no day there is."), text) from None
    return to_wall(at.replace(tzinfo=UTC), zone) if zulu else at


def _check_numbers(parts: dict[str, str], text: str) -> None:
    for key, most in (("COUNT", MAX_COUNT), ("INTERVAL", 1000)):
        if key in parts and not (parts[key].isdecimal() and 1 <= int(parts[key]) <= most):
            raise _refused(_("%(key)s is a number from 1 to %(most)s.") % {"key": key, "most": most}, text)
    for key, most in NUMBERS.items():
        if any(not (each.lstrip("+-").isdecimal() and abs(int(each)) <= most) for each in _items(parts, key)):
            raise _refused(_("%(key)s is a list of numbers up to %(most)s.") % {"key": key, "most": most}, text)


def parse_rule(text: str, zone: ZoneInfo) -> dict[str, str]:
    """Return the parts of a rule ("" has none), checked, UNTIL as naive wall time. Raises Invalid on field `rule`."""
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
    if "UNTIL" in parts:
        parts["UNTIL"] = _until(parts["UNTIL"], zone).strftime("%Y%m%dT%H%M%S")
    try:
        rrulestr(_joined(parts), dtstart=datetime(2026, 1, 1))  # noqa: DTZ001  # wall time has no zone
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise _refused(_("The rule cannot be read: %(why)s.") % {"why": error}, text) from error
    return parts


def _items(parts: dict[str, str], key: str) -> list[str]:
    return parts[key].split(",") if key in parts else []


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
        parts = parse_rule(self.rule, self.zone)
        if parts:
            if "COUNT" not in parts:  # an end, so that a rule that never fits is given up
                end = parts.get("UNTIL")
                parts["UNTIL"] = min(end, high.strftime("%Y%m%dT%H%M%S")) if end else high.strftime("%Y%m%dT%H%M%S")
            rule = rrulestr(_joined(parts), dtstart=self.start)
            assert isinstance(rule, rrule)  # noqa: S101  # one RRULE and nothing else was read
            found.discard(self.start)
            found |= {each for each in self.added if low <= each <= high}
            if self.start <= high:
                found |= set(rule.between(low, high, inc=True))
        return [each for each in sorted(found - self.left_out) if since <= to_utc(each, self.zone) < until]

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
