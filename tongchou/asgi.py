"""The ASGI application uvicorn serves."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import IO, Any, cast

import django
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

from tongchou.wire.asgi import CLIENT_GONE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

MAX_IDLE_THREADS = 16
COROUTINES = ("/live/",)  # where views may be coroutines; a test walks all addresses


class ThreadReusingHandler(ASGIHandler):
    """Django's ASGI handler, but a request takes over the thread of one that has ended.

    Django gives every request a new thread, and with it a new database connection (3 to 4 ms); here both live on, so
    CONN_MAX_AGE means something. Runs on one event loop; a request that streams keeps its thread to itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._idle: deque[ThreadSensitiveContext] = deque()
        self._whole = BaseHandler()
        self._whole.load_middleware(is_async=False)
        self._in_its_thread = sync_to_async(self._answer, thread_sensitive=True)
        self._answered_quickly = import_string("tongchou.quickly.answered")  # it needs Django to be set up

    async def handle(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request by going to its thread once.

        Django goes there five times: to tell that the request began, for the middleware, from there back for the
        view, and to tell that it ended. That was more than half of what a small request took. Only views that are
        coroutines need it.
        """
        if scope["path"].startswith(COROUTINES):
            await super().handle(scope, receive, send)
            return
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        set_script_prefix(get_script_prefix(scope))
        leaving = asyncio.ensure_future(receive())  # read on, so that a client that goes away is noticed
        try:
            response = await self._in_its_thread(scope, body)
            if response.streaming:
                await self._stream(response, send, leaving)
            else:
                await self.send_response(response, send)
        finally:
            leaving.cancel()
            body.close()

    def _answer(self, scope: dict[str, Any], body: IO[bytes]) -> HttpResponseBase:
        """All of a request that is done in its thread; what is not streamed is over when this returns."""
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refused = self.create_request(scope, body)
        response = cast("HttpResponseBase", refused if request is None else self._whole.get_response(request))
        response._handler_class = self.__class__  # type: ignore[attr-defined]  # noqa: SLF001  # Django's own way to name the sender
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            response.close()
        return response

    async def _stream(self, response: HttpResponseBase, send: Send, leaving: asyncio.Future[Any]) -> None:
        """Send what is made while it is sent, until the client leaves."""
        sending = asyncio.ensure_future(self.send_response(response, send))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            await sync_to_async(response.close, thread_sensitive=True)()

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"Django answers HTTP only, not {scope['type']}")
        unanswered: Receive | None = await self._answered_quickly(scope, receive, send)
        if unanswered is None:
            return
        context = self._idle.pop() if self._idle else ThreadSensitiveContext()
        token = SyncToAsync.thread_sensitive_context.set(context)
        gone = threading.Event()
        answered = False

        async def watched() -> Mapping[str, Any]:
            message = await unanswered()
            # Servers say the same of a connection whose answer is complete; that client has not gone anywhere.
            if message["type"] == "http.disconnect" and not answered:
                gone.set()
            return message

        async def sending(message: Mapping[str, Any]) -> None:
            nonlocal answered
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered = True
            await send(message)

        try:
            await self.handle({**scope, CLIENT_GONE: gone}, watched, sending)
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            # The thread of a request whose client has gone may still be at work: it takes no other.
            if len(self._idle) < MAX_IDLE_THREADS and not gone.is_set():
                self._idle.append(context)
            else:
                executor = SyncToAsync.context_to_thread_executor.pop(context, None)
                if executor is not None:
                    executor.shutdown(wait=False)


class OnlyHealth:
    """Answers for itself and its metrics, and for nothing else: a worker has no pages and no API."""

    PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

    def __init__(self, inner: ThreadReusingHandler) -> None:
        self._inner = inner

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http" and scope["path"] not in self.PATHS:
            body = b"This node is a worker: it has no pages and no API. Ask a node of the role web or all.\n"
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._inner(scope, receive, send)


django.setup(set_prefix=False)
application = ThreadReusingHandler()
worker_application = OnlyHealth(application)
