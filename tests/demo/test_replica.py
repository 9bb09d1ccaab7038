"""The rules of tongchou.demo.shop.replica, over random sequences of faults and over chosen ones."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.demo.shop.journal import Journal
from tongchou.demo.shop.replica import Batch, Node, NotDurable, Received, Record, Refused, Unreachable

A, B = "database-primary", "database-standby"
OTHER = {A: B, B: A}


class World:
    """Two nodes that can be killed, a witness, and a network that can lose requests or answers."""

    def __init__(self, folder: Path, luck: random.Random) -> None:
        self.folder, self.luck = folder, luck
        self.record = Record(1, 1, A, frozenset((A, B)))
        self.nodes: dict[str, Node] = {}
        self.cut: set[str] = set()  # "request" and "answer" losses between the nodes, "witness", "witness answer"
        self.acknowledged: dict[str, int] = {}
        self.primaries: dict[int, str] = {}
        self.number = 0

    # --- the Witness
    async def read(self) -> Record:
        await asyncio.sleep(0)
        if "witness" in self.cut:
            raise Unreachable("witness")
        return self.record

    async def swap(self, expect_version: int, epoch: int, primary: str, in_sync: frozenset[str]) -> Record | None:
        await asyncio.sleep(0)
        if "witness" in self.cut:
            raise Unreachable("witness")
        swapped = None
        if self.record.version == expect_version and epoch >= self.record.epoch:
            self.record = swapped = Record(expect_version + 1, epoch, primary, in_sync)
        if "witness answer" in self.cut:
            raise Unreachable("the witness's answer was lost")
        return swapped

    # --- processes
    async def start(self, name: str) -> None:
        if name not in self.nodes:
            world = self

            class Link:
                async def receive(self, batch: Batch) -> Received:
                    return await world.deliver(OTHER[name], batch)

            node = Node(name, OTHER[name], Journal(self.folder / f"{name}.sqlite3"), Link(), self)
            self.nodes[name] = node
        try:
            await self.nodes[name].recover()
        except Unreachable:
            pass

    async def deliver(self, name: str, batch: Batch) -> Received:
        await asyncio.sleep(0)
        if "request" in self.cut or name not in self.nodes:
            raise Unreachable(name)
        received = await self.nodes[name].receive(batch)
        if "answer" in self.cut:
            raise Unreachable("the answer was lost")
        return received

    def kill(self, name: str) -> None:
        """SIGKILL: nothing is closed in order; what was committed is in the file."""
        node = self.nodes.pop(name, None)
        if node is not None:
            node.journal.close()

    async def write(self, name: str, repeat: bool) -> None:
        """A customer's order at whatever node is asked; remembered when, and only when, it was acknowledged."""
        if repeat and self.acknowledged:
            order = self.luck.choice(sorted(self.acknowledged))
        else:
            self.number += 1
            order = f"order-{self.number}"
        node = self.nodes.get(name)
        if node is None:
            return
        try:
            written = await node.write(order, "{}")
        except (Refused, NotDurable):
            return
        assert node.journal.position_of(order) == written.position
        if order in self.acknowledged:
            assert not written.created, f"{order} was stored twice"
        self.acknowledged[order] = written.position

    async def promote(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is None:
            return
        try:
            epoch = await node.promote()
        except (Refused, Unreachable):
            return
        assert self.primaries.setdefault(epoch, name) == name, f"two primaries in epoch {epoch}"

    async def act(self, action: str, name: str) -> None:
        node = self.nodes.get(name)
        if action == "start":
            await self.start(name)
        elif action == "kill":
            self.kill(name)
        elif action in ("write", "repeat"):
            await self.write(name, action == "repeat")
        elif action == "burst":
            await asyncio.gather(*(self.write(name, False) for _ in range(4)))
        elif action == "promote":
            await self.promote(name)
        elif action == "promote while writing":
            await asyncio.gather(self.write(OTHER[name], False), self.promote(name), self.write(OTHER[name], False))
        elif action == "rejoin" and node is not None:
            try:
                await node.rejoin()
            except (Refused, Unreachable):
                pass
        elif action == "beat" and node is not None:
            if node.role == "recovering":
                await self.start(name)
            await node.keep_standby()
        elif action == "heal":
            self.cut.clear()
        elif action in ("request", "answer", "witness", "witness answer"):
            self.cut ^= {action}

    async def survivors(self) -> set[str]:
        """What a primary holds after everything that can be brought back was brought back."""
        self.cut.clear()
        for name in (A, B):
            await self.start(name)
        primary = self.nodes[self.record.primary]
        assert primary.role == "primary"
        return {order for _position, order in primary.journal.ids(0, 100_000)}

    def close(self) -> None:
        for name in list(self.nodes):
            self.kill(name)


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder), random.Random(1))
        yield made
        made.close()


ACTIONS = (
    "write", "write", "write", "repeat", "burst", "kill", "start", "promote", "promote while writing", "rejoin", "beat",
    "beat", "heal", "request", "answer", "witness", "witness answer",
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from((A, B))), min_size=5, max_size=60)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 1_000))
def test_no_acknowledged_order_is_lost_whatever_fails(steps: list[tuple[str, str]], seed: int) -> None:
    async def story() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), random.Random(seed))
            try:
                await world.start(A)
                await world.start(B)
                await world.nodes[A].keep_standby()
                for action, name in steps:
                    await world.act(action, name)
                    roles = [node for node in world.nodes.values() if node.role == "primary"]
                    assert len({node.epoch for node in roles}) == len(roles)
                lost = set(world.acknowledged) - await world.survivors()
                assert not lost, f"{sorted(lost)} were acknowledged and are gone after {steps}"
            finally:
                world.close()

    asyncio.run(story())


async def _open(world: World) -> None:
    await world.start(A)
    await world.start(B)
    await world.nodes[A].keep_standby()


def test_an_order_is_acknowledged_only_when_the_standby_has_it(world: World) -> None:
    async def story() -> None:
        await _open(world)
        await world.nodes[A].write("one", "{}")
        assert world.nodes[B].journal.position_of("one") == 1

    asyncio.run(story())


def test_without_standby_and_witness_nothing_is_acknowledged(world: World) -> None:
    async def story() -> None:
        await _open(world)
        world.kill(B)
        world.cut.add("witness")
        with pytest.raises(NotDurable):
            await world.nodes[A].write("one", "{}")

    asyncio.run(story())


def test_a_standby_that_lacks_an_acknowledged_order_refuses_to_be_promoted(world: World) -> None:
    async def story() -> None:
        await _open(world)
        world.kill(B)
        await world.nodes[A].write("alone", "{}")
        assert world.nodes[A].degraded
        world.kill(A)
        await world.start(B)
        with pytest.raises(Refused, match="not in sync"):
            await world.nodes[B].promote()

    asyncio.run(story())


def test_an_old_primary_that_returns_is_fenced_until_it_rejoins(world: World) -> None:
    async def story() -> None:
        await _open(world)
        await world.nodes[A].write("one", "{}")
        world.kill(A)
        assert await world.nodes[B].promote() == 2
        await world.nodes[B].write("two", "{}")
        await world.start(A)
        old = world.nodes[A]
        assert old.role == "fenced"
        with pytest.raises(Refused):
            await old.write("three", "{}")
        with pytest.raises(Refused):
            await old.promote()
        await old.rejoin()
        await world.nodes[B].keep_standby()
        assert old.role == "standby"
        assert old.journal.position_of("two") == 2
        assert world.record.in_sync == frozenset((A, B))

    asyncio.run(story())


def test_a_primary_that_was_replaced_while_it_slept_fences_itself_at_its_next_write(world: World) -> None:
    async def story() -> None:
        await _open(world)
        await world.nodes[B].promote()
        with pytest.raises(Refused):
            await world.nodes[A].write("late", "{}")
        assert world.nodes[A].role == "fenced"

    asyncio.run(story())


def test_entries_that_were_never_acknowledged_are_cut_when_the_old_primary_rejoins(world: World) -> None:
    async def story() -> None:
        await _open(world)
        world.cut |= {"request", "witness"}
        with pytest.raises(NotDurable):
            await world.nodes[A].write("lost", "{}")
        world.kill(A)
        world.cut.clear()
        await world.nodes[B].promote()
        await world.nodes[B].write("kept", "{}")
        await world.start(A)
        await world.nodes[A].rejoin()
        await world.nodes[B].keep_standby()
        assert world.nodes[A].entries_cut == 1
        assert world.nodes[A].journal.ids(0, 10) == [(1, "kept")]

    asyncio.run(story())


def test_a_promotion_whose_answer_was_lost_is_finished_by_recovering(world: World) -> None:
    async def story() -> None:
        await _open(world)
        world.cut.add("witness answer")
        with pytest.raises(Unreachable):
            await world.nodes[B].promote()
        assert world.nodes[B].role == "recovering"
        with pytest.raises(Refused):
            await world.nodes[B].receive(Batch(1, A, 0, 0, ()))
        world.cut.clear()
        await world.nodes[B].recover()
        assert (world.nodes[B].role, world.nodes[B].epoch) == ("primary", 2)

    asyncio.run(story())


def test_a_standby_taken_back_with_a_lost_answer_is_required_from_then_on(world: World) -> None:
    async def story() -> None:
        await _open(world)
        world.kill(B)
        await world.nodes[A].write("alone", "{}")
        await world.start(B)
        world.cut.add("witness answer")
        await world.nodes[A].keep_standby()  # the witness took it back in, the primary does not know
        world.kill(B)
        world.cut = {"witness"}
        with pytest.raises(NotDurable):
            await world.nodes[A].write("unsafe", "{}")

    asyncio.run(story())
