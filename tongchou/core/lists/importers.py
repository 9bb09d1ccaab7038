"""What can be imported: each room declares how a record becomes a row, through its own actions, in its `imports.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import nouns
from tongchou.core.access import Actor, allows, allows_anywhere, check_anywhere, denied
from tongchou.core.problems import NotFound, Problem, Text

Values = dict[str, Any]


@dataclass(frozen=True)
class ImportField:
    """One column a file may have."""

    name: str
    title: Text
    required: bool = False
    help: Text = ""


@dataclass(frozen=True)
class Importer:
    """How records become rows of one table.

    `read(actor, record)`: the record's texts as values (JSON), only of columns the file has; Invalid names the field.
    `find(actor, many)`: for each of many values the row that is meant, or None for a new one; it may hold a Problem
    instead of a row. `now(row)`: what the row has, in the same form. `create`, `change` (only what differs), `retire`
    (the way back of a creation) go through the room's actions. Without `retire` a creation stays, and `no_way_back`
    says why; without `change` a row that is there stays as it is.

    `subkind`: the field that says which sort among the rows one is; `of_subkinds(names)`: the columns that such rows
    have besides `fields`; `beyond()`: every column that is known besides `fields`, though not offered to all.

    `same_as`: what tells new rows of one file apart, when their label does not; two alike are refused.
    `whole`: all of a file is written, in one transaction, or nothing; else each row by itself, and refused ones are
    left out. `unowned`: the rows belong to no team, so a role in a team does not let one import. `never`: words in
    the name of a column that no file may have; `why_never` says why.
    """

    kind: str
    title: Text
    permission: str
    fields: Callable[[], Sequence[ImportField]]
    read: Callable[[Actor, Mapping[str, str]], Values]
    find: Callable[[Actor, Sequence[Values]], Sequence[Any]]
    now: Callable[[Any], Values]
    label: Callable[[Values], str]
    create: Callable[[Actor, Values], Any]
    change: Callable[[Actor, Any, Values], object] | None
    retire: Callable[[Actor, Any], object] | None
    check: Callable[[Actor, Any], None]
    no_way_back: Text = ""
    whole: bool = True
    unowned: bool = False
    never: frozenset[str] = frozenset()
    why_never: Text = ""
    same_as: Callable[[Values], object] | None = None
    subkind: str = ""
    of_subkinds: Callable[[Sequence[str]], Sequence[ImportField]] | None = None
    beyond: Callable[[], Sequence[ImportField]] | None = None

    def allowed(self, actor: Actor) -> bool:
        """Whether the actor may import at all; each row is looked at, too."""
        return (allows if self.unowned else allows_anywhere)(actor, self.permission)

    def offered(self, subkinds: Sequence[str] = ()) -> list[ImportField]:
        """Return the columns that rows of these subkinds may have; of none named, those that all have."""
        return [*self.fields(), *(self.of_subkinds(subkinds) if self.of_subkinds is not None and subkinds else ())]

    def known(self) -> list[ImportField]:
        """Return every column a file may have."""
        return [*self.fields(), *(self.beyond() if self.beyond is not None else ())]

    @property
    def reversible(self) -> bool:
        """Whether an import may be undone, at least the part of it that changed what was there."""
        return self.retire is not None or self.change is not None


_importers: dict[str, Importer] = {}


def register(importer: Importer) -> Importer:
    """Make an importer known; a second one of a table is a mistake in the code."""
    if importer.kind in _importers:
        raise RuntimeError(f"importer registered twice: {importer.kind}")
    _importers[importer.kind] = importer
    return importer


def importers() -> list[Importer]:
    """Return every importer, by kind."""
    return [_importers[kind] for kind in sorted(_importers)]


def importer_of(kind: str) -> Importer | None:
    """Return the importer of a table, None when nothing is imported into it."""
    return _importers.get(kind)


def importer(actor: Actor, kind: str) -> Importer:
    """Return the importer of a table to one who may import; NotFound names those there are, else AccessDenied."""
    found = _importers.get(kind)
    if found is None:
        raise NotFound(
            "import.kind",
            _("Nothing is imported into %(kind)s.") % {"kind": kind[:80]},
            field="kind",
            value=kind[:80],
            remedy=_("Use one of: %(kinds)s.") % {"kinds": ", ".join(sorted(_importers))},
        )
    if not found.allowed(actor):
        raise denied(actor, found.permission)
    return found


def check_row(permission: str) -> Callable[[Actor, Any], None]:
    """Return the check of a table whose rows have owners: a new row by the permission, one that is there as itself."""

    def check(actor: Actor, row: Any) -> None:
        if row is None:
            check_anywhere(actor, permission)
        else:
            nouns.check_change(actor, row)

    return check


def each_found(many: Sequence[Values], find: Callable[[Values], Any]) -> list[Any]:
    """Return what `find` says of each record: a row, None for a new one, or the Problem it raises."""
    found: list[Any] = []
    for values in many:
        try:
            found.append(find(values))
        except Problem as problem:
            found.append(problem)
    return found
