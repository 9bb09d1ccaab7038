"""What may be changed of many rows at once: each room declares it in its `bulk.py`, through its own actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.problems import NotFound, Text

InputType = Literal["text", "choice", "date", "labels", "names", "number"]


@dataclass(frozen=True)
class Input:
    """One field of a change's form. `choices(actor)` for a choice: value and words."""

    name: str
    title: Text
    type: InputType = "text"
    required: bool = False
    help: Text = ""
    choices: Callable[[Actor], Iterable[tuple[str, Text]]] | None = None


@dataclass(frozen=True)
class Change:
    """One thing that many rows of a table can be given.

    `read(actor, form)`: what the form says, as JSON; Invalid names the field. `before(row)`, `after(row, said)`: what
    the row has now and what it would have, as JSON that compares; `after` may raise a Problem: this row is refused.
    `write(actor, row, wanted)`: makes it so by the room's action, which checks access again; also the way back when
    `reversible`. `check(actor, row)`: AccessDenied unless the actor may, so that the preview says so.
    """

    kind: str
    name: str
    title: Text
    before: Callable[[Any], Any]
    after: Callable[[Any, Any], Any]
    write: Callable[[Actor, Any, Any], object]
    check: Callable[[Actor, Any], None]
    inputs: tuple[Input, ...] = ()
    read: Callable[[Actor, Mapping[str, str]], Any] = lambda _actor, form: dict(form)  # the plain case
    reversible: bool = False
    permission: str = ""
    help: Text = ""


_changes: dict[tuple[str, str], Change] = {}


def register(change: Change) -> Change:
    """Make a change known; two of one name on one table are a mistake in the code."""
    if (change.kind, change.name) in _changes:
        raise RuntimeError(f"change registered twice: {change.kind} {change.name}")
    _changes[change.kind, change.name] = change
    return change


def changes_of(kind: str) -> list[Change]:
    """Return the changes a table offers, in the order of their declaration."""
    return [each for (of, _name), each in _changes.items() if of == kind]


def change_of(kind: str, name: str) -> Change:
    """Return one change; NotFound names those there are."""
    found = _changes.get((kind, name))
    if found is None:
        names = ", ".join(each.name for each in changes_of(kind))
        raise NotFound(
            "change.unknown",
            _("This list offers no such change."),
            field="change",
            value=name[:40],
            remedy=_("Use one of: %(names)s.") % {"names": names or "-"},
        )
    return found
