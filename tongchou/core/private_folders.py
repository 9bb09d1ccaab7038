"""Folders for one run of a program: for the owner only, gone afterwards, swept after a kill.

Whoever works in one holds the lock on a file in it; a folder whose lock is free was left by a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

MINUTE = 60.0


def sweep(root: Path) -> None:
    """Remove folders whose process was killed: nobody holds their lock any more.

    Not those made or filled within the last minute: their lock may be there and not taken yet.
    """
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            if time.time() - folder.stat().st_mtime <= MINUTE:
                continue
            with (folder / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_folder(root: Path, inside: Iterable[str]) -> Iterator[Path]:
    """Give a fresh folder of mode 0700 with folders of these names in it, removed on the way out whatever happens."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(root)
    folder = root / uuid.uuid4().hex
    folder.mkdir(mode=0o700)
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in inside:
                (folder / name).mkdir(mode=0o700)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(path: Path, content: bytes) -> Path:
    """Write a file that only the owner can read, never readable by others in between."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path
