"""Runs one command and sees to it that nothing of it outlives the command, its time or the platform.

Run as a script, with the standard library alone: `python -I keeper.py SECONDS COMMAND...`. Its standard input is a pipe
whose other end only the platform holds: when that closes, because the platform was killed or wants an end, everything
is stopped. As a child subreaper (Linux) it becomes the parent of every descendant, in whatever session, so it finds
them all. Exits with the command's code; 124 when the time was over, 125 when the pipe was closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

TIME_OVER = 124
PIPE_CLOSED = 125
GRACE_SECONDS = 2.0
_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SET_PARENT_DEATH_SIGNAL = 1


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Every process below `pid`; elsewhere than on Linux none is found."""
    found = []
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_all(command: subprocess.Popen[bytes]) -> None:
    """Ask every descendant to end, and kill what has not after two seconds. New ones are found again each time."""
    until = time.monotonic() + GRACE_SECONDS
    asked: set[int] = set()
    while True:
        command.poll()
        if command.returncode is not None:
            _reap()  # not before: Popen must see its own child end
        left = descendants(os.getpid())
        if not left:
            return
        over = time.monotonic() >= until
        for pid in left:
            if over or pid not in asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if over else signal.SIGTERM)
        asked.update(left)
        time.sleep(0.02)


def keep(seconds: float, words: list[str]) -> int:
    """Run the command to its end, to the end of its time or to the end of standard input."""
    _prctl(_SET_CHILD_SUBREAPER, 1)
    until = time.monotonic() + seconds
    command = subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: S603, PLW1509  # no shell; this process has one thread
    code = None
    while code is None:
        code = command.poll()
        closed, _, _ = select.select([0], [], [], 0.05)
        if code is None and closed and os.read(0, 1) == b"":
            code = PIPE_CLOSED
        elif code is None and time.monotonic() >= until:
            code = TIME_OVER
    end_all(command)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(keep(float(sys.argv[1]), sys.argv[2:]))
