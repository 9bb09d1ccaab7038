"""Parameters of the Prometheus HTTP API: times, durations, selectors. Pure, but for the clock that is passed in."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from tongchou.core.problems import BadRequest

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNIT_MS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_LIMIT_MS = 1 << 53


def bad(name: str, detail: str, value: str = "") -> BadRequest:
    """A parameter that cannot be used, in Prometheus's words."""
    return BadRequest("telemetry.bad_parameter", f'invalid parameter "{name}": {detail}', field=name, value=value)


def _bad_time(name: str, value: str) -> BadRequest:
    return bad(name, _('cannot parse "%(value)s" to a valid timestamp') % {"value": value[:100]}, value)


def _bad_duration(name: str, value: str) -> BadRequest:
    return bad(name, _('cannot parse "%(value)s" to a valid duration') % {"value": value[:100]}, value)


def time_ms(name: str, text: str) -> int:
    """A Unix time in seconds or an RFC 3339 time, in milliseconds. Raises BadRequest."""
    try:
        found = round(float(text) * 1000)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise _bad_time(name, text) from None
        found = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except OverflowError:
        raise _bad_time(name, text) from None
    if abs(found) > _LIMIT_MS:
        raise _bad_time(name, text)
    return found


def duration_ms(name: str, text: str) -> int:
    """Seconds as a number, or a duration such as 1h30m, in milliseconds. Raises BadRequest."""
    try:
        found = round(float(text) * 1000)
    except ValueError:
        match = _DURATION.fullmatch(text) if text and len(text) < 100 else None
        if match is None:
            raise _bad_duration(name, text) from None
        found = sum(int(count) * unit for count, unit in zip(match.groups(), _UNIT_MS, strict=True) if count)
    except OverflowError:
        raise _bad_duration(name, text) from None
    if abs(found) > _LIMIT_MS:
        raise _bad_duration(name, text)
    return found
