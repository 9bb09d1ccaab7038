"""Attributes that fill custom fields of their name: the strongest source's word, until a person writes another.

A custom field holds one value, a person's; `Resource.custom_said` keeps by name what sources put there. As long as both
are the same the value is theirs and follows them. What a person wrote stays; what a person emptied is given back to
the sources, at the latest by the daily pass (ADR 0030).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from tongchou.core.custom_fields import CHANGED, MAX_BYTES, fields_of, has, lock_unique
from tongchou.core.field_types import OBJECTS, TEXTS, FieldDef, Unfit, number_text, read, read_text
from tongchou.core.ledger import Entry
from tongchou.inventory.catalogue.shapes import NOUN
from tongchou.inventory.models import AttributeValue, Resource
from tongchou.inventory.notes import Note
from tongchou.inventory.precedence import Weights, effective
from tongchou.inventory.reconcile import canonical

Values = dict[str, Any]
CHUNK = 1000


def fillable() -> list[FieldDef]:
    """Return the custom fields that a source may fill: all but those that point at things. One query."""
    return [each for each in fields_of(NOUN) if each.type not in OBJECTS]


def as_kept(field: FieldDef, value: Any) -> Any:
    """Return what a source says as the field keeps it; Unfit says why it does not fit.

    Sources know fewer types: a sheet has 4711 where a text is meant, and "yes" where yes is.
    """
    if isinstance(value, str):
        return read(field, read_text(field, value))
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return read(field, number_text(value) if plain and field.type in TEXTS else value)


def decide(custom: Mapping[str, Any], said: Mapping[str, Any], words: Mapping[str, Any]) -> tuple[Values, Values]:
    """Return (custom, said) after the words of sources, None where none says anything any more. Pure."""
    values, theirs = dict(custom), dict(said)
    for name, word in words.items():
        if name in values and not (name in theirs and canonical(values[name]) == canonical(theirs[name])):
            theirs.pop(name, None)  # a person wrote it
        elif word is None:
            values.pop(name, None)
            theirs.pop(name, None)
        else:
            values[name] = theirs[name] = word
    return values, theirs


def fill(ids: Iterable[UUID], weights: Weights, gone: Mapping[UUID, Sequence[str]]) -> tuple[list[Entry], list[Note]]:
    """Fill the custom fields of these resources from what is recorded; return entries for the ledger, and notes.

    `gone`: the sources that gave a resource up (recorded.given_up).

    In the transaction of who wrote attributes. What does not fit leaves the field as it was. One query where no field
    may be filled, else three a thousand resources, and one for each unique field that sources speak of.
    """
    fields = {each.name: each for each in fillable()}
    entries: list[Entry] = []
    notes: list[Note] = []
    listed = list(ids) if fields else []
    if listed:
        lock_unique(fields.values())
    taken: dict[str, dict[str, UUID]] = {}
    for start in range(0, len(listed), CHUNK):
        part = listed[start : start + CHUNK]
        said: dict[UUID, dict[str, dict[str, Any]]] = {}
        values = AttributeValue.objects.filter(resource_id__in=part, name__in=fields)
        for id_, name, source, value in values.values_list("resource_id", "name", "source", "value"):
            said.setdefault(id_, {}).setdefault(name, {})[source] = value
        spoken_of = {name for about in said.values() for name in about}
        taken |= {name: _taken(name) for name in spoken_of - taken.keys() if fields[name].unique}
        changed = []
        # by name: of two that say the same of a unique field it is always the same one that gets it
        rows = Resource.objects.filter(pk__in=part).order_by("name", "kind", "pk")
        for row in rows.only("kind", "name", "custom", "custom_said"):
            about = {name: by for name, by in said.get(row.pk, {}).items() if has(fields[name], row.kind)}
            counts = {name: effective(by, weights.about(name, gone.get(row.pk, ()))) for name, by in about.items()}
            words, unfit = _words(row, fields, counts, taken)
            notes += unfit
            before = row.custom, row.custom_said
            row.custom, row.custom_said = decide(*before, words)
            if before != (row.custom, row.custom_said):
                changed.append(row)
            if before[0] != row.custom:
                entries.append(_entry(row, before[0]))
        Resource.objects.bulk_update(changed, ["custom", "custom_said"], batch_size=200)
    return entries, notes


def _taken(name: str) -> dict[str, UUID]:
    """Who has which value of a unique field."""
    rows = Resource.objects.filter(custom__has_key=name).order_by()
    return {canonical(value): id_ for id_, value in rows.values_list("id", f"custom__{name}")}


def _words(
    row: Resource,
    fields: Mapping[str, FieldDef],
    said: Mapping[str, Any],
    taken: Mapping[str, dict[str, UUID]],
) -> tuple[Values, list[Note]]:
    """What the sources say of the fields of a resource, as it is kept; and what of it cannot be taken."""
    words: Values = dict.fromkeys((name for name in row.custom_said if name in fields and name not in said), None)
    notes = []
    for name, value in said.items():
        try:
            word = as_kept(fields[name], value)
        except Unfit:
            continue  # told with all that does not fit, when the look was compared (standard.notes)
        try:
            _fits_beside(row, name, word, taken.get(name))
        except Unfit as unfit:
            notes.append(note(row.name, name, value, unfit))
        else:
            words[name] = word
    return words, notes


def _fits_beside(row: Resource, name: str, word: Any, taken: dict[str, UUID] | None) -> None:
    """Unfit for a value that another resource has, where each may be there once, and for too much together."""
    if len(json.dumps({**row.custom, name: word}, ensure_ascii=False).encode()) > MAX_BYTES:
        raise Unfit(_("The custom fields of one row hold at most %(most)s bytes together.") % {"most": MAX_BYTES}, "")
    free = taken is None or word is None or name in row.custom.keys() - row.custom_said.keys()
    if not free and taken is not None and taken.setdefault(canonical(word), row.pk) != row.pk:
        raise Unfit(_("Another resource has this value, and each may be there once."), "")


def note(name: str, attribute: str, value: Any, unfit: Unfit) -> Note:
    """Build the note of a value that a field cannot take."""
    facts = {"name": name, "attribute": attribute, "why": str(unfit.detail), "value": canonical(value)[:200]}
    return Note("unfit", facts)


def _entry(row: Resource, old: Mapping[str, Any]) -> Entry:
    names = sorted(name for name in {*old, *row.custom} if old.get(name) != row.custom.get(name))
    payload = {
        "fields": ", ".join(names),
        "old": {name: old.get(name) for name in names},
        "new": {name: row.custom.get(name) for name in names},
    }
    return Entry(CHANGED, f"inventory.resource:{row.pk}", payload=payload)
