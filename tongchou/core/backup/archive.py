"""One backup file: a tar stream (encrypted or not) of `header.json`, the parts' files, and `manifest.json` at the end.

Without encryption it is a plain tar that every tool reads. The manifest names every file with its size and SHA-256; a
file without a fitting manifest is no backup. Written under a temporary name, synced, then renamed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, cast

from django.utils.translation import gettext_lazy as _

from tongchou.core.backup.crypt import MAGIC, EncryptedReader, EncryptedWriter, Key, damaged
from tongchou.core.problems import Invalid, NotFound, Problem, StorageFull, Unavailable

FORMAT = 1
SUFFIX = ".backup"
HEADER, MANIFEST = "header.json", "manifest.json"
_NAME = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.@-]*(/[A-Za-z0-9_][A-Za-z0-9_.@-]*){0,8}\Z")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BLOCK = 1024 * 1024
_MAX_JSON_BYTES = 64 * 1024 * 1024

Facts = dict[str, Any]
Progress = Callable[[str, int], None]  # the file that is being written or read, bytes so far


def quiet(_what: str, _bytes: int) -> None:
    """Tell nobody about progress."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished backup file."""

    path: Path
    size: int  # bytes
    sha256: str
    manifest: Facts


class _Hashed:
    """A source whose bytes are hashed as they are read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.digest.update(data)
        return data


class Writer:
    """Writes one backup file; `with` it: on any error nothing is left. Raises StorageFull when the disk is full."""

    def __init__(self, target: Path, header: Facts, *, key: Key | None, progress: Progress = quiet) -> None:
        self.target = target
        self.scratch = target.with_name(f".{target.name}.partial")
        self._header, self._files = {"format": FORMAT, **header}, list[Facts]()
        self._progress, self._done = progress, 0
        try:
            descriptor = os.open(self.scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refusal(error, target.parent) from error
        self._raw = os.fdopen(descriptor, "wb")
        self._sealed = EncryptedWriter(self._raw, key) if key else None
        outer = cast("IO[bytes]", self._sealed) if self._sealed else self._raw
        self._tar = tarfile.open(fileobj=outer, mode="w|", bufsize=_BLOCK)  # noqa: SIM115  # closed in finish
        self.written: Written | None = None

    def __enter__(self) -> Writer:
        self.add_bytes(HEADER, _json(self._header))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.written is None:
            stream: Any = self._tar.fileobj
            stream.closed = True  # or it would write its end when it is collected
            if self._sealed:
                self._sealed.abandon()
            self._raw.close()
            self.scratch.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise refusal(error, self.target.parent) from error

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a small file."""
        self._add(name, len(data), io.BytesIO(data))

    def add(self, name: str, path: Path) -> None:
        """Add a file; `path` may be deleted afterwards."""
        with path.open("rb") as source:
            self._add(name, path.stat().st_size, source)

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(time.time()), 0o600
        hashed = _Hashed(source)
        self._tar.addfile(info, cast("IO[bytes]", hashed))
        self._note(name, size, hashed.digest.hexdigest())

    def _note(self, name: str, size: int, sha256: str) -> None:
        if not _NAME.match(name):
            raise ValueError(f"not a name in a backup: {name!r}")
        self._files.append({"name": name, "bytes": size, "sha256": sha256})
        self._done += size
        self._progress(name, self._done)

    def finish(self, **facts: Any) -> Written:
        """Write the manifest, sync, and give the file its name."""
        manifest = {**self._header, **facts, "files": list(self._files)}
        self.add_bytes(MANIFEST, _json(manifest))
        self._tar.close()
        if self._sealed:
            self._sealed.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        size, sha256 = self.scratch.stat().st_size, sha256_of(self.scratch)
        self.scratch.replace(self.target)
        sync_folder(self.target.parent)
        self.written = Written(self.target, size, sha256, manifest)
        return self.written


def sync_folder(folder: Path) -> None:
    """Put a rename inside the folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def refusal(error: OSError, folder: Path) -> Problem:
    """Say what a failed write to the target means."""
    if error.errno in _FULL:
        return StorageFull(
            "backup.no_space",
            _("The disk of %(folder)s is full: the backup was not made, and nothing of it is left there.")
            % {"folder": folder},
            remedy=_("Free space there, or choose another folder."),
        )
    return Unavailable(
        "backup.not_written",
        _("The backup cannot be written to %(folder)s: %(error)s")
        % {"folder": folder, "error": error.strerror or error},
        remedy=_("Choose a folder that exists and that the server may write to."),
    )


def _json(facts: Facts) -> bytes:
    return json.dumps(facts, ensure_ascii=False, sort_keys=True, indent=1, default=str).encode()


def is_encrypted(path: Path) -> bool:
    """Tell whether the file begins as an encrypted backup does."""
    with _opened(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise NotFound(
            "backup.no_file",
            _("The backup %(path)s cannot be read: %(error)s") % {"path": path, "error": error.strerror or error},
            field="file",
            value=path,
            remedy=_("Name a backup file that this user may read."),
        ) from error


def read(path: Path, *, key: Key | None, into: Path | None = None, progress: Progress = quiet) -> Facts:
    """Read the whole file, check every checksum, return the manifest; with `into` also write the files there.

    Raises Invalid (damaged, wrong key, newer format) or NotFound. What was written to `into` before is then worthless.
    """
    if is_encrypted(path):
        if key is None:
            raise Invalid(
                "backup.encrypted",
                _("The backup is encrypted."),
                field="key",
                remedy=_("Give --passphrase-file or --key-file."),
            )
    else:
        key = None
    with _opened(path) as raw:
        stream = cast("IO[bytes]", EncryptedReader(raw, key)) if key else raw
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as tar:
                found, manifest = _members(tar, into, progress)
        except (tarfile.TarError, EOFError) as error:
            raise damaged(_("it is cut off or not a backup")) from error
    if manifest is None:
        raise damaged(_("it has no manifest, so it was not finished"))
    expected = {each["name"]: (each["bytes"], each["sha256"]) for each in manifest["files"]}
    if found != expected:
        wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        raise damaged(_("the checksum of %(names)s does not fit") % {"names": ", ".join(wrong[:5])})
    return manifest


def _members(tar: tarfile.TarFile, into: Path | None, progress: Progress) -> tuple[dict[str, Any], Facts | None]:
    found: dict[str, Any] = {}
    manifest: Facts | None = None
    done = 0
    for member in tar:
        source = tar.extractfile(member) if member.isfile() else None
        if source is None or not _NAME.match(member.name) or manifest is not None:
            raise damaged(_("it holds %(name)s, which we do not write") % {"name": repr(member.name[:100])})
        if member.name in (HEADER, MANIFEST):
            facts, data = _facts(member, source)
            if member.name == MANIFEST:
                manifest = facts
                continue
            found[member.name] = (len(data), hashlib.sha256(data).hexdigest())
            continue
        found[member.name] = _take(source, into / member.name if into else None)
        done += member.size
        progress(member.name, done)
    return found, manifest


def _facts(member: tarfile.TarInfo, source: IO[bytes]) -> tuple[Facts, bytes]:
    if member.size > _MAX_JSON_BYTES:
        raise damaged(_("its manifest is too large"))
    data = source.read()
    try:
        facts = json.loads(data)
    except ValueError as error:
        raise damaged(_("its manifest cannot be read")) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise damaged(_("its manifest cannot be read"))
    if facts["format"] > FORMAT:
        raise Invalid(
            "backup.newer",
            _("The backup was written by release %(version)s in a format that this one does not know.")
            % {"version": facts.get("version", "?")},
            field="file",
            remedy=_("Restore it with that release or a later one."),
        )
    return facts, data


def _take(source: IO[bytes], target: Path | None) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    if target is None:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
        return size, digest.hexdigest()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with target.open("wb") as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()
