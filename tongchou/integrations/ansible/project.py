"""The folder of playbooks: what a name in it means, one hash over all of it, and a copy nobody alters meanwhile."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

MAX_FILES = 5_000
MAX_BYTES = 50_000_000
NAME = r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}\.ya?ml"


class ProjectError(Exception):
    """The folder or a name in it cannot be used; the message is for the reader."""


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """(relative path, file) of every file, in order; hidden files and folders (`.git`) are no part of a project."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in [*folders, *sorted(files)]:
            path = Path(here, name)
            if path.is_symlink():
                raise ProjectError(
                    _("%(path)s is a symbolic link; put the file itself there.") % {"path": path.relative_to(folder)}
                )
        yield from (
            (str(Path(here, name).relative_to(folder)), Path(here, name))
            for name in sorted(files)
            if not name.startswith(".")
        )


def _open(path: Path) -> int:
    """A descriptor of a plain file: never of a link or a pipe that was put there since it was listed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ProjectError(_("%(path)s is no plain file.") % {"path": path.name})
    return descriptor


def take(folder: str, playbook: str, into: Path | None = None) -> str:
    """The hex SHA-256 over every path and content of the folder, roles and templates too; copied `into` if given.

    Read once: what is copied is what was hashed. Raises ProjectError.
    """
    if not folder:
        raise ProjectError(_("The setting %(setting)s is empty; it names the folder.") % {"setting": "ansible.project"})
    if not re.fullmatch(NAME, playbook) or any(part in ("", ".", "..") for part in playbook.split("/")):
        raise ProjectError(_("%(name)s is not the name of a playbook in the folder.") % {"name": playbook})
    root = Path(folder)
    if not root.is_dir():
        raise ProjectError(_("There is no folder %(path)s.") % {"path": folder})
    digest = hashlib.sha256()
    seen: set[str] = set()
    left = MAX_BYTES
    try:
        for name, path in _walk(root):
            seen.add(name)
            with os.fdopen(_open(path), "rb") as file:
                content = file.read(left + 1)
            left -= len(content)
            if left < 0 or len(seen) > MAX_FILES:
                says = _("The folder has more than %(files)s files or %(bytes)s bytes; keep only playbooks in it.")
                raise ProjectError(says % {"files": MAX_FILES, "bytes": MAX_BYTES})
            digest.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
            digest.update(hashlib.sha256(content).digest())
            if into is not None:
                copy = into / name
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy.write_bytes(content)
                copy.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    except OSError as error:
        raise ProjectError(_("The folder cannot be read: %(why)s") % {"why": error.strerror or error}) from error
    if playbook not in seen:
        raise ProjectError(_("The folder has no playbook %(name)s.") % {"name": playbook})
    return digest.hexdigest()
