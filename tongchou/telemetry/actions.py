"""Every way samples come in. Samples are facts in bulk and never go to the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import storage
from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, Problem, Text, TooLarge, TooMany, Unavailable
from tongchou.telemetry import sender_limits
from tongchou.telemetry.admit import (
    MAX_BODY_BYTES,
    MAX_HELP_LENGTH,
    MAX_LABEL_NAME_LENGTH,
    MAX_LABEL_VALUE_LENGTH,
    NATIVE_HISTOGRAMS,
    SERIES_LIMIT,
    SOURCE_RATE_LIMIT,
    SOURCE_SERIES_LIMIT,
    Refusals,
    canonical,
    shown,
)
from tongchou.telemetry.backend import backend
from tongchou.telemetry.decode import Columns, columns_of
from tongchou.telemetry.ingest import FUTURE_TOLERANCE_MS
from tongchou.telemetry.sender_limits import SenderLimits
from tongchou.telemetry.series import Bools, Int64s, SeriesBlock, run_starts
from tongchou.telemetry.store.tables import MS_PER_DAY
from tongchou.telemetry.target_health import note_metadata
from tongchou.wire import remote_write_2
from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import MalformedError
from tongchou.wire.remote_write import MAX_SERIES, TooManyError

APPEND_TIMEOUT_SECONDS = 30.0
DO_NOT_REPEAT = _("Do not send the refused samples again.")
NATIVE_HISTOGRAMS_REMEDY = _(
    "Native histograms are not kept. Let the sender scrape classic histograms (scrape_native_histograms: false, or "
    "always_scrape_classic_histograms: true) and set send_native_histograms: false in its remote_write section."
)


@dataclass(slots=True)
class Taken:
    """What became of a write: `done` is set when the accepted samples are on disk, or carries the Problem."""

    done: Future[None]
    samples: int
    refused: Refusals = field(default_factory=Refusals)
    remedy: Text = DO_NOT_REPEAT
    kept: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))  # which samples were accepted, as given

    def wait(self, timeout_seconds: float = APPEND_TIMEOUT_SECONDS) -> None:
        """Block until the accepted samples are on disk. Raises the Problem that prevented it."""
        try:
            self.done.result(timeout_seconds)
        except FutureTimeout:
            raise self.too_slow(timeout_seconds) from None

    @staticmethod
    def too_slow(seconds: float = APPEND_TIMEOUT_SECONDS) -> Unavailable:
        """The answer when they were not on disk in time."""
        return Unavailable(
            "telemetry.slow", _("The samples were not on disk after %(seconds)d s.") % {"seconds": seconds}
        )


class _Sending:
    """One write on its way: who sends, what was refused so far, how many more series the sender may make active."""

    def __init__(self, actor: Actor, limits: SenderLimits | None = None) -> None:
        self.telemetry = backend()
        self.source = sender_limits.name_of(actor)
        self.limits = limits or sender_limits.of(actor)
        self.refused = Refusals()
        self.room = self.telemetry.sources.room(self.source, self.limits.series)
        self.first_new_row = self.telemetry.index.row_count

    def may_send(self, samples: int) -> bool:
        """Take so many from what the sender may send now; when they are too many, none."""
        return self.telemetry.sources.spend(self.source, samples, self.limits.samples_per_second)

    def check_rate(self, samples: int) -> None:
        """Raises TooMany when the sender must wait; the samples count as refused, though they may come again."""
        if self.may_send(samples):
            return
        self.refused.add(SOURCE_RATE_LIMIT, samples)
        self.telemetry.reject(self.source, self.refused)
        raise TooMany(
            "telemetry.source_rate",
            _("This sender may write %(limit)d samples a second, over a minute; nothing was written.")
            % {"limit": self.limits.samples_per_second},
            remedy=_("Send again later; or raise metrics.source_max_samples_per_second."),
        )

    def row(self, pairs: Sequence[tuple[str, str]], raw: bytes, samples: int) -> int:
        """The row of a series, made when it is new; -1 when it is refused."""
        labels = canonical(pairs)
        if isinstance(labels, str):
            self.refused.add(labels, samples, shown(pairs))
            return -1
        if self.telemetry.index.known(labels) < 0:
            if self.room <= 0:
                self.refused.add(SOURCE_SERIES_LIMIT, samples, shown(pairs))
                return -1
            self.room -= 1
        try:
            return self.telemetry.index.row(labels, raw)
        except TooMany:
            self.refused.add(SERIES_LIMIT, samples, shown(pairs))
            return -1

    def submit(self, columns: Columns) -> Taken:
        """Queue what has a row and a time we take."""
        telemetry, rows, ts, v = self.telemetry, columns.rows, columns.ts, columns.v
        now = telemetry.clock()
        days = telemetry.tables.retention_days
        newest, oldest = now + FUTURE_TOLERANCE_MS, now - days * MS_PER_DAY
        series = rows if len(rows) == columns.series else rows[run_starts(rows)]  # perhaps some of them twice
        usual = len(rows) > 0 and rows.min() >= 0 and ts.max() <= newest and ts.min() >= oldest
        if usual and not (self.limits.series and telemetry.sources.inactive(self.source, series).any()):
            keep = np.ones(len(rows), np.bool_)
        else:
            keep = rows >= 0
            self._refuse("timestamp over 10 minutes in the future", columns, keep & (ts > newest), keep)
            self._refuse(f"older than the retention of {days} days", columns, keep & (ts < oldest), keep)
            if self.limits.series:
                self._refuse(SOURCE_SERIES_LIMIT, columns, self._beyond_room(rows, keep), keep)
            if not keep.all():
                rows, ts, v = rows[keep], ts[keep], v[keep]
                series = rows
        telemetry.reject(self.source, self.refused)
        done = telemetry.submit(rows, ts, v, source=self.source, series=series)
        return Taken(done, len(rows), self.refused, kept=keep)

    def _refuse(self, reason: str, columns: Columns, which: Bools, keep: Bools) -> None:
        """Count samples as refused and take them out of `keep`."""
        count = int(np.count_nonzero(which))
        if count:
            first = columns.rows[np.argmax(which)]
            self.refused.add(reason, count, shown(self.telemetry.index.labels(np.array([first]))[0]))
            keep &= ~which

    def _beyond_room(self, rows: Int64s, keep: Bools) -> Bools:
        """Samples of series that exist, would become active series of this sender, and find no room."""
        candidates = keep & (rows < self.first_new_row)
        candidates[candidates] = self.telemetry.sources.inactive(self.source, rows[candidates])
        waking = np.unique(rows[candidates])
        if len(waking) <= self.room:
            return np.zeros(len(rows), np.bool_)
        return candidates & np.isin(rows, waking[self.room :])


def append(block: SeriesBlock, *, actor: Actor, wait: bool = True) -> Taken:
    """Write the samples of a block; returns when they are on disk (or at once with wait=False).

    Series with bad labels and samples with bad times are refused and counted in `Taken.refused`; the rest is written.
    """
    check(actor, "telemetry.write")
    taken = _append(_Sending(actor), block)
    if wait:
        taken.wait()
    return taken


def _append(sending: _Sending, block: SeriesBlock) -> Taken:
    counts = np.diff(block.offsets)
    rows = [sending.row(pairs, b"", count) for pairs, count in zip(block.labels, counts.tolist(), strict=True)]
    return sending.submit(Columns(np.repeat(np.array(rows, np.int64), counts), block.ts, block.v))


def write_series(block: SeriesBlock, *, metadata: dict[str, Meta], actor: Actor) -> Taken:
    """Take the series of a sender's request; `Taken.wait` returns when they are on disk. Raises TooLarge."""
    check(actor, "telemetry.write")
    if len(block) > MAX_SERIES:
        raise _too_many(TooManyError(f"{len(block)} series, more than {MAX_SERIES}"))
    storage.check_room(settings.TELEMETRY_PATH)
    _note_metadata(metadata)
    sending = _Sending(actor)
    sending.check_rate(len(block.ts))
    return _append(sending, block)


def _too_many(error: TooManyError) -> TooLarge:
    return TooLarge(
        "telemetry.too_much_in_request",
        _("The message holds too much: %(error)s.") % {"error": error},
        remedy=_("Send smaller batches (remote_write: lower max_samples_per_send)."),
    )


def write_request(body: bytes, *, actor: Actor, version: Literal["1.0", "2.0"] = "1.0") -> Taken:
    """Take an uncompressed remote_write message. Raises BadRequest or TooLarge before anything is taken."""
    check(actor, "telemetry.write")
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            "telemetry.body_too_large",
            _("The uncompressed message has %(size)d bytes; the limit is %(limit)d.")
            % {"size": len(body), "limit": MAX_BODY_BYTES},
            remedy=_("Lower max_samples_per_send of the sender."),
        )
    storage.check_room(settings.TELEMETRY_PATH)
    sending = _Sending(actor)
    try:
        telemetry, known = sending.telemetry, sending.telemetry.index.known_bytes
        if version == "1.0":
            columns = telemetry.repeats.decode(body, known)
        else:
            columns = columns_of(remote_write_2.decode(body), known)
    except TooManyError as error:
        raise _too_many(error) from None
    except MalformedError as error:
        raise BadRequest(
            "telemetry.malformed",
            _("Not a remote_write %(version)s message: %(error)s") % {"version": version, "error": error},
        ) from None
    sending.check_rate(len(columns.ts))
    _note_metadata(columns.metadata)
    if columns.histograms:
        sending.refused.add(NATIVE_HISTOGRAMS, columns.histograms, shown(columns.histogram_series))
    if columns.unknown:
        _name_unknown(sending, columns)
    taken = sending.submit(columns)
    if columns.histograms:
        taken.remedy = NATIVE_HISTOGRAMS_REMEDY
    return taken


def write_repeated(body: bytes, *, actor: Actor) -> Taken | None:
    """Take a remote_write 1.0 message of series that its sender sent before, in memory alone: for the event loop.

    None, and nothing was taken, when `write_request` must look at it. Raises Problems as that does.
    """
    check(actor, "telemetry.write")
    limits = sender_limits.current()
    if len(body) > MAX_BODY_BYTES or storage.room.known(settings.TELEMETRY_PATH) != 0:
        return None
    columns = backend().repeats.recall(body)
    if columns is None:
        return None
    sending = _Sending(actor, limits)
    return sending.submit(columns) if sending.may_send(len(columns.ts)) else None


def _note_metadata(found: dict[str, Meta]) -> None:
    if found:
        note_metadata(
            {
                family: Meta(meta.type, meta.help[:MAX_HELP_LENGTH], meta.unit[:MAX_LABEL_NAME_LENGTH])
                for family, meta in found.items()
                if len(family) <= MAX_LABEL_VALUE_LENGTH
            }
        )


def _name_unknown(sending: _Sending, columns: Columns) -> None:
    """Give the series the decoder did not know their rows; -1 stays where one is refused."""
    negative = columns.rows < 0
    which = -1 - columns.rows[negative]
    counts = np.bincount(which, minlength=len(columns.unknown)).tolist()
    rows = [
        sending.row(each.labels, each.label_bytes, count) if count else -1
        for each, count in zip(columns.unknown, counts, strict=True)
    ]
    columns.rows[negative] = np.array(rows, np.int64)[which]


def reject(refused: Refusals, *, actor: Actor) -> None:
    """Remember what was refused of a request before it became samples."""
    check(actor, "telemetry.write")
    if refused.total:
        backend().reject(sender_limits.name_of(actor), refused)


def refusal(taken: Taken) -> Problem | None:
    """The answer a sender gets when part of its samples was refused; None when all were taken."""
    if not taken.refused.total:
        return None
    return BadRequest(
        "telemetry.samples_refused",
        _("%(taken)d samples were written, %(refused)d refused: %(reasons)s")
        % {"taken": taken.samples, "refused": taken.refused.total, "reasons": taken.refused},
        remedy=taken.remedy,
    )
