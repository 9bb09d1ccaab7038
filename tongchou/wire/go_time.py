"""Times as Go programs write and expect them in JSON. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

ZERO = "0001-01-01T00:00:00Z"  # Go's zero time: never, or not yet


def rfc3339(at: datetime | None) -> str:
    """An aware time in UTC ("2026-01-02T03:04:05.5Z"); ZERO for None."""
    return ZERO if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
