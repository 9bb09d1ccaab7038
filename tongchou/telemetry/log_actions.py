"""Every way log lines come in. Lines are facts in bulk and never go to the ledger."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import storage
from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, Problem, TooLarge, Unavailable
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.backend import backend
from tongchou.telemetry.logs.encode import MAX_LINES_PER_REQUEST
from tongchou.wire.log_stream import Stream

WRITE_TIMEOUT_SECONDS = 30.0
REMEMBERED_REQUESTS = 4096


@dataclass(slots=True)
class Written:
    """What became of a write: `done` is set when the accepted lines are on disk, or carries the Problem."""

    done: Future[None]
    lines: int
    refused: Refusals

    def wait(self, timeout_seconds: float = WRITE_TIMEOUT_SECONDS) -> None:
        """Block until the accepted lines are on disk. Raises the Problem that prevented it."""
        try:
            self.done.result(timeout_seconds)
        except FutureTimeout:
            raise Unavailable(
                "logs.slow", _("The lines were not on disk after %(seconds)d s.") % {"seconds": timeout_seconds}
            ) from None


class _Remembered:
    """Requests written lately: a sender that did not hear the answer sends the same bytes again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[int, bytes], Written] = OrderedDict()

    def find(self, key: tuple[int, bytes]) -> Written | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None and found.done.done() and found.done.exception() is not None:
                del self._held[key]  # it was not written: now it may be
                return None
            return found

    def keep(self, key: tuple[int, bytes], written: Written) -> None:
        with self._lock:
            self._held[key] = written
            while len(self._held) > REMEMBERED_REQUESTS:
                self._held.popitem(last=False)


_remembered = _Remembered()


def write(streams: Sequence[Stream], *, actor: Actor, request: bytes = b"", token: str = "") -> Written:
    """Take lines; `Written.wait` returns when they are on disk.

    `request`: the bytes they came in; the same bytes sent again within the last 4,096 requests are written once.
    `token`: names this write for good; the store drops it when it was written before, a restart between or not.
    Raises TooLarge before anything is taken; lines refused one by one are counted in `Written.refused`.
    """
    check(actor, "telemetry.write")
    count = sum(len(stream.entries) for stream in streams)
    if count > MAX_LINES_PER_REQUEST:
        raise TooLarge(
            "logs.too_many_lines",
            _("The request has %(count)d lines; the limit is %(limit)d.")
            % {"count": count, "limit": MAX_LINES_PER_REQUEST},
            remedy=_("Send smaller batches."),
        )
    storage.check_room(settings.TELEMETRY_PATH)
    store = backend().logs
    key = (id(store), hashlib.blake2b(request, digest_size=16).digest())
    if request and (earlier := _remembered.find(key)) is not None:
        return earlier
    rows, done = store.take(streams, token=token)
    written = Written(done, len(rows), rows.refused)
    if request:
        _remembered.keep(key, written)
    return written


def refusal(written: Written) -> Problem | None:
    """The answer a sender gets when part of its lines was refused; None when all were taken."""
    if not written.refused.total:
        return None
    return BadRequest(
        "logs.lines_refused",
        _("%(taken)d lines were written, %(refused)d refused: %(reasons)s")
        % {"taken": written.lines, "refused": written.refused.total, "reasons": reasons(written.refused)},
        remedy=_("Do not send the refused lines again."),
    )


def reasons(refused: Refusals) -> str:
    """Why lines were refused, with one example each."""
    parts = []
    for reason, count in sorted(refused.counts.items()):
        example = refused.examples[reason]
        parts.append(f"{count} lines: {reason}" + (f" (e.g. {example})" if example else ""))
    return "; ".join(parts)


def set_retention(days: int, *, actor: Actor) -> None:
    """Keep lines this many days from now on."""
    check(actor, "settings.edit")
    backend().logs.tables.set_retention(days)
