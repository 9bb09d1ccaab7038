"""Functions that read or write labels: label_replace, label_join, sorting, absent, scalar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cmp_to_key, lru_cache

import numpy as np
import re2

from tongchou.telemetry.promql.errors import execution_error
from tongchou.telemetry.promql.grid import Vector, merged
from tongchou.telemetry.promql.parse import Selector
from tongchou.telemetry.promql.spelled import UNDECODABLE
from tongchou.telemetry.series import METRIC_NAME, Bools, Float64s, Labels, full_match

# $1, ${1}, $name, ${name} and $$ as in Go's regexp.Expand; the longest word is the name.
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_DIGITS = re.compile(r"(\d+|\D+)")


def _set_label(labels: Labels, name: str, value: str) -> Labels:
    kept = [pair for pair in labels if pair[0] != name]
    return tuple(sorted([*kept, (name, value)])) if value else tuple(kept)


def _relabelled(vector: Vector, labels: list[Labels], target: str, touched: Sequence[bool]) -> Vector:
    """The vector under new labels; writing the metric name takes back its pending removal."""
    drop = vector.drop.copy()
    if target == METRIC_NAME:
        drop[np.asarray(touched, dtype=np.bool_)] = False
    return merged(Vector(labels, vector.values, vector.present, drop))


def _require_label_name(name: str, function: str, which: str) -> None:
    if not name or UNDECODABLE in name:
        raise execution_error(f"invalid {which} label name in {function}(): {name}")


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Write `replacement`, with its references to groups expanded, into `target` where `source` matches wholly."""
    _require_label_name(target, "label_replace", "destination")
    try:
        test = full_match(pattern)
    except re2.error as error:
        raise execution_error(f"invalid regular expression in label_replace(): {pattern}") from error
    labels: list[Labels] = []
    touched: list[bool] = []
    for found in vector.labels:
        match = test(dict(found).get(source, ""))
        touched.append(match is not None)
        if match is None:
            labels.append(found)
            continue
        groups: dict[str, str] = {str(k): text or "" for k, text in enumerate((match.group(0), *match.groups()))}
        groups.update({name: text or "" for name, text in match.groupdict().items()})
        labels.append(_set_label(found, target, _expand(replacement, groups)))
    return _relabelled(vector, labels, target, touched)


def _expand(template: str, groups: dict[str, str]) -> str:
    def reference(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        return "$" if name is None else groups.get(name, "")

    return _REFERENCE.sub(reference, template)


def label_join(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """Write the values of the source labels, joined, into `target`."""
    _require_label_name(target, "label_join", "destination")
    for source in sources:
        _require_label_name(source, "label_join", "source")
    labels = []
    for found in vector.labels:
        values = dict(found)
        labels.append(_set_label(found, target, separator.join(values.get(source, "") for source in sources)))
    return _relabelled(vector, labels, target, [True] * len(labels))


def sort_by_value(vector: Vector, descending: bool) -> Vector:
    """Series ordered by value, NaN last; only an instant query has an order."""
    if vector.steps != 1:
        return vector
    rows = np.flatnonzero(vector.present[:, 0])
    values = vector.values[rows, 0]
    return vector.take(rows[np.lexsort((-values if descending else values, np.isnan(values)))])


@lru_cache(maxsize=100_000)
def _chunks(text: str) -> tuple[tuple[bool, int, str], ...]:
    parts = _DIGITS.findall(text)
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def natural_less(a: str, b: str) -> bool:
    """Natural order: runs of digits compare as numbers, everything else as text."""
    for left, right in zip(_chunks(a), _chunks(b), strict=False):
        if left[0] and right[0]:
            if left[1] != right[1]:
                return left[1] < right[1]
        elif left[2] != right[2]:
            return left[2] < right[2]
    return len(_chunks(a)) < len(_chunks(b))


def sort_by_label(vector: Vector, names: Sequence[str], descending: bool) -> Vector:
    """Series in natural order of these labels, then of all their labels; only an instant query has an order."""
    if vector.steps != 1:
        return vector
    maps = [dict(labels) for labels in vector.labels]
    sign = -1 if descending else 1

    def compare(a: int, b: int) -> int:
        for name in names:
            left, right = maps[a].get(name, ""), maps[b].get(name, "")
            if left != right:
                return -sign if natural_less(left, right) else sign
        first, second = vector.labels[a], vector.labels[b]
        return sign * ((first > second) - (first < second))

    return vector.take(sorted(range(len(vector)), key=cmp_to_key(compare)))


def absent_labels(selector: Selector | None) -> Labels:
    """The labels absent() can tell from its argument: those whose last matcher is their only equality."""
    if selector is None or len(selector.matcher_sets) != 1:
        return ()
    wanted: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matcher_sets[0]:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            wanted[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            wanted.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in wanted.items() if value))


def absent(present: Bools, selector: Selector | None) -> Vector:
    """1 at every step at which nothing is present; present is [series x steps]."""
    missing: Bools = ~np.asarray(present.any(axis=0))
    return Vector.single(np.ones(len(missing)), missing, absent_labels(selector))


def as_scalar(vector: Vector) -> Float64s:
    """The value of the only series at each step, NaN where there is none or more than one; [steps]."""
    alone = vector.present.sum(axis=0) == 1
    if not len(vector):
        return np.full(vector.steps, np.nan)
    row = np.argmax(vector.present, axis=0)
    return np.where(alone, vector.values[row, np.arange(vector.steps)], np.nan)
