"""Files that sources read: from folders an operator allowed, never through a link that leads out, or handed over."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.problems import Invalid, TooLarge, Unavailable

FOLDERS = "inventory.source_folders"
MAX_BYTES = 50_000_000
MAX_AGE_HOURS = 24 * 366
MAX_JSONS = 10_000
MAX_FILES = 10_000  # of one folder
_SPACE = re.compile(r"\s*")
FILE_SETTINGS: dict[str, Any] = {
    "path": {
        "type": "string",
        "title": "path",
        "description": _("a file in an allowed folder; without it, files are handed over by upload"),
    },
    "max_age_hours": {
        "type": "number",
        "minimum": 0,
        "maximum": MAX_AGE_HOURS,
        "default": 0,
        "description": _("an older file is refused, so that what it says does not look fresh; 0: of any age"),
    },
}


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read or sent: its name without folders, its bytes."""

    name: str
    body: bytes


def waits(settings: Mapping[str, Any]) -> bool:
    """Tell whether a source with these settings has no file to read by itself: it waits for uploads."""
    return not settings.get("path") and not settings.get("url")


def of_settings(settings: Mapping[str, Any], *, most: int = MAX_BYTES) -> Document:
    """Read the file that the settings name. Raises Invalid, TooLarge, Unavailable; nothing is taken from a part."""
    if waits(settings):
        raise Invalid(
            "source.no_file",
            _("This source waits for a file to be handed over."),
            field="settings.path",
            remedy=_("Upload a file to it, or set a path in an allowed folder."),
        )
    path = str(settings["path"])
    try:
        content, changed_at = _read(_place(path), most)
    except OSError as error:
        raise Unavailable(
            "source.file",
            _("The file cannot be read: %(why)s.") % {"why": error.strerror or error},
            field="settings.path",
            value=path,
            remedy=_("See that it is there and that the service's user may read it; nothing known was changed."),
        ) from error
    hours = float(settings.get("max_age_hours") or 0)
    age_hours = (time.time() - changed_at) / 3600
    if hours and age_hours > hours:
        raise Unavailable(
            "source.file_old",
            _("The file is %(hours)s hours old.") % {"hours": f"{age_hours:,.1f}"},
            field="settings.max_age_hours",
            value=path,
            remedy=_("See whether what writes it still runs; nothing known was changed."),
        )
    return Document(Path(path).name, content)


@dataclass(frozen=True, slots=True)
class Filed:
    """A file of a folder: its name, when it was changed, what is in it; None: it could not be read, and `why`."""

    name: str
    changed_at: datetime | None
    body: bytes | None
    why: str = ""


def is_folder(settings: Mapping[str, Any]) -> bool:
    """Tell whether the path of the settings is a folder; raises Invalid when it may not be read."""
    root, below = _place(str(settings["path"]), folder=True)
    return (root / below).is_dir()


def in_folder(settings: Mapping[str, Any], *, most: int) -> Iterator[Filed]:
    """Read the files of the folder that the settings name, by name; each has at most `most` bytes.

    Hidden ones, folders, links and what else is no plain file are passed over. Raises Invalid, TooLarge, Unavailable.
    """
    path = str(settings["path"])
    place, below = _place(path, folder=True)
    hours = float(settings.get("max_age_hours") or 0)
    try:
        folder = _opened(place, below.parts)
    except OSError as error:
        raise Unavailable(
            "source.file",
            _("The folder cannot be read: %(why)s.") % {"why": error.strerror or error},
            field="settings.path",
            value=path,
            remedy=_("See that it is there and that the service's user may read it; nothing known was changed."),
        ) from error
    try:
        with os.scandir(folder) as found:
            names = sorted(
                each.name for each in found if not each.name.startswith(".") and each.is_file(follow_symlinks=False)
            )
        if len(names) > MAX_FILES:
            raise TooLarge(
                "source.too_many_files",
                _("The folder holds more than %(most)s files.") % {"most": f"{MAX_FILES:,}"},
                field="settings.path",
                value=path,
                remedy=_("Split it over several folders, and make a source of each."),
            )
        for name in names:
            yield _filed(folder, name, most, hours)
    finally:
        os.close(folder)


def _filed(folder: int, name: str, most: int, hours: float) -> Filed:
    try:
        content, changed_at = _read_in(folder, name, most)
    except TooLarge:
        return Filed(name, None, None, f"over {most:,} bytes")
    except OSError as error:
        return Filed(name, None, None, error.strerror or str(error))
    moment = datetime.fromtimestamp(changed_at, UTC)
    age_hours = (time.time() - changed_at) / 3600
    if hours and age_hours > hours:
        return Filed(name, moment, None, f"{age_hours:,.1f} hours old")
    return Filed(name, moment, content)


def allowed_folders() -> list[str]:
    """Return the folders that sources may read files of."""
    return [str(each) for each in settings_store.get(FOLDERS) or ()]


def _place(path: str, *, folder: bool = False) -> tuple[Path, Path]:
    """Return (allowed folder, path below it), both without links; raises Invalid for what lies elsewhere."""
    real = Path(os.path.realpath(path))
    for each in allowed_folders():
        root = Path(os.path.realpath(each))
        if Path(path).is_absolute() and (folder or real != root) and real.is_relative_to(root):
            return root, real.relative_to(root)
    raise Invalid(
        "source.folder",
        _("The file is in no folder that sources may read."),
        field="settings.path",
        value=path,
        remedy=_("Put it into one of: %(folders)s; or ask an administrator to change the setting %(setting)s.")
        % {"folders": ", ".join(allowed_folders()) or "-", "setting": FOLDERS},
    )


def _opened(root: Path, parts: Iterable[str]) -> int:
    """Open a folder, each step without following a link that was put there meanwhile."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            step = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)
        here = step
    return here


def _read(place: tuple[Path, Path], most: int) -> tuple[bytes, float]:
    root, below = place
    here = _opened(root, below.parts[:-1])
    try:
        return _read_in(here, below.name, most)
    finally:
        os.close(here)


def _read_in(folder: int, name: str, most: int) -> tuple[bytes, float]:
    """Read a plain file of an open folder; return what is in it, and when it was changed."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(file, "rb") as opened:
        before = os.fstat(opened.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise OSError(0, "not a plain file")
        content = opened.read(most + 1)
        after = os.fstat(opened.fileno())
    if len(content) > most:
        raise too_large(most)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(0, "it was being written; write beside it and rename")
    return content, before.st_mtime


def too_large(most: int) -> TooLarge:
    """Return the refusal of a file over `most` bytes."""
    return TooLarge(
        "source.file_too_large",
        _("The file is over %(most)s bytes.") % {"most": f"{most:,}"},
        field="file",
        value=f"{most:,}",
        remedy=_("Export less into one file, and make a source of each."),
    )


def json_of(document: Document) -> Any:
    """Return the JSON of a document; raises Invalid. Byte order marks of Windows are taken."""
    found = jsons_of(document)
    if len(found) != 1:
        raise _no_json(_("The file holds more than one JSON value."), "")
    return found[0]


def jsons_of(document: Document) -> list[Any]:
    """Return the JSON values that stand in a document one after the other, as `cat *.json` writes them."""
    text, decoder, place = _text(document), json.JSONDecoder(), 0
    found: list[Any] = []
    while place < len(text) or not found:
        try:
            value, place = decoder.raw_decode(text, _SPACE.match(text, place).end())  # type: ignore[union-attr]  # it matches nothing, too
        except json.JSONDecodeError as error:
            raise _no_json(_("The file is no JSON."), f"{error.lineno}:{error.colno}") from None
        except (ValueError, RecursionError):
            raise _no_json(_("The file is no JSON."), "") from None
        found.append(value)
        place = _SPACE.match(text, place).end()  # type: ignore[union-attr]  # the same
        if len(found) > MAX_JSONS:
            raise too_large(MAX_BYTES)
    return found


def _text(document: Document) -> str:
    for encoding in ("utf-8-sig", "utf-16"):
        try:
            return document.body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _no_json(_("The file is no text."), "")


def _no_json(detail: Any, where: str) -> Invalid:
    return Invalid(
        "source.json",
        detail,
        field="file",
        value=where,
        remedy=_("Export it anew as JSON in UTF-8; it may be cut off."),
    )
