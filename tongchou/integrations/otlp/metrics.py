"""POST /otlp/v1/metrics: ExportMetricsServiceRequest as protobuf or JSON, gzip or not, acknowledged when on disk.

Status as for logs. Points that are refused are counted in partial_success and not to be sent again; with 0 refused its
text is a warning.
"""

from __future__ import annotations

import numpy as np
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.problems import Problem, Unavailable
from tongchou.integrations.loki.requests import body_of, malformed, writer
from tongchou.integrations.otlp import deltas
from tongchou.integrations.otlp.exchange import PROTOBUF, answer, kind_of, message_of, refused
from tongchou.integrations.otlp.points import Made, Translated, translate
from tongchou.telemetry import reads
from tongchou.telemetry.actions import Taken, reject, write_series
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.backend import backend
from tongchou.telemetry.meters import DOWNGRADED
from tongchou.telemetry.series import Labels, SeriesBlock
from tongchou.wire.otlp_metrics import decode, decode_json
from tongchou.wire.protobuf import MalformedError

LOCK_SECONDS = 10.0
SHARED = "deltas are not added up where several processes share the store; use cumulative temporality"

totals = deltas.Totals(reads.newest)


@csrf_exempt  # a session cannot write here: `writer` wants a token, which no browser sends by itself
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Take one export of metrics."""
    kind = kind_of(request)
    try:
        actor = writer(request)
        message = message_of(request, body_of(request))
        try:
            groups = decode(message) if kind == PROTOBUF else decode_json(message)
        except MalformedError as error:
            raise malformed(error) from None
        done = translate(groups, scope_labels=bool(settings_store.get("metrics.otlp_scope_labels")))
        rejected, told = _take(done, actor)
        reject(done.refused, actor=actor)
    except Problem as problem:
        return refused(problem, kind)
    return answer(kind, "rejectedDataPoints", rejected, told)


def _take(done: Translated, actor: Actor) -> tuple[int, str]:
    """Write the points; (how many were rejected, what to tell of them)."""
    if not any(each.delta for each in done.points):
        rejected, taken = _write(done.points, done, actor)
        return _told(rejected, taken, done)
    if backend().engine.shared:
        points = [each for each in done.points if not each.delta]
        done.refused.add(SHARED, len(done.points) - len(points))
        rejected, taken = _write(points, done, actor)
        return _told(rejected, taken, done)
    if not totals.lock.acquire(timeout=LOCK_SECONDS):
        raise Unavailable("telemetry.busy", _("Other deltas are being written; send again later."))
    try:
        added, staged = totals.add([each for each in done.points if each.delta])
        late = sum(each is None for each in added)
        done.refused.add(deltas.OLD, late)
        points = [each for each in done.points if not each.delta]
        rejected, taken = _write([*points, *(each for each in added if each is not None)], done, actor)
        totals.keep(staged)
    finally:
        totals.lock.release()
    return _told(rejected, taken, done)


def _write(points: list[Made], done: Translated, actor: Actor) -> tuple[int, Taken]:
    """Write points and wait until they are on disk; (how many of them were refused, wholly or in part, and why)."""
    labels: list[Labels] = []
    values: list[float] = []
    times: list[int] = []
    ends: list[int] = []
    for made in (*points, *done.about):
        for series, value in made.series():
            labels.append(series)
            values.append(value)
        times += [made.time_ms] * (len(labels) - len(times))
        ends.append(len(labels))
    block = SeriesBlock(
        labels, np.arange(len(labels) + 1, dtype=np.int64), np.array(times, np.int64), np.array(values, np.float64)
    )
    taken = write_series(block, metadata=done.metadata, actor=actor)
    taken.wait()
    DOWNGRADED.add(amount=done.exponential)
    bad = np.concatenate([[0], np.cumsum(~taken.kept)])[[0, *ends[: len(points)]]]
    return int(np.count_nonzero(np.diff(bad))), taken


def _told(rejected: int, taken: Taken, done: Translated) -> tuple[int, str]:
    parts = [_of_points(done.refused)] if done.refused.total else []
    if taken.refused.total:
        parts.append(str(taken.refused))
    if done.exponential:
        parts.append(
            f"{done.exponential} exponential histograms were written as classic buckets, two for each doubling"
        )
    return done.refused.total + rejected, "; ".join(parts)


def _of_points(refused: Refusals) -> str:
    found = []
    for reason, count in sorted(refused.counts.items()):
        example = refused.examples[reason]
        found.append(f"{count} data points: {reason}" + (f" (e.g. {example})" if example else ""))
    return "; ".join(found)
