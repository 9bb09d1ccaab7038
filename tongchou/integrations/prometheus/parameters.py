"""Parameters of the Prometheus HTTP API: times, durations, selectors. Pure, but for the clock that is passed in."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from tongchou.core.problems import BadRequest

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNIT_MS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_LIMIT_MS = 1 << 53


def _bad(name: str, value: str) -> BadRequest:
    return BadRequest(
        "telemetry.bad_parameter",
        _("invalid parameter %(name)r: cannot parse %(value)r") % {"name": name, "value": value[:100]},
        field=name,
        value=value,
    )


def time_ms(name: str, text: str) -> int:
    """A Unix time in seconds or an RFC 3339 time, in milliseconds. Raises BadRequest."""
    try:
        found = round(float(text) * 1000)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise _bad(name, text) from None
        found = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except OverflowError:
        raise _bad(name, text) from None
    if abs(found) > _LIMIT_MS:
        raise _bad(name, text)
    return found


def duration_ms(name: str, text: str) -> int:
    """Seconds as a number, or a duration such as 1h30m, in milliseconds. Raises BadRequest."""
    try:
        found = round(float(text) * 1000)
    except ValueError:
        match = _DURATION.fullmatch(text) if text else None
        if match is None:
            raise _bad(name, text) from None
        found = sum(int(count) * unit for count, unit in zip(match.groups(), _UNIT_MS, strict=True) if count)
    except OverflowError:
        raise _bad(name, text) from None
    if not 0 <= found <= _LIMIT_MS:
        raise _bad(name, text)
    return found
