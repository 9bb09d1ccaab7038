"""Runs terraform or tofu and outlives the platform: what is cut off ends in good order, with its state written.

Run as a script, with the standard library alone: `python -I keeper.py SECONDS GRACE OUT COMMAND...`. Its standard input
is a pipe whose other end only the platform holds. When that closes, or the time is over, the command gets one SIGINT,
upon which terraform finishes what it is at, writes its state and lets go of the lock; after GRACE seconds it and all
it started are killed. What it says goes into files OUT and OUT.err, never into a pipe, whose end would kill it.
Exits with the command's code; 124 when the time was over, 125 when the pipe was closed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

TIME_OVER = 124
PIPE_CLOSED = 125


def _end(command: subprocess.Popen[bytes], grace: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(command.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(grace)


def keep(seconds: float, grace: float, out: str, words: list[str]) -> int:
    """Run the command to its end, to the end of its time or to the end of standard input."""
    until = time.monotonic() + seconds
    with Path(out).open("wb") as said, Path(out + ".err").open("wb") as errors:
        command = subprocess.Popen(  # noqa: S603  # no shell; the platform checked the words
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=errors, process_group=0
        )
        code: int | None = None
        while code is None:
            code = command.poll()
            closed, _, _ = select.select([0], [], [], 0.05)
            if code is None and closed and os.read(0, 1) == b"":
                code = PIPE_CLOSED
            elif code is None and time.monotonic() >= until:
                code = TIME_OVER
        if command.poll() is None:
            _end(command, grace)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(keep(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
