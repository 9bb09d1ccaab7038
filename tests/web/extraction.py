"""Finds every message of the application: in Python by Babel's own reader, in templates through Django's templatize.

`python -m tests.web.extraction` writes new messages into the catalogue, untranslated, and drops those that are gone.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tongchou"
CATALOGUE = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
IDLE_HEADERS = tuple(
    f'"{name}:'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
Message = tuple[str | None, str | tuple[str, ...]]  # context, msgid or (msgid, plural)


def messages() -> Iterator[tuple[Path, Message]]:
    """Yield (file, message) for every message of the application, repeats included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from ((path, message) for message in _of_python(path.read_bytes()))
    for path in sorted(PACKAGE.rglob("*.html")):
        source = templatize(path.read_text(encoding="utf-8"), origin=str(path))
        yield from ((path, message) for message in _of_python(source.encode()))


def _of_python(source: bytes) -> Iterator[Message]:
    for _line, found, _comments, context in extract(
        "python", io.BytesIO(source), KEYWORDS, options={"encoding": "utf-8"}
    ):
        if found:
            yield context, found


def catalogue() -> Catalog:
    """Return the Chinese catalogue as it is on disk."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def wanted() -> Catalog:
    """Return a catalogue of all messages, untranslated, each with the files it stands in."""
    found = Catalog(
        locale="zh_Hans",
        project="Tongchou",
        charset="utf-8",
        fuzzy=False,
        header_comment="# Chinese (simplified) messages of Tongchou. Kept up by python -m tests.web.extraction.\n#",
    )
    for path, (context, message) in messages():
        found.add(message, context=context, locations=[(str(path.relative_to(ROOT)), 1)])
    return found


def update() -> int:
    """Bring the catalogue up to the messages there are; return how many wait for a translation."""
    known = catalogue() if CATALOGUE.exists() else Catalog(locale="zh_Hans")
    fresh = wanted()
    waiting = 0
    for message in fresh:
        old = known.get(message.id, context=message.context) if message.id else None
        if old is not None and old.string and not old.fuzzy:
            message.string = old.string
        elif message.id:
            waiting += 1
    written = io.BytesIO()
    write_po(written, fresh, width=120, no_location=True, sort_output=True)
    lines = written.getvalue().decode().splitlines(keepends=True)
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    # dates and addresses that nobody fills in: a run that changes no message changes no line
    CATALOGUE.write_text("".join(line for line in lines if not line.startswith(IDLE_HEADERS)), encoding="utf-8")
    return waiting


if __name__ == "__main__":
    sys.stdout.write(f"{update()} messages wait for a translation\n")
