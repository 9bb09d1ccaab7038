"""What every shop process has: its settings, an HTTP port with /metrics and /healthz, RED metrics, a JSON log.

A process sheds load instead of queueing without end: at most LIMIT requests run, at most QUEUE wait (a service may set
less), the rest get 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tongchou.demo.shop.http1 import Client, Handler, Request, Response, Server, answer, problem
from tongchou.demo.shop.metrics import CONTENT_TYPE, Registry, add_process_metrics

LIMIT = 64
QUEUE = 256
LOG_BYTES = 8_000_000
LEAK_LIMIT_BYTES = 400_000_000  # a leak stops growing here: the fault is for the shop, not for the machine it runs on
_QUIET = ("/metrics", "/healthz", "/role", "/replicate", "/switches")  # neither limited nor counted as work


@dataclass(slots=True)
class Settings:
    """One process's settings, as the supervisor writes them; addresses are `host:port`."""

    name: str
    service: str
    kind: str
    port: int
    version: str
    folder: str
    token: str
    supervisor: str
    peers: dict[str, dict[str, str]]  # service -> process name -> address
    switches: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read what the supervisor wrote for this process."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def others(self, service: str) -> list[str]:
        """Addresses of the service's processes; where a load balancer stands before it, the balancer's alone."""
        through = self.options.get("through", {}).get(service)
        return [str(through)] if through else list(self.peers.get(service, {}).values())


class Log:
    """JSON lines to `<folder>/logs/<name>.jsonl` and to stdout; the file is rotated once at LOG_BYTES."""

    def __init__(self, settings: Settings) -> None:
        folder = Path(settings.folder) / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{settings.name}.jsonl"
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        self._fixed = {"service": settings.service, "instance": settings.name, "version": settings.version}

    def write(self, level: str, message: str, **fields: object) -> None:
        """One line; `level` is debug, info, warning or error."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": now, "level": level, **self._fixed, "msg": message, **fields}, ensure_ascii=False)
        with contextlib.suppress(OSError):  # a full disk must not stop the shop from selling
            if self._file.tell() > LOG_BYTES:
                self._file.close()
                self._path.replace(self._path.with_suffix(".1.jsonl"))
                self._file = self._path.open("a", encoding="utf-8", buffering=1)
            self._file.write(line + "\n")
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def info(self, message: str, **fields: object) -> None:
        """What an operator wants to see on a good day."""
        self.write("info", message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        """Something went wrong and was dealt with."""
        self.write("warning", message, **fields)

    def error(self, message: str, **fields: object) -> None:
        """A customer or an order is affected."""
        self.write("error", message, **fields)


class Frame:
    """Routes and background tasks of one process; a service registers its handlers and calls `run`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = Log(settings)
        self.client = Client(settings.name)
        self.registry = Registry()
        self.routes: dict[tuple[str, str], Handler] = {}
        self.tasks: list[Callable[[], Awaitable[None]]] = []
        self.closing: list[Callable[[], None]] = []
        self.switches: dict[str, float] = dict(settings.switches)
        self._leaked: list[bytes] = []
        self._slots, self._queue = asyncio.Semaphore(LIMIT), QUEUE
        self._running = 0
        self._waiting = 0
        self._define_metrics()
        self.route("GET", "/metrics", self._metrics)
        self.route("GET", "/healthz", self._healthz)
        self.guarded("POST", "/switches", self._set_switches)

    def _define_metrics(self) -> None:
        registry = self.registry
        add_process_metrics(registry)
        registry.gauge("service_info", "Always 1; the version this process runs.", ("version",)).set(
            1, self.settings.version
        )
        self._requests = registry.counter("http_requests_total", "Requests answered.", ("method", "route", "code"))
        self._seconds = registry.histogram("http_request_duration_seconds", "Time to answer.", ("method", "route"))
        in_flight = registry.gauge("http_requests_in_flight", "Requests being worked on.")
        queued = registry.gauge("http_requests_queued", "Requests waiting for a free slot.")
        self._limit = registry.gauge("http_requests_limit", "Requests worked on at once at most.")
        self._limit.set(LIMIT)
        self._calls = registry.counter("http_client_requests_total", "Calls to other services.", ("peer", "code"))
        self._call_seconds = registry.histogram("http_client_request_duration_seconds", "Time of calls.", ("peer",))

        def refresh() -> None:
            in_flight.set(self._running)
            queued.set(self._waiting)

        registry.before.append(refresh)

    def limit(self, requests: int, waiting: int) -> None:
        """Work on so many requests at once at most, let so many wait; before the first request."""
        self._slots, self._queue = asyncio.Semaphore(requests), waiting
        self._limit.set(requests)

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Answer `method path` with `handler`; a path ending in /* takes one more segment."""
        self.routes[method, path] = handler

    def guarded(self, method: str, path: str, handler: Handler) -> None:
        """Like `route`, for callers that bring the shop's control token."""

        async def check(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.settings.token}".encode()):
                return problem(401, "this switch needs the shop's control token as a bearer token")
            return await handler(request)

        self.route(method, path, check)

    async def call(
        self, peer: str, method: str, address: str, path: str, body: object | None = None, timeout_seconds: float = 2.0
    ) -> Response:
        """Call another service and count it under `peer`. Raises CallFailed."""
        start, code = time.perf_counter(), "none"
        try:
            response = await self.client.call(method, address, path, body, timeout_seconds=timeout_seconds)
            code = str(response.status)
            return response
        finally:
            self._calls.add(1, peer, code)
            self._call_seconds.observe(time.perf_counter() - start, peer)

    async def handle(self, request: Request) -> Response:
        """Route, limit, measure."""
        name, handler = self._match(request)
        if handler is None:
            return problem(404, f"nothing at {request.method} {request.path}")
        if name in _QUIET:
            return await handler(request)
        if self._waiting >= self._queue:
            self._requests.add(1, request.method, name, "503")
            return problem(503, "too many requests are waiting")
        start = time.perf_counter()
        self._waiting += 1
        async with self._slots:
            self._waiting -= 1
            self._running += 1
            try:
                response = await self._work(handler, request)
            finally:
                self._running -= 1
        elapsed = time.perf_counter() - start
        self._requests.add(1, request.method, name, str(response.status))
        self._seconds.observe(elapsed, request.method, name)
        if response.status >= 500:
            self.log.error(
                "request failed",
                method=request.method,
                route=name,
                status=response.status,
                seconds=round(elapsed, 4),
                detail=response.body.decode(errors="replace")[:300],
            )
        return response

    async def _work(self, handler: Handler, request: Request) -> Response:
        if delay := self.switches.get("delay_seconds", 0.0):
            await asyncio.sleep(delay)
        if leak := int(self.switches.get("leak_bytes_per_request", 0)):
            self._leak(leak)
        return await handler(request)

    def _leak(self, size_bytes: int) -> None:
        if (len(self._leaked) + 1) * size_bytes <= LEAK_LIMIT_BYTES:
            self._leaked.append(b"\x01" * size_bytes)  # not zeros: pages of zeros need not be resident

    def _match(self, request: Request) -> tuple[str, Handler | None]:
        exact = self.routes.get((request.method, request.path))
        if exact is not None:
            return request.path, exact
        general = request.path.rsplit("/", 1)[0] + "/*"
        return general, self.routes.get((request.method, general))

    async def _metrics(self, _request: Request) -> Response:
        return Response(200, self.registry.render(), CONTENT_TYPE)

    async def _healthz(self, _request: Request) -> Response:
        return answer(
            {"status": "ok", "name": self.settings.name, "version": self.settings.version, "pid": os.getpid()}
        )

    async def _set_switches(self, request: Request) -> Response:
        for name, value in request.json().items():
            if not isinstance(value, int | float):
                return problem(422, f"{name} is not a number")
            self.switches[name] = float(value)
        if not self.switches.get("leak_bytes_per_request"):
            self._leaked.clear()
        return answer(self.switches)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then close in order."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = Server(self.handle)
        await server.start(self.settings.port)
        self.log.info("started", pid=os.getpid(), port=self.settings.port)
        tasks = [asyncio.create_task(_forever(task, self.log)) for task in self.tasks]
        await stop.wait()
        await server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.log.info("stopped")
        self.close()

    def close(self) -> None:
        """Give files and connections back; nothing works afterwards."""
        for close in self.closing:
            close()
        self.client.close()
        self.log.close()


async def _forever(task: Callable[[], Awaitable[None]], log: Log) -> None:
    """Run a background task; when it fails say so and start it again: half a process is worse than a noisy one."""
    while True:
        try:
            await task()
            return
        except (OSError, ValueError, RuntimeError) as error:
            log.error("background task failed", task=getattr(task, "__qualname__", str(task)), error=repr(error))
            await asyncio.sleep(1.0)
