"""Functions that look at one value at a time: mathematics, trigonometry, clamps and the calendar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tongchou.telemetry.promql.grid import Context, Vector, without_names
from tongchou.telemetry.series import Float64s

_HOUR, _DAY = 3600, 86400
# Beyond this NumPy's dates have no year any more that fits.
_LAST_SECOND = 2.0**53


def _sgn(values: Float64s) -> Float64s:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


def _rad(values: Float64s) -> Float64s:
    return values * math.pi / 180


def _deg(values: Float64s) -> Float64s:
    return values * 180 / math.pi


MATHEMATICS: dict[str, Callable[[Float64s], Float64s]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sgn": _sgn,
    "rad": _rad,
    "deg": _deg,
}


def _days(values: Float64s) -> npt.NDArray[np.datetime64]:
    """Seconds since the epoch as dates; what is no time becomes 1970-01-01."""
    usable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) < _LAST_SECOND)
    seconds = np.trunc(np.where(usable, values, 0.0)).astype(np.int64)
    return np.floor_divide(seconds, _DAY).astype("datetime64[D]")


def _number(dates: npt.NDArray[Any]) -> Float64s:
    return dates.astype(np.int64).astype(np.float64)


def _year(values: Float64s) -> Float64s:
    return _number(_days(values).astype("datetime64[Y]")) + 1970


def _month(values: Float64s) -> Float64s:
    return np.mod(_number(_days(values).astype("datetime64[M]")), 12) + 1


def _day_of_month(values: Float64s) -> Float64s:
    days = _days(values)
    return _number(days - days.astype("datetime64[M]").astype("datetime64[D]")) + 1


def _day_of_year(values: Float64s) -> Float64s:
    days = _days(values)
    return _number(days - days.astype("datetime64[Y]").astype("datetime64[D]")) + 1


def _days_in_month(values: Float64s) -> Float64s:
    months = _days(values).astype("datetime64[M]")
    return _number((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]"))


def _day_of_week(values: Float64s) -> Float64s:
    # 1970-01-01 was a Thursday; Sunday is 0.
    return np.mod(_number(_days(values)) + 4, 7)


CALENDAR: dict[str, Callable[[Float64s], Float64s]] = {
    "year": _year,
    "month": _month,
    "day_of_month": _day_of_month,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "day_of_week": _day_of_week,
    "hour": lambda values: np.floor(np.mod(np.trunc(values), _DAY) / _HOUR),
    "minute": lambda values: np.floor(np.mod(np.trunc(values), _HOUR) / 60),
}


def mathematics(ctx: Context, name: str, vector: Vector) -> Vector:
    """One of MATHEMATICS on every value."""
    return without_names(ctx, vector.with_values(MATHEMATICS[name](vector.values)))


def calendar(ctx: Context, name: str, vector: Vector) -> Vector:
    """One of CALENDAR on every value, taken as seconds since the epoch in UTC; NaN where it is not a time."""
    values = np.where(np.isfinite(vector.values), CALENDAR[name](vector.values), np.nan)
    return without_names(ctx, vector.with_values(values))


def larger(a: Float64s, b: Float64s) -> Float64s:
    """The larger of two as Go's math.Max tells it: +Inf, even beside NaN; else NaN beside NaN."""
    return np.where((a == np.inf) | (b == np.inf), np.inf, np.maximum(a, b))


def smaller(a: Float64s, b: Float64s) -> Float64s:
    """The smaller of two as Go's math.Min tells it: -Inf, even beside NaN; else NaN beside NaN."""
    return np.where((a == -np.inf) | (b == -np.inf), -np.inf, np.minimum(a, b))


def clamp(ctx: Context, vector: Vector, lowest: Float64s, highest: Float64s) -> Vector:
    """Values forced into [lowest, highest] (both [steps]); nothing where the bounds are the wrong way round."""
    values = larger(lowest[None, :], smaller(highest[None, :], vector.values))
    present = vector.present & ~(highest < lowest)[None, :]
    return without_names(ctx, vector.with_values(values, present))


def rounded(ctx: Context, vector: Vector, nearest: Float64s) -> Vector:
    """Values to the nearest multiple; ties go up."""
    inverse = 1.0 / nearest[None, :]
    values = np.floor(vector.values * inverse + 0.5) / inverse
    return without_names(ctx, vector.with_values(values))
