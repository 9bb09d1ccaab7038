"""What expressions evaluate to: values of many series over the whole grid of steps at once, with a presence mask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import numpy as np

from tongchou.telemetry.ports import Backend, Limits
from tongchou.telemetry.promql.errors import canceled, execution_error, limit_exceeded
from tongchou.telemetry.promql.statistics import Statistics
from tongchou.telemetry.series import Bools, Float64s, Int64s, LabelList, Labels, quoted, remembered, written_name

DEFAULT_LOOKBACK_MS = 300_000
DEFAULT_SUBQUERY_STEP_MS = 60_000
# The labels that say what a metric is; they no longer hold once its values were computed with.
METADATA_LABELS = frozenset(("__name__", "__type__", "__unit__"))


@dataclass(slots=True)
class Vector:
    """An instant vector at every step.

    values and present are [series x steps]; a cell whose present is False holds nothing (NaN is a value).
    drop[i] marks a series whose metric name falls away when the query ends (delayed name removal).
    Arrays may be broadcast views: never write into them.
    """

    labels: list[Labels]
    values: Float64s
    present: Bools
    drop: Bools

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def steps(self) -> int:
        """How many steps the grid has."""
        return int(self.values.shape[1])

    @classmethod
    def empty(cls, steps: int) -> Vector:
        """A vector without series."""
        return cls([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_), np.zeros(0, np.bool_))

    @classmethod
    def single(cls, values: Float64s, present: Bools, labels: Labels = ()) -> Vector:
        """A vector of one series; values and present are [steps]."""
        return cls([labels], values[None, :], present[None, :], np.zeros(1, np.bool_))

    def with_values(self, values: Float64s, present: Bools | None = None) -> Vector:
        """The same series with other values."""
        return Vector(self.labels, values, self.present if present is None else present, self.drop)

    def take(self, rows: Sequence[int] | Int64s | Bools) -> Vector:
        """Only these series, in this order (indices or a mask)."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.int64)
        if len(index) == len(self) and (index == np.arange(len(index))).all():
            return self
        return Vector([self.labels[i] for i in index], self.values[index], self.present[index], self.drop[index])


Value = Vector | Float64s | str


@dataclass(slots=True)
class Context:
    """One query: its data, its limits, and what it has to say besides the result.

    query_start_ms and query_end_ms are what `@ start()` and `@ end()` mean, also inside subqueries.
    """

    backend: Backend
    limits: Limits
    lookback_ms: int
    query_start_ms: int
    query_end_ms: int
    query_step_ms: int
    delayed_names: bool = False
    cancelled: Callable[[], bool] | None = None
    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)
    samples: int = 0
    # Bytes of the values that stand ready while another part of the query is evaluated.
    held: int = 0
    deadline: float = 0.0
    # Where the arguments of the call being evaluated stand, as "line:column".
    places: tuple[str, ...] = ()
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.limits.timeout_seconds

    def check(self) -> None:
        """Stop a query that has run too long or that nobody waits for any more."""
        if time.monotonic() > self.deadline:
            allowed = self.limits.timeout_seconds
            raise limit_exceeded("timeout_seconds", allowed, allowed, "TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS")
        if self.cancelled is not None and self.cancelled():
            raise canceled()

    def account(self, samples: int) -> None:
        """Count samples read or points held; refuse beyond max_samples."""
        self.samples += samples
        if self.samples > self.limits.max_samples:
            raise limit_exceeded("max_samples", self.samples, self.limits.max_samples, "TONGCHOU_TELEMETRY_MAX_SAMPLES")

    def admit(self, series: int, steps: int) -> None:
        """Refuse a grid of series x steps before it is allocated beside what is held."""
        self.check()
        if series > self.limits.max_series:
            raise limit_exceeded("max_series", series, self.limits.max_series, "TONGCHOU_TELEMETRY_MAX_QUERY_SERIES")
        # Three arrays of eight bytes and a mask live at once while a window function runs.
        self.afford(self.held + series * steps * 25)

    def hold(self, value: Value) -> None:
        """Count a value that stands ready; refuse when all that do are too much."""
        arrays = (value.values, value.present) if isinstance(value, Vector) else (value,)
        self.held += sum(_bytes(each) for each in arrays if not isinstance(each, str))
        self.afford(self.held)

    def afford(self, needed: int) -> None:
        """Refuse to take more memory than a query may."""
        if needed > self.limits.max_memory_bytes:
            allowed = self.limits.max_memory_bytes
            raise limit_exceeded("max_memory_bytes", needed, allowed, "TONGCHOU_TELEMETRY_MAX_QUERY_BYTES")

    def warn(self, message: str, argument: int = 0) -> None:
        """Add a warning once; `argument` is the one of the current call that it is about."""
        self.warnings[f"PromQL warning: {message}{self._place(argument)}"] = None

    def info(self, message: str, argument: int = 0) -> None:
        """Add a remark once; `argument` is the one of the current call that it is about."""
        self.infos[f"PromQL info: {message}{self._place(argument)}"] = None

    def _place(self, argument: int) -> str:
        return f" ({self.places[argument]})" if argument < len(self.places) else ""


def _bytes(array: Float64s | Bools) -> int:
    """What an array takes; axes that are broadcast take nothing."""
    real = [length for length, stride in zip(array.shape, array.strides, strict=True) if stride or length == 0]
    return int(math.prod(real) * array.itemsize)


def bare(labels: Labels) -> Labels:
    """The labels without metric name, type and unit."""
    return tuple(pair for pair in labels if pair[0] not in METADATA_LABELS)


def bare_all(labels: Sequence[Labels]) -> LabelList:
    """The labels of every series without metric name, type and unit."""
    return LabelList(map(bare, labels))


def all_differ(labels: Sequence[Labels]) -> bool:
    """Whether no two series have the same labels."""
    return remembered(labels, "all differ", lambda found: len(set(found)) == len(found))


def without_names(ctx: Context, vector: Vector) -> Vector:
    """Drop the metric names: at once, or marked for the end of the query when removal is delayed."""
    if ctx.delayed_names:
        return Vector(vector.labels, vector.values, vector.present, np.ones(len(vector), np.bool_))
    dropped = Vector(remembered(vector.labels, "bare", bare_all), vector.values, vector.present, vector.drop)
    return merged(dropped)


def finished(vector: Vector) -> Vector:
    """Carry out the delayed removal of names at the end of the query."""
    if not vector.drop.any():
        return vector
    pairs = zip(vector.labels, vector.drop, strict=True)
    labels = [bare(found) if drop else found for found, drop in pairs]
    return merged(Vector(labels, vector.values, vector.present, np.zeros(len(vector), np.bool_)))


def group_rows(keys: Iterable[Labels]) -> tuple[list[Labels], Int64s]:
    """Distinct keys in order of appearance, and for every row the index of its key."""
    index: dict[Labels, int] = {}
    rows = [index.setdefault(key, len(index)) for key in keys]
    return list(index), np.asarray(rows, dtype=np.int64)


def merged(vector: Vector) -> Vector:
    """One row per label set: rows that share their labels must not be present at the same step.

    Raises QueryError when they are, as Prometheus does.
    """
    if all_differ(vector.labels):
        return vector
    labels, rows = group_rows(vector.labels)
    shape = (len(labels), vector.steps)
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, rows, vector.present)
    if (counts > 1).any():
        raise execution_error("vector cannot contain metrics with the same labelset")
    values, drop = np.full(shape, np.nan), np.zeros(len(labels), np.bool_)
    row, step = np.nonzero(vector.present)
    values[rows[row], step] = vector.values[row, step]
    np.logical_or.at(drop, rows, vector.drop)
    return Vector(labels, values, counts > 0, drop)


@dataclass(slots=True)
class Result:
    """The answer to a query.

    values and present are [series x times]; times_ms are the steps (for a range vector asked for as an instant query:
    every timestamp that occurs). text is set for a string. Rows without any present cell are left out.
    """

    kind: Literal["vector", "matrix", "scalar", "string"]
    labels: list[Labels]
    times_ms: Int64s
    values: Float64s
    present: Bools
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    text: str | None = None
    samples_read: int = 0

    def samples(self) -> Iterator[tuple[Labels, int, float]]:
        """Every present cell as (labels, time in ms, value), series by series."""
        for row, labels in enumerate(self.labels):
            for step in np.flatnonzero(self.present[row]):
                yield labels, int(self.times_ms[step]), float(self.values[row, step])

    def lines(self) -> Iterator[tuple[Labels, Int64s, Float64s]]:
        """Every series as (labels, times in ms, values) with only its present cells."""
        for row, labels in enumerate(self.labels):
            mask = self.present[row]
            yield labels, self.times_ms[mask], self.values[row, mask]


def format_float(value: float) -> str:
    """A float as Go's %g prints it, for messages: shortest digits, an exponent from 1e+06 and below 0.0001."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if np.signbit(value) else "0"
    exact = Decimal(repr(float(value))).normalize()
    return format(exact, "f") if -4 <= exact.adjusted() < 6 else f"{value:.{len(exact.as_tuple().digits) - 1}e}"


def format_labels(labels: Labels) -> str:
    """Labels as Prometheus prints them in messages: {a="b", "c.d"="e"}."""
    return "{" + ", ".join(f"{written_name(name)}={quoted(value)}" for name, value in labels) + "}"
