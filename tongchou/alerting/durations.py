"""Prometheus's durations: ``1h30m``, ``15s``, ``250ms`` (model.ParseDuration of prometheus/common)."""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
# Go keeps a duration in int64 nanoseconds.
_MAX_MILLISECONDS = (2**63 - 1) // 1_000_000


def parse_seconds(text: str) -> float:
    """Seconds of a Prometheus duration; raises ValueError in Prometheus's words."""
    if text == "0":
        return 0.0
    if not text:
        raise ValueError("empty duration string")
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    total = sum(int(count) * size for count, size in zip(found.groups(), _UNITS.values(), strict=True) if count)
    if total > _MAX_MILLISECONDS:
        raise ValueError("duration out of range")
    return total / 1000


def format_seconds(seconds: float) -> str:
    """The shortest Prometheus text of a duration: 90 -> 1m30s, 0.25 -> 250ms."""
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    out = []
    for unit, size in _UNITS.items():
        # Years and weeks only when exact, as Prometheus prints them.
        if unit in ("y", "w") and left % size:
            continue
        count, left = divmod(left, size)
        if count:
            out.append(f"{count}{unit}")
    return "".join(out)
