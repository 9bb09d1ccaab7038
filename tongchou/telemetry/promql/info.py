"""info(): add the labels of info metrics (target_info by default) to the series they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Vector, format_labels, merged
from tongchou.telemetry.promql.parse import Selector
from tongchou.telemetry.series import METRIC_NAME, Bools, Int64s, Labels, Matcher, metric_name

TARGET_INFO = "target_info"
IDENTIFYING = ("instance", "job")


@dataclass(frozen=True, slots=True)
class InfoSelector:
    """What the second argument asks for: which info metrics, and which of their labels."""

    names: tuple[Matcher, ...]
    data: tuple[Matcher, ...]

    @classmethod
    def of(cls, selector: Selector | None) -> InfoSelector:
        """Read the second argument; without a positive condition on the name info metrics end in _info."""
        matchers = selector.matcher_sets[0] if selector is not None else ()
        names = tuple(m for m in matchers if m.name == METRIC_NAME)
        data = tuple(m for m in matchers if m.name != METRIC_NAME)
        if not names:
            names = (Matcher(METRIC_NAME, "=", TARGET_INFO),)
        elif all(m.op in ("!=", "!~") for m in names):
            names = (Matcher(METRIC_NAME, "=~", ".+_info"), *names)
        return cls(names, data)

    def is_info(self, labels: Labels) -> bool:
        """Whether a series is itself one of the info metrics asked for."""
        name = metric_name(labels)
        return all(matcher.matches(name) for matcher in self.names)

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        """What to read from the store."""
        return (*self.names, *self.data)

    @property
    def needs_match(self) -> bool:
        """Whether a base series without info series falls away."""
        return any(not matcher.matches("") for matcher in self.data)

    @property
    def wanted(self) -> frozenset[str] | None:
        """The labels to copy, None for all of them."""
        return frozenset(matcher.name for matcher in self.data) or None


def _identity(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] in IDENTIFYING)


def enriched(base: Vector, info: Vector, stamps: Int64s, selector: InfoSelector) -> Vector:
    """The base series with data labels of the info series that share instance and job with them, step by step.

    stamps are the times of the info samples [series x steps]: of two info series for the same target the newer wins.
    Raises QueryError when two are equally new, or when info metrics contradict each other.
    """
    newest = _newest(info, stamps)
    by_identity: dict[Labels, list[int]] = {}
    for row, labels in enumerate(info.labels):
        by_identity.setdefault(_identity(labels), []).append(row)
    out: list[tuple[Labels, int, Bools]] = []
    for row, labels in enumerate(base.labels):
        identity = _identity(labels)
        sources = by_identity.get(identity, []) if identity else []
        if selector.is_info(labels):
            out.append((labels, row, base.present[row]))
        else:
            out.extend(_enriched_row(labels, row, base.present[row], info, newest, sources, selector))
    rows = [row for _labels, row, _present in out]
    taken = base.take(rows)
    present = np.stack([mask for _l, _r, mask in out]) if out else np.zeros((0, base.steps), np.bool_)
    return merged(Vector([labels for labels, _r, _p in out], taken.values, present, taken.drop))


def _newest(info: Vector, stamps: Int64s) -> Bools:
    """For every info series and step whether it is the one to use for its metric and target."""
    chosen = info.present.copy()
    groups: dict[tuple[str, Labels], list[int]] = {}
    for row, labels in enumerate(info.labels):
        groups.setdefault((metric_name(labels), _identity(labels)), []).append(row)
    for rows in groups.values():
        if len(rows) == 1:
            continue
        held = np.where(info.present[rows], stamps[rows], np.int64(-(2**62)))
        best = held.max(axis=0)
        tied = info.present[rows] & (held == best)
        if (tied.sum(axis=0) > 1).any():
            step = int(np.argmax(tied.sum(axis=0) > 1))
            names = [format_labels(info.labels[r]) for r, hit in zip(rows, tied[:, step], strict=True) if hit]
            raise execution_error(f"found duplicate series for info metric: {', '.join(names)}")
        chosen[rows] = tied
    return chosen


def _enriched_row(
    labels: Labels, row: int, present: Bools, info: Vector, newest: Bools, sources: list[int], selector: InfoSelector
) -> list[tuple[Labels, int, Bools]]:
    """One base series as one or more output series, one for each combination of info series over time."""
    if not sources:
        return [] if selector.needs_match else [(labels, row, present)]
    patterns, which = np.unique(newest[sources], axis=1, return_inverse=True)
    which = which.ravel()
    found = []
    for k in range(patterns.shape[1]):
        mask = present & (which == k)
        if not mask.any():
            continue
        used = [source for source, hit in zip(sources, patterns[:, k], strict=True) if hit]
        if not used and selector.needs_match:
            continue
        found.append((_with_data(labels, [info.labels[source] for source in used], selector), row, mask))
    return found


def _with_data(labels: Labels, sources: list[Labels], selector: InfoSelector) -> Labels:
    own = dict(labels)
    added: dict[str, str] = {}
    for source in sources:
        for name, value in source:
            if name == METRIC_NAME or (selector.wanted is not None and name not in selector.wanted):
                continue
            if added.get(name, value) != value:
                raise execution_error(f"conflicting label: {name}")
            if name not in own:
                added[name] = value
    return tuple(sorted({**own, **added}.items()))
