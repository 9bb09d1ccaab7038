"""Custom fields as lists, forms, imports and the API use them: which there are, their values, how they are found.

Limits: 200 fields a sort of noun, 64 kB of values a row, 100 entries in a list, 16 kB in one JSON field.
Definitions are kept in memory; one query a call of `fields_of` looks whether they are still the newest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from tongchou.core import ledger, nouns
from tongchou.core.access import Actor, visible_teams
from tongchou.core.field_filters import condition
from tongchou.core.field_types import (
    OBJECTS,
    SELECTS,
    SEVERAL,
    TEXTS,
    Choice,
    FieldDef,
    Unfit,
    number_text,
    read,
    read_text,
    write,
)
from tongchou.core.models_fields import (
    FieldDefinition,
    FieldEditable,
    FieldStamp,
    FieldType,
    FieldVisible,
    FilterLogic,
)
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound, TooLarge
from tongchou.core.refs import parse, ref

MAX_BYTES = 65_536
CHANGED = "custom_fields.changed"
STAMP = 1

Names = Mapping[str, str]


# --- which fields there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    token: UUID
    by_kind: Mapping[str, tuple[FieldDef, ...]]


_known: list[_Known] = []
_known_lock = Lock()


def _load(token: UUID) -> _Known:
    by_kind: dict[str, list[FieldDef]] = defaultdict(list)
    rows = FieldDefinition.objects.filter(deleted_at__isnull=True).select_related("choice_set")
    for row in rows.order_by("kind", "weight", "name"):
        by_kind[row.kind].append(field_of(row))
    return _Known(token, {kind: tuple(found) for kind, found in by_kind.items()})


def field_of(row: FieldDefinition) -> FieldDef:
    """Return a definition as readers use it. One query when its choice set is not loaded."""
    choices = row.choice_set.choices if row.choice_set else []
    return FieldDef(
        id=row.pk,
        kind=row.kind,
        name=row.name,
        type=FieldType(row.type),
        label=row.label,
        subkinds=tuple(row.subkinds),
        description=row.description,
        group=row.group,
        weight=row.weight,
        required=row.required,
        unique=row.unique,
        default=row.default,
        minimum=row.minimum,
        maximum=row.maximum,
        pattern=row.pattern,
        max_length=row.max_length,
        choices=tuple(Choice(each["value"], {"en": each["en"], "zh": each["zh"]}, each["colour"]) for each in choices),
        object_kind=row.object_kind,
        filter_logic=FilterLogic(row.filter_logic),
        visible=FieldVisible(row.visible),
        editable=FieldEditable(row.editable),
        cloneable=row.cloneable,
    )


def fields_of(kind: str, subkind: str | None = None) -> list[FieldDef]:
    """Return the fields of a sort of noun by weight and name; with `subkind` only those that such a row has.

    One query when nothing changed since the last call in this process.
    """
    token = FieldStamp.objects.filter(pk=STAMP).values_list("token", flat=True).first()
    if token is None:
        return []
    with _known_lock:
        known = _known[0] if _known and _known[0].token == token else None
    if known is None:
        known = _load(token)
        with _known_lock:
            _known[:] = [known]
    found = known.by_kind.get(kind, ())
    return list(found) if subkind is None else [each for each in found if has(each, subkind)]


def has(field: FieldDef, subkind: str | None) -> bool:
    """Tell whether rows of this subkind have the field: it is for all, for theirs, or for one theirs inherits from."""
    if not field.subkinds or subkind is None:
        return True
    lineage = nouns.noun(field.kind).lineage
    return any(each in field.subkinds for each in (lineage(subkind) if lineage else (subkind,)))


def kind_of(row: models.Model) -> str:
    """Return the sort of noun a row is ("inventory.resource")."""
    return f"{row._meta.app_label}.{row._meta.model_name}"


def subkind_of(row: models.Model) -> str | None:
    """Return which subkind a row is, where its noun has some."""
    column = nouns.noun_of(row).subkind
    return str(getattr(row, column)) if column else None


def fields_for(row: models.Model) -> list[FieldDef]:
    """Return the fields that this row has. At most one query."""
    return fields_of(kind_of(row), subkind_of(row))


def model_of(kind: str) -> Any:
    """Return the model of a sort of noun that may have custom fields; NotFound or Invalid names what is wrong."""
    if not nouns.noun(kind).custom_fields:
        raise Invalid(
            "custom_field.kind",
            _("Things of this sort have no custom fields."),
            field="kind",
            value=kind,
            remedy=_("Use one of: %(kinds)s.")
            % {"kinds": ", ".join(each.kind for each in nouns.nouns() if each.custom_fields)},
        )
    return apps.get_model(kind)


# --- values -----------------------------------------------------------------------------------------------------------


def refused(field: FieldDef, unfit: Unfit, value: object) -> Invalid:
    """Build the refusal of a value that a field cannot take."""
    return Invalid(
        "custom_field.invalid",
        _("%(title)s: %(why)s") % {"title": field.title, "why": unfit.detail},
        field=field.key,
        value=value,
        remedy=unfit.remedy,
    )


def _unknown(names: Sequence[str], fields: Iterable[FieldDef]) -> Invalid:
    known = ", ".join(each.name for each in fields)
    return Invalid(
        "custom_field.unknown",
        _("There are no custom fields called %(names)s here.") % {"names": ", ".join(names)[:300]},
        field=f"custom.{names[0]}"[:80],
        value=names[0],
        remedy=_("Use one of: %(names)s.") % {"names": known} if known else _("Define the field first."),
        extra={"unknown": [each[:80] for each in names[:50]]},
    )


def missing(field: FieldDef) -> Invalid:
    """Build the refusal of a row without a value that it must have."""
    return Invalid(
        "custom_field.required",
        _("%(title)s needs a value.") % {"title": field.title},
        field=field.key,
        remedy=_("Enter one; the field is required."),
    )


def clean(kind: str, values: Mapping[str, Any], *, subkind: str | None = None, partial: bool = False) -> dict[str, Any]:
    """Return values as they are kept; Invalid names the field as "custom.<name>", its value and a remedy.

    `partial`: only what is given is looked at, and None there clears a field. Otherwise the values are all of a new
    row: what is left out gets its default, and what is required must be there. Idempotent.
    """
    return clean_by(fields_of(kind, subkind), values, partial=partial)


def clean_by(fields: Sequence[FieldDef], values: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    """Return values as they are kept, by these definitions; see `clean`."""
    by_name = {each.name: each for each in fields}
    unknown = [str(name) for name in values if name not in by_name]
    if unknown:
        raise _unknown(unknown, fields)
    out: dict[str, Any] = {}
    for name, field in by_name.items():
        if name not in values:
            if partial:
                continue
            given = field.default
        else:
            given = values[name]
        try:
            found = read(field, given)
        except Unfit as unfit:
            raise refused(field, unfit, given) from None
        if found is None and field.required:
            raise missing(field)
        if found is not None or partial:
            out[name] = found
    return out


def check_targets(actor: Actor, fields: Iterable[FieldDef], values: Mapping[str, Any]) -> None:
    """Raise Invalid when a value points at a thing that is not there, or that the actor may not see."""
    wanted = {each: values[each.name] for each in fields if each.type in OBJECTS and values.get(each.name)}
    seen = names_of(actor, [each for field, value in wanted.items() for each in _as_list(field, value)], hidden=False)
    for field, value in wanted.items():
        for each in _as_list(field, value):
            if each not in seen:
                unfit = Unfit(_("There is no such thing, or it is not yours to see."), _("Pick one from the list."))
                raise refused(field, unfit, each)


def _as_list(field: FieldDef, value: Any) -> list[Any]:
    return list(value) if field.type in SEVERAL else [value]


def set_values(*, actor: Actor, row: Any, values: Mapping[str, Any]) -> Any:
    """Change the custom fields of a row: what is named in `values`, None clears; returns the row with the new values.

    Event custom_fields.changed carries old and new of each. A value that did not change is not looked at again, so a
    row keeps what a later, narrower definition would refuse. Conflict when a unique value is taken.
    """
    nouns.check_change(actor, row)
    fields = {each.name: each for each in fields_for(row)}
    unknown = [str(name) for name in values if name not in fields]
    if unknown:
        raise _unknown(unknown, fields.values())
    with transaction.atomic():
        lock_unique(fields[name] for name in values)
        current = type(row).objects.select_for_update(of=("self",)).only("pk", "custom").get(pk=row.pk).custom
        asked = {name: value for name, value in values.items() if current.get(name) != value}
        found = clean_by([fields[name] for name in asked], asked, partial=True)
        changed = {name: value for name, value in found.items() if current.get(name) != value}
        check_targets(actor, (fields[name] for name in changed), changed)
        for name, value in changed.items():
            if fields[name].unique and value is not None:
                _check_unique(row, fields[name], value)
        merged = {**current, **changed}
        row.custom = {name: value for name, value in merged.items() if value is not None}
        if not changed:
            return row
        _check_size(row.custom)
        type(row).objects.filter(pk=row.pk).update(custom=row.custom)
        ledger.record(
            actor=actor,
            verb=CHANGED,
            subject=ref(row),
            payload={
                "fields": ", ".join(sorted(changed)),
                "old": {name: current.get(name) for name in changed},
                "new": changed,
            },
        )
    return row


def lock_unique(fields: Iterable[FieldDef]) -> None:
    """Let one writer at a time give a unique field a value (SQLite has one writer anyway). Always in the same order."""
    ids = sorted(each.id for each in fields if each.unique)
    if ids:
        list(FieldDefinition.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))


def _check_unique(row: Any, field: FieldDef, value: Any) -> None:
    others = type(row).objects.filter(equals(field, value)).exclude(pk=row.pk)
    noun = nouns.noun(field.kind)
    if field.subkinds and noun.subkind:  # no index has the value: of a large inventory only its kinds are read
        others = others.filter(**{f"{noun.subkind}__in": noun.having(field.subkinds)})
    if others.exists():
        raise Conflict(
            "custom_field.taken",
            _("%(title)s: another one has this value already.") % {"title": field.title},
            field=field.key,
            value=value,
            remedy=_("Every value of this field is used once; choose another."),
        )


def _check_size(values: Mapping[str, Any]) -> None:
    size = len(json.dumps(values, ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise TooLarge(
            "custom_field.too_large",
            _("The custom fields of one row hold at most %(most)s bytes together.") % {"most": f"{MAX_BYTES:,}"},
            field="custom",
            value=f"{size:,}",
            remedy=_("Shorten a value, or keep it elsewhere and store its address."),
        )


def shown(row: Any, fields: Sequence[FieldDef] | None = None) -> dict[str, Any]:
    """Return the values of a row that have a definition in force (those of a deleted field are kept, and not shown).

    `fields`: those of its noun, when many rows are shown; without them one query.
    """
    if not row.custom and fields is None:
        return {}
    subkind = subkind_of(row)
    found = fields_for(row) if fields is None else fields
    return {each.name: row.custom[each.name] for each in found if each.name in row.custom and has(each, subkind)}


def cloned(row: Any) -> dict[str, Any]:
    """Return the values that a copy of this row starts with."""
    return {each.name: row.custom[each.name] for each in fields_for(row) if each.cloneable and each.name in row.custom}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a row's value since its definition was changed. `missing`: required, and without a value."""

    field: FieldDef
    missing: bool
    detail: str


def troubles(fields: Iterable[FieldDef], values: Mapping[str, Any]) -> dict[str, Trouble]:
    """Return what does not fit the definitions of now, by field name; such values stay until somebody changes them."""
    found = {}
    for field in fields:
        value = values.get(field.name)
        if value is None:
            if field.required:
                found[field.name] = Trouble(field, True, _("This field is required and has no value."))
            continue
        try:
            read(field, value)
        except Unfit as unfit:
            found[field.name] = Trouble(field, False, str(unfit.detail))
    return found


# --- showing ----------------------------------------------------------------------------------------------------------


def names_of(actor: Actor, refs: Iterable[str], *, hidden: bool = True) -> dict[str, str]:
    """Return what the things that Refs point at are called: one query a sort, however many there are.

    With `hidden` what is not there, or not the actor's to see, is in the answer too, and says so.
    """
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    listed = list(dict.fromkeys(refs))
    for text in listed:
        try:
            parsed = parse(text)
            wanted[f"{parsed.room}.{parsed.noun}"][str(UUID(parsed.id))] = text
        except ValueError:
            continue
    found: dict[str, str] = {}
    for kind, ids in wanted.items():
        try:
            noun = nouns.noun(kind)
            for row in noun.rows(actor).filter(pk__in=list(ids)):
                found[ids[str(row.pk)]] = noun.called(row)
        except (AccessDenied, NotFound):
            continue
    if hidden:
        found.update({each: gone(actor) for each in listed if each not in found})
    return found


def gone(actor: Actor) -> str:
    """Return what stands for a thing that is not there; a person of some teams is not told which it is."""
    return _("gone") if visible_teams(actor) is None else _("gone, or not yours to see")


def object_names(actor: Actor, fields: Iterable[FieldDef], rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of every thing that these rows' values point at, for `display`. One query a sort."""
    pointing = [each for each in fields if each.type in OBJECTS]
    if not pointing:
        return {}
    refs = [
        each
        for values in rows
        for field in pointing
        if values.get(field.name)
        for each in _as_list(field, values[field.name])
    ]
    return names_of(actor, refs)


def display(field: FieldDef, value: Any, names: Names | None = None) -> str:
    """Return a value as people read it, in the language and time zone in force; "" for none.

    `names`: what `object_names` returned; without it a thing is shown as its Ref.
    """
    if value is None:
        return ""
    if field.type in OBJECTS:
        return ", ".join((names or {}).get(str(each), str(each)) for each in _as_list(field, value))
    if field.type in SELECTS:
        titles = {each.value: each.title for each in field.choices}
        return ", ".join(titles.get(str(each), str(each)) for each in _as_list(field, value))
    if field.type is FieldType.BOOLEAN:
        return _("yes") if value else _("no")
    if field.type is FieldType.DATE_TIME:
        return formats.date_format(timezone.localtime(datetime.fromisoformat(str(value))), "Y-m-d H:i")
    if isinstance(value, int | float):
        return number_text(value)
    return write(field, value)


def cell(field: FieldDef, value: Any) -> str:
    """Return a value as it stands in a CSV or XLSX cell: `parse_cell` gives it back. Not guarded against formulas."""
    return write(field, value)


def parse_cell(field: FieldDef, text: str) -> Any:
    """Return the value of a cell as it is kept, None for an empty one; Invalid names the field and a remedy."""
    try:
        return read(field, read_text(field, text))
    except Unfit as unfit:
        raise refused(field, unfit, text) from None


def custom_text(row: Any) -> str:
    """Return what a search may find in the texts and choices of a row, choices in both languages. One query."""
    parts: list[str] = []
    for field in fields_for(row):
        value = row.custom.get(field.name)
        if value is None:
            continue
        if field.type in TEXTS:
            parts.append(str(value))
        elif field.type in SELECTS:
            labels = {each.value: [each.value, *(str(word) for word in each.label.values())] for each in field.choices}
            parts += [word for each in _as_list(field, value) for word in labels.get(str(each), [str(each)])]
    return "\n".join(dict.fromkeys(filter(None, parts)))


# --- finding ----------------------------------------------------------------------------------------------------------


def equals(field: FieldDef, value: Any) -> models.Q:
    """Return the condition that a row has this very value, whatever filter the field offers."""
    return condition(field, "is", value, offered=False)


def filter_rows(rows: QuerySet[Any], field: FieldDef, operator: str, value: Any = None) -> QuerySet[Any]:
    """Return the rows that have it (`operators(field)` says which operators there are).

    `value`: as kept, or as a text of a cell; a list (or a text divided by ";") for any_of, two for range. Invalid for
    what the field cannot be asked.
    """
    return rows.filter(condition(field, operator, value))
