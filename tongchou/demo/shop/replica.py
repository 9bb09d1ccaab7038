"""Replication of two database processes with a witness: no acknowledged write is lost, one primary at most.

The rules, which the property test holds over random kills, promotions and returns:

* The witness keeps one durable record: epoch, primary, and `in_sync`, the names that must hold a write before it is
  acknowledged. It changes only by compare-and-set on its version.
* A primary acknowledges a write when every member of `in_sync` has it on disk (semi-synchronous).
* Degraded rule: when the standby does not answer, the primary first takes it out of `in_sync` at the witness, and only
  then acknowledges alone. A standby that is not in `in_sync` cannot be promoted. If the witness cannot be asked, the
  primary acknowledges nothing.
* Promotion: a standby in `in_sync` sets epoch + 1 and itself as primary at the witness. It refuses the older epoch from
  that moment, so an old primary that still runs gets no acknowledgement and fences itself.
* An old primary that comes back finds a newer epoch at the witness, is `fenced` and refuses reads and writes until
  `rejoin` makes it a standby; what it had written but never acknowledged is cut off when it is caught up.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tongchou.demo.shop.journal import Entry, Journal

Role = Literal["recovering", "primary", "standby", "fenced"]
CHUNK = 500


class Unreachable(Exception):
    """The other side gave no answer; what it did is unknown."""


class Refused(Exception):
    """A request this process must not serve. `epoch` is what it knows to be the newest."""

    def __init__(self, detail: str, epoch: int = 0) -> None:
        super().__init__(detail)
        self.epoch = epoch


class NotDurable(Exception):
    """The write could not be made safe and is not acknowledged; it may or may not survive."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the witness keeps."""

    version: int
    epoch: int
    primary: str
    in_sync: frozenset[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries for the standby, behind the entry (`prev_position`, `prev_epoch`) that both must already share."""

    epoch: int
    primary: str
    prev_position: int
    prev_epoch: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """The standby's answer: `matched` is false when the shared entry is missing; `position` is where to try next."""

    matched: bool
    position: int


@dataclass(frozen=True, slots=True)
class Written:
    """An acknowledged write; `created` is false when the same id had been written before."""

    position: int
    created: bool


class Witness(Protocol):
    """The third party. Both raise Unreachable."""

    async def read(self) -> Record: ...

    async def swap(self, expect_version: int, epoch: int, primary: str, in_sync: frozenset[str]) -> Record | None:
        """Replace the record if it still has this version; None when it does not."""


class Peer(Protocol):
    """The other database process. Raises Unreachable, Refused."""

    async def receive(self, batch: Batch) -> Received: ...


@dataclass(slots=True)
class _Waiting:
    entry_id: str
    body: str
    done: asyncio.Future[Written]


class Node:
    """One database process's part of the replication; call `recover` before anything else."""

    def __init__(self, name: str, peer_name: str, journal: Journal, peer: Peer, witness: Witness) -> None:
        self.name, self.peer_name = name, peer_name
        self.journal = journal
        self.role: Role = "recovering"
        self.epoch = 0
        self.record: Record | None = None
        self.peer_position = 0
        self.entries_cut = 0
        self._required: frozenset[str] = frozenset((name, peer_name))
        self._peer, self._witness = peer, witness
        self._queue: list[_Waiting] = []
        self._lock = asyncio.Lock()

    @property
    def degraded(self) -> bool:
        """True while this primary acknowledges without its standby."""
        return self.role == "primary" and self.peer_name not in self._required

    def _is(self, role: Role) -> bool:
        """The role now; asked anew after every await, because another task may have changed it."""
        return self.role == role

    async def recover(self) -> None:
        """Learn from the witness what this process is now. Raises Unreachable; the role stays `recovering` then."""
        async with self._lock:
            self.role = "recovering"
            self._adopt(await self._witness.read())

    def _adopt(self, record: Record) -> None:
        self.record, self.epoch = record, record.epoch
        if record.primary == self.name:
            self._required = record.in_sync
            self._become("primary")
        elif self.journal.fact("role") in ("primary", "fenced"):
            self._become("fenced")
        else:
            self._become("standby")

    def _become(self, role: Role) -> None:
        if self.journal.fact("role") != role:
            self.journal.set_fact("role", role)
        self.role = role

    async def write(self, entry_id: str, body: str) -> Written:
        """Append durably on every required process. Repeating an id is harmless. Raises Refused, NotDurable."""
        if self.role != "primary":
            raise Refused(f"{self.name} is {self.role}, not primary", self.epoch)
        waiting = _Waiting(entry_id, body, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        async with self._lock:
            if not waiting.done.done():  # the writer before us took everything that was waiting along
                await self._flush()
        return await waiting.done

    async def _flush(self) -> None:
        """Write all that waits as one commit and one message, then settle every waiting write."""
        taken, self._queue = self._queue, []
        try:
            positions = self._append_local(taken)
            await self._make_safe()
        except (Refused, NotDurable, Unreachable, sqlite3.Error) as error:
            for waiting in taken:
                if not waiting.done.done():
                    waiting.done.set_exception(error if isinstance(error, Refused) else NotDurable(str(error)))
            return
        for waiting, (position, created) in zip(taken, positions, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(Written(position, created))

    def _append_local(self, taken: Sequence[_Waiting]) -> list[tuple[int, bool]]:
        if self.role != "primary":
            raise Refused(f"{self.name} is {self.role}, not primary", self.epoch)
        positions: list[tuple[int, bool]] = []
        fresh: dict[str, Entry] = {}
        for waiting in taken:
            known = fresh[waiting.entry_id].position if waiting.entry_id in fresh else None
            known = known or self.journal.position_of(waiting.entry_id)
            if known is None:
                position = self.journal.last_position + len(fresh) + 1
                fresh[waiting.entry_id] = Entry(position, self.epoch, waiting.entry_id, waiting.body)
                positions.append((position, True))
            else:
                positions.append((known, False))
        self.journal.append(list(fresh.values()))
        return positions

    async def _make_safe(self) -> None:
        """Return only when every required process holds the whole log. Raises Refused, NotDurable, Unreachable."""
        if self.peer_name not in self._required:
            return
        try:
            await self._catch_up()
        except Unreachable:
            await self._go_alone()
        except Refused as refusal:
            if refusal.epoch > self.epoch:
                self.epoch = refusal.epoch
                self._become("fenced")
                raise
            await self._go_alone()

    async def _catch_up(self) -> None:
        """Send the standby all it lacks, stepping back to the last entry both share."""
        prev = min(self.peer_position, self.journal.last_position)
        while True:
            if self.role != "primary":  # fenced while waiting for an answer
                raise Refused(f"{self.name} is {self.role}, not primary", self.epoch)
            entries = tuple(self.journal.read(prev + 1, CHUNK))
            batch = Batch(self.epoch, self.name, prev, self.journal.epoch_at(prev) or 0, entries)
            received = await self._peer.receive(batch)
            if received.matched:
                self.peer_position = prev = received.position
                if prev >= self.journal.last_position:
                    return
            else:
                prev = self.peer_position = min(received.position, self.journal.last_position)

    async def _go_alone(self) -> None:
        """Take the standby out of `in_sync` at the witness; only a definite success lets this primary go on alone."""
        record = await self._witness.read()
        if record.primary != self.name or record.epoch != self.epoch:
            self._adopt(record)
            raise Refused(f"{self.name} was replaced by {record.primary}", record.epoch)
        if self.peer_name in record.in_sync:
            swapped = await self._witness.swap(record.version, self.epoch, self.name, frozenset((self.name,)))
            if swapped is None:
                raise NotDurable("the witness's record changed meanwhile")
            record = swapped
        self.record, self._required = record, record.in_sync

    async def keep_standby(self) -> None:
        """One heartbeat of a primary: tell the standby, and take it back into `in_sync` once it has everything.

        Raises nothing the caller could mend: an unreachable standby or witness is tried again at the next beat.
        """
        if self.role != "primary":
            return
        try:
            if self.peer_name not in self._required:
                await self._catch_up()  # the long way, while writes go on alone
            async with self._lock:
                if not self._is("primary"):
                    return
                await self._catch_up()
                if self.record is None or self.peer_name not in self.record.in_sync:
                    await self._readmit()
        except Unreachable:
            return
        except Refused as refusal:
            if refusal.epoch > self.epoch:
                self.epoch = refusal.epoch
                self._become("fenced")

    async def _readmit(self) -> None:
        """Require the standby again. First here, then at the witness: the other order could promote it too early."""
        self._required = frozenset((self.name, self.peer_name))
        record = await self._witness.read()
        if record.primary != self.name or record.epoch != self.epoch:
            self._adopt(record)
            return
        if self.peer_name not in record.in_sync:
            record = await self._witness.swap(record.version, self.epoch, self.name, self._required) or record
        self.record = record

    async def receive(self, batch: Batch) -> Received:
        """Take a primary's batch. Raises Refused when its epoch is old or this process is no standby."""
        if batch.epoch < self.epoch:
            raise Refused(f"epoch {batch.epoch} is over, {self.epoch} is current", self.epoch)
        if self.role == "primary" and batch.epoch > self.epoch:
            self.epoch = batch.epoch
            self._become("fenced")
        if self.role != "standby":
            raise Refused(f"{self.name} is {self.role}, not standby", self.epoch if self.role == "primary" else 0)
        async with self._lock:
            if batch.epoch < self.epoch or self.role != "standby":  # a promotion came first
                raise Refused(f"epoch {batch.epoch} is over, {self.epoch} is current", self.epoch)
            self.epoch = batch.epoch
            return self._take(batch)

    def _take(self, batch: Batch) -> Received:
        if self.journal.epoch_at(batch.prev_position) != batch.prev_epoch:
            return Received(False, min(self.journal.last_position, max(0, batch.prev_position - 1)))
        known = 0
        for entry in batch.entries:
            if self.journal.epoch_at(entry.position) != entry.epoch:
                break
            known += 1
        fresh = batch.entries[known:]
        if fresh and fresh[0].position <= self.journal.last_position:
            self.entries_cut += self.journal.truncate_from(fresh[0].position)
        self.journal.append(fresh)
        end = batch.entries[-1].position if batch.entries else batch.prev_position
        return Received(True, end)

    async def promote(self) -> int:
        """Become primary of the next epoch; returns it. Raises Refused with the reason, Unreachable (witness)."""
        async with self._lock:
            if self.role == "primary":
                return self.epoch
            if self.role != "standby":
                raise Refused(f"{self.name} is {self.role}; only a standby can be promoted", self.epoch)
            record = await self._witness.read()
            if self.name not in record.in_sync:
                raise Refused(
                    f"{self.name} is not in sync: {record.primary} acknowledged writes it does not have", record.epoch
                )
            self.role = "recovering"  # until the witness's answer is known, neither standby nor primary
            swapped = await self._witness.swap(record.version, record.epoch + 1, self.name, frozenset((self.name,)))
            self._adopt(swapped or await self._witness.read())
            self.peer_position = 0
            if not self._is("primary"):
                raise Refused("another promotion came first", self.epoch)
            return self.epoch

    async def rejoin(self) -> None:
        """Make a fenced old primary a standby. Raises Refused when it is the primary, Unreachable (witness)."""
        async with self._lock:
            record = await self._witness.read()
            if record.primary == self.name:
                raise Refused(f"{self.name} is the primary of epoch {record.epoch}", record.epoch)
            self.record, self.epoch = record, record.epoch
            self._become("standby")
