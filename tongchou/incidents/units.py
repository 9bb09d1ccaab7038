"""Figures with their units as sentences print them: three significant digits, SI prefixes. Pure, language-free."""

from __future__ import annotations

import math

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def shown(value: float, unit: str) -> str:
    """Return `value` in words: bytes as MB, seconds as ms when small, ratios in percent, rates per second."""
    if not math.isfinite(value):
        return "–"
    if unit in ("bytes", "bytes_per_second"):
        return _bytes(value) + ("/s" if unit == "bytes_per_second" else "")
    if unit == "seconds":
        return _seconds(value)
    if unit == "ratio":
        return f"{_digits(100 * value)} %"
    if unit == "per_second":
        return f"{_digits(value)}/s"
    if unit == "cores":
        return f"{_digits(100 * value)} % CPU"
    return _digits(value)


def _bytes(value: float) -> str:
    for size, name in _BYTES:
        if abs(value) >= size:
            return f"{_digits(value / size)} {name}"
    return f"{_digits(value)} B"


def _seconds(value: float) -> str:
    if value != 0 and abs(value) < 1:
        return f"{_digits(value * 1000)} ms"
    if abs(value) >= 600:
        return f"{_digits(value / 60)} min"
    return f"{_digits(value)} s"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) >= 1e-4 else 6
    text = f"{value:.{min(decimals, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
