"""The quota folder: full is refused, the collector makes room, what was kept is found again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tongchou.demo.shop import spool as spool_module
from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Request
from tongchou.demo.shop.spool import FREED_TO_BYTES, KEPT_BYTES, KEPT_FILES, QUOTA_BYTES, Full, Spool


def frame(folder: Path) -> Frame:
    return Frame(Settings("orders-1", "orders", "instance", 0, "1.0.0", str(folder), "token", "", {}))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Frame]:
    made = frame(tmp_path)
    yield made
    made.close()


def available(of: Frame) -> float:
    line = next(each for each in of.registry.render().decode().splitlines() if each.startswith("node_filesystem_avail"))
    return float(line.rsplit(" ", 1)[1])


def free(spool: Spool) -> dict[str, int]:
    found: dict[str, int] = asyncio.run(spool.free(Request("POST", "/spool/free", {}, {}, b""))).json()
    return found


def test_without_its_collector_the_spool_fills_and_refuses_until_it_is_freed(process: Frame) -> None:
    spool = Spool(process)
    process.switches.update(spool_bytes=QUOTA_BYTES // 4, collector_stopped=1)
    for number in range(3):
        spool.write(f"{number}.invoice", "{}")
    assert available(process) == QUOTA_BYTES - spool.used_bytes
    with pytest.raises(Full):
        spool.write("3.invoice", "{}")
    assert free(spool)["documents"] == 2
    assert spool.used_bytes == QUOTA_BYTES // 4 + 2  # the newest stays, however large
    for number in range(4, 20):
        spool.write(f"{number}.invoice", "{}")  # the collector runs again: it never fills
    assert available(process) >= QUOTA_BYTES - KEPT_BYTES - QUOTA_BYTES // 4


def test_old_documents_are_collected_and_a_restart_finds_what_is_left(tmp_path: Path) -> None:
    process = frame(tmp_path)
    spool = Spool(process)
    for number in range(KEPT_FILES + 20):
        spool.write(f"{number:04d}.invoice", "{}")
    assert spool.used_bytes == 2 * KEPT_FILES
    process.close()
    again = frame(tmp_path)
    assert Spool(again).used_bytes == 2 * KEPT_FILES
    again.close()


def test_a_document_written_twice_counts_once(process: Frame) -> None:
    spool = Spool(process)
    process.switches["spool_bytes"] = QUOTA_BYTES - 100
    for _time in range(3):
        spool.write("same.invoice", "{}")
    assert spool.used_bytes == QUOTA_BYTES - 98


class SpoolRules(RuleBasedStateMachine):
    """Any order of writes, of stopping the collector and of freeing, on a quota a thousandth as large."""

    @initialize()
    def begin(self) -> None:
        self.names = {name: getattr(spool_module, name) for name in ("QUOTA_BYTES", "KEPT_BYTES", "FREED_TO_BYTES")}
        for name, value in self.names.items():
            setattr(spool_module, name, value // 1000)
        self.folder = tempfile.TemporaryDirectory()
        self.process = frame(Path(self.folder.name))
        self.spool = Spool(self.process)
        self.newest = ""

    @rule(name=st.integers(0, 20), size=st.integers(0, 70_000))
    def write(self, name: int, size: int) -> None:
        try:
            self.spool.write(str(name), "x" * size)
        except Full:
            stopped = self.process.switches.get("collector_stopped")
            newest = (self.spool._folder / self.newest).stat().st_size if self.newest else 0
            assert stopped or size + max(newest, KEPT_BYTES // 1000) > QUOTA_BYTES // 1000
        else:
            self.newest = str(name)
            assert (self.spool._folder / str(name)).stat().st_size == size

    @rule(stopped=st.booleans())
    def collector(self, stopped: bool) -> None:
        self.process.switches["collector_stopped"] = float(stopped)

    @rule()
    def free(self) -> None:
        before = self.spool.used_bytes
        told = free(self.spool)
        assert told["freed_bytes"] == before - self.spool.used_bytes
        assert not self.process.switches["collector_stopped"]
        assert self.spool.used_bytes <= FREED_TO_BYTES // 1000 or len(list(self.spool._folder.iterdir())) == 1

    @invariant()
    def what_is_told_is_on_the_disk_and_within_the_quota(self) -> None:
        found = {path.name: path.stat().st_size for path in self.spool._folder.iterdir()}
        assert self.spool.used_bytes == sum(found.values()) <= QUOTA_BYTES // 1000
        assert not self.newest or self.newest in found

    def teardown(self) -> None:
        for name, value in self.names.items():
            setattr(spool_module, name, value)
        self.process.close()
        self.folder.cleanup()


TestSpoolRules = SpoolRules.TestCase
