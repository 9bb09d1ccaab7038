"""Names of OpenTelemetry as Prometheus writes them: underscores for what it does not allow, units and _total behind.

The rules are those of the compatibility specification as Prometheus's otlptranslator applies them (underscores, with
suffixes), with one difference: no attribute becomes a label that begins with two underscores. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes", "m": "meters",
    "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz", "1": "",
    "%": "percent",
}  # fmt: skip
PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_TOKEN = re.compile(r"[a-zA-Z0-9:]+")
_NOT_IN_UNIT = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def unit_name(unit: str) -> tuple[str, str]:
    """(unit, per unit) in words, "" where there is none: ("bytes", "per_second") of By/s."""
    main, _slash, per = (each.strip() for each in unit.partition("/"))
    main_name = "" if "{" in main or "}" in main else _in_words(UNITS.get(main, main))
    per_name = "" if "{" in per or "}" in per else _in_words(PER_UNITS.get(per, per))
    return main_name, f"per_{per_name}" if per_name else ""


def _in_words(unit: str) -> str:
    return _NOT_IN_UNIT.sub("_", unit).strip("_")


@lru_cache(maxsize=16_384)
def metric_name(name: str, unit: str, *, counter: bool = False, gauge: bool = False) -> str:
    """The name of the metric family; "" when nothing of the name is left. `gauge` is OpenTelemetry's kind."""
    tokens: list[str] = _TOKEN.findall(name)
    if not tokens:
        return ""
    tokens += [each for each in unit_name(unit) if each and each not in tokens]
    if counter:
        tokens = [*(each for each in tokens if each != "total"), "total"]
    if gauge and unit == "1":
        tokens = [*(each for each in tokens if each != "ratio"), "ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[0].isdigit() else joined


@lru_cache(maxsize=16_384)
def label_name(key: str) -> str:
    """The name of the label an attribute becomes; "" when nothing of the key is left."""
    name = _NOT_IN_LABEL.sub("_", key)
    if not name.strip("_"):
        return ""
    if name[0].isdigit():
        return f"key_{name}"
    return f"key{name}" if name[0] == "_" else name
