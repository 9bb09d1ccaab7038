"""What a table is: its columns with their types, what it can be narrowed and ordered by, and whose rows it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, allows, allows_anywhere, denied
from tongchou.core.problems import NotFound, Text

Type = Literal["text", "choice", "number", "date", "moment", "yes", "labels"]
OWN_PREFIX = "cf."  # the names of columns that people define
Choices = Callable[[Actor], Iterable[tuple[str, Text]]]
Narrow = Callable[[QuerySet[Any], str, str], QuerySet[Any]]


@dataclass(frozen=True)
class Column:
    """One column. `path`: where the ORM finds it, for filters ("" when it cannot be filtered) and for its value.

    `value`: what it holds for a loaded row, when the path does not say it. `order`: the database columns of the index
    that sorts by it, ending in the key; without one the column cannot be sorted. `narrow(rows, operator, value)`
    filters where a path alone does not. `nullable`: the first of `order` may be NULL. `unit` stands in the header.
    """

    name: str
    title: Text
    type: Type = "text"
    path: str = ""
    value: Callable[[Any], Any] | None = None
    order: tuple[str, ...] = ()
    choices: Choices | None = None
    narrow: Narrow | None = None
    nullable: bool = False
    shown: bool = True
    unit: Text = ""

    @property
    def filterable(self) -> bool:
        """Whether a condition on it is possible."""
        return bool(self.path or self.narrow)

    def of(self, row: Any) -> Any:
        """Return what the row holds, as a plain value: text, number, date, aware datetime, bool, dict or None."""
        if self.value is not None:
            return self.value(row)
        found: Any = row if self.path else None
        for part in self.path.split("__") if self.path else ():
            found = getattr(found, part, None)
        return found


@dataclass(frozen=True)
class Queue:
    """A tab that comes with the table: its name in the address, its title, and which rows stand in it."""

    name: str
    title: Text
    narrow: Callable[[QuerySet[Any], Actor], QuerySet[Any]]


@dataclass(frozen=True)
class Table:
    """A list. `rows(actor)`: what an actor may see and nothing else; it may raise AccessDenied.

    `load(ids)`: the rows of one page with all that its columns read, so that the number of queries does not grow with
    the rows; without it the rows are read as `rows` gives them. `sort`: the column (with "-" turned round) it begins
    with. `search`: the ORM paths of the search box. `defaults`: conditions that hold until the reader says otherwise.
    `more`: columns that people define. `beyond(name)`: a column that is there for who names it, but not offered.
    `unowned`: its rows belong to no team, so a role in a team does not open it.
    """

    kind: str
    title: Text
    view: str
    rows: Callable[[Actor], QuerySet[Any]]
    columns: tuple[Column, ...]
    sort: str
    search: tuple[str, ...] = ()
    load: Callable[[Sequence[Any]], Iterable[Any]] | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    queues: tuple[Queue, ...] = ()
    queue_word: str = "queue"
    unowned: bool = False
    more: Callable[[], Sequence[Column]] | None = None
    beyond: Callable[[str], Column | None] | None = None

    def all_columns(self) -> tuple[Column, ...]:
        """Return the declared columns and those people defined."""
        return (*self.columns, *(self.more() if self.more else ()))

    def column(self, name: str) -> Column | None:
        """Return the column of this name, None when there is none."""
        found = next((each for each in self.columns if each.name == name), None)
        if found is None and self.more is not None and name.startswith(OWN_PREFIX):
            return next((each for each in self.more() if each.name == name), None)
        if found is None and self.beyond is not None:
            return self.beyond(name)
        return found

    def check(self, actor: Actor) -> None:
        """Raise AccessDenied unless the actor may open the list."""
        if not (allows if self.unowned else allows_anywhere)(actor, self.view):
            raise denied(actor, self.view)

    def visible(self, actor: Actor) -> QuerySet[Any]:
        """Return the rows the actor may see, in no order; raises AccessDenied."""
        self.check(actor)
        return self.rows(actor).order_by()


_tables: dict[str, Table] = {}


def register(table: Table) -> Table:
    """Make a table known; a second one of the same kind, or two columns of one name, are mistakes in the code."""
    names = [each.name for each in table.columns]
    if table.kind in _tables or len(set(names)) != len(names):
        raise RuntimeError(f"table or column registered twice: {table.kind}")
    _tables[table.kind] = table
    return table


def tables() -> list[Table]:
    """Return every table, by kind."""
    return [_tables[kind] for kind in sorted(_tables)]


def table(kind: str) -> Table:
    """Return the table of a kind ("inventory.resource"); NotFound names those there are."""
    found = _tables.get(kind)
    if found is None:
        raise NotFound(
            "table.unknown",
            _("There is no list called %(kind)s.") % {"kind": kind[:80]},
            field="kind",
            value=kind[:80],
            remedy=_("Use one of: %(kinds)s.") % {"kinds": ", ".join(sorted(_tables))},
        )
    return found


def chosen(choices: Any) -> Choices:
    """Return the choices of an enumeration for a column."""
    return lambda _actor: choices.choices


def by_state(states: Any) -> tuple[Queue, ...]:
    """Return a queue for each state of an enumeration, in its order."""
    return tuple(_one_state(each) for each in states)


def _one_state(state: Any) -> Queue:
    return Queue(state.value, state.label, lambda rows, _actor: rows.filter(state=state.value))
