"""The words of a definition: kinds of panels, units, tones, ways to draw, kinds of variables, limits."""

from __future__ import annotations

SCHEMA = 1
PANEL_KINDS = ("graph", "stat", "gauge", "table", "heatmap", "log", "text")
QUERIED = ("graph", "stat", "gauge", "table", "heatmap")  # panels that ask in PromQL
DRAWN = ("lines", "bars")
REDUCED = ("last", "mean", "max", "min", "sum", "first", "count", "range")
TONES = ("ok", "warning", "critical", "accent", "maintenance", "neutral")
VARIABLE_KINDS = ("query", "custom", "constant", "interval", "textbox")
SORTS = ("", "name", "-name", "number", "-number")
RANGES = ("15m", "1h", "4h", "12h", "1d", "7d", "30d")  # as the pages offer them
RANGE_SECONDS = (900, 3600, 14_400, 43_200, 86_400, 604_800, 2_592_000)
UNITS = (
    *("", "plain", "percent", "ratio", "per_second", "yes_no"),
    *("bytes", "bytes_si", "kibibytes", "mebibytes", "gibibytes", "bits"),
    *("bytes_per_second", "bytes_si_per_second", "bits_per_second"),
    *("nanoseconds", "microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "time"),
    *("celsius", "hertz", "watt", "volt", "ampere", "rpm"),
)
ALL = "$__all"  # the value of a variable that stands for every option

MAX_ID = 99_999  # of a panel
MAX_ROWS = 50
MAX_PANELS = 200
MAX_QUERIES = 10
MAX_VARIABLES = 30
MAX_VALUES = 100  # chosen at once
MAX_THRESHOLDS = 20
MAX_NAMES = 100  # of values, in one panel
MAX_TITLE = 200
MAX_EXPR = 10_000
MAX_TEXT = 20_000
MAX_BYTES = 1_000_000  # of a definition as JSON
