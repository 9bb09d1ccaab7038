"""Scratch folders of backups, checks and restores. They hold everything in clear text, so none may outlive its work.

Whoever works in one holds a lock on a file in it; a folder whose lock is free was left by a process that was killed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKUP, VERIFY, RESTORE = ".tongchou-scratch-", "tongchou-verify-", ".restore-"
_OURS = re.compile(
    rf"(?:{'|'.join(map(re.escape, (BACKUP, VERIFY, RESTORE)))})[a-z0-9_]{{8}}"
)  # as tempfile names them
_LOCK = "in-use.lock"
_YOUNG_SECONDS = 3600.0  # without a lock it may be about to get one, or an earlier release is at work in it

log = logging.getLogger(__name__)


@contextmanager
def scratch(folder: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder inside `folder`, removed at the end. Raises OSError when it cannot be made."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as name, (Path(name) / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = Path(name) / "clear"
        work.mkdir(mode=0o700)
        yield work


def sweep(folder: Path) -> int:
    """Remove what killed processes left in a folder; return how many. What cannot be removed is told in the log."""
    return sum(_removed(each) for each in folder.iterdir() if _OURS.fullmatch(each.name))


def _removed(left: Path) -> bool:
    try:
        if not left.is_dir() or left.is_symlink() or _in_use(left):
            return False
        shutil.rmtree(left)
    except FileNotFoundError:
        return False  # its owner was just done with it
    except OSError as error:
        log.error("%s was left by a process that was killed and cannot be removed: %s", left, error)
        return False
    log.warning("%s was left by a process that was killed: removed", left)
    return True


def _in_use(left: Path) -> bool:
    lock = left / _LOCK
    if not lock.exists():
        if left.stat().st_uid != os.getuid():
            return True
        return time.time() - left.stat().st_mtime < _YOUNG_SECONDS
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
