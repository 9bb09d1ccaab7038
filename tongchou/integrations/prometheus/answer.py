"""Answers in the shape of the Prometheus HTTP API. Pure: results in, bytes out.

Values are strings in JSON. They are formatted by the JSON encoder in one go per series and then quoted, which is what
keeps a large answer from costing more than its query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from tongchou.core.problems import Problem
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.promql.statistics import Statistics
from tongchou.telemetry.promql.windows import chunks
from tongchou.telemetry.series import Float64s, Labels, remembered

# Asked now and then while an answer is written; raises when it is to end.
Check = Callable[[], None]
Writer = Callable[[Result, Check], bytes]
_encode = msgspec.json.encode
_WHOLE = 2.0**53
_ERROR_TYPES = {
    400: "bad_data",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    499: "canceled",
    503: "timeout",
    500: "internal",
}


def _nothing() -> None:
    """No reason to end."""


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
    text = f"{problem.detail} {problem.remedy}" if problem.remedy else str(problem.detail)
    return status, _encode({"status": "error", "errorType": kind, "error": text, "code": problem.code})


def stats(found: Statistics, *, per_step: bool) -> bytes:
    """What a query cost, as Prometheus tells it under `stats`; with the samples of every step for stats=all."""
    total = found.total_seconds
    inside = max(0.0, total - found.queue_seconds)
    samples: dict[str, object] = {"totalQueryableSamples": found.samples, "peakSamples": found.peak_samples}
    if per_step:
        steps = [[ms / 1000 if ms % 1000 else ms // 1000, count] for ms, count in sorted(found.per_step.items())]
        samples = {"totalQueryableSamplesPerStep": steps, **samples}
    timings = {
        "evalTotalTime": inside,
        "resultSortTime": found.sort_seconds,
        "queryPreparationTime": found.prepare_seconds,
        "innerEvalTime": max(0.0, inside - found.prepare_seconds - found.sort_seconds),
        "execQueueTime": found.queue_seconds,
        "execTotalTime": total,
    }
    return _encode({"timings": timings, "samples": samples})


def seconds(ms: int) -> bytes:
    """A time as Prometheus writes it: seconds, with three decimals when there are milliseconds."""
    whole, rest = divmod(ms, 1000)
    return b"%d.%03d" % (whole, rest) if rest else b"%d" % whole


def formatted(values: Float64s) -> list[bytes]:
    """Floats as the shortest text that reads back the same; NaN, +Inf and -Inf by name."""
    if not len(values):
        return []
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    # Whole numbers, as counters and bytes are, are written twice as fast; -0 is not one of them.
    if (np.abs(values) < _WHOLE).all() and (whole == values).all() and not np.signbit(values[values == 0]).any():
        return _encode(whole.tolist())[1:-1].split(b",")
    texts: list[bytes] = (_encode(values.tolist())[1:-1] + b",").replace(b".0,", b",")[:-1].split(b",")
    for at in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[at]
        texts[at] = b"NaN" if np.isnan(value) else (b"+Inf" if value > 0 else b"-Inf")
    return texts


def _metric(labels: Labels) -> bytes:
    return _encode(dict(labels))


def _metrics(labels: Sequence[Labels]) -> list[bytes]:
    """The labels of every series in JSON."""
    return remembered(labels, "json", lambda found: [_metric(each) for each in found])


def vector(result: Result, check: Check = _nothing) -> bytes:
    """Data of an instant query that gave a vector."""
    if not len(result.labels):
        return b'{"resultType":"vector","result":[]}'
    check()
    values = formatted(result.values[:, 0])
    opening = b',"value":[' + seconds(int(result.times_ms[0])) + b',"'
    items = [
        b'{"metric":' + metric + opening + text + b'"]}'
        for metric, text, present in zip(_metrics(result.labels), values, result.present[:, 0].tolist(), strict=True)
        if present
    ]
    return b'{"resultType":"vector","result":[' + b",".join(items) + b"]}"


def _parts(rows: int, steps: int) -> Iterator[tuple[slice, slice]]:
    """(rows, steps) of so many cells at a time, in the order in which they are written."""
    for part in chunks(rows, max(steps, 1)):
        for columns in chunks(steps, 1):
            yield part, columns


def matrix(result: Result, check: Check = _nothing) -> bytes:
    """Data of a range query, or of an instant query that gave a range vector.

    Many series are written in one go: the text ahead of each value, which ends the value before, and the value.
    """
    metrics = _metrics(result.labels)
    times: list[bytes] = []
    following: list[bytes] = []
    pieces: list[bytes] = []
    known, opened = slice(0, 0), -1
    for part, columns in _parts(len(metrics), len(result.times_ms)):
        check()
        if columns != known:
            known, times = columns, [seconds(ms) for ms in result.times_ms[columns].tolist()]
            following = [b'"],[' + each + b',"' for each in times]
        present, values = result.present[part, columns], result.values[part, columns]
        complete = bool(present.all())
        texts = formatted(values.ravel() if complete else values[present])
        ahead: list[bytes] = []
        for row, here in enumerate(present, part.start):
            steps = range(len(times)) if complete else np.flatnonzero(here).tolist()
            if len(steps) and row != opened:
                opening = b'"]]},{"metric":' if opened >= 0 else b'{"metric":'
                ahead.append(opening + metrics[row] + b',"values":[[' + times[steps[0]] + b',"')
                opened, steps = row, steps[1:]
            ahead += following[len(following) - len(steps) :] if complete else [following[step] for step in steps]
        both = [b""] * (2 * len(texts))
        both[0::2], both[1::2] = ahead, texts
        pieces.append(b"".join(both))
    pieces.append(b'"]]}' if opened >= 0 else b"")
    return b'{"resultType":"matrix","result":[' + b"".join(pieces) + b"]}"


def scalar(result: Result, check: Check = _nothing) -> bytes:
    """Data of an instant query that gave a number."""
    text = formatted(result.values[:1, 0])[0]
    return b'{"resultType":"scalar","result":[' + seconds(int(result.times_ms[0])) + b',"' + text + b'"]}'


def string(result: Result, check: Check = _nothing) -> bytes:
    """Data of an instant query that gave a string."""
    return b'{"resultType":"string","result":[' + seconds(int(result.times_ms[0])) + b"," + _encode(result.text) + b"]}"


def instant(result: Result, check: Check = _nothing) -> bytes:
    """Data of an instant query, whatever it gave."""
    writer: Writer = {"vector": vector, "matrix": matrix, "scalar": scalar, "string": string}[result.kind]
    return writer(result, check)
