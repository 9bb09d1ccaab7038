"""What a page adds to a table: where a row leads, which cells are drawn its own way, what is read beside the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.lists.tables import Column, Table, table
from tongchou.core.problems import NotFound, Text
from tongchou.web.tables.cells import Cell


def _nowhere(_row: Any) -> str:
    return ""


def _nothing(_rows: Sequence[Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Look:
    """How one table is shown.

    `page`: the URL name of its page, "" for the plain page that every table has (`web:list`). `main`: the column that
    carries the link to a row. `about(rows)`: what else one page needs, read at once. `cells`: name -> how it is drawn,
    with what `about` gave. `beside`: columns only this page has (neither filtered nor exported), each with the column
    it stands after. `varied(look, query)`: how the list is shown at an address that narrows it (the columns of one
    kind); `own` is its table then, `memory` what a person's choice of columns is kept under, `subkind` which.
    `icon`, `empty`, `hint`: the empty page. `back`: the URL name of the page that shows more.
    """

    kind: str
    page: str
    main: str
    url: Callable[[Any], str] = _nowhere
    about: Callable[[Sequence[Any]], Mapping[str, Any]] = _nothing
    cells: Mapping[str, Cell] = field(default_factory=dict)
    beside: tuple[tuple[str, Column], ...] = ()
    icon: str = "table-2"
    empty: Text = ""
    hint: Text = ""
    back: str = ""
    selected: Callable[[Any, Mapping[str, str]], bool] | None = None
    varied: Callable[[Look, Mapping[str, str]], Look] | None = None
    own: Table | None = None
    memory: str = ""
    subkind: str = ""

    @property
    def address(self) -> str:
        """Where its page is."""
        return reverse(self.page) if self.page else reverse("web:list", args=[self.kind])

    @property
    def table(self) -> Table:
        """The table it shows."""
        return self.own or table(self.kind)

    @property
    def remembered(self) -> str:
        """What a person's choice of columns is kept under."""
        return self.memory or self.kind

    def at(self, query: Mapping[str, str]) -> Look:
        """Return how the list is shown at an address with this query."""
        return self.varied(self, query) if self.varied is not None else self

    def columns(self) -> list[Column]:
        """Return the table's columns and this page's own, in their order."""
        found: list[Column] = []
        for column in self.table.all_columns():
            found.append(column)
            found += [own for after, own in self.beside if after == column.name]
        return found


_looks: dict[str, Look] = {}


def register(look: Look) -> Look:
    """Make a page of a table known."""
    _looks[look.kind] = look
    return look


def look_of(kind: str) -> Look | None:
    """Return how the table of this kind is shown, None when it has no page."""
    return _looks.get(kind)


def list_look(actor: Actor, kind: str) -> Look:
    """Return how a list is shown to one who may open it; NotFound, AccessDenied."""
    look = look_of(kind)
    if look is None:
        raise NotFound("table.unknown", _("There is no such list."), remedy=_("Open a list from the menu."))
    look.table.check(actor)
    return look
