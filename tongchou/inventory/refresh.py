"""Brings the work queues to what is true now: what came to be is added, what is no more leaves, decisions run out.

A queue is a picture: derived from what is recorded, at any time anew; beside it it holds only people's decisions.
Safe to run twice at once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from tongchou.inventory import queues, stamps
from tongchou.inventory.apply import current_stamp
from tongchou.inventory.models import Resource, ResourceState, SourceConfig, Stamp
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName
from tongchou.inventory.queues import SAME_NAME, Found, digest
from tongchou.inventory.recorded import chunks
from tongchou.inventory.truth import settings_of_now

JOB = "inventory.queues"
CHUNK = 2000
SHARE = 20  # a refresh that took a second rests for twenty: it costs at most a twentieth of a core
AT_LEAST_SECONDS = 900.0  # time alone makes things unseen and ends near
KEYS_OF = "keys:"
PEER = "peer:"  # keys of who is used and recorded by nobody (uses.note_uses)
MOST_INSTANCES = 1000  # scraped instances without a resource that are listed

_last: dict[str, Any] = {"stamp": None, "at": 0.0, "seconds": 0.0}


def bump() -> None:
    """Tell that the queues changed: whoever keeps counts takes them anew."""
    stamps.renew(Stamp.QUEUES)


def due() -> bool:
    """Tell whether to refresh: something was recorded since this process last did, and that is long enough ago."""
    rested = time.monotonic() - _last["at"]
    if rested < SHARE * _last["seconds"]:
        return False
    return bool(rested >= AT_LEAST_SECONDS or current_stamp() != _last["stamp"])


def refresh_now() -> None:
    """Refresh every queue, and note how dear that was."""
    begun, stamp = time.monotonic(), current_stamp()
    refresh(timezone.now())
    _last.update(stamp=stamp, at=time.monotonic(), seconds=time.monotonic() - begun)


def refresh(now: datetime) -> int:
    """Refresh every queue; return how many items came, changed or left."""
    truth = settings_of_now()
    declared_by = queues.declaring()
    changed = _reopen(now) + _leave_with_their_resources()
    changed += follow_rows(QueueName.UNSEEN, queues.unseen(now - timedelta(days=truth.unseen_days)), now)
    changed += follow_rows(QueueName.UNRECORDED, queues.unrecorded(declared_by), now)
    changed += follow_rows(QueueName.UNOWNED, queues.unowned(), now)
    changed += follow_rows(QueueName.UNRELATED, queues.unrelated(), now)
    unfilled = queues.unfilled()
    for name, rows in unfilled.items():
        changed += follow_rows(QueueName.UNFILLED, rows, now, key=name)
    changed += QueueItem.objects.filter(queue=QueueName.UNFILLED).exclude(key__in=unfilled).delete()[0]
    changed += follow(QueueName.DIFFERS, queues.differing(declared_by), now)
    changed += follow(QueueName.IDENTITY, queues.same_names(), now, only=Q(key=SAME_NAME))
    changed += follow(QueueName.EXPIRING, queues.ends(timezone.localdate(now)), now)
    changed += _forget_sources()
    if changed:
        bump()
    return changed


def _reopen(now: datetime) -> int:
    """What was ignored until now is open again, as old as it is."""
    return QueueItem.objects.filter(state=ItemState.IGNORED, until__lte=now).update(state=ItemState.OPEN, until=None)


def _leave_with_their_resources() -> int:
    gone = Resource.objects.exclude(state=ResourceState.ACTIVE).filter(pk=OuterRef("resource_id"))
    return QueueItem.objects.filter(Exists(gone)).delete()[0]


def _forget_sources() -> int:
    """A source that is configured no more sees no conflicts."""
    known = [f"{KEYS_OF}{name}" for name in SourceConfig.objects.values_list("name", flat=True)]
    told = QueueItem.objects.filter(queue=QueueName.IDENTITY, key__startswith=KEYS_OF)
    return told.exclude(key__in=known).delete()[0]


def follow_rows(queue: QueueName, rows: QuerySet[Resource], now: datetime, *, key: str = "") -> int:
    """Make the items of a queue be exactly `rows`: set against set in the database, only the difference is read."""
    mine = QueueItem.objects.filter(queue=queue, key=key)
    left = mine.exclude(Exists(rows.filter(pk=OuterRef("resource_id")))).delete()[0]
    new = rows.exclude(Exists(mine.filter(resource_id=OuterRef("pk")))).values_list("pk", flat=True)
    added = 0
    for part in chunks(new.iterator(chunk_size=CHUNK), CHUNK):
        made = [QueueItem(queue=queue, resource_id=id_, key=key, since=now) for id_ in part]
        QueueItem.objects.bulk_create(made, ignore_conflicts=True)
        added += len(made)
    return added + left


def follow(queue: QueueName, found: Iterable[Found], now: datetime, *, only: Q | None = None) -> int:
    """Make the items of a queue (of them those in `only`) be exactly `found`.

    What is found as something else (another mark) is a new matter: its age begins anew, and nothing is decided about
    it. Ignored it stays, for that was said of the thing until a day.
    """
    rows = QueueItem.objects.filter(queue=queue)
    rows = rows if only is None else rows.filter(only)
    known: dict[tuple[UUID | None, str], QueueItem] = {}
    for old in rows.iterator(chunk_size=CHUNK):
        known[old.resource_id, old.key] = old
    new: list[QueueItem] = []
    altered: list[QueueItem] = []
    for each in found:
        row: QueueItem | None = known.get((each.resource_id, each.key))
        if row is None:
            new.append(_item(queue, each, now))
            continue
        del known[each.resource_id, each.key]
        if (row.mark, row.due, row.facts) != (each.mark, each.due, dict(each.facts)):
            if row.mark != each.mark:
                row.since = now
                row.state = ItemState.IGNORED if row.state == ItemState.IGNORED else ItemState.OPEN
            row.mark, row.due, row.facts = each.mark, each.due, dict(each.facts)
            altered.append(row)
    with transaction.atomic():
        for part in chunks([old.pk for old in known.values()]):
            QueueItem.objects.filter(pk__in=part).delete()
        QueueItem.objects.bulk_create(new, ignore_conflicts=True, batch_size=CHUNK)
        QueueItem.objects.bulk_update(altered, ["mark", "due", "facts", "since", "state"], batch_size=200)
    return len(known) + len(new) + len(altered)


def _item(queue: QueueName, found: Found, now: datetime) -> QueueItem:
    return QueueItem(
        queue=queue,
        resource_id=found.resource_id,
        key=found.key[:255],
        facts=dict(found.facts),
        mark=found.mark,
        due=found.due,
        since=now,
    )


def report_collisions(source: str, collisions: Sequence[tuple[UUID, ...]], now: datetime) -> None:
    """Take down what one look of a source found to be one thing and is recorded as several; inside its transaction.

    A look without any takes the items of the one before back.
    """
    found = []
    for first, *others in dict.fromkeys(collisions):
        facts = {"others": [str(each) for each in others[: queues.MOST_OTHERS]], "source": source}
        found.append(Found(first, f"{KEYS_OF}{source}", facts, digest(*map(str, [first, *others]))))
    by_first = {each.resource_id: each for each in reversed(found)}
    if follow(QueueName.IDENTITY, by_first.values(), now, only=Q(key=f"{KEYS_OF}{source}")):
        bump()


def report_instances(found: Collection[tuple[str, str]], now: datetime) -> int:
    """Take down which (job, instance) send metrics and belong to no resource. Called by who knows metrics."""
    told = [
        Found(None, f"{job}/{instance}"[:255], {"job": job, "instance": instance}, digest(job, instance))
        for job, instance in sorted(found)[:MOST_INSTANCES]
    ]
    changed = follow(QueueName.UNRECORDED, told, now, only=Q(resource__isnull=True) & ~Q(key__startswith=PEER))
    if changed:
        bump()
    return changed
