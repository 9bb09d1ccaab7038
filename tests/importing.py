"""What the tests of every importer do: write a list as a file, change it, plan it, do it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from tongchou.core.access import Actor
from tongchou.core.lists import batches, conditions, imports, reading
from tongchou.core.lists.export import export, unguarded
from tongchou.core.lists.tables import table
from tongchou.core.models_lists import Batch

Change = Callable[[dict[str, Any]], Mapping[str, Any]]


def exported(actor: Actor, kind: str, format_: str = "csv") -> bytes:
    """All columns of all rows, as the page's Export writes them."""
    of = table(kind)
    # no queue, no default condition: every row there is
    asked = {name: [conditions.ANY] for name in of.defaults}
    if any(each.name == "all" for each in of.queues):
        asked[of.queue_word] = ["all"]
    wanted = conditions.read(of, asked)
    file = export(actor=actor, table=of, wanted=wanted, columns=of.all_columns(), format_=format_)
    with file.body as body:
        return body.read()


def edited(content: bytes, change: Change) -> bytes:
    """A CSV with each of its rows changed, as JSON."""
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    said = [{name: unguarded(cell) for name, cell in row.items()} for row in rows]
    return json.dumps([{**row, **change(row)} for row in said]).encode()


def planned(actor: Actor, kind: str, content: bytes | str, name: str = "file.csv") -> Batch:
    """A dry run."""
    raw = content.encode() if isinstance(content, str) else content
    return imports.dry_run(actor=actor, kind=kind, sheet=reading.read(name, raw), file_name=name)


def done(actor: Actor, kind: str, content: bytes | str, name: str = "file.csv") -> Batch:
    """A dry run whose rows are all good, and what it planned; every row is done."""
    batch = planned(actor, kind, content, name)
    assert errors(batch) == {}
    batch = batches.start(actor=actor, batch=batch)
    assert set(batch.rows.exclude(plan="unchanged").values_list("result", flat=True)) <= {"done"}, errors(batch)
    return batch


def plans(batch: Batch) -> list[str]:
    """What is planned for each row of the file, in its order."""
    return list(batch.rows.order_by("number").values_list("plan", flat=True))


def errors(batch: Batch) -> dict[int, str]:
    """The field that is wrong, by row number."""
    return {row.number: (row.error or {}).get("field", "") for row in batch.rows.filter(error__isnull=False)}


def undone(actor: Actor, batch: Batch) -> dict[str, int]:
    """Undo a batch; how many rows came back and how many were left alone."""
    batch = batches.undo(actor=actor, batch=batch)
    found = list(batch.rows.values_list("result", flat=True))
    return {name: found.count(name) for name in ("undone", "kept") if name in found}


def told(batch: Batch, **which: Any) -> dict[str, str]:
    """Why one row of a batch was refused, failed or was left alone."""
    return dict(batch.rows.get(**which).error or {})
