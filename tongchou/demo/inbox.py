"""A receiver of webhook notices in Alertmanager's format: it counts what really arrives."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """Listens on a free loopback port while it is used as a context manager.

    A notice sent again under the same `webhook-id` counts once. Each call arrives in a thread of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self.notices: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where notices go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/notices"

    def take(self, notice_id: str, notice: dict[str, Any]) -> None:
        """Keep a notice unless one of this id (empty: none) was taken before."""
        with self._lock:
            if notice_id and notice_id in self._seen:
                return
            self._seen.add(notice_id)
            self.notices.append(notice)

    def empty(self) -> None:
        """Forget what arrived so far."""
        with self._lock:
            self.notices.clear()

    def counts(self) -> dict[str, int]:
        """Notices by status: firing, resolved."""
        with self._lock:
            told = [str(each.get("status")) for each in self.notices]
        return {status: told.count(status) for status in ("firing", "resolved")}

    def unended(self) -> list[str]:
        """Keys of the groups whose last notice is not their end."""
        with self._lock:
            last = {str(each.get("groupKey")): str(each.get("status")) for each in self.notices}
        return [key for key, status in last.items() if status != "resolved"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10.0

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), 4_000_000)
                try:
                    notice = json.loads(self.rfile.read(length))
                except ValueError:
                    self.send_error(400)
                    return
                inbox.take(self.headers.get("webhook-id", ""), notice)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing on the terminal."""

        return Handler
