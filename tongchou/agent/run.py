"""The life of the agent: read, send, wait. What could not be sent is not kept: the next reading says it better."""

from __future__ import annotations

import logging
import random
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tongchou import __version__
from tongchou.agent.options import Options, WrongError
from tongchou.agent.send import RefusedError, UndeliveredError, send
from tongchou.wire.host import reading
from tongchou.wire.host.facts import REFUSED as REFUSED_BY_SYSTEM

log = logging.getLogger("tongchou.agent")

SENT, UNDELIVERED, WRONG, REFUSED, BROKEN = 0, 1, 2, 3, 70  # exit codes
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 2.0, 300.0
REFUSED_SECONDS = 60.0  # a token is not made valid within seconds
MOST_TRACKED_BYTES = 8_000_000  # of the table of connections: some 40,000 flows
NAME_SECONDS, NAME_AGAIN_SECONDS = 3.0, 3600.0
STOP_SECONDS = 1.0


class Agent:
    """One run: reports are numbered from 1."""

    def __init__(self, options: Options, *, sleep: Callable[[float], bool] | None = None) -> None:
        self.options = options
        self.stopped = threading.Event()
        self.exit_code = SENT
        self._sleep = sleep or self.stopped.wait
        self._run, self._number = uuid.uuid4().hex, 0
        self._failures = 0
        self._told = ""
        self._fqdn, self._fqdn_until = "", 0.0

    def report(self) -> dict[str, Any]:
        """Return a reading of this moment as a report."""
        self._number += 1
        at = datetime.now(UTC).isoformat()
        read = reading.read(most_tracked_bytes=MOST_TRACKED_BYTES)
        machine = read["machine"]
        if self.options.name:
            machine["hostname"] = self.options.name
        full = self._full_name(machine["hostname"])
        if full:
            machine["fqdn"] = full
        return {
            "run": self._run,
            "number": self._number,
            "at": at,
            "agent": __version__,
            "interval_seconds": self.options.interval_seconds,
            "reading": read,
        }

    def loop(self) -> None:
        """Report until stopped."""
        while not self.stopped.is_set():
            wait = self.turn()
            if self.options.once or self._sleep(wait):
                return

    def turn(self) -> float:
        """Read and send once; return how many seconds to wait before the next time."""
        try:
            send(self.options, self.report())
        except UndeliveredError as error:
            return self._failed(UNDELIVERED, str(error), error.after_seconds)
        except RefusedError as error:
            return self._failed(REFUSED, str(error), REFUSED_SECONDS)
        except WrongError as error:
            return self._failed(WRONG, str(error), REFUSED_SECONDS)
        except REFUSED_BY_SYSTEM as error:
            return self._failed(UNDELIVERED, f"this machine cannot be read: {type(error).__name__}: {error}", 0.0)
        if self._told or self._number == 1:
            log.info("reporting to %s every %g s", self.options.shown, self.options.interval_seconds)
        self._failures, self._told, self.exit_code = 0, "", SENT
        return self.options.interval_seconds * random.uniform(0.9, 1.1)  # noqa: S311  # spread, not a secret

    def _failed(self, code: int, why: str, least_seconds: float) -> float:
        """Say why, once as long as it stays the same, and wait longer each time, never all machines at once."""
        self.exit_code = code
        if why != self._told:
            log.error("%s", why)
            self._told = why
        longest = min(MOST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return max(least_seconds, longest / 2) + random.uniform(0, longest / 2)  # noqa: S311  # spread, not a secret

    def _full_name(self, name: str) -> str:
        """The name with its domain, as the resolver knows it; "" where it does not say so within seconds."""
        if "." in name:
            return name
        if time.monotonic() >= self._fqdn_until:
            self._fqdn, self._fqdn_until = _resolved(name), time.monotonic() + NAME_AGAIN_SECONDS
        return self._fqdn


def _resolved(name: str) -> str:
    found: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        except (OSError, UnicodeError):
            return
        found.extend(each[3] for each in answers if each[3])

    asking = threading.Thread(target=ask, daemon=True, name="resolver")
    asking.start()
    asking.join(NAME_SECONDS)
    return next((each[:128] for each in found if each.lower().startswith(f"{name.lower()}.")), "")


def run(options: Options) -> int:
    """Report until a signal comes; return the exit code. A talk in progress does not hold the end up."""
    agent = Agent(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_told: agent.stopped.set())
    working = threading.Thread(target=_worked, args=(agent,), daemon=True, name="agent")
    working.start()
    agent.stopped.wait()
    working.join(STOP_SECONDS)
    return agent.exit_code if options.once or agent.exit_code == BROKEN else SENT


def _worked(agent: Agent) -> None:
    try:
        agent.loop()
    except Exception:
        log.exception("the agent broke")
        agent.exit_code = BROKEN
        raise
    finally:
        agent.stopped.set()
