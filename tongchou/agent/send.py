"""Sends one report and says what came of it. One connection a report: no redirect is followed, no proxy is asked."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tongchou import __version__
from tongchou.agent.options import Options, token

PATH = "/api/v1/agent/report"
CONNECT_SECONDS = 10.0  # and each wait for bytes
WHOLE_SECONDS = 30.0
MOST_ANSWER_BYTES = 65_536
MOST_WORDS = 500  # of an answer, in the log
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507})


class UndeliveredError(Exception):
    """It did not arrive, or cannot be taken now: try again. `after_seconds`: when the platform says so, else 0."""

    def __init__(self, why: str, after_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


class RefusedError(Exception):
    """The platform understood, and does not want it: the same again will not do. Says what to do."""


def send(options: Options, report: Mapping[str, Any]) -> bool:
    """Send a report; return whether it was stored (False: it, or a newer one, was known already).

    Raises UndeliveredError, RefusedError, and options.WrongError for the token file.
    """
    body = gzip.compress(json.dumps(report, separators=(",", ":")).encode(), 6, mtime=0)
    headers = {
        "Authorization": f"Bearer {token(options.token_file)}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "User-Agent": f"tongchou-agent/{__version__}",
        "Connection": "close",
    }
    status, after, answer = _ask(options, body, headers)
    if status == 200:
        return _stored(answer)
    why = f"{options.shown} answers {status}: {_words(answer)}"
    if status in PASSING:
        raise UndeliveredError(why, after)
    if 300 <= status < 400:
        raise RefusedError(f"{why}; redirects are not followed: give --url the address it leads to")
    if status in (401, 403):
        raise RefusedError(f"{why}; see that the token in {options.token_file} is valid and has the scope agent")
    raise RefusedError(why)


def _ask(options: Options, body: bytes, headers: Mapping[str, str]) -> tuple[int, float, bytes]:
    connection: http.client.HTTPConnection
    if options.tls is not None:
        connection = http.client.HTTPSConnection(
            options.host, options.port, timeout=CONNECT_SECONDS, context=options.tls
        )
    else:
        connection = http.client.HTTPConnection(options.host, options.port, timeout=CONNECT_SECONDS)
    held: list[socket.socket] = []  # http.client forgets it once the headers are there
    whole = threading.Timer(WHOLE_SECONDS, _cut, (connection, held))
    whole.daemon = True
    whole.start()
    try:
        connection.connect()
        held.append(connection.sock)
        connection.request("POST", f"{options.path}{PATH}", body, dict(headers))
        response = connection.getresponse()
        return response.status, _seconds(response.headers.get("Retry-After", "")), response.read(MOST_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:  # a socket cut in the middle is a ValueError
        raise UndeliveredError(f"{options.shown}: {error or type(error).__name__}") from error
    finally:
        whole.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection, held: Sequence[socket.socket]) -> None:
    """End a talk that takes too long: one that trickles keeps each single wait short."""
    for sock in held or filter(None, (connection.sock,)):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _seconds(text: str) -> float:
    return min(600.0, float(text)) if text.isascii() and text.isdigit() else 0.0


def _stored(answer: bytes) -> bool:
    try:
        found = json.loads(answer)["stored"]
    except (ValueError, LookupError, TypeError) as error:
        raise RefusedError("the answer is not one of the platform: see what --url leads to") from error
    return bool(found)


def _words(answer: bytes) -> str:
    """What a problem says for people; the beginning of an answer that is none."""
    text = answer.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        parts = [told.get(each) for each in ("detail", "field", "value", "remedy")]
        text = " / ".join(str(each) for each in parts if each)
    except (ValueError, AttributeError):
        pass
    return "".join(each if each.isprintable() else " " for each in text[:MOST_WORDS]) or "nothing"
