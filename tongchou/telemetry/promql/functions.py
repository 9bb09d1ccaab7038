"""The table of functions of instant vectors and scalars."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tongchou.telemetry.promql import elementwise, histogram, labelling
from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Context, Value, Vector, format_float, merged
from tongchou.telemetry.series import Float64s, Int64s, Labels


class Arguments:
    """Evaluated arguments of one call, taken out by the type the function expects of them."""

    def __init__(self, name: str, values: Sequence[Value], times_ms: Int64s) -> None:
        self.name, self.values, self.times_ms = name, values, times_ms

    def __len__(self) -> int:
        return len(self.values)

    def vector(self, index: int) -> Vector:
        """The argument as an instant vector."""
        value = self.values[index]
        if not isinstance(value, Vector):
            raise execution_error(f"expected an instant vector as argument {index + 1} of {self.name}()")
        return value

    def scalar(self, index: int) -> Float64s:
        """The argument as a scalar at every step."""
        value = self.values[index]
        if not isinstance(value, np.ndarray):
            raise execution_error(f"expected a scalar as argument {index + 1} of {self.name}()")
        return value

    def text(self, index: int) -> str:
        """The argument as a string."""
        value = self.values[index]
        if not isinstance(value, str):
            raise execution_error(f"expected a string as argument {index + 1} of {self.name}()")
        return value

    def texts(self, begin: int) -> list[str]:
        """All arguments from here on as strings."""
        return [self.text(index) for index in range(begin, len(self.values))]

    def constant(self, value: float) -> Float64s:
        """The same scalar at every step."""
        return np.full(len(self.times_ms), float(value))


Function = Callable[[Context, Arguments], Value]


def call(ctx: Context, name: str, values: Sequence[Value], times_ms: Int64s) -> Value:
    """Evaluate a function by name. Raises QueryError for a name or an argument it does not know."""
    arguments = Arguments(name, values, times_ms)
    if name in elementwise.MATHEMATICS:
        return elementwise.mathematics(ctx, name, arguments.vector(0))
    if name in elementwise.CALENDAR:
        vector = arguments.vector(0) if len(arguments) else _time_vector(ctx, arguments)
        return elementwise.calendar(ctx, name, vector)
    found = _TABLE.get(name)
    if found is None:
        raise execution_error(f"function {name}() is not supported")
    return found(ctx, arguments)


def _now(ctx: Context, a: Arguments) -> Float64s:
    return a.times_ms / 1000


def _time_vector(ctx: Context, a: Arguments) -> Vector:
    return Vector.single(_now(ctx, a), np.ones(len(a.times_ms), np.bool_))


def _vector(ctx: Context, a: Arguments) -> Vector:
    return Vector.single(a.scalar(0), np.ones(len(a.times_ms), np.bool_))


def _bound(a: Arguments, index: int, fallback: float) -> Float64s:
    return a.scalar(index) if index < len(a) else a.constant(fallback)


def _quantiles(ctx: Context, a: Arguments) -> Vector:
    """histogram_quantiles(v, label, q...): one result per quantile, told apart by the label."""
    parts: list[Vector] = []
    label = a.text(1)
    for index in range(2, len(a)):
        q = a.scalar(index)
        part = histogram.histogram_quantile(ctx, q, a.vector(0), asked=index, argument=0)
        for value in np.unique(q):
            same = np.isnan(q) if np.isnan(value) else q == value
            labels = [_with_label(found, label, _open_metrics_float(float(value))) for found in part.labels]
            parts.append(Vector(labels, part.values, part.present & same[None, :], part.drop))
    return merged(
        Vector(
            [labels for part in parts for labels in part.labels],
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.present for part in parts]),
            np.concatenate([part.drop for part in parts]),
        )
    )


def _with_label(labels: Labels, name: str, value: str) -> Labels:
    return tuple(sorted([*(pair for pair in labels if pair[0] != name), (name, value)]))


def _open_metrics_float(value: float) -> str:
    """A float as OpenMetrics writes it into labels: always with a point or an exponent."""
    text = format_float(value)
    return text if any(c in text for c in ".eNI") else f"{text}.0"


def _native_only(ctx: Context, a: Arguments) -> Vector:
    """Functions of native histograms, which are refused at ingest: every series is a float and is left out."""
    return Vector.empty(a.vector(0).steps)


def _query_time(ctx: Context, a: Arguments) -> Float64s:
    seconds = {
        "start": ctx.query_start_ms,
        "end": ctx.query_end_ms,
        "step": ctx.query_step_ms,
        "range": ctx.query_end_ms - ctx.query_start_ms,
    }
    return a.constant(seconds[a.name] / 1000)


_TABLE: dict[str, Function] = {
    "time": _now,
    "pi": lambda _ctx, a: a.constant(np.pi),
    "vector": _vector,
    "scalar": lambda _ctx, a: labelling.as_scalar(a.vector(0)),
    "start": _query_time,
    "end": _query_time,
    "step": _query_time,
    "range": _query_time,
    "min_of": lambda _ctx, a: elementwise.smaller(a.scalar(0), a.scalar(1)),
    "max_of": lambda _ctx, a: elementwise.larger(a.scalar(0), a.scalar(1)),
    "clamp": lambda ctx, a: elementwise.clamp(ctx, a.vector(0), a.scalar(1), a.scalar(2)),
    "clamp_min": lambda ctx, a: elementwise.clamp(ctx, a.vector(0), a.scalar(1), a.constant(np.inf)),
    "clamp_max": lambda ctx, a: elementwise.clamp(ctx, a.vector(0), a.constant(-np.inf), a.scalar(1)),
    "round": lambda ctx, a: elementwise.rounded(ctx, a.vector(0), _bound(a, 1, 1.0)),
    "sort": lambda _ctx, a: labelling.sort_by_value(a.vector(0), False),
    "sort_desc": lambda _ctx, a: labelling.sort_by_value(a.vector(0), True),
    "sort_by_label": lambda _ctx, a: labelling.sort_by_label(a.vector(0), a.texts(1), False),
    "sort_by_label_desc": lambda _ctx, a: labelling.sort_by_label(a.vector(0), a.texts(1), True),
    "label_replace": lambda _ctx, a: labelling.label_replace(a.vector(0), *a.texts(1)),
    "label_join": lambda _ctx, a: labelling.label_join(a.vector(0), a.text(1), a.text(2), a.texts(3)),
    "histogram_quantile": lambda ctx, a: histogram.histogram_quantile(ctx, a.scalar(0), a.vector(1)),
    "histogram_quantiles": _quantiles,
    "histogram_fraction": lambda ctx, a: histogram.histogram_fraction(ctx, a.scalar(0), a.scalar(1), a.vector(2)),
    "histogram_avg": _native_only,
    "histogram_count": _native_only,
    "histogram_sum": _native_only,
    "histogram_stddev": _native_only,
    "histogram_stdvar": _native_only,
}
