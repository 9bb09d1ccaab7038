"""Whether an improvement is proven: looks at its check, cut into calendar days, and how many days in a row were green.

Pure. Instants are whole seconds since the epoch; looks stand on a grid, the multiples of the interval. A day is a
calendar day of one time zone (23 or 25 hours where clocks change). It is green only when every look of it was green: a
look that is missing, or found no data, is not green.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

State = Literal["green", "red", "no_data"]
GREEN: State = "green"
RED: State = "red"
NO_DATA: State = "no_data"
MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Span:
    """Looks one interval apart that gave the same state; `begins` and `ends` are the first and the last of them."""

    state: State
    begins: int
    ends: int
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: when, what it gave, and the values in short."""

    at: int
    state: State
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the strip. `state` "" while nothing was looked at; `complete`: every look of the day is past."""

    day: date
    state: State | Literal[""]
    green: int
    red: int
    no_data: int
    complete: bool

    @property
    def looks(self) -> int:
        """How many looks the day has so far."""
        return self.green + self.red + self.no_data


@dataclass(frozen=True, slots=True)
class Proof:
    """How far it is. `broken`: the last day that was not green; the count began anew after it."""

    needed: int
    green: int
    left: int
    broken: Day | None

    @property
    def proven(self) -> bool:
        """Whether the last `needed` complete days were green, and so is what there is of today."""
        return self.left == 0


def on_grid(at: float, interval: int) -> int:
    """The last look that is not after an instant."""
    return int(at // interval) * interval


def count(begin: int, end: int, interval: int) -> int:
    """How many looks stand in [begin, end)."""
    return max(0, -(-end // interval) + (-begin // interval)) if end > begin else 0


def bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The first second of a day and of the day after it."""
    first, after = (
        datetime.combine(each, time(), tzinfo=zone).astimezone(UTC) for each in (day, day + timedelta(days=1))
    )
    return int(first.timestamp()), int(after.timestamp())


def days(spans: Iterable[Span], *, since: int, until: int, interval: int, zone: ZoneInfo) -> list[Day]:
    """The strip from `since` (the first look may stand on it) to `until` (the newest look), oldest day first.

    At most the newest MOST_DAYS. No two spans overlap; looks that none tells of count as no data.
    """
    if until < since:
        return []
    first = datetime.fromtimestamp(since, zone).date()
    last = datetime.fromtimestamp(until, zone).date()
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    kept = sorted((each for each in spans if each.ends >= since and each.begins <= until), key=lambda each: each.begins)
    begins, ends = [each.begins for each in kept], [each.ends for each in kept]
    made = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        begin, end = bounds(day, zone)
        there = kept[bisect_left(ends, begin) : bisect_left(begins, end)]  # a year of a flapping check has many
        made.append(_day(day, there, (begin, end), (since, until), interval))
    return made


def _day(day: date, spans: Sequence[Span], bounds_: tuple[int, int], told: tuple[int, int], interval: int) -> Day:
    (begin, end), (since, until) = bounds_, told
    low, high = max(begin, since), min(end, until + 1)
    expected = count(low, high, interval)
    found: dict[str, int] = {GREEN: 0, RED: 0, NO_DATA: 0}
    for span in spans:
        found[span.state] += count(max(span.begins, low), min(span.ends + 1, high), interval)
    no_data = found[NO_DATA] + max(0, expected - sum(found.values()))
    state: State | Literal[""] = ""
    if expected:
        state = RED if found[RED] else NO_DATA if no_data else GREEN
    return Day(day, state, found[GREEN], found[RED], no_data, expected == count(begin, end, interval))


def proof(strip: Sequence[Day], needed: int) -> Proof:
    """Count the complete green days at the end of a strip. A red day or one without data begins the count anew.

    A day that is not complete (the first, on which the work was done, and today) never counts; it can only break.
    """
    green, broken = 0, None
    for day in strip:
        if day.state in (RED, NO_DATA):
            green, broken = 0, day
        elif day.complete and day.state == GREEN:
            green += 1
    return Proof(needed, green, max(0, needed - green), broken)


def extended(last: Span | None, looks: Sequence[Look], interval: int) -> list[Span]:
    """Join looks (in order, each one interval after the one before) to the spans that are there.

    Returns the spans to write; the first one replaces `last` when it begins where `last` begins.
    """
    made: list[Span] = []
    open_span = last
    for look in looks:
        if open_span is not None and open_span.state == look.state and look.at == open_span.ends + interval:
            open_span = Span(open_span.state, open_span.begins, look.at, open_span.seen)
            if made and made[-1].begins == open_span.begins:
                made[-1] = open_span
            else:
                made.append(open_span)
        else:
            open_span = Span(look.state, look.at, look.at, look.seen)
            made.append(open_span)
    return made


def cut(spans: Iterable[Span], *, after: int, interval: int) -> list[Span]:
    """What is left of spans when every look after an instant is forgotten: the clock was set back."""
    kept = []
    for span in spans:
        if span.begins > after:
            continue
        kept.append(Span(span.state, span.begins, min(span.ends, on_grid(after, interval)), span.seen))
    return kept
