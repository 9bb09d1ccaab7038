"""What the settings say about opening, joining and reopening, and the decision about a group that returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from tongchou.core import settings_store
from tongchou.incidents.correlate import JoinPolicy
from tongchou.incidents.run_time_settings import (
    JOIN_SPAN_MINUTES,
    JOIN_WINDOW_MINUTES,
    LOOK_BACK_MINUTES,
    MIN_SEVERITY,
    REOPEN_MINUTES,
)

Return = Literal["rejoin", "reopen", "new episode"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings, typed."""

    min_severity: str = "warning"
    join: JoinPolicy = field(default_factory=JoinPolicy)
    reopen_within: timedelta = timedelta(minutes=30)


def current() -> Policy:
    """Read the settings; four queries."""
    return Policy(
        min_severity=settings_store.get(MIN_SEVERITY),
        join=JoinPolicy(
            window=timedelta(minutes=settings_store.get(JOIN_WINDOW_MINUTES)),
            span=timedelta(minutes=settings_store.get(JOIN_SPAN_MINUTES)),
        ),
        reopen_within=timedelta(minutes=settings_store.get(REOPEN_MINUTES)),
    )


def look_back() -> timedelta:
    """Return how long before the first symptom a change is still a suspect; one query."""
    return timedelta(minutes=settings_store.get(LOOK_BACK_MINUTES))


def on_return(
    *, started_at: datetime, recovered_at: datetime | None, resolved_at: datetime | None, within: timedelta
) -> Return:
    """Decide what the return of an alert group key means for the incident it was in last. Pure.

    While that incident goes on it joins again; soon after the end it opens it again; later it is a new episode, so that
    an incident nobody resolved is not extended for ever.
    """
    ended_at = resolved_at or recovered_at
    if ended_at is None:
        return "rejoin"
    if started_at - ended_at > within:
        return "new episode"
    return "rejoin" if resolved_at is None else "reopen"
