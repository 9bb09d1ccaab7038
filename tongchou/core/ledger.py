"""The ledger: one table that is audit log, timeline, outbox and list of suspects at once.

State transitions only: samples, log lines and repeats of a known alert never come here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from tongchou.core import clock, jobs
from tongchou.core.access import Actor
from tongchou.core.models import Event, EventAbout

MAX_ABOUT = 500
GAP_SECONDS = 10.0  # a transaction that commits later than this after its insert may be missed by live pages

Follower = Callable[[Event], None]
_correlation: ContextVar[str] = ContextVar("ledger_correlation", default="")
_followers: dict[str, list[str]] = defaultdict(list)


def follow(verb: str, *, max_attempts: int = 10) -> Callable[[Follower], Follower]:
    """Register a follower: it runs as a job, in the same commit as the event, at least once.

    At least once means that it must be idempotent; order between events is not promised.
    """

    def register(function: Follower) -> Follower:
        name = f"follow:{function.__module__}.{function.__qualname__}:{verb}"

        def run(payload: dict[str, Any]) -> None:
            function(Event.objects.get(pk=payload["event_id"]))

        jobs.job(name, max_attempts=max_attempts)(run)
        if name not in _followers[verb]:
            _followers[verb].append(name)
        return function

    return register


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Give every event recorded inside, by this thread, one correlation id, unless its writer names another."""
    before = _correlation.set(correlation_id)
    try:
        yield
    finally:
        _correlation.reset(before)


def record(
    *,
    actor: Actor,
    verb: str,
    subject: str,
    about: Iterable[str] = (),
    payload: Mapping[str, Any] | None = None,
    dedupe_key: str | None = None,
    correlation_id: str | None = None,
    at: datetime | None = None,
) -> Event:
    """Write one event, its `about` index and one job for each follower, inside the caller's transaction.

    Returns the event; for a `dedupe_key` seen before, the earlier event and nothing is written.
    Raises RuntimeError outside a transaction: an event without its cause would be a lie.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(
            "ledger.record must be called inside transaction.atomic(), together with the write it tells of"
        )
    if dedupe_key is not None:
        earlier = Event.objects.filter(dedupe_key=dedupe_key).first()
        if earlier is not None:
            return earlier
    now = clock.now()
    event = Event(
        at=at or now,
        recorded_at=now,
        actor_kind=actor.kind,
        actor_name=actor.name[:150],
        actor_id=actor.user_id,
        verb=verb,
        subject=subject,
        payload=dict(payload or {}),
        correlation_id=correlation_id or _correlation.get(),
        dedupe_key=dedupe_key,
    )
    try:
        with transaction.atomic():
            event.save(force_insert=True)
    except IntegrityError:
        if dedupe_key is None:
            raise
        return Event.objects.get(dedupe_key=dedupe_key)
    refs = list(dict.fromkeys([subject, *about]))[:MAX_ABOUT]
    EventAbout.objects.bulk_create([EventAbout(event=event, ref=each) for each in refs])
    for name in _followers.get(verb, ()):
        jobs.enqueue(name, {"event_id": event.pk}, event=event)
    return event


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of `record_many`: the same fields as `record`, without a dedupe key."""

    verb: str
    subject: str
    about: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)


def record_many(*, actor: Actor, entries: Iterable[Entry], correlation_id: str = "") -> list[Event]:
    """Write many events at once, for bulk work that altered many nouns: few statements instead of a few for each.

    The same promises as `record`, but for the dedupe key; in the order given. RuntimeError outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("ledger.record_many must be called inside transaction.atomic(), with the writes it tells of")
    listed = list(entries)
    now = clock.now()
    rows = Event.objects.bulk_create(
        [
            Event(
                at=now,
                recorded_at=now,
                actor_kind=actor.kind,
                actor_name=actor.name[:150],
                actor_id=actor.user_id,
                verb=entry.verb,
                subject=entry.subject,
                payload=dict(entry.payload),
                correlation_id=correlation_id or _correlation.get(),
            )
            for entry in listed
        ],
        batch_size=1000,
    )
    EventAbout.objects.bulk_create(
        [
            EventAbout(event=event, ref=each)
            for event, entry in zip(rows, listed, strict=True)
            for each in list(dict.fromkeys([entry.subject, *entry.about]))[:MAX_ABOUT]
        ],
        batch_size=2000,
    )
    for event in rows:
        for name in _followers.get(event.verb, ()):
            jobs.enqueue(name, {"event_id": event.pk}, event=event)
    return rows


def events(
    *,
    about: str | None = None,
    verbs: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after_id: int | None = None,
    limit: int = 200,
) -> QuerySet[Event]:
    """Return events, newest first; with `after_id` the ones inserted after it, oldest first."""
    found = Event.objects.all()
    if about is not None:
        found = found.filter(abouts__ref=about)
    if verbs is not None:
        found = found.filter(verb__in=list(verbs))
    if since is not None:
        found = found.filter(at__gte=since)
    if until is not None:
        found = found.filter(at__lte=until)
    if after_id is not None:
        return found.filter(pk__gt=after_id).order_by("pk")[:limit]
    return found.order_by("-at", "-pk")[:limit]


def tail(
    *, seen: Mapping[int, datetime], about: str | None = None, limit: int = 500, seconds: float = GAP_SECONDS
) -> list[Event]:
    """Return events of the last `seconds` that are not in `seen` (id -> recorded_at), oldest first, `limit` of them.

    Live pages call it in turn: because ids commit out of order, a cursor over ids would lose events. The bound counts
    what is fresh: after a burst (an import) what was seen must not take the place of what comes next.
    """
    found = Event.objects.filter(recorded_at__gte=clock.now() - timedelta(seconds=max(seconds, GAP_SECONDS)))
    if about is not None:
        found = found.filter(abouts__ref=about)
    fresh = [pk for pk in found.order_by("pk").values_list("pk", flat=True) if pk not in seen][:limit]
    return list(Event.objects.filter(pk__in=fresh).order_by("pk")) if fresh else []
