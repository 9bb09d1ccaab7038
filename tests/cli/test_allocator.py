"""Memory that was freed goes back to the system; a C library without the call is left alone."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from tongchou.cli import allocator
from tongchou.core.problems import Unavailable

HOLES = """
import ctypes, sys
from tongchou.cli import allocator
def mine():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
if not allocator.few_arenas():
    sys.exit(77)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(ctypes.c_size_t(60_000)) for _ in range(2_000)]  # 120 MB, below what is mapped one by one
for block in blocks:
    ctypes.memset(block, 1, 60_000)
for at, block in enumerate(blocks):
    if at % 100:  # what stays keeps the heap from shrinking by itself
        libc.free(ctypes.c_void_p(block))
before = mine()
assert allocator.give_back()
print(before, mine())
"""


def test_what_is_free_between_what_is_held_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77:
        pytest.skip("this C library is not glibc")
    before, after = map(int, done.stdout.split())
    assert before - after > 80_000, done.stderr  # kB


def test_another_c_library_is_left_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert (allocator.few_arenas(), allocator.give_back()) == (False, False)


def test_it_goes_on_until_it_is_over(monkeypatch: Any) -> None:
    twice, over, turns = threading.Event(), threading.Event(), []

    def given() -> bool:
        turns.append(1)
        if len(turns) == 2:
            twice.set()
        return True

    monkeypatch.setattr(allocator, "EVERY_SECONDS", 0.01)

    def broken() -> None:
        raise Unavailable("telemetry.closing", "The store is closing.")

    monkeypatch.setattr(allocator, "give_back", given)
    thread = allocator.keep_giving_back(over, broken)
    assert twice.wait(10)
    over.set()
    thread.join(10)
    assert not thread.is_alive()
