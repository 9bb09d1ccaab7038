"""HTTP over a unix socket: GET, one connection a question, within seconds and bytes."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Unavailable

ANSWER_SECONDS = 20.0
MAX_BYTES = 32_000_000
CHUNK_BYTES = 65_536


class _Connection(http.client.HTTPConnection):
    """A connection to a socket of this host."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(path: str, place: str) -> Any:
    """Return the JSON at `place` of the engine behind a socket. Raises Unavailable with a remedy."""
    until = time.monotonic() + ANSWER_SECONDS
    connection = _Connection(path, ANSWER_SECONDS)
    try:
        connection.request("GET", place, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        body = bytearray()  # bytes would be copied whole with every chunk
        while chunk := answer.read(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BYTES or time.monotonic() > until:
                raise _unavailable(path, place, _("the answer is too long, or takes too long"))
        if answer.status != 200:
            raise _unavailable(path, place, _("it answered %(status)s instead of 200") % {"status": answer.status})
        return json.loads(body)
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(path, place, f"{type(error).__name__}: {error}"[:200]) from error
    except (ValueError, RecursionError) as error:
        raise _unavailable(path, place, _("the answer is no JSON")) from error
    finally:
        connection.close()


def _unavailable(path: str, place: str, why: Any) -> Unavailable:
    return Unavailable(
        "docker.failed",
        _("%(url)s could not be read: %(detail)s") % {"url": f"{path} {place}", "detail": why},
        field="settings.socket",
        value=path,
        remedy=_("See that Docker runs and that the service's user is in its group; nothing known was changed."),
    )
