"""HTTP as uvicorn reads it by httptools, with what that lacks: bounds on heads and trailers, and bodies beside Upgrade.

httptools takes a request that asks for another protocol for one without a body; what follows would be lost, or be read
as a request of its own. Some clients ask with every request (h2c), so such a connection is read by h11 from there on.
"""

from __future__ import annotations

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 65_536  # of a request line with its headers; of the trailers of a chunked body
_END = b"\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: 40\r\n\r\nThe headers are longer than 65536 bytes\n"
)


class _RefusedError(Exception):
    """Ends the reading of a request; uvicorn answers 400 and closes."""


class BoundedHeads(HttpToolsProtocol):
    """One connection. A head is gathered before it is read, but for one that came behind another request."""

    _between = True  # what comes next is a head
    _in_head = False
    _bytes = 0  # of this head or these trailers
    _fruitless = 0  # bytes read since the parser last told of anything

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]  # whatever uvicorn gives
        self._head = bytearray()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._between:
            gathered = self._gather(data)
            if gathered is None:
                return
            data = gathered
        self._fruitless += len(data)
        super().data_received(data)
        if self._fruitless > MOST_BYTES and not self.transport.is_closing():
            self._refuse()

    def _gather(self, data: bytes) -> bytes | None:
        """Return what can be read once the head has its end; None when it has none yet, or others read it."""
        looked_at = max(0, len(self._head) - len(_END))
        self._head += data if self._head else data.lstrip(b"\r\n")  # empty lines before a request are nothing
        end = self._head.find(_END, looked_at)
        if end < 0:
            end = self._head.find(b"\n\n", looked_at)  # no HTTP: the parser says so
        if end > MOST_BYTES or (end < 0 and len(self._head) > MOST_BYTES):
            self._refuse()
            return None
        if end < 0:
            self._unset_keepalive_if_required()
            return None
        found = bytes(self._head)
        self._head.clear()
        if found.startswith(b"CONNECT ") or b"\nupgrade:" in found[:end].lower():
            self._hand_over(found)
            return None
        self._between = False
        return found

    def _hand_over(self, data: bytes) -> None:
        """Let h11 read this connection from here on."""
        self._unset_keepalive_if_required()
        if self._at_work():
            self.transport.close()
            return
        self.connections.discard(self)
        other = H11Protocol(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)

    def _at_work(self) -> bool:
        """Whether an answer to an earlier request is on its way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self) -> None:
        if not self._at_work():  # else it would stand in the middle of that answer
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        if self._at_work():
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._fruitless = 0
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise _RefusedError("headers or trailers are too long")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._between, self._in_head, self._bytes, self._fruitless = False, True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is counted and dropped, for nobody asks for one and a proxy has not looked at it."""
        self._count(len(name) + len(value) + 4)
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What follows is the body; its size is the application's concern."""
        self._in_head, self._bytes, self._fruitless = False, 0, 0
        if self.parser.should_upgrade():  # behind another request, where `_gather` did not see it
            raise _RefusedError("a request for another protocol behind another request")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read; the next bytes begin another."""
        self._between, self._fruitless = True, 0
        super().on_message_complete()
