"""Prometheus's humanize family (template/template.go), number for number."""

from __future__ import annotations

import datetime as dt
import math

from tongchou.alerting.gotemplate.errors import Unfit
from tongchou.alerting.gotemplate.formatting import format_float, quote
from tongchou.alerting.gotemplate.gotime import GoDuration, GoTime
from tongchou.alerting.gotemplate.values import type_name

_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_NANOSECONDS = 2**63


def number(value: object) -> float:
    """A float of a number or of a text that Go's strconv.ParseFloat reads; raises ValueError in its words."""
    if isinstance(value, GoDuration):
        return value.nanoseconds / 1e9
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit(f"can't convert {type_name(value)} to float")
    if not isinstance(value, str):
        return float(value)
    try:
        if value != value.strip() or not value.isascii():
            raise ValueError
        return float.fromhex(value) if value.lower().lstrip("+-").startswith("0x") else float(value)
    except (ValueError, OverflowError):
        raise Unfit(f"strconv.ParseFloat: parsing {quote(value)}: invalid syntax") from None


def _short(value: float) -> str:
    return format_float(value, "g", 4)


def _scaled(value: float, prefixes: tuple[str, ...], step: float) -> tuple[float, str]:
    """``value`` divided by (step > 1) or multiplied with 1/step until it is near one, and the prefix for that."""
    chosen = ""
    for prefix in prefixes:
        if (abs(value) < step) if step > 1 else (abs(value) >= 1):
            break
        chosen = prefix
        value /= step
    return value, chosen


def humanize(value: object) -> str:
    """1234567 -> 1.235M, 0.12 -> 120m."""
    amount = number(value)
    if amount == 0 or not math.isfinite(amount):
        return _short(amount)
    if abs(amount) >= 1:
        amount, prefix = _scaled(amount, _LARGE, 1000.0)
    else:
        amount, prefix = _milli(amount)
    return _short(amount) + prefix


def _milli(value: float) -> tuple[float, str]:
    chosen = ""
    for prefix in _SMALL:
        if abs(value) >= 1:
            break
        chosen = prefix
        value *= 1000
    return value, chosen


def humanize1024(value: object) -> str:
    """1048576 -> 1Mi."""
    amount = number(value)
    if abs(amount) <= 1 or not math.isfinite(amount):
        return _short(amount)
    amount, prefix = _scaled(amount, _BINARY, 1024.0)
    return _short(amount) + prefix


def humanize_duration(value: object) -> str:
    """Seconds as 1d 2h 3m 4s, 123.5ms."""
    seconds = number(value)
    if not math.isfinite(seconds):
        return _short(seconds)
    if seconds == 0:
        return "0s"
    if abs(seconds) < 1:
        amount, prefix = _milli(seconds)
        return f"{_short(amount)}{prefix}s"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    whole = int(seconds)
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return f"{sign}{_short(seconds)}s"


def humanize_percentage(value: object) -> str:
    """A ratio as a percentage."""
    return _short(number(value) * 100) + "%"


def to_time(value: object) -> GoTime:
    """Unix seconds as a time in UTC, to the millisecond; raises ValueError outside int64 nanoseconds."""
    seconds = number(value)
    nanoseconds = seconds * 1e9
    if not -_NANOSECONDS <= nanoseconds < _NANOSECONDS:
        shown = format_float(seconds)
        raise Unfit(f"{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return GoTime(epoch + dt.timedelta(milliseconds=math.trunc(nanoseconds / 1e6)))


def humanize_timestamp(value: object) -> str:
    """Unix seconds as Go prints a time."""
    seconds = number(value)
    if not math.isfinite(seconds):
        return _short(seconds)
    return str(to_time(seconds))
