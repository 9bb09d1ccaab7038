"""Answers in the shape of the Prometheus HTTP API. Pure: results in, bytes out.

Values are strings in JSON. They are formatted by the JSON encoder in one go per series and then quoted, which is what
keeps a large answer from costing more than its query.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import msgspec
import numpy as np

from tongchou.core.problems import Problem
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.series import Float64s, Int64s, Labels

_encode = msgspec.json.encode
_ERROR_TYPES = {
    400: "bad_data",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    503: "timeout",
    500: "internal",
}


def success(data: bytes, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """The envelope around encoded data."""
    extra = b""
    if warnings:
        extra += b',"warnings":' + _encode(list(warnings))
    if infos:
        extra += b',"infos":' + _encode(list(infos))
    return b'{"status":"success","data":' + data + extra + b"}"


def failure(problem: Problem) -> tuple[int, bytes]:
    """(status, body) that tells a Prometheus client of a refusal."""
    kind = _ERROR_TYPES.get(problem.status, "execution")
    status = problem.status if problem.status in _ERROR_TYPES or problem.status == 422 else 422
    return status, _encode({"status": "error", "errorType": kind, "error": str(problem.detail), "code": problem.code})


def seconds(ms: int) -> bytes:
    """A time as Prometheus writes it: seconds, with three decimals when there are milliseconds."""
    whole, rest = divmod(ms, 1000)
    return b"%d.%03d" % (whole, rest) if rest else b"%d" % whole


def formatted(values: Float64s) -> list[bytes]:
    """Floats as the shortest text that reads back the same; NaN, +Inf and -Inf by name."""
    if not len(values):
        return []
    texts: list[bytes] = (_encode(values.tolist())[1:-1] + b",").replace(b".0,", b",")[:-1].split(b",")
    for at in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[at]
        texts[at] = b"NaN" if np.isnan(value) else (b"+Inf" if value > 0 else b"-Inf")
    return texts


def _points(times: list[bytes], values: Float64s) -> bytes:
    return b'"],'.join(map(add, times, formatted(values))) + b'"]'


def _openings(times_ms: Int64s) -> list[bytes]:
    return [b"[" + seconds(ms) + b',"' for ms in times_ms.tolist()]


def _metric(labels: Labels) -> bytes:
    return _encode(dict(labels))


def vector(result: Result) -> bytes:
    """Data of an instant query that gave a vector."""
    values = formatted(result.values[:, 0]) if len(result.labels) else []
    opening = b',"value":[' + (seconds(int(result.times_ms[0])) if len(result.times_ms) else b"0") + b',"'
    items = [
        b'{"metric":' + _metric(labels) + opening + text + b'"]}'
        for labels, text, present in zip(result.labels, values, result.present[:, 0].tolist(), strict=True)
        if present
    ]
    return b'{"resultType":"vector","result":[' + b",".join(items) + b"]}"


def matrix(result: Result) -> bytes:
    """Data of a range query, or of an instant query that gave a range vector."""
    openings = _openings(result.times_ms)
    items = []
    for row, labels in enumerate(result.labels):
        present = result.present[row]
        if present.all():
            points = _points(openings, result.values[row])
        elif present.any():
            chosen = np.flatnonzero(present)
            points = _points([openings[at] for at in chosen.tolist()], result.values[row][chosen])
        else:
            continue
        items.append(b'{"metric":' + _metric(labels) + b',"values":[' + points + b"]}")
    return b'{"resultType":"matrix","result":[' + b",".join(items) + b"]}"


def scalar(result: Result) -> bytes:
    """Data of an instant query that gave a number."""
    text = formatted(result.values[:1, 0])[0]
    return b'{"resultType":"scalar","result":[' + seconds(int(result.times_ms[0])) + b',"' + text + b'"]}'


def string(result: Result) -> bytes:
    """Data of an instant query that gave a string."""
    return b'{"resultType":"string","result":[' + seconds(int(result.times_ms[0])) + b"," + _encode(result.text) + b"]}"


def instant(result: Result) -> bytes:
    """Data of an instant query, whatever it gave."""
    writer = {"vector": vector, "matrix": matrix, "scalar": scalar, "string": string}[result.kind]
    return writer(result)
