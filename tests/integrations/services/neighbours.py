"""Servers that do not do what one hopes, and servers that give one answer: threads of the test on free ports."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket], None]


def silent(peer: socket.socket) -> None:
    peer.settimeout(5)
    while peer.recv(4096):
        pass


def closing(peer: socket.socket) -> None:
    peer.close()


def flooding(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"\x0a" + b"A" * 65_535)


def endless_line(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"A" * 65_536)


def dripping(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"I")
        time.sleep(0.05)


def web(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def mail(peer: socket.socket) -> None:
    peer.sendall(b"220 mail.example.com ESMTP\r\n")
    silent(peer)


def answering(*answers: bytes, greets: bool = False) -> Behaviour:
    """Answer what comes in with these, one after the other; the first unasked where it `greets`."""

    def answer(peer: socket.socket) -> None:
        peer.settimeout(5)
        for number, each in enumerate(answers):
            if number or not greets:
                peer.recv(4096)
            peer.sendall(each)
        silent(peer)

    return answer


@contextmanager
def listening(behaviour: Behaviour) -> Iterator[int]:
    """Return the port of a server that behaves so to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peers: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    peer, _address = server.accept()
                except OSError:
                    return
                peers.append(peer)
                threading.Thread(target=one, args=(peer,), daemon=True).start()

        def one(peer: socket.socket) -> None:
            with contextlib.suppress(OSError), peer:
                behaviour(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for peer in peers:
                peer.close()
