"""The nouns people work with: which rows an actor may see, who may change one, what they are called.

A room registers its nouns in its file `nouns.py`. What is offered for every noun (lists, views, custom fields,
comments, watching, attachments, search, import and export) goes through here and knows no room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, allows_anywhere, denied
from tongchou.core.problems import AccessDenied, NotFound, Text
from tongchou.core.refs import parse


@dataclass(frozen=True)
class Noun:
    """One sort of thing.

    `kind`: "room.noun", the part of a Ref before the colon. `view`: the permission to see any. `rows`: what an actor
    may see, scoped by team; it may raise AccessDenied. `check_change`: raises AccessDenied unless the actor may change
    that row. `custom_fields`: whether people may define fields for it; its model then has the JSON column `custom`.
    `subkind`: the column that says which sort among them a row is ("kind" of a resource); fields may be for some only.
    `lineage(subkind)`: it and those it inherits fields from; `heirs(subkind)`: it and those that inherit from it.
    `called`: what people call a row. `words`: what else it is found by.
    `watched_through`: Refs of what a row belongs to (resources, teams): who watches those hears of the row, too.
    """

    kind: str
    title: Text
    plural: Text
    view: str
    rows: Callable[[Actor], QuerySet[Any]]
    check_change: Callable[[Actor, Any], None]
    custom_fields: bool = False
    subkind: str = ""
    lineage: Callable[[str], Iterable[str]] | None = None
    heirs: Callable[[str], Iterable[str]] | None = None
    called: Callable[[Any], str] = str
    watched_through: Callable[[Any], Iterable[str]] | None = None
    words: Callable[[Any], Iterable[object]] | None = None

    def having(self, subkinds: Iterable[str]) -> set[str]:
        """Return the subkinds whose rows have what these have: they, and those that inherit from them."""
        return {heir for each in subkinds for heir in (self.heirs(each) if self.heirs else (each,))}


_nouns: dict[str, Noun] = {}


def register(noun: Noun) -> Noun:
    """Make a noun known; a second one of the same kind is a mistake in the code."""
    if noun.kind in _nouns:
        raise RuntimeError(f"noun registered twice: {noun.kind}")
    _nouns[noun.kind] = noun
    return noun


def nouns() -> list[Noun]:
    """Return every noun, by kind."""
    return [_nouns[kind] for kind in sorted(_nouns)]


def noun(kind: str) -> Noun:
    """Return the noun of a kind ("inventory.resource"); NotFound names those there are."""
    found = _nouns.get(kind)
    if found is None:
        raise NotFound(
            "noun.unknown",
            _("There is no sort of thing called %(kind)s.") % {"kind": kind[:80]},
            field="kind",
            value=kind[:80],
            remedy=_("Use one of: %(kinds)s.") % {"kinds": ", ".join(sorted(_nouns))},
        )
    return found


def noun_of(row: models.Model) -> Noun:
    """Return the noun a row belongs to."""
    return noun(f"{row._meta.app_label}.{row._meta.model_name}")


def row(actor: Actor, ref: str) -> Any:
    """Return the row a Ref points at; NotFound for one that is not there or not to be seen: nobody can tell which."""
    missing = NotFound(
        "ref.unknown",
        _("There is no such thing, or your teams do not own it."),
        field="ref",
        value=ref[:140],
        remedy=_("A ref is room.noun:id, as the API returns it."),
    )
    try:
        parsed = parse(ref)
    except ValueError:
        raise missing from None
    sort = noun(f"{parsed.room}.{parsed.noun}")
    if not allows_anywhere(actor, sort.view):
        raise denied(actor, sort.view)
    try:
        found = sort.rows(actor).filter(pk=parsed.id).first()
    except (ValueError, ValidationError):
        found = None
    if found is None:
        raise missing
    return found


def sees(actor: Actor, ref: str) -> bool:
    """Tell whether the actor may see what a Ref points at, and it is there."""
    try:
        row(actor, ref)
    except (NotFound, AccessDenied):
        return False
    return True


def check_change(actor: Actor, row: models.Model) -> None:
    """Raise AccessDenied unless the actor may change this row."""
    noun_of(row).check_change(actor, row)


def may_change(actor: Actor, row: models.Model) -> bool:
    """Tell whether the actor may change this row."""
    try:
        check_change(actor, row)
    except AccessDenied:
        return False
    return True
