"""A database process: the replicated order log over HTTP, and read access to the goods.

Reads of goods are served by primary and standby alike; orders only by the primary.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path

from tongchou.demo.shop.frame import Frame
from tongchou.demo.shop.goods import goods
from tongchou.demo.shop.http1 import CallFailed, Client, Request, Response, answer, problem
from tongchou.demo.shop.journal import Entry, Journal
from tongchou.demo.shop.replica import Batch, Node, NotDurable, Received, Record, Refused, Unreachable

HEARTBEAT_SECONDS = 0.5
REPLICATE_TIMEOUT_SECONDS = 1.0
_ROLES = ("recovering", "primary", "standby", "fenced")


class HttpWitness:
    """The witness record at the supervisor."""

    def __init__(self, client: Client, address: str, token: str) -> None:
        self._client, self._address = client, address
        self._headers = {"Authorization": f"Bearer {token}"}

    async def read(self) -> Record:
        """The record now. Raises Unreachable."""
        return _record(await self._call("GET", None))

    async def swap(self, expect_version: int, epoch: int, primary: str, in_sync: frozenset[str]) -> Record | None:
        """Compare-and-set. Raises Unreachable: the outcome is unknown then."""
        body = {"expect": expect_version, "epoch": epoch, "primary": primary, "in_sync": sorted(in_sync)}
        response = await self._call("POST", body)
        return None if response.status == 409 else _record(response)

    async def _call(self, method: str, body: object | None) -> Response:
        try:
            response = await self._client.call(
                method, self._address, "/witness", body, headers=self._headers, timeout_seconds=1.0
            )
        except CallFailed as error:
            raise Unreachable(str(error)) from error
        if response.status not in (200, 409):
            raise Unreachable(f"witness answered {response.status}")
        return response


def _record(response: Response) -> Record:
    value = response.json()
    return Record(value["version"], value["epoch"], value["primary"], frozenset(value["in_sync"]))


class HttpPeer:
    """The other database process."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address

    async def receive(self, batch: Batch) -> Received:
        """Send a batch. Raises Unreachable, Refused."""
        try:
            response = await self._client.call(
                "POST", self._address, "/replicate", asdict(batch), timeout_seconds=REPLICATE_TIMEOUT_SECONDS
            )
        except CallFailed as error:
            raise Unreachable(str(error)) from error
        value = response.json()
        if response.status == 200:
            return Received(value["matched"], value["position"])
        if response.status == 409:
            raise Refused(value["detail"], value["epoch"])
        raise Unreachable(f"standby answered {response.status}")


class Database:
    """Routes and metrics around a Node."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        settings = frame.settings
        folder = Path(settings.folder) / "databases"
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(folder / f"{settings.name}.sqlite3")
        peer_name, peer_address = next(
            (name, address) for name, address in settings.peers["database"].items() if name != settings.name
        )
        witness = HttpWitness(frame.client, settings.supervisor, settings.token)
        self.node = Node(settings.name, peer_name, self.journal, HttpPeer(frame.client, peer_address), witness)
        self._heard_at = time.time()
        self._define_metrics()
        frame.route("GET", "/role", self.role)
        frame.route("GET", "/goods", self.goods)
        frame.route("POST", "/orders", self.write)
        frame.route("GET", "/orders", self.ids)
        frame.route("POST", "/replicate", self.replicate)
        frame.guarded("POST", "/promote", self.promote)
        frame.guarded("POST", "/rejoin", self.rejoin)
        frame.tasks.append(self.beat)
        frame.closing.append(self.journal.close)

    def _define_metrics(self) -> None:
        registry = self.frame.registry
        role = registry.gauge("database_role", "1 for the role this process has.", ("role",))
        epoch = registry.gauge("database_epoch", "Newest epoch this process knows.")
        position = registry.gauge("database_log_position", "Last entry on this process's disk.")
        lag = registry.gauge("database_replication_lag_entries", "Entries the standby has not confirmed, by primary.")
        behind = registry.gauge("database_replication_lag_seconds", "Since the standby last held all the primary has.")
        degraded = registry.gauge("database_degraded", "1 while the primary acknowledges without its standby.")
        self._writes = registry.counter("database_writes_total", "Writes by outcome.", ("outcome",))
        for outcome in ("acknowledged", "repeated", "refused", "not_durable"):
            self._writes.add(0, outcome)
        cut = registry.counter("database_entries_cut_total", "Never acknowledged entries removed on rejoining.")

        def refresh() -> None:
            node = self.node
            for name in _ROLES:
                role.set(1.0 if node.role == name else 0.0, name)
            epoch.set(node.epoch)
            position.set(self.journal.last_position)
            lag.set(max(0, self.journal.last_position - node.peer_position) if node.role == "primary" else 0)
            behind.set(max(0.0, time.time() - self._heard_at) if node.role in ("standby", "fenced") else 0.0)
            degraded.set(1.0 if node.degraded else 0.0)
            cut.set(node.entries_cut)

        registry.before.append(refresh)

    async def beat(self) -> None:
        """Recover until the witness answers, then keep the standby close."""
        while True:
            if self.node.role == "recovering":
                try:
                    await self.node.recover()
                    self.frame.log.info("recovered", role=self.node.role, epoch=self.node.epoch)
                except Unreachable as error:
                    self.frame.log.warning("witness unreachable", detail=str(error))
            before = self.node.role
            await self.node.keep_standby()
            if self.node.role != before:
                self.frame.log.warning("role changed", role=self.node.role, epoch=self.node.epoch)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def role(self, _request: Request) -> Response:
        """What this process is; clients look for the primary with the highest epoch."""
        node = self.node
        record = node.record
        return answer({
            "name": node.name, "role": node.role, "epoch": node.epoch, "position": self.journal.last_position,
            "degraded": node.degraded, "in_sync": sorted(record.in_sync) if record else [],
        })  # fmt: skip

    async def goods(self, _request: Request) -> Response:
        """The goods, from any process that may answer reads."""
        if self.node.role not in ("primary", "standby"):
            return problem(503, f"{self.node.name} is {self.node.role}")
        return answer({"items": goods()})

    async def write(self, request: Request) -> Response:
        """Store an order: 200 only when no single crash can lose it."""
        value = request.json()
        entry_id, body = value.get("id"), value.get("body")
        if not isinstance(entry_id, str) or not entry_id or not isinstance(body, str):
            return problem(422, "id and body must be strings")
        try:
            written = await self.node.write(entry_id, body)
        except Refused as error:
            self._writes.add(1, "refused")
            return problem(409, str(error))
        except NotDurable as error:
            self._writes.add(1, "not_durable")
            return problem(503, str(error))
        self._writes.add(1, "acknowledged" if written.created else "repeated")
        return answer({"position": written.position, "created": written.created, "epoch": self.node.epoch})

    async def ids(self, request: Request) -> Response:
        """A page of (position, id) after `after`."""
        try:
            after, limit = int(request.query.get("after", "0")), min(5_000, int(request.query.get("limit", "1000")))
        except ValueError:
            return problem(422, "after and limit are numbers")
        return answer({"items": self.journal.ids(after, limit), "role": self.node.role})

    async def replicate(self, request: Request) -> Response:
        """Take a batch from the primary."""
        value = request.json()
        entries = tuple(Entry(**entry) for entry in value["entries"])
        batch = Batch(value["epoch"], value["primary"], value["prev_position"], value["prev_epoch"], entries)
        try:
            received = await self.node.receive(batch)
        except Refused as error:
            return answer({"detail": str(error), "epoch": error.epoch}, 409)
        if received.matched:
            self._heard_at = time.time()
        return answer(asdict(received))

    async def promote(self, _request: Request) -> Response:
        """Make this standby the primary; repeating it is harmless."""
        try:
            epoch = await self.node.promote()
        except Refused as error:
            return problem(409, str(error))
        except Unreachable as error:
            return problem(503, f"the witness cannot be asked: {error}")
        self.frame.log.warning("promoted", epoch=epoch)
        return answer({"role": self.node.role, "epoch": epoch})

    async def rejoin(self, _request: Request) -> Response:
        """Make a fenced old primary a standby; repeating it is harmless."""
        try:
            await self.node.rejoin()
        except Refused as error:
            return problem(409, str(error))
        except Unreachable as error:
            return problem(503, f"the witness cannot be asked: {error}")
        self.frame.log.warning("rejoined as standby", epoch=self.node.epoch)
        return answer({"role": self.node.role, "epoch": self.node.epoch})
