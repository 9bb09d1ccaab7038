"""The release tool: puts versions of a service live by restarting its processes one after the other, and back.

It knows builds (a version and how that build behaves), keeps the history of deployments, and tells the operations
platform about each one: a signed event, delivered at least once, under one delivery id however often it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.http1 import CallFailed, Request, Response, answer, problem

FIRST_VERSION = "1.0.0"
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS build (service TEXT, version TEXT, switches TEXT NOT NULL, PRIMARY KEY (service, version));
CREATE TABLE IF NOT EXISTS deployment (id INTEGER PRIMARY KEY, service TEXT NOT NULL, version TEXT NOT NULL,
    previous_version TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, actor TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, key TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS outbox (delivery_id TEXT PRIMARY KEY, body TEXT NOT NULL, attempts INTEGER NOT NULL,
    delivered_at TEXT);
"""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC over `timestamp.body`, as the platform's deployment hook checks it."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Release:
    """Routes: /builds, /deploy, /rollback, /history, /webhook."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._db = sqlite3.connect(Path(frame.settings.folder) / "releases.sqlite3", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._webhook: tuple[str, str] | None = None
        registry = frame.registry
        self._deployments = registry.counter(
            "release_deployments_total", "Deployments.", ("released", "kind", "status")
        )
        self._attempts = registry.counter("release_webhook_attempts_total", "Sends by answer.", ("code",))
        waiting = registry.gauge("release_webhook_waiting", "Events not yet accepted by the platform.")
        can = registry.gauge("release_can_roll_back", "1 when the last thing done to a service was a deployment.",
                             ("released",))  # fmt: skip
        versions = registry.gauge(
            "release_current_info", "Always 1; the version that is live.", ("released", "version")
        )

        def refresh() -> None:
            waiting.set(len(self._undelivered()))
            versions.values.clear()
            for service in frame.settings.peers:
                rows = self._rows("service = ? AND status = 'succeeded'", (service,))
                can.set(1.0 if rows and rows[0]["kind"] == "deploy" else 0.0, service)
                versions.set(1.0, service, self.current(service))

        registry.before.append(refresh)
        frame.guarded("POST", "/builds", self.add_build)
        frame.guarded("POST", "/deploy", self._locked(self.deploy))
        frame.guarded("POST", "/rollback", self._locked(self.rollback))
        frame.guarded("POST", "/webhook", self.set_webhook)
        frame.route("GET", "/history", self.history)
        frame.tasks.append(self.deliver)
        frame.closing.append(self._db.close)

    def _locked(self, work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """One deployment at a time; a request repeated under the same Idempotency-Key gets the first one's answer."""

        async def run(request: Request) -> Response:
            async with self._lock:
                done = self._known(request.headers.get("idempotency-key"))
                return answer(done) if done else await work(request)

        return run

    def _known(self, key: str | None) -> dict[str, object] | None:
        found = self._rows("key = ?", (key,)) if key else []
        return found[0] if found else None

    def _rows(self, where: str, parameters: tuple[object, ...]) -> list[dict[str, object]]:
        columns = (
            "id",
            "service",
            "version",
            "previous_version",
            "kind",
            "status",
            "actor",
            "started_at",
            "finished_at",
        )
        rows = self._db.execute(
            f"SELECT {', '.join(columns)} FROM deployment WHERE {where} ORDER BY id DESC LIMIT 100",  # noqa: S608 - constants
            parameters,
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def current(self, service: str) -> str:
        """The version that is live."""
        rows = self._rows("service = ? AND status = 'succeeded'", (service,))
        return str(rows[0]["version"]) if rows else FIRST_VERSION

    async def add_build(self, request: Request) -> Response:
        """{"service", "version", "switches"?}: make a build known, as a build server would."""
        value = request.json()
        service, version, switches = value.get("service"), value.get("version"), value.get("switches", {})
        if service not in self._frame.settings.peers or not isinstance(version, str) or not isinstance(switches, dict):
            return problem(422, "service must be one of the shop's, version a string, switches an object")
        self._db.execute("INSERT OR REPLACE INTO build VALUES (?, ?, ?)", (service, version, json.dumps(switches)))
        return answer({"service": service, "version": version}, 201)

    async def deploy(self, request: Request) -> Response:
        """{"service", "version", "actor"?}: put a known build live."""
        value = request.json()
        service, version = str(value.get("service")), str(value.get("version"))
        if version != FIRST_VERSION and not self._switches(service, version):
            return problem(404, f"no build {version} of {service}")
        return await self._replace(service, version, "deploy", request, str(value.get("actor", "release-tool")))

    async def rollback(self, request: Request) -> Response:
        """{"service"}: put the version before the last deployment live; once rolled back it stays so."""
        value = request.json()
        service = str(value.get("service"))
        rows = self._rows("service = ? AND status = 'succeeded'", (service,))
        if not rows:
            return problem(409, f"{service} was never deployed, there is nothing to go back to")
        if rows[0]["kind"] == "rollback":
            return answer({**rows[0], "already": True})
        previous = str(rows[0]["previous_version"])
        return await self._replace(service, previous, "rollback", request, str(value.get("actor", "runbook")))

    def _switches(self, service: str, version: str) -> str:
        row = self._db.execute("SELECT switches FROM build WHERE service = ? AND version = ?", (service, version))
        found = row.fetchone()
        return str(found[0]) if found else ""

    async def _replace(self, service: str, version: str, kind: str, request: Request, actor: str) -> Response:
        processes = self._frame.settings.peers.get(service)
        if not processes:
            return problem(404, f"the shop has no service {service}")
        previous, started = self.current(service), _now()
        status, detail = "succeeded", ""
        switches = json.loads(self._switches(service, version) or "{}")
        for name in processes:
            detail = await self._restart(name, version, switches)
            if detail:
                status = "failed"
                break
        row = (service, version, previous, kind, status, actor, started, _now(), request.headers.get("idempotency-key"))
        self._db.execute(
            "INSERT INTO deployment (service, version, previous_version, kind, status, actor, started_at, finished_at,"
            " key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        )  # fmt: skip
        self._deployments.add(1, service, kind, status)
        self._frame.log.info("deployment", target=service, to_version=version, kind=kind, status=status)
        deployment = self._rows("service = ?", (service,))[0]
        self._announce(deployment)
        return answer(deployment) if status == "succeeded" else problem(502, detail)

    async def _restart(self, name: str, version: str, switches: dict[str, float]) -> str:
        """Restart one process with a version; returns what went wrong, or nothing."""
        settings = self._frame.settings
        try:
            response = await self._frame.client.call(
                "POST", settings.supervisor, f"/processes/{name}/restart", {"version": version, "switches": switches},
                timeout_seconds=15.0, headers={"Authorization": f"Bearer {settings.token}"},
            )  # fmt: skip
        except CallFailed as error:
            return f"{name}: {error}"
        return "" if response.status == 200 else f"{name}: {response.body.decode(errors='replace')}"

    def _announce(self, deployment: dict[str, object]) -> None:
        delivery_id = str(uuid.uuid4())
        body = {
            "delivery_id": delivery_id, "environment": "demo", "url": f"http://{self._own()}/history",
            **{name: deployment[name] for name in
               ("service", "version", "previous_version", "kind", "status", "actor", "started_at", "finished_at")},
        }  # fmt: skip
        self._db.execute("INSERT INTO outbox VALUES (?, ?, 0, NULL)", (delivery_id, json.dumps(body)))
        self._wake.set()

    def _own(self) -> str:
        return f"127.0.0.1:{self._frame.settings.port}"

    def _undelivered(self) -> list[tuple[str, str, int]]:
        return self._db.execute(
            "SELECT delivery_id, body, attempts FROM outbox WHERE delivered_at IS NULL ORDER BY rowid"
        ).fetchall()

    async def set_webhook(self, request: Request) -> Response:
        """{"url", "secret"}: where deployment events go, and the key they are signed with."""
        value = request.json()
        url, secret = value.get("url"), value.get("secret")
        if not isinstance(url, str) or urlsplit(url).scheme != "http" or not isinstance(secret, str) or not secret:
            return problem(422, "url must start with http:// and secret must be a string")
        self._webhook = (url, secret)
        self._wake.set()
        return answer({"url": url})

    async def history(self, _request: Request) -> Response:
        """Newest deployments first."""
        return answer({"items": self._rows("1 = 1", ())})

    async def deliver(self) -> None:
        """Send what is undelivered, in order, until each is accepted."""
        while True:
            waiting = self._undelivered() if self._webhook else []
            if not waiting:
                await self._wake.wait()
                self._wake.clear()
                continue
            delivery_id, body, attempts = waiting[0]
            if await self._send(delivery_id, body.encode()):
                self._db.execute("UPDATE outbox SET delivered_at = ? WHERE delivery_id = ?", (_now(), delivery_id))
                continue
            self._db.execute("UPDATE outbox SET attempts = attempts + 1 WHERE delivery_id = ?", (delivery_id,))
            await asyncio.sleep(RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)])

    async def _send(self, delivery_id: str, body: bytes) -> bool:
        if self._webhook is None:
            return False
        url, secret = self._webhook
        parts, timestamp = urlsplit(url), str(int(time.time()))
        headers = {
            "X-Tongchou-Timestamp": timestamp,
            "X-Tongchou-Signature": signature(secret, timestamp, body),
            "X-Tongchou-Delivery": delivery_id,
        }
        try:
            response = await self._frame.client.call(
                "POST", parts.netloc, parts.path, body, timeout_seconds=5.0, headers=headers
            )
        except CallFailed as error:
            self._attempts.add(1, error.reason)
            self._frame.log.warning("deployment event not delivered", delivery=delivery_id, detail=str(error))
            return False
        self._attempts.add(1, str(response.status))
        if 200 <= response.status < 300:
            return True
        self._frame.log.warning("deployment event refused", delivery=delivery_id, status=response.status,
                                detail=response.body.decode(errors="replace")[:300])  # fmt: skip
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
