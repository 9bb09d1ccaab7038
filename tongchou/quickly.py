"""Requests that are answered in the event loop, before Django: of machines that send the same thing all day long.

What an answerer does must take a millisecond at most and ask no database. It answers None for everything that is not as
usual, and then Django answers: the two ways must not differ in what they let in.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host

from tongchou.core import log_lines, modules
from tongchou.core.access import Actor
from tongchou.middleware import REQUEST_ID_HEADER, note_request, request_id_of

MAX_BYTES = 1_000_000  # of a body; a longer one takes a thread
LET_IN_SECONDS = 1.0  # so long who sent a token counts as let in: a revoked one ends a second later at most
MAX_SENDERS = 1000

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
Answerer = Callable[[Headers, bytes], Awaitable[tuple[Actor, HttpResponse] | None]]

_answerers: dict[str, Answerer] = {}


def answers(path: str, answerer: Answerer) -> None:
    """Let POST requests of this path be offered to `answerer(headers, body)` first."""
    _answerers[path] = answerer


def answerer_of(method: str, path: str) -> Answerer | None:
    """Return who is to be asked first; None for nearly every request."""
    return _answerers.get(path) if method == "POST" else None


class LetIn:
    """Who was let in a moment ago, by their Authorization header. Used from threads and from the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._actors: OrderedDict[bytes, tuple[float, Actor]] = OrderedDict()

    def now(self) -> float:
        """The time, as `remember` wants it."""
        return self._clock()

    def remember(self, authorization: bytes, actor: Actor, at: float) -> None:
        """This header was checked against the database at that time, or before it."""
        held = self._actors.get(authorization)
        if held is not None and held[0] > at:
            return
        self._actors[authorization] = (at, actor)
        while len(self._actors) > MAX_SENDERS:
            self._actors.popitem(last=False)

    def actor(self, authorization: bytes) -> Actor | None:
        """Return who it is, None when that was checked too long ago."""
        found = self._actors.get(authorization)
        return found[1] if found is not None and self._clock() - found[0] < LET_IN_SECONDS else None


async def answered(scope: Mapping[str, Any], receive: Receive, send: Send) -> Receive | None:
    """Answer the request and return None, or return what is to be received instead: the body from its beginning."""
    answerer = answerer_of(scope["method"], scope["path"])
    if answerer is None:
        return receive
    began = time.monotonic()
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > MAX_BYTES:
            return _again({**message, "body": body}, receive)
        if not message.get("more_body", False):
            break
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"")
    usual = len(headers) == len(scope["headers"]) and len(host) < 256 and _allowed(host, tuple(settings.ALLOWED_HOSTS))
    answer = await answerer(headers, body) if usual and modules.of_path(scope["path"]) is None else None
    if answer is None:
        return _again({**message, "body": body}, receive)
    actor, response = answer
    request_id = request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))
    with log_lines.about(request_id=request_id, path=scope["path"]):
        note_request("POST", scope["path"], actor, response.status_code, time.monotonic() - began)
    response.headers[REQUEST_ID_HEADER] = request_id
    if response.status_code == 204:
        del response.headers["Content-Type"]
    else:
        response.headers["Content-Length"] = str(len(response.content))
    named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": named})
    await send({"type": "http.response.body", "body": response.content})
    return None


@lru_cache(maxsize=256)
def _allowed(host: bytes, hosts: tuple[str, ...]) -> bool:
    """Whether Django would take a request for this host."""
    return validate_host(split_domain_port(host.decode("latin-1"))[0], hosts)


def _again(first: Mapping[str, Any], receive: Receive) -> Receive:
    read = [first]

    async def receiving() -> Mapping[str, Any]:
        return read.pop() if read else await receive()

    return receiving
