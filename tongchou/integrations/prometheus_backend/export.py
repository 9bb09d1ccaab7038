"""Samples as text, from servers without remote_read. Pure.

VictoriaMetrics's /api/v1/export has exact times and null for a staleness marker; range vectors of /api/v1/query, which
every server answers, have no markers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from tongchou.telemetry.series import METRIC_NAME, STALE_NAN, Float64s, Int64s, Labels, Matcher, labels_of

Row = tuple[Labels, Int64s, Float64s]


def selector(matchers: Sequence[Matcher]) -> str:
    """The matchers as PromQL; one that no empty label satisfies is added where all are satisfied by one."""
    conditions = list(matchers)
    if all(each.matches("") for each in conditions):
        conditions.append(Matcher(METRIC_NAME, "!=", ""))
    return "{" + ",".join(map(str, conditions)) + "}"


def export_rows(body: bytes) -> list[Row]:
    """(labels, times in ms, values) of an export, in any order of series; a series may come in several lines.

    Raises ValueError. Infinities stand there as bare words, which no JSON reader takes.
    """
    rows = []
    for line in body.splitlines():
        if not line:
            continue
        values_at, times_at = line.rfind(b',"values":['), line.rfind(b'],"timestamps":[')
        if values_at < 0 or times_at < values_at or not line.endswith(b"]}"):
            raise ValueError(f"not a line of an export: {line[:200]!r}")
        metric = msgspec.json.decode(line[:values_at] + b"}", type=dict[str, dict[str, str]])["metric"]
        values = line[values_at + 11 : times_at].replace(b"null", b"nan").split(b",")
        times = line[times_at + 16 : -2].split(b",")
        v = np.array(values, np.bytes_).astype(np.float64)
        v[np.isnan(v)] = STALE_NAN  # it takes no other NaN in
        rows.append((labels_of(metric), np.array(times, np.bytes_).astype(np.int64), v))
    return rows


def matrix_rows(data: Any, start_ms: int) -> list[Row]:
    """(labels, times in ms, values) of a range vector, from `start_ms` on. Raises KeyError, TypeError, ValueError."""
    rows = []
    for each in data["result"]:
        ts = np.array([round(float(at) * 1000) for at, _value in each["values"]], np.int64)
        v = np.array([float(value) for _at, value in each["values"]], np.float64)
        kept = ts >= start_ms  # Prometheus 2 counts the left edge to the window, Prometheus 3 does not
        rows.append((labels_of(each["metric"]), ts[kept], v[kept]))
    return rows
