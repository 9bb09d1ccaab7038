"""OpenTelemetry's data points as Prometheus's series. Pure; what a delta adds up to is `deltas`.

A point is made into a `Made`: what its series have in common, and its values. A resource becomes the labels job and
instance of all its points, and the series target_info, whose labels are everything else it tells of itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from tongchou.integrations.otlp import classic
from tongchou.integrations.otlp.names import label_name, metric_name, unit_name
from tongchou.integrations.otlp.streams import text_of
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.series import STALE_NAN, Labels, labels_of
from tongchou.wire.exposition import Meta
from tongchou.wire.otlp import Attributes
from tongchou.wire.otlp_metrics import CUMULATIVE, DELTA, NO_RECORDED_VALUE, Group, Metric, Point

IDENTITY = ("service.name", "service.namespace", "service.instance.id")
TYPES = {"gauge": "gauge", "sum": "counter", "exponential": "histogram"}  # others are named alike
NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Made:
    """One data point: `name` and `labels` (without __name__) are what its series have in common.

    `values` by suffix ("" for the bare name, _sum, _count); `buckets` are cumulative counts by upper edge without
    +Inf, which is the count; `delta` says that all of them are only what was added since the point before.
    """

    name: str
    labels: Labels
    time_ns: int
    values: dict[str, float]
    buckets: dict[float, float] | None = None
    quantiles: dict[float, float] = field(default_factory=dict)
    delta: bool = False
    exponential: bool = False

    @property
    def time_ms(self) -> int:
        """When it was measured."""
        return self.time_ns // NS_PER_MS

    def series(self) -> Iterator[tuple[Labels, float]]:
        """Labels and value of every series of the point."""
        for suffix, value in self.values.items():
            yield self._labels(suffix), value
        for quantile, value in self.quantiles.items():
            yield self._labels("", ("quantile", number(quantile))), value
        if self.buckets is not None:
            for edge, value in self.buckets.items():
                yield self._labels("_bucket", ("le", number(edge))), value
            yield self._labels("_bucket", ("le", "+Inf")), self.values["_count"]

    def _labels(self, suffix: str, *more: tuple[str, str]) -> Labels:
        taken = {name for name, _value in more}
        rest = (pair for pair in self.labels if pair[0] not in taken)
        return labels_of([("__name__", self.name + suffix), *rest, *more])


@dataclass(slots=True)
class Translated:
    """A request: its points, what was refused (counted in points), and what it tells about metrics and resources."""

    points: list[Made] = field(default_factory=list)
    refused: Refusals = field(default_factory=Refusals)
    metadata: dict[str, Meta] = field(default_factory=dict)
    about: list[Made] = field(default_factory=list)  # target_info
    exponential: int = 0


def number(value: float) -> str:
    """A float in a label: the shortest digits that read back the same, never with an exponent."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def translate(groups: list[Group], *, scope_labels: bool = False) -> Translated:
    """The points of a request as series; `scope_labels` adds otel_scope_name and the like to each."""
    done = Translated()
    for group in groups:
        identity = _identity(group.resource)
        common = dict(identity)
        if scope_labels:
            common |= _scope(group)
        first = len(done.points)
        for metric in group.metrics:
            _metric(metric, common, done)
        made = done.points[first:]
        if made and identity:
            _target_info(group.resource, identity, max(each.time_ns for each in made), done)
    return done


def _identity(resource: Attributes) -> dict[str, str]:
    name, namespace, instance = (_clean(text_of(resource.get(key, ""))) for key in IDENTITY)
    found = {}
    if name:
        found["job"] = f"{namespace}/{name}" if namespace else name
    if instance:
        found["instance"] = instance
    return found


def _scope(group: Group) -> dict[str, str]:
    found = {"otel_scope_name": _clean(group.scope), "otel_scope_version": _clean(group.version)}
    labels, _bad = _labels(group.scope_attributes)
    return found | {f"otel_scope_{name}": value for name, value in labels.items()}


def _target_info(resource: Attributes, identity: dict[str, str], time_ns: int, done: Translated) -> None:
    labels, _bad = _labels({key: value for key, value in resource.items() if key not in IDENTITY})
    if labels:
        about = Made("target_info", labels_of(labels | identity), time_ns, {"": 1.0})
        if about not in done.about:
            done.about.append(about)
        done.metadata["target_info"] = Meta("gauge", "What the resource tells of itself.", "")


def _clean(text: str) -> str:
    """Text without halves of characters, which JSON can hold and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _labels(attributes: Attributes) -> tuple[dict[str, str], str]:
    """(labels, the first key of which no name can be made); keys that become one name have their values joined."""
    found: dict[str, str] = {}
    bad = ""
    for key in sorted(attributes):
        name = label_name(key)
        value = _clean(text_of(attributes[key]))
        if name:
            found[name] = f"{found[name]};{value}" if name in found else value
        elif value:
            bad = bad or key or '""'
    return found, bad


def _metric(metric: Metric, common: dict[str, str], done: Translated) -> None:
    if not metric.kind or not metric.points:
        return
    counter = metric.kind == "sum" and metric.monotonic
    name = metric_name(metric.name, metric.unit, counter=counter, gauge=metric.kind == "gauge")
    problem = "" if name else "no metric name is left of its name"
    problem = problem or _temporality_problem(metric)
    if problem:
        done.refused.add(problem, len(metric.points), _clean(metric.name))
        return
    kind = "gauge" if metric.kind == "sum" and not counter else TYPES.get(metric.kind, metric.kind)
    unit = "_".join(each for each in unit_name(metric.unit) if each)
    done.metadata[name] = Meta(kind, _clean(metric.description), unit)
    for point in metric.points:
        labels, bad = _labels(point.attributes)
        problem = f"no label name is left of the attribute {_clean(bad)!r}" if bad else _point_problem(metric, point)
        if problem:
            done.refused.add(problem, 1, _clean(metric.name))
            continue
        made = _made(metric, name, labels_of(labels | common), point)
        done.exponential += made.exponential
        done.points.append(made)


def _temporality_problem(metric: Metric) -> str:
    if metric.kind in ("gauge", "summary"):
        return ""
    if metric.temporality not in (DELTA, CUMULATIVE):
        return "no aggregation temporality"
    if metric.temporality == DELTA and metric.kind == "sum" and not metric.monotonic:
        return "a delta of a sum that may fall, whose whole is not known; use cumulative temporality"
    return ""


def _point_problem(metric: Metric, point: Point) -> str:
    """Why a point cannot be taken, "" when it can."""
    if metric.kind == "exponential":
        return classic.problem(point)  # first: its scale is a number of turns
    if point.flags & NO_RECORDED_VALUE:
        return ""
    if metric.kind in ("gauge", "sum"):
        return "no value" if point.value is None else ""
    if metric.kind == "summary" and not all(0 <= quantile <= 1 for quantile, _value in point.quantiles):
        return "a quantile of a summary is not from 0 to 1"
    if metric.kind == "histogram":
        if point.counts and len(point.counts) != len(point.bounds) + 1:
            return "a histogram has not one bucket more than it has bounds"
        if any(not low < high for low, high in zip([-math.inf, *point.bounds], point.bounds, strict=False)):
            return "the bounds of a histogram do not ascend"
    return ""


def _made(metric: Metric, name: str, labels: Labels, point: Point) -> Made:
    delta = metric.temporality == DELTA and metric.kind in ("sum", "histogram", "exponential")
    made = Made(name, labels, point.time_ns, {}, delta=delta)
    if metric.kind in ("gauge", "sum"):
        made.values[""] = 0.0 if point.value is None else point.value
    else:
        made.values["_count"] = float(point.count)
        if point.sum is not None or metric.kind == "summary":
            made.values["_sum"] = 0.0 if point.sum is None else point.sum
    if metric.kind == "summary":
        made.quantiles = dict(point.quantiles)
    elif metric.kind == "exponential":
        made.buckets, made.exponential = classic.cumulative(point), True
    elif metric.kind == "histogram":
        made.buckets = _cumulative(point)
    if point.flags & NO_RECORDED_VALUE:
        _end(made)
    return made


def _cumulative(point: Point) -> dict[float, float]:
    found, running = {}, 0
    counts = point.counts or [0] * len(point.bounds)
    for edge, count in zip(point.bounds, counts, strict=False):
        running += count
        if not math.isinf(edge):
            found[edge] = float(running)
    return found


def _end(made: Made) -> None:
    """Nothing was recorded: all series of the point end."""
    made.delta = False
    if made.buckets is not None:
        made.values.setdefault("_sum", STALE_NAN)
        made.buckets = dict.fromkeys(made.buckets, STALE_NAN)
    made.values = dict.fromkeys(made.values, STALE_NAN)
    made.quantiles = dict.fromkeys(made.quantiles, STALE_NAN)
