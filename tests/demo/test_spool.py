"""The quota folder: full is refused, freeing helps, what was kept is found again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Request
from tongchou.demo.shop.spool import KEPT_FILES, QUOTA_BYTES, Full, Spool


def frame(folder: Path) -> Frame:
    return Frame(Settings("orders-1", "orders", "instance", 0, "1.0.0", str(folder), "token", "", {}))


def available(of: Frame) -> float:
    line = next(each for each in of.registry.render().decode().splitlines() if each.startswith("node_filesystem_avail"))
    return float(line.rsplit(" ", 1)[1])


def test_a_full_spool_refuses_until_it_is_freed(tmp_path: Path) -> None:
    process = frame(tmp_path)
    spool = Spool(process)
    process.switches["spool_bytes"] = QUOTA_BYTES // 3
    for number in range(2):
        spool.write(f"{number}.invoice", "{}")
    assert available(process) == QUOTA_BYTES - spool.used_bytes
    with pytest.raises(Full):
        spool.write("2.invoice", "{}" * QUOTA_BYTES)
    answer = asyncio.run(spool.free(Request("POST", "/spool/free", {}, {}, b"")))
    assert answer.json()["freed_bytes"] == 2 * (QUOTA_BYTES // 3 + 2)
    assert available(process) == QUOTA_BYTES
    spool.write("2.invoice", "{}")
    process.close()


def test_old_files_are_collected_and_a_restart_finds_what_is_left(tmp_path: Path) -> None:
    process = frame(tmp_path)
    spool = Spool(process)
    for number in range(KEPT_FILES + 20):
        spool.write(f"{number:04d}.invoice", "{}")
    assert spool.used_bytes == 2 * KEPT_FILES
    process.close()
    again = frame(tmp_path)
    assert Spool(again).used_bytes == 2 * KEPT_FILES
    again.close()
