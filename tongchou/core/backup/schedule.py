"""When a backup is due and which ones stay. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_TIME = re.compile(r"\A([01]?\d|2[0-3]):([0-5]\d)\Z")


def parse_times(text: str) -> list[time] | None:
    """Return the times of day of "02:30" or "02:30, 14:30"; None when it is not that; [] for nothing."""
    found = []
    for part in (each.strip() for each in text.split(",")):
        if not part:
            continue
        match = _TIME.match(part)
        if match is None:
            return None
        found.append(time(int(match.group(1)), int(match.group(2))))
    return sorted(set(found))


def latest_due(times: Iterable[time], zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the newest scheduled moment that is not after now (None: nothing is scheduled)."""
    today = now.astimezone(zone).date()
    moments = [datetime.combine(day, each, zone) for day in (today - timedelta(days=1), today) for each in times]
    return max((each for each in moments if each <= now), default=None)


def kept(made: Collection[datetime], *, daily: int, weekly: int, monthly: int, zone: ZoneInfo) -> set[datetime]:
    """Return which backups stay: the newest of each of the last so many days, weeks and months that have one."""
    stay: set[datetime] = set()
    periods: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (daily, lambda at: (at.year, at.month, at.day)),
        (weekly, lambda at: tuple(at.isocalendar()[:2])),
        (monthly, lambda at: (at.year, at.month)),
    )
    for count, period in periods:
        newest: dict[tuple[int, ...], datetime] = {}
        for at in sorted(made):
            newest[period(at.astimezone(zone))] = at
        chosen = sorted(newest)[-count:] if count else []
        stay |= {newest[each] for each in chosen}
    return stay
