"""Requests of the library go out by the one door: core.http with its SSRF guard, deadline and size cap."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter

from tongchou.core import http

TIMEOUT_SECONDS = 8.0
MAX_BYTES = 1_000_000


class Guarded(BaseAdapter):
    """A transport of `requests` over core.http; redirects are not followed: a provider's endpoints do not wander."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request. Raises requests.ConnectionError with the reason in words."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        if body is not None and not isinstance(body, bytes):
            raise requests.ConnectionError("a body that is no text is not sent")
        own = {"accept-encoding", "connection", "host", "content-length", "user-agent"}
        headers = {str(name): str(value) for name, value in request.headers.items() if str(name).lower() not in own}
        try:
            answer = http.fetch(
                request.method or "GET",
                str(request.url),
                purpose="oidc",
                headers=headers,
                body=body or None,
                timeout_seconds=TIMEOUT_SECONDS,
                max_bytes=MAX_BYTES,
            )
        except http.HttpError as error:
            raise requests.ConnectionError(str(error)) from error
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, answer.url, request
        response.headers.update({name: value for name, value in answer.headers.items() if name != "content-encoding"})
        response.raw = BytesIO(answer.body)
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def session() -> requests.Session:
    """Return a session that can reach nothing but by core.http, and reads no proxy or netrc of the environment."""
    made = requests.Session()
    made.trust_env = False
    for prefix in ("http://", "https://"):
        made.mount(prefix, Guarded())
    return made
