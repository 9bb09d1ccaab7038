"""Files people import: CSV in the encodings and with the delimiters they really have, XLSX, JSON; within limits."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from tablib import Dataset

from tongchou.core.lists.export import unguarded
from tongchou.core.problems import Invalid, TooLarge, UnsupportedMedia

MAX_BYTES = 10_000_000
MAX_ROWS = 5_000
MAX_COLUMNS = 100
MAX_CELL = 10_000
MAX_UNPACKED_BYTES = 100_000_000  # a workbook is a zip file: what it would grow to
MAX_RATIO = 200
MAX_FORMULAS = 5  # named in a refusal
ENCODINGS = ("utf-8-sig", "gb18030")  # tried in this order, unless the file's encoding is stated
STATED = {"utf-8": "utf-8-sig", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}
MAX_WHOLE_NUMBER = 2_000_000_000
YES = frozenset({"true", "yes", "1", "y", "是"})
NO = frozenset({"false", "no", "0", "n", "否"})
DELIMITERS = (",", ";", "\t")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >]")  # some programs write the name space before every element


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file holds: its column names, its rows of texts with their line numbers, how it was read, its SHA-256."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    how: str
    sha256: str = ""


def read(name: str, content: bytes, encoding: str = "") -> Sheet:
    """Return what a file holds, by the ending of its name; a Problem says what is wrong with it and what helps.

    `encoding`: one of STATED for a text, "" to find it out.
    """
    if encoding and encoding.lower() not in STATED:
        raise Invalid(
            "import.encoding_name",
            _("This encoding is not known."),
            field="encoding",
            value=encoding[:40],
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(STATED)},
        )
    tried = (STATED[encoding.lower()],) if encoding else ENCODINGS
    if len(content) > MAX_BYTES:
        raise TooLarge(
            "import.too_large",
            _("The file is over %(most)s bytes.") % {"most": f"{MAX_BYTES:,}"},
            field="file",
            value=f"{len(content):,}",
            remedy=_("Split it into several files."),
        )
    ending = name.rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "txt"):
        sheet = _csv(content, tried)
    elif ending == "xlsx":
        sheet = _xlsx(content)
    elif ending == "json":
        sheet = _json(content, tried)
    else:
        raise UnsupportedMedia(
            "import.format",
            _("This kind of file is not read."),
            field="file",
            value=name[-80:],
            remedy=_("Send a file that ends in .csv, .xlsx or .json."),
        )
    return replace(_checked(sheet), sha256=hashlib.sha256(content).hexdigest())


def _checked(sheet: Sheet) -> Sheet:
    if not sheet.columns or not any(sheet.columns):
        raise Invalid(
            "import.empty",
            _("The file has no row of column names."),
            field="file",
            remedy=_("The first row names the columns, such as kind, name, owner."),
        )
    twice = sorted({each for each in sheet.columns if each and sheet.columns.count(each) > 1})
    if twice:
        raise Invalid(
            "import.column_twice",
            _("The file has a column twice."),
            field="file",
            value=", ".join(twice)[:200],
            remedy=_("Rename one of them."),
        )
    if len(sheet.columns) > MAX_COLUMNS or len(sheet.rows) > MAX_ROWS:
        raise TooLarge(
            "import.too_many",
            _("A file has at most %(rows)s rows and %(columns)s columns.")
            % {"rows": f"{MAX_ROWS:,}", "columns": MAX_COLUMNS},
            field="file",
            value=f"{len(sheet.rows):,} × {len(sheet.columns)}",
            remedy=_("Split it into several files."),
        )
    for column in sheet.columns:
        _refuse_unstorable(column, "file")
    for number, cells in sheet.rows:
        for column, cell in zip(sheet.columns, cells, strict=False):
            _refuse_unstorable(cell, f"{number}:{column}")
            if len(cell) > MAX_CELL:
                raise TooLarge(
                    "import.cell",
                    _("A cell has at most %(most)s characters.") % {"most": f"{MAX_CELL:,}"},
                    field=f"{number}:{column}",
                    value=cell[:80],
                    remedy=_("Shorten it."),
                )
    return sheet


def _refuse_unstorable(text: str, field: str) -> None:
    """JSON may write what no database keeps."""
    if _UNSTORABLE.search(text):
        raise Invalid(
            "import.text",
            _("The text has a NUL character or half of a surrogate pair; neither is text."),
            field=field,
            remedy=_("Leave the character out."),
        )


def _text(content: bytes, tried: Sequence[str]) -> tuple[str, str]:
    for encoding in tried:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise Invalid(
        "import.encoding",
        _("The text is neither UTF-8 nor GB18030.") if len(tried) > 1 else _("The text is not of that encoding."),
        field="file",
        value="" if len(tried) > 1 else tried[0].removesuffix("-sig"),
        remedy=_("Save it as CSV in UTF-8."),
    )


def _csv(content: bytes, tried: Sequence[str]) -> Sheet:
    text, encoding = _text(content, tried)
    if "\0" in text:
        raise Invalid("import.binary", _("This is no text."), field="file", remedy=_("Save it as CSV in UTF-8."))
    head = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    csv.field_size_limit(MAX_BYTES)
    try:
        found = Dataset().load(text, format="csv", delimiter=delimiter, headers=True, skip_lines=0)
    except (csv.Error, ValueError) as error:
        raise Invalid(
            "import.csv",
            _("The CSV cannot be read: %(error)s.") % {"error": str(error)[:200]},
            field="file",
            remedy=_("Every row has as many cells as the first; a cell with a comma stands in double quotes."),
        ) from None
    rows = [(number, [unguarded(_said(cell)) for cell in row]) for number, row in enumerate(found, start=2)]
    return Sheet(
        _names(found.headers or []), _filled(rows), f"CSV, {encoding.removesuffix('-sig').upper()}, {delimiter!r}"
    )


def _xlsx(content: bytes) -> Sheet:
    broken = Invalid(
        "import.xlsx",
        _("The workbook cannot be read."),
        field="file",
        remedy=_("Save it as .xlsx once more, or as CSV in UTF-8."),
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(each.file_size for each in packed.infolist())
            sheets = [each for each in packed.namelist() if each.startswith("xl/worksheets/")]
        if size > MAX_UNPACKED_BYTES or size > MAX_RATIO * max(len(content), 1):
            raise TooLarge(
                "import.bomb",
                _("The workbook unpacks to more than %(most)s bytes, or to far more than it has.")
                % {"most": f"{MAX_UNPACKED_BYTES:,}"},
                field="file",
                value=f"{size:,}",
                remedy=_("Save only the sheet with the rows, or as CSV."),
            )
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        found: list[list[str]] = []
        for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1):
            found.append([_said(cell) for cell in row])
            if len(found) > MAX_ROWS + 2:
                break
        book.close()
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            formulas = any(_FORMULA.search(text) for text in (packed.read(each) for each in sheets))
        if formulas:
            _refuse_unknown_results(content, found)
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, EOFError, OSError, TypeError, SyntaxError):
        raise broken from None
    if not found:
        return Sheet([], [], "XLSX")
    names = _names(found[0])
    while names and not names[-1]:
        names.pop()
    rows = [(number, row[: len(names)]) for number, row in enumerate(found[1:], start=2)]
    return Sheet(names, _filled(rows), "XLSX")


def _refuse_unknown_results(content: bytes, found: list[list[str]]) -> None:
    """A formula is taken at the value saved with it. Invalid without one: it would be read as an empty cell."""
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    unknown = [
        f"{get_column_letter(column)}{number}"
        for number, row in enumerate(book.worksheets[0].iter_rows(max_col=MAX_COLUMNS + 1), start=1)
        if number <= len(found)
        for column, cell in enumerate(row, start=1)
        if cell.data_type == "f" and not found[number - 1][column - 1]
    ]
    book.close()
    if unknown:
        raise Invalid(
            "import.formula",
            _("Cells hold formulas whose results were not saved."),
            field="file",
            value=", ".join(unknown[:MAX_FORMULAS]),
            remedy=_("Put the values in their place (paste as values), or open and save the file in a spreadsheet."),
        )


def _json(content: bytes, tried: Sequence[str]) -> Sheet:
    text, encoding = _text(content, tried)
    try:
        found = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "import.json",
            _("The JSON cannot be read: %(error)s.") % {"error": str(error)[:200]},
            field="file",
            remedy=_("Send a list of objects, each one row."),
        ) from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Invalid(
            "import.json",
            _("The JSON is not a list of objects."),
            field="file",
            remedy=_("Send a list of objects, each one row."),
        )
    names = list(dict.fromkeys(str(name) for each in found for name in each))
    rows = [(number, [_said(each.get(name)) for name in names]) for number, each in enumerate(found, start=1)]
    return Sheet(names, rows, f"JSON, {encoding.removesuffix('-sig').upper()}")


def _said(cell: Any) -> str:
    """A cell as text: whole numbers without a point, times in ISO 8601, structures as JSON, nothing as nothing."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 10**15:
        return str(int(cell))
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False, sort_keys=True)
    return str(cell).strip()


def _names(cells: Iterable[Any]) -> list[str]:
    return [_said(each).strip().lower() for each in cells]


def _filled(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    return [(number, cells) for number, cells in rows if any(cells)]


def yes(text: str, field: str) -> bool:
    """Return what a cell says as yes or no; Invalid for anything else."""
    word = text.strip().lower()
    if word not in YES | NO:
        raise Invalid(
            "import.yes",
            _("This is neither yes nor no."),
            field=field,
            value=text[:40],
            remedy=_("Write true or false."),
        )
    return word in YES


def moment(text: str, field: str) -> datetime | None:
    """Return the time of a cell in UTC, to the second, None for an empty one. Without an offset: the reader's zone."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = at if at.tzinfo else timezone.make_aware(at)
        return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise Invalid(
            "import.time",
            _("This is no time."),
            field=field,
            value=text[:60],
            remedy=_("Write it like 2026-03-02 10:00:00, or 2026-03-02T10:00:00+08:00."),
        ) from None


def moment_text(at: datetime) -> str:
    """Write a time as `moment` reads it: in UTC, to the second, so that a row and its cell compare alike."""
    return at.astimezone(UTC).replace(microsecond=0).isoformat()


def number(text: str, field: str) -> float | None:
    """Return the number of a cell, None for an empty one; Invalid for anything else."""
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise Invalid("import.number", _("This is no number."), field=field, value=text[:60])
    return found


def whole_number(text: str, field: str) -> int | None:
    """Return the whole number of a cell, None for an empty one; Invalid for anything else."""
    found = number(text, field)
    if found is not None and (found != int(found) or abs(found) > MAX_WHOLE_NUMBER):
        raise Invalid("import.number", _("This is no whole number."), field=field, value=text[:60])
    return None if found is None else int(found)
