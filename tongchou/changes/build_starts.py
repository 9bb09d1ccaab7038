"""What a step writes down while it starts a build, so that one that is tried again goes on instead of starting anew."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tongchou.changes.models_builds import BuildStart

KEPT_DAYS = 30  # no run goes on for longer


def begin(*, key: str, server: str, job: str) -> BuildStart:
    """Return the record of a step's build: a new one, or what an earlier try of the same step wrote."""
    row, _created = BuildStart.objects.get_or_create(key=key, defaults={"server_name": server, "job": job})
    if row.begun_at is None:
        _put(row, begun_at=timezone.now())
    return row


def over(row: BuildStart) -> None:
    """Write down that a try came to its end, well or not: another one has its whole time again."""
    _put(row, begun_at=None)


def sending(row: BuildStart, *, keyed: bool) -> bool:
    """Write down that the request goes out now, with or without its key; from here on only proof allows another.

    False: somebody else sends it, as a worker does that was taken for dead; then nothing may go out.
    """
    mine = BuildStart.objects.filter(pk=row.pk, sent_at=row.sent_at, queue_id=None, number=None)
    won = mine.update(sent_at=timezone.now(), keyed=keyed)
    row.refresh_from_db()
    return bool(won)


def not_sent(row: BuildStart) -> None:
    """Write down that the request was refused, or cannot have arrived: the next try may send it."""
    _put(row, sent_at=None)


def queued(row: BuildStart, queue_id: int) -> None:
    """Write down where it stands in the server's queue."""
    _put(row, queue_id=queue_id)


def numbered(row: BuildStart, number: int) -> None:
    """Write down which build it became."""
    _put(row, number=number)


def _put(row: BuildStart, **values: object) -> None:
    BuildStart.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()


def prune() -> int:
    """Delete records that no run can ask for any more; how many."""
    old = BuildStart.objects.filter(created_at__lt=timezone.now() - timedelta(days=KEPT_DAYS))
    count: int = old.delete()[0]
    return count
