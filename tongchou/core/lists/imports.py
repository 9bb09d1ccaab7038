"""Import: a file is read, its columns are matched, each row is planned; what was shown is what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.lists import batches
from tongchou.core.lists.importers import Importer, Values, importer
from tongchou.core.lists.reading import Sheet
from tongchou.core.models_lists import Batch, BatchRow
from tongchou.core.problems import Conflict, Invalid, Problem, TooLarge

_CHUNK = 200


def guess(of: Importer, sheet: Sheet) -> dict[str, str]:
    """Return which column fills which field by their names: the field's own, or its title in the language of now."""
    fields = of.known()
    words = {str(each.title).strip().lower(): each.name for each in reversed(fields)} | {
        each.name.lower(): each.name for each in fields
    }
    found: dict[str, str] = {}
    for column in sheet.columns:
        field = words.get(column, "")
        if field and field not in found.values():
            found[column] = field
    return found


def hold(*, actor: Actor, kind: str, sheet: Sheet, file_name: str) -> Batch:
    """Keep a file that was read until its columns are matched; planned batches are dropped after KEPT_DAYS."""
    _refuse_never(importer(actor, kind), sheet)
    kept = {"columns": sheet.columns, "rows": sheet.rows, "how": sheet.how, "sha256": sheet.sha256}
    return batches.keep(actor, kind, batches.IMPORT, {"sheet": kept}, [], file_name)


def held(batch: Batch) -> Sheet:
    """Return the file a batch keeps."""
    kept = batch.values["sheet"]
    rows = [(number, cells) for number, cells in kept["rows"]]
    return Sheet(kept["columns"], rows, kept["how"], kept.get("sha256", ""))


def _refuse_never(of: Importer, sheet: Sheet) -> None:
    """Before anything of the file is kept: Invalid when it has a column that no file may have."""
    found = [each for each in sheet.columns if any(word in each for word in of.never)]
    if found:
        raise Invalid("import.never", of.why_never, field=found[0], remedy=_("Take the column out of the file."))


def subkinds_in(of: Importer, sheet: Sheet, columns: Mapping[str, str]) -> list[str]:
    """Return the subkinds that the rows of a file name, in its order."""
    named = [columns.get(column) if of.subkind else None for column in sheet.columns]
    place = named.index(of.subkind) if of.subkind in named else None
    if place is None:
        return []
    return list(dict.fromkeys(cells[place] for _number, cells in sheet.rows if place < len(cells) and cells[place]))


def template(of: Importer, subkinds: Sequence[str] = ()) -> bytes:
    """Return an empty CSV with the columns a file may have, required ones first, as Excel reads it."""
    fields = sorted(of.offered(subkinds), key=lambda each: not each.required)
    return ("\ufeff" + ",".join(each.name for each in fields) + "\r\n").encode()


def matched(of: Importer, sheet: Sheet, asked: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return which column fills which field: by `asked` (column -> field, "" for none), else by `guess`.

    Invalid when a field that every row needs has no column.
    """
    fields = of.known()
    names = {each.name for each in fields}
    found: dict[str, str] = {}
    for column, field in (guess(of, sheet) if asked is None else asked).items():
        if column in sheet.columns and field in names and field not in found.values():
            found[column] = field
    missing = [each.name for each in fields if each.required and each.name not in found.values()]
    if missing:
        raise Invalid(
            "import.missing",
            _("No column of the file fills what every row needs: %(names)s.") % {"names": ", ".join(missing)},
            field="mapping",
            value=", ".join(sheet.columns)[:300],
            remedy=_("Name a column so, or choose which one it is."),
        )
    return found


def dry_run(
    *, actor: Actor, kind: str, sheet: Sheet, file_name: str, mapping: Mapping[str, str] | None = None
) -> Batch:
    """Plan every row: create, change, unchanged, or refused with field, value and remedy. Nothing is altered yet."""
    of = importer(actor, kind)
    _refuse_never(of, sheet)
    if of.whole and len(sheet.rows) > batches.MAX_WHOLE:
        raise TooLarge(
            "import.too_many_whole",
            _("At most %(most)s rows are written all or none.") % {"most": f"{batches.MAX_WHOLE:,}"},
            field="file",
            value=f"{len(sheet.rows):,}",
            remedy=_("Split it into several files."),
        )
    columns = matched(of, sheet, mapping)
    planned: list[BatchRow] = []
    for begin in range(0, len(sheet.rows), _CHUNK):
        planned += _chunk(actor, of, sheet, columns, sheet.rows[begin : begin + _CHUNK])
    _refuse_twins(of, planned)
    ignored = [each for each in sheet.columns if each and each not in columns]
    values = {"how": sheet.how, "columns": columns, "ignored": ignored, "sha256": sheet.sha256}
    return batches.keep(actor, kind, batches.IMPORT, values, planned, file_name)


def _chunk(
    actor: Actor, of: Importer, sheet: Sheet, columns: Mapping[str, str], rows: Sequence[tuple[int, list[str]]]
) -> list[BatchRow]:
    planned: list[BatchRow] = []
    read: list[tuple[BatchRow, Values]] = []
    for number, cells in rows:
        given = dict(zip(sheet.columns, [*cells, *([""] * len(sheet.columns))], strict=False))
        record = {field: given[column] for column, field in columns.items()}
        row = BatchRow(number=number, label=", ".join(each for each in cells if each)[:200], plan="refused")
        planned.append(row)
        try:
            values = of.read(actor, record)
            row.label = of.label(values)[:300]
            read.append((row, values))
        except Problem as problem:
            row.error = batches.told(problem)
    for (row, values), found in zip(read, of.find(actor, [values for _row, values in read]), strict=True):
        _decide(actor, of, row, values, found)
    return planned


def _decide(actor: Actor, of: Importer, row: BatchRow, values: Values, found: Any) -> None:
    if isinstance(found, Problem):
        row.error = batches.told(found)
        return
    try:
        of.check(actor, found)
    except Problem as problem:
        row.error = batches.told(problem)
        return
    if found is None:
        row.plan, row.after = "create", values
        return
    now = of.now(found)
    row.key = str(found.pk)
    wanted = batches.differs(now, values)
    if wanted and of.change is None:
        name = next(iter(wanted))
        row.error = batches.told(
            Conflict(
                "import.no_change",
                _("It is there already, and is not changed by an import."),
                field=name,
                value=wanted[name],
                remedy=_("Leave the row as it was exported, or out of the file."),
            )
        )
        return
    row.plan = "change" if wanted else "unchanged"
    row.after, row.before = wanted, {name: now.get(name) for name in wanted}


def _refuse_twins(of: Importer, planned: Sequence[BatchRow]) -> None:
    """Two rows of one file about the same thing: the later one is refused, for nobody knows which is meant."""
    seen: dict[object, int] = {}
    for row in planned:
        if row.plan == "refused":
            continue
        about = row.key or ("new", (of.same_as or of.label)(row.after or {}))
        if about in seen:
            row.plan, row.before, row.after = "refused", None, None
            row.error = batches.told(
                Invalid(
                    "import.twice",
                    _("Row %(number)s of the file is about the same thing.") % {"number": seen[about]},
                    value=row.label,
                    remedy=_("Keep one of the two rows."),
                )
            )
        else:
            seen[about] = row.number
