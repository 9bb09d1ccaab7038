"""The live stream: tells open pages that the ledger grew, as server-sent events.

One poller a process reads what is new and hands it to every open page, so that a hundred pages cost one query.
Because ids commit out of order the poller looks back a gap window instead of following a cursor; because it reads a
table it works across processes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone, translation

from tongchou.core import clock, inbox, ledger, meters
from tongchou.core.access import NOBODY, Actor, actor_for_user, allows, allows_anywhere
from tongchou.core.models import Event, EventAbout, User
from tongchou.core.problems import Problem
from tongchou.core.refs import is_ref
from tongchou.core.tokens import actor_for_authorization
from tongchou.web.announce import announcement

POLL_SECONDS = 0.7
HEARTBEAT_SECONDS = 15.0
LIFETIME_SECONDS = 900.0  # then the page connects again
ASK_AGAIN_SECONDS = 15.0  # who listens: roles are taken, sessions are ended, tokens revoked
QUEUE_LIMIT = 500
DatabaseErrors = (DatabaseError, InterfaceError)
log = logging.getLogger(__name__)
RESUME_LIMIT = 500


@dataclass(frozen=True)
class Happening:
    """One event with the refs it is about."""

    event: Event
    abouts: frozenset[str]


def _with_abouts(events: list[Event]) -> list[Happening]:
    found: dict[int, set[str]] = {event.pk: set() for event in events}
    for event_id, about in EventAbout.objects.filter(event_id__in=found).values_list("event_id", "ref"):
        found[event_id].add(about)
    return [Happening(event, frozenset(found[event.pk])) for event in events]


def news(seen: dict[int, datetime], silent_seconds: float = 0.0) -> list[Happening]:
    """Return events of the gap window that are not in `seen`, and remember them there.

    The window begins that much earlier when the database was silent in between.
    """
    close_old_connections()
    try:
        window = ledger.GAP_SECONDS + silent_seconds
        fresh = ledger.tail(seen=seen, seconds=window)
        horizon = clock.now() - timedelta(seconds=window + ledger.GAP_SECONDS)
        for event_id in [each for each, at in seen.items() if at < horizon]:
            del seen[event_id]
        seen.update({event.pk: event.recorded_at for event in fresh})
        return _with_abouts(fresh) if fresh else []
    finally:
        close_old_connections()


def missed(after_id: int) -> list[Happening]:
    """Return what a page missed while it was away: later ids, and the gap window for what committed late."""
    close_old_connections()
    try:
        later = list(ledger.events(after_id=after_id, limit=RESUME_LIMIT))
        known = {event.pk: event.recorded_at for event in later}
        return _with_abouts(sorted([*ledger.tail(seen=known), *later], key=lambda event: event.pk))
    finally:
        close_old_connections()


@dataclass(frozen=True)
class Delivery:
    """Somebody's inbox changed: told to that person's pages alone."""

    user_id: UUID


def deliveries(seen: dict[UUID, datetime]) -> list[Delivery]:
    """Return whose inbox changed within the gap window and is not in `seen`, and remember it there."""
    close_old_connections()
    try:
        horizon = timezone.now() - timedelta(seconds=ledger.GAP_SECONDS)
        changed: dict[UUID, datetime] = {}
        for user_id, at in inbox.changed_since(horizon):
            changed[user_id] = max(at, changed.get(user_id, at))
        for user_id in [each for each, at in seen.items() if at < horizon]:
            del seen[user_id]
        fresh = [user_id for user_id, at in changed.items() if seen.get(user_id) != at]
        seen.update(changed)
        return [Delivery(user_id) for user_id in fresh]
    finally:
        close_old_connections()


@dataclass(eq=False)
class Feed:
    """The poller of one event loop and the pages that listen; it runs only while somebody does."""

    listeners: set[asyncio.Queue[Happening | Delivery]] = field(default_factory=set)
    task: asyncio.Task[None] | None = None

    def join(self) -> asyncio.Queue[Happening | Delivery]:
        """Return a queue that gets everything from now on."""
        queue: asyncio.Queue[Happening | Delivery] = asyncio.Queue(QUEUE_LIMIT)
        self.listeners.add(queue)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._poll())
        return queue

    def leave(self, queue: asyncio.Queue[Happening | Delivery]) -> None:
        """Stop listening."""
        self.listeners.discard(queue)

    async def _poll(self) -> None:
        seen: dict[int, datetime] = {}
        boxes: dict[UUID, datetime] = {}
        fresh: list[Happening | Delivery] = []
        began, answered = await sync_to_async(clock.now, thread_sensitive=False)(), time.monotonic()
        while self.listeners:
            try:
                # Not the request's own thread: the poller outlives the request that started it.
                silent = time.monotonic() - answered
                fresh += await sync_to_async(news, thread_sensitive=False)(seen, silent)
                fresh += await sync_to_async(deliveries, thread_sensitive=False)(boxes)
            except DatabaseErrors:  # a restart of the database, or a busy one: what it has is read when it answers
                log.warning("live pages hear nothing: the database does not answer", exc_info=True)
                await asyncio.sleep(POLL_SECONDS)
                continue
            answered = time.monotonic()
            for happening in fresh:
                if isinstance(happening, Happening) and happening.event.recorded_at < began:
                    continue  # the gap window of before: nobody listened
                for queue in self.listeners:
                    if not queue.full():  # a page that does not read loses news, never the server its memory
                        queue.put_nowait(happening)
            fresh = []
            await asyncio.sleep(POLL_SECONDS)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def feed() -> Feed:
    """Return the feed of the running event loop."""
    return _feeds.setdefault(asyncio.get_running_loop(), Feed())


def wanted(happening: Happening, about: str) -> bool:
    """Tell whether a page about `about` ("" for everything) wants this event."""
    return not about or about in happening.abouts


def message(happening: Happening, actor: Actor, language: str) -> str:
    """Return the server-sent event for one happening: verb and subject, and a toast for what people wait for.

    Who may not read the whole ledger (a role in a team only) learns that something changed, and nothing of what: the
    page then asks for its own part again, which is scoped.
    """
    event = happening.event
    if not allows(actor, "ledger.view"):
        return f"id: {event.pk}\nevent: ledger\ndata: {json.dumps({'id': event.pk})}\n\n"
    body: dict[str, object] = {"id": event.pk, "verb": event.verb, "subject": event.subject}
    with translation.override(language):
        told = announcement(event, actor)
    if told is not None:
        body |= {"toast": told.text, "tone": told.tone, "url": told.url}
    return f"id: {event.pk}\nevent: ledger\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def still(request: HttpRequest, before: Actor) -> Actor:
    """Who asks, read anew: a session that was ended, a role that was taken or a token that was revoked is nobody.

    Who it was `before` while the database does not answer: it tells nothing new either.
    """
    close_old_connections()
    try:
        header = request.headers.get("Authorization", "")
        if header:
            return actor_for_authorization(header)
        request.session = type(request.session)(request.session.session_key)
        user = get_user(request)
        return actor_for_user(user) if isinstance(user, User) else NOBODY
    except Problem:  # a token that is no longer good
        return NOBODY
    except DatabaseErrors:
        log.warning("who listens could not be asked: the database does not answer", exc_info=True)
        return before
    finally:
        close_old_connections()


async def _stream(
    request: HttpRequest, actor: Actor, language: str, about: str, after_id: int | None
) -> AsyncIterator[str]:
    hub = feed()
    queue = hub.join()
    started = asked = time.monotonic()
    meters.STREAMS.add()
    try:
        yield "retry: 2000\nevent: hello\ndata: {}\n\n"
        if after_id is not None:
            for happening in await sync_to_async(missed, thread_sensitive=False)(after_id):
                if wanted(happening, about):
                    yield message(happening, actor, language)
        while time.monotonic() - started < LIFETIME_SECONDS:
            told: Happening | Delivery | None = None
            try:
                # Not wait_for: when news come in the moment the page goes, it takes them and forgets that it was ended.
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    told = await queue.get()
            except TimeoutError:
                pass
            if time.monotonic() - asked >= ASK_AGAIN_SECONDS:
                actor, asked = await sync_to_async(still, thread_sensitive=False)(request, actor), time.monotonic()
                if not allows_anywhere(actor, "ledger.view"):
                    return  # the page connects again and is told why it may not
            if told is None:
                yield ": still here\n\n"
            elif isinstance(told, Delivery):
                if told.user_id == actor.user_id:
                    yield "event: inbox\ndata: {}\n\n"
            elif wanted(told, about):
                yield message(told, actor, language)
    finally:
        meters.STREAMS.add(amount=-1.0)
        hub.leave(queue)


def _resume_from(request: HttpRequest) -> int | None:
    text = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def events(request: HttpRequest) -> HttpResponseBase:
    """GET /live/events?about=<ref>: the stream. 401 signed out, 403 without ledger.view, 400 for a bad ref."""
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind == "nobody":
        return HttpResponse(status=401)
    if not allows_anywhere(actor, "ledger.view"):
        return HttpResponse(status=403)
    about = request.GET.get("about", "")
    if about and not is_ref(about):
        return HttpResponse("about is not a ref", status=400, content_type="text/plain")
    language = getattr(request, "LANGUAGE_CODE", "") or translation.get_language() or "en"
    response = StreamingHttpResponse(
        _stream(request, actor, language, about, _resume_from(request)), content_type="text/event-stream"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


events.permission = "ledger.view"  # type: ignore[attr-defined]  # read by the test that walks every URL
