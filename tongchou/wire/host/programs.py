"""Asks a program of this host: within seconds and bytes, without a shell, and without waiting for one that hangs.

A disk that dies holds who asks it inside the kernel, where no signal reaches: such a process is left behind, and not
waited for.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import threading
import time

MAX_BYTES = 8_000_000
_KILLED_SECONDS = 0.5
_BEYOND = ":/usr/local/sbin:/usr/sbin:/sbin"  # where such programs are, which is not in the PATH of a service's user


class NoAnswerError(Exception):
    """A program did not answer; says why in a few words."""


def found(name: str) -> str | None:
    """Return the path of a program, None where it is not installed."""
    return shutil.which(name, path=_path())


def ask(*words: str, seconds: float, most: int = MAX_BYTES) -> tuple[int, bytes]:
    """Return (exit code, what was printed). Raises NoAnswerError; a code that is not 0 is the asker's matter."""
    until = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell; the words are ours and names of devices of the kernel
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": _path(), "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswerError(error.strerror or str(error)) from error
    with process.stdout as pipe:  # type: ignore[union-attr]  # it is a pipe, as was asked for
        try:
            body = _read(pipe.fileno(), until, seconds, most)
            return process.wait(max(0.1, until - time.monotonic())), body
        except subprocess.TimeoutExpired as error:
            raise NoAnswerError(f"no answer within {seconds:g} s") from error
        finally:
            _end(process)


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + _BEYOND


def _read(pipe: int, until: float, seconds: float, most: int) -> bytes:
    body = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while len(body) <= most:
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise NoAnswerError(f"no answer within {seconds:g} s")
            part = os.read(pipe, 65_536)
            if not part:
                return bytes(body)
            body += part
    raise NoAnswerError(f"more than {most:,} bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, with what it started. One that cannot be ended is waited for by a thread of its own."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        return
    try:
        process.wait(_KILLED_SECONDS)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True, name="left-behind").start()
