"""From the clock on the wall to UTC: what a wall time means that is there twice, or never. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment a naive wall time means in a zone.

    There twice (clocks go back): the first. Never (clocks go forward): as long after the jump as it lies in the gap,
    which is what calendars do (RFC 5545, 3.3.5: the offset before the gap counts).
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def to_wall(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clock on the wall shows at an aware moment, naive."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
