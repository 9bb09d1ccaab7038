"""When the next notice about a group is due and why: pure, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tongchou.alerting.suppress import HELD, SILENCED

OPENED = "opened"
UPDATE = "update"
REPEAT = "repeat"
LEFTOVER = "leftover"


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between updates, between reminders, and how long what ends by itself is given to end too."""

    update_seconds: float = 300
    repeat_seconds: float = 14_400
    release_seconds: float = 120


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """A firing alert: whether it is suppressed now, when it was last told and last released from suppression."""

    suppressed: bool
    told_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def untold(self) -> bool:
        """Whether nobody was told since it is (again) not suppressed."""
        return self.told_at is None or (self.released_at is not None and self.told_at < self.released_at)


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """An open group. ``released_at``: when it was last not held any more, after ``held_by``."""

    told_at: datetime | None = None
    released_at: datetime | None = None
    held_by: str = ""
    acknowledged: bool = False
    explains: int = 0
    told_explains: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told, from when on."""

    reason: str
    at: datetime | None


def next_notice(group: GroupFacts, alerts: Sequence[AlertFacts], times: Intervals) -> Notice | None:
    """The next notice; None while every alert is suppressed, or when only a new event can bring one.

    ``at`` None means now. A group released from a silence or a hold is told at once; one whose explanation or
    inhibition ended is given ``release_seconds`` to end as well. Acknowledged groups are not repeated; what is new is
    still told.
    """
    told = [alert for alert in alerts if not alert.suppressed]
    if not told:
        return None
    untold = any(alert.untold for alert in told)
    leftover = untold and group.released_at is not None and (group.told_at is None or group.told_at < group.released_at)
    if leftover and group.released_at is not None:
        wait = 0.0 if group.held_by in (SILENCED, HELD) else times.release_seconds
        return Notice(LEFTOVER, group.released_at + timedelta(seconds=wait))
    if group.told_at is None:
        return Notice(OPENED, None)
    if untold or group.explains > group.told_explains:
        return Notice(UPDATE, group.told_at + timedelta(seconds=times.update_seconds))
    if group.acknowledged or times.repeat_seconds <= 0:
        return None
    return Notice(REPEAT, group.told_at + timedelta(seconds=times.repeat_seconds))
