"""The bytes of attachments: one file a content, named by its SHA-256, in a folder that every process of us shares.

A file is written beside its place, made durable, then renamed: there is never half a file under a name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.file_kinds import HEAD_BYTES
from tongchou.core.problems import NotFound, Problem, StorageFull, TooLarge, Unavailable

CHUNK_BYTES = 262_144
FRESH_SECONDS = 86_400.0  # a file younger than this is never cleaned away: its row may be about to be written
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Stored:
    """A content that is durable: its hash, its size, and how it begins."""

    sha256: str
    size: int
    head: bytes


def folder() -> Path:
    """Return the folder of all files."""
    return Path(settings.FILES_PATH)


def path_of(sha256: str) -> Path:
    """Return where a content lies; ValueError for what is no SHA-256."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256")
    return folder() / sha256[:2] / sha256


def _refusal(error: OSError) -> Problem:
    if error.errno in _FULL:
        return StorageFull(
            "file.disk_full",
            _("The disk of the file store is full. Nothing of this file was kept."),
            field="file",
            remedy=_("Ask an administrator to make room on the disk of %(path)s, then send it again.")
            % {"path": folder()},
        )
    return Unavailable(
        "file.disk",
        _("The file store cannot be written: %(error)s.") % {"error": error.strerror or error},
        field="file",
        remedy=_("Ask an administrator to look at the folder %(path)s, then send it again.") % {"path": folder()},
    )


def write(chunks: Iterable[bytes], *, most: int) -> Stored:
    """Keep a content; TooLarge over `most` bytes, StorageFull or Unavailable of the disk. Nothing half is left."""
    digest, size, head = hashlib.sha256(), 0, b""
    kept = ""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, kept = tempfile.mkstemp(prefix=".part-", dir=folder())
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise too_large(most)
                digest.update(chunk)
                head += chunk[: HEAD_BYTES - len(head)]
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        _settle(Path(kept), path_of(digest.hexdigest()))
        kept = ""
    except OSError as error:
        raise _refusal(error) from error
    finally:
        if kept:
            Path(kept).unlink(missing_ok=True)
    return Stored(digest.hexdigest(), size, head)


def _settle(part: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    part.replace(place)  # the same content: the same bytes, and a new date, which keeps the cleaner away
    for each in (place.parent, folder()):
        entry = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def too_large(most: int) -> TooLarge:
    """Return the refusal of a file over `most` bytes."""
    return TooLarge(
        "file.too_large",
        _("A file has at most %(most)s bytes.") % {"most": f"{most:,}"},
        field="file",
        value=None,
        remedy=_("Make it smaller, or ask an administrator to raise the setting attachments.max_bytes."),
    )


def read(sha256: str) -> Iterator[bytes]:
    """Yield a content; NotFound when its file is not there (before the first byte)."""
    try:
        file = path_of(sha256).open("rb")
    except OSError as error:
        raise NotFound(
            "file.lost",
            _("The file's content is not in the file store."),
            field="file",
            value=sha256,
            remedy=_("Ask an administrator whether the folder %(path)s was moved or restored without its files.")
            % {"path": folder()},
        ) from error

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return chunks()


def clean(wanted: set[str]) -> int:
    """Remove contents nobody points at and parts of uploads that died, none younger than a day; return how many."""
    before, count = time.time() - FRESH_SECONDS, 0
    if not folder().is_dir():
        return 0
    for path in [*folder().glob("??/*"), *folder().glob(".part-*")]:
        try:
            if path.name not in wanted and path.stat().st_mtime < before:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue  # another process was faster
    return count
