"""A real SMTP server on loopback that keeps what it is given and answers as a test scripts."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Sink:
    """Mails in ``mails`` as (sender, recipients, bytes); ``answers``: command -> the line said instead of 250."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, drip: bool = False, **answers: str
    ) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.commands: list[str] = []
        self.tls, self.implicit, self.drip, self.answers = tls, implicit, drip, answers
        self.port = 0

    def parsed(self) -> list[EmailMessage]:
        return [message_from_bytes(each[2], policy=policy.default) for each in self.mails]  # type: ignore[misc]  # the policy's class

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, to = "", []
        secure = self.implicit
        if self.drip:
            while True:
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.write(b"220 sink\r\n")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            word = line.split()[0].upper()
            said = self.answers.get(word, "250 fine")
            if word == "EHLO":
                starttls = "250-STARTTLS\r\n" if self.tls and not secure else ""
                said = f"250-sink\r\n250-AUTH PLAIN\r\n{starttls}250 8BITMIME"
            elif word == "STARTTLS" and self.tls:
                writer.write(b"220 go\r\n")
                await writer.start_tls(self.tls)
                secure = True
                continue
            elif word == "AUTH":
                said = self.answers.get(word, "235 welcome")
            elif word == "MAIL":
                sender = line[line.index("<") + 1 : line.index(">")]
            elif word == "RCPT":
                address = line[line.index("<") + 1 : line.index(">")]
                said = self.answers.get(address, said)
                if said.startswith("250"):
                    to.append(address)
            elif word == "DATA" and said.startswith("250"):
                writer.write(b"354 go\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append((sender, to, body[:-5]))
            writer.write(said.encode() + b"\r\n")
            await writer.drain()
        writer.close()


@contextmanager
def listening(sink: Sink) -> Iterator[Sink]:
    """The sink listens inside the with."""
    loop = asyncio.new_event_loop()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await sink.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, as some tests want
        finally:
            writer.close()

    server = loop.run_until_complete(
        asyncio.start_server(talk, "127.0.0.1", 0, ssl=sink.tls if sink.implicit else None)
    )
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def stop() -> None:
        server.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        yield sink
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
