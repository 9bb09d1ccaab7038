"""Every way samples come in. Samples are facts in bulk and never go to the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field

import numpy as np
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import storage
from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, Problem, TooLarge, TooMany, Unavailable
from tongchou.telemetry.admit import MAX_BODY_BYTES, MAX_SERIES_PER_REQUEST, SERIES_LIMIT, Refusals, canonical, shown
from tongchou.telemetry.backend import Telemetry, backend
from tongchou.telemetry.decode import Columns, decode_columns
from tongchou.telemetry.ingest import FUTURE_TOLERANCE_MS
from tongchou.telemetry.series import SeriesBlock
from tongchou.telemetry.store.tables import MS_PER_DAY
from tongchou.wire.protobuf import MalformedError

APPEND_TIMEOUT_SECONDS = 30.0


@dataclass(slots=True)
class Taken:
    """What became of a write: `done` is set when the accepted samples are on disk, or carries the Problem."""

    done: Future[None]
    samples: int
    refused: Refusals = field(default_factory=Refusals)

    def wait(self, timeout_seconds: float = APPEND_TIMEOUT_SECONDS) -> None:
        """Block until the accepted samples are on disk. Raises the Problem that prevented it."""
        try:
            self.done.result(timeout_seconds)
        except FutureTimeout:
            raise Unavailable(
                "telemetry.slow", _("The samples were not on disk after %(seconds)d s.") % {"seconds": timeout_seconds}
            ) from None


def append(block: SeriesBlock, *, actor: Actor, wait: bool = True) -> Taken:
    """Write the samples of a block; returns when they are on disk (or at once with wait=False).

    Series with bad labels and samples with bad times are refused and counted in `Taken.refused`; the rest is written.
    """
    check(actor, "telemetry.write")
    telemetry = backend()
    refused = Refusals()
    row_of_series = np.full(len(block), -1, np.int64)
    for at, pairs in enumerate(block.labels):
        row_of_series[at] = _row(telemetry, pairs, b"", int(block.offsets[at + 1] - block.offsets[at]), refused)
    rows = np.repeat(row_of_series, np.diff(block.offsets))
    taken = _submit(telemetry, Columns(rows, block.ts, block.v), refused)
    if wait:
        taken.wait()
    return taken


def write_request(body: bytes, *, actor: Actor) -> Taken:
    """Take an uncompressed remote_write 1.0 message. Raises BadRequest or TooLarge before anything is taken."""
    check(actor, "telemetry.write")
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            "telemetry.body_too_large",
            _("The uncompressed message has %(size)d bytes; the limit is %(limit)d.")
            % {"size": len(body), "limit": MAX_BODY_BYTES},
            remedy=_("Lower max_samples_per_send of the sender."),
        )
    storage.check_room(settings.TELEMETRY_PATH)
    telemetry = backend()
    try:
        columns = decode_columns(body, telemetry.index.known_bytes)
    except MalformedError as error:
        raise BadRequest(
            "telemetry.malformed", _("Not a remote_write 1.0 message: %(error)s") % {"error": error}
        ) from None
    if columns.series > MAX_SERIES_PER_REQUEST:
        raise TooLarge(
            "telemetry.too_many_series_in_request",
            _("The message has %(count)d series; the limit is %(limit)d.")
            % {"count": columns.series, "limit": MAX_SERIES_PER_REQUEST},
            remedy=_("Lower max_samples_per_send of the sender."),
        )
    refused = Refusals()
    if columns.histograms:
        refused.add("native histograms are not supported", columns.histograms)
    if columns.unknown:
        _name_unknown(telemetry, columns, refused)
    return _submit(telemetry, columns, refused)


def _name_unknown(telemetry: Telemetry, columns: Columns, refused: Refusals) -> None:
    """Give the series the decoder did not know their rows; -1 stays where one is refused."""
    negative = columns.rows < 0
    which = -1 - columns.rows[negative]
    counts = np.bincount(which, minlength=len(columns.unknown)).tolist()
    rows = [
        _row(telemetry, each.labels, each.label_bytes, count, refused)
        for each, count in zip(columns.unknown, counts, strict=True)
    ]
    columns.rows[negative] = np.array(rows, np.int64)[which]


def _row(telemetry: Telemetry, pairs: Sequence[tuple[str, str]], raw: bytes, samples: int, refused: Refusals) -> int:
    labels = canonical(pairs)
    if isinstance(labels, str):
        refused.add(labels, samples, shown(pairs))
        return -1
    try:
        return telemetry.index.row(labels, raw)
    except TooMany:
        refused.add(SERIES_LIMIT, samples, shown(pairs))
        return -1


def _submit(telemetry: Telemetry, columns: Columns, refused: Refusals) -> Taken:
    """Queue what has a row and a time we take."""
    now = telemetry.clock()
    keep = columns.rows >= 0
    future = columns.ts > now + FUTURE_TOLERANCE_MS
    old = columns.ts < now - telemetry.tables.retention_days * MS_PER_DAY
    refused.add("timestamp over 10 minutes in the future", _count(future & keep))
    refused.add(f"older than the retention of {telemetry.tables.retention_days} days", _count(old & keep))
    keep &= ~(future | old)
    telemetry.ingest.counts.refused_samples += refused.total
    rows, ts, v = columns.rows, columns.ts, columns.v
    if not keep.all():
        rows, ts, v = rows[keep], ts[keep], v[keep]
    return Taken(telemetry.submit(rows, ts, v), len(rows), refused)


def _count(mask: np.typing.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))


def refusal(taken: Taken) -> Problem | None:
    """The answer a sender gets when part of its samples was refused; None when all were taken."""
    if not taken.refused.total:
        return None
    return BadRequest(
        "telemetry.samples_refused",
        _("%(taken)d samples were written, %(refused)d refused: %(reasons)s")
        % {"taken": taken.samples, "refused": taken.refused.total, "reasons": taken.refused},
        remedy=_("Do not send the refused samples again."),
    )
