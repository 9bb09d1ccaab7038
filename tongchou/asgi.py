"""The ASGI application uvicorn serves."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")

MAX_IDLE_THREADS = 16


class ThreadReusingHandler(ASGIHandler):
    """Django's ASGI handler, but a request takes over the thread of one that has ended.

    Django gives every request a new thread, and with it a new database connection (3 to 4 ms); here both live on, so
    CONN_MAX_AGE means something. Runs on one event loop; a request that streams keeps its thread to itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._idle: deque[ThreadSensitiveContext] = deque()

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"Django answers HTTP only, not {scope['type']}")
        context = self._idle.pop() if self._idle else ThreadSensitiveContext()
        token = SyncToAsync.thread_sensitive_context.set(context)
        try:
            await self.handle(scope, receive, send)
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            if len(self._idle) < MAX_IDLE_THREADS:
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
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
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
