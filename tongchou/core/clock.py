"""What time it is for all nodes: the database's. Each node measures how far its own clock is off and takes that away.

Leases, jobs and the ledger's look-back compare times that different nodes wrote; with clocks of their own, a node that
is ahead would take leases that still hold, and one that is behind would be missed.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

NOISE_SECONDS = 0.5

_skew_seconds = 0.0


def now() -> datetime:
    """The time by the database's clock, as far as it was measured (`measure`); else this node's."""
    found = timezone.now()
    return found - timedelta(seconds=_skew_seconds) if _skew_seconds else found


def measure() -> float:
    """Ask the database for its time; returns by how many seconds this node's clock is ahead. SQLite has our clock."""
    if connection.vendor != "postgresql":
        return 0.0
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        row = cursor.fetchone()
    return (before + time.time()) / 2 - float(row[0]) if row else 0.0


def correct(skew_seconds: float) -> None:
    """Let `now` take this off from now on; what is within the noise of a busy network is left alone."""
    global _skew_seconds  # noqa: PLW0603  # one clock a process
    _skew_seconds = skew_seconds if abs(skew_seconds) >= NOISE_SECONDS else 0.0
