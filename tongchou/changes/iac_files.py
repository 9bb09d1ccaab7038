"""The plan files in the data folder: each for the owner only, named by its plan, gone once it is of no use."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.conf import settings

MADE_SECONDS = 300.0


def place(plan_id: UUID) -> Path:
    """Where the file of a plan lies."""
    return Path(settings.DATA) / "terraform" / "plans" / f"{plan_id}.tfplan"


def content(plan_id: UUID) -> bytes | None:
    """The file, read once: what is hashed is what is applied. None when it is not here."""
    try:
        return place(plan_id).read_bytes()
    except OSError:
        return None


def digest(of: bytes) -> str:
    """The hex SHA-256 that an approval is bound to."""
    return hashlib.sha256(of).hexdigest()


def remove(plan_id: UUID) -> None:
    """Remove the file, if it is there."""
    place(plan_id).unlink(missing_ok=True)


def sweep(wanted: Iterable[UUID]) -> int:
    """Remove the files of all plans but these; return how many."""
    names = {f"{each}.tfplan" for each in wanted}
    folder = place(UUID(int=0)).parent
    count = 0
    before = time.time() - MADE_SECONDS  # one that is being made has no row that says so yet
    for path in folder.glob("*.tfplan") if folder.is_dir() else ():
        if path.name not in names and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            count += 1
    return count
