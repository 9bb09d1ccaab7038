"""Export: the rows of a table as CSV, XLSX or JSON, written while they are read."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import IO, Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from tongchou.core import ledger
from tongchou.core.access import Actor
from tongchou.core.lists import places
from tongchou.core.lists.conditions import Wanted
from tongchou.core.lists.tables import Column, Table
from tongchou.core.problems import Invalid

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
LIMIT = 200_000  # rows of one file
CHUNK = 1000
IN_MEMORY_BYTES = 4_000_000
MAX_CELL = 32_000  # what a cell of a spreadsheet holds
# A cell that begins like this is a formula to a spreadsheet (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full-width ones too
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class File:
    """A file to send: its name, its content type, its body at the beginning (on disk beyond a few megabytes)."""

    name: str
    content_type: str
    size: int
    body: IO[bytes]


def export(*, actor: Actor, table: Table, wanted: Wanted, columns: Sequence[Column], format_: str) -> File:
    """Return the rows that fit as a file, at most LIMIT of them. Event list.exported: who, what, how many rows."""
    if format_ not in FORMATS:
        raise Invalid(
            "export.format",
            _("There is no such format."),
            field="format",
            value=format_[:20],
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(FORMATS)},
        )
    rows = places.fitting(table, actor, wanted)
    count = rows.order_by()[:LIMIT].count()
    with transaction.atomic():
        ledger.record(
            actor=actor,
            verb="list.exported",
            subject=f"core.list:{table.kind.replace('.', '-')}",
            payload={
                "kind": table.kind,
                "format": format_,
                "rows": count,
                "columns": [each.name for each in columns],
                "filter": {each.key: each.value for each in wanted.conditions}
                | ({"q": wanted.search} if wanted.search else {}),
            },
        )
    now = timezone.localtime()
    name = f"{table.kind.rpartition('.')[2]}s-{now:%Y%m%d-%H%M}{now:%z}.{format_}"
    write = {"csv": _csv, "xlsx": _xlsx, "json": _json}[format_]
    body: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  # whoever sends it closes it
    for part in write(table, columns, _read(table, rows)):  # now: language and time zone are those of this request
        body.write(part)
    size = body.tell()
    body.seek(0)
    return File(name, FORMATS[format_], size, body)


def _read(table: Table, rows: Any) -> Iterator[Any]:
    """The rows one after the other; what the columns need is read for a thousand of them at once."""
    found = rows[:LIMIT].iterator(chunk_size=CHUNK)
    while chunk := list(islice(found, CHUNK)):
        yield from places.loaded(table, chunk)


def plain(value: Any) -> Any:
    """Return a value as JSON has it; times keep the offset of the reader's time zone."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID | Promise):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    return str(value)


def text(value: Any) -> str:
    """Return a value as a cell of text: a yes is true, a mapping is JSON, nothing is nothing."""
    found = plain(value)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, dict | list):
        return json.dumps(found, ensure_ascii=False, sort_keys=True) if found else ""
    return str(found)


def guarded(cell: object) -> str:
    """Return a CSV cell that no spreadsheet takes for a formula."""
    found = str(cell)
    return f"'{found}" if found.startswith(_FORMULA) else found


def unguarded(cell: str) -> str:
    """Return what a guarded cell said: the way back."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _csv(table: Table, columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out)
    out.write("\ufeff")  # so that Excel reads Chinese
    writer.writerow(each.name for each in columns)
    for number, row in enumerate(rows, start=1):
        values = [each.of(row) for each in columns]
        writer.writerow(
            str(value) if isinstance(value, int | float) and not isinstance(value, bool) else guarded(text(value))
            for value in values
        )
        if number % 200 == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def _json(table: Table, columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[bytes]:
    yield b"["
    for number, row in enumerate(rows):
        body = json.dumps({each.name: plain(each.of(row)) for each in columns}, ensure_ascii=False)
        yield (b",\n" if number else b"\n") + body.encode()
    yield b"\n]\n"


def _xlsx(table: Table, columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[bytes]:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(table.kind.rpartition(".")[2][:31])
    sheet.freeze_panes = "A2"
    sheet.append([each.name for each in columns])
    for row in rows:
        sheet.append([_cell(sheet, each.of(row)) for each in columns])
    about = book.create_sheet("about")
    about.append(["time zone", str(timezone.get_current_timezone())])
    about.append(["written at", timezone.localtime().isoformat(timespec="seconds")])
    about.append(["at most rows", LIMIT])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        yield from _pieces(file)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(64 * 1024):
        yield piece


def _cell(sheet: Any, value: Any) -> Any:
    """A cell of the value's own type: numbers, times (of the reader's zone) and days; text is never a formula."""
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    if isinstance(value, datetime):
        cell = WriteOnlyCell(sheet, value=timezone.localtime(value).replace(tzinfo=None, microsecond=0))
        cell.number_format = "yyyy-mm-dd hh:mm:ss"
        return cell
    if isinstance(value, date):
        cell = WriteOnlyCell(sheet, value=value)
        cell.number_format = "yyyy-mm-dd"
        return cell
    found = _ILLEGAL.sub("", text(value))[:MAX_CELL]
    cell = WriteOnlyCell(sheet, value=found)
    if found:
        cell.data_type = "s"
    return cell
