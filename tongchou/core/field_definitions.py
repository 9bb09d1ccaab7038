"""Custom fields as administrators change them: every write of a definition, and what it would do to values that exist.

The name and the type of a field are fixed. A narrower definition is refused while values break it, unless those shall
be kept (they are then marked on their pages). A deleted field can be put back for a while; then its values go, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import re2
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.core import ledger, nouns, settings_store
from tongchou.core.access import Actor, check, system
from tongchou.core.custom_fields import STAMP, field_of, has, model_of
from tongchou.core.field_types import (
    MAX_LONG_TEXT,
    MAX_TEXT,
    MAX_URL,
    NUMBERS,
    OBJECTS,
    SELECTS,
    TEXTS,
    UNIQUE_TYPES,
    FieldDef,
    Unfit,
    read,
)
from tongchou.core.models_fields import (
    ChoiceSet,
    FieldDefinition,
    FieldEditable,
    FieldStamp,
    FieldType,
    FieldVisible,
    FilterLogic,
)
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref

MANAGE = "fields.manage"
MAX_FIELDS = 200
MAX_WEIGHT = 10_000
KEEP_DAYS = "custom_fields.keep_deleted_days"
BATCH = 500
EXAMPLES = 10

_NAME = re.compile(r"\A(?=.*[a-z])(?!.*__)[a-z0-9_]{1,50}\Z")
_SUBKIND = re.compile(r"\A[A-Za-z0-9_.\-]{1,64}\Z")
_LENGTHS = {FieldType.TEXT: MAX_TEXT, FieldType.LONG_TEXT: MAX_LONG_TEXT, FieldType.URL: MAX_URL}


@dataclass(frozen=True)
class Draft:
    """What an administrator says about a field; the texts are {"en": ..., "zh": ...}. `choice_set`: its name."""

    label: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)
    group: Mapping[str, str] = field(default_factory=dict)
    subkinds: tuple[str, ...] = ()
    weight: int = 100
    required: bool = False
    unique: bool = False
    default: Any = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    pattern: str = ""
    max_length: int | None = None
    choice_set: str = ""
    object_kind: str = ""
    filter_logic: str = FilterLogic.LOOSE.value
    visible: str = FieldVisible.ALWAYS.value
    editable: str = FieldEditable.YES.value
    cloneable: bool = True


def draft_of(row: FieldDefinition) -> Draft:
    """Return what a definition says, to be changed with `dataclasses.replace`."""
    same = {name: getattr(row, name) for name in Draft.__dataclass_fields__ if name not in ("choice_set", "subkinds")}
    return Draft(**same, choice_set=row.choice_set.name if row.choice_set else "", subkinds=tuple(row.subkinds))


def _wrong(place: str, detail: str, value: object, remedy: str) -> Invalid:
    return Invalid("custom_field.definition", detail, field=place, value=value, remedy=remedy)


# --- checks -----------------------------------------------------------------------------------------------------------


def texts(place: str, told: Mapping[str, Any], most: int, *, needed: bool = False) -> dict[str, str]:
    """Return {"en": ..., "zh": ...} of what was told; Invalid for another language, or a text too long."""
    out = {}
    for language, text in told.items():
        if language not in ("en", "zh") or not isinstance(text, str) or len(text.strip()) > most:
            raise _wrong(
                f"{place}.{str(language)[:20]}",
                _("This is a text of at most %(most)s characters, in en or zh.") % {"most": most},
                text,
                _("Write it in one language or in both."),
            )
        if text.strip():
            out[language] = text.strip()
    if needed and not out:
        raise _wrong(place, _("A label is needed."), None, _("Write it in one language or in both."))
    return out


def _only_for(place: str, value: object, fits: bool) -> None:
    if value not in (None, "", False) and not fits:
        raise _wrong(place, _("A field of this type has no such rule."), value, _("Leave it out."))


def _check_rules(type_: FieldType, draft: Draft) -> None:
    for place in ("minimum", "maximum"):
        value = getattr(draft, place)
        _only_for(place, value, type_ in NUMBERS)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15):
            raise _wrong(place, _("This is a number."), value, _("Write it like 12.5."))
    if draft.minimum is not None and draft.maximum is not None and draft.minimum > draft.maximum:
        raise _wrong("maximum", _("The most is less than the least."), draft.maximum, _("Swap them."))
    _only_for("pattern", draft.pattern, type_ in TEXTS)
    if draft.pattern:
        try:
            re2.compile(draft.pattern)
        except re2.error as error:
            why = _("This is not a pattern: %(why)s.") % {"why": error}
            remedy = _("Use RE2 syntax; it is matched against the whole text.")
            raise _wrong("pattern", why, draft.pattern, remedy) from None
        if len(draft.pattern) > 500:
            raise _wrong("pattern", _("This is too long."), draft.pattern, _("Use at most 500 characters."))
    _only_for("max_length", draft.max_length, type_ in TEXTS)
    if draft.max_length is not None and not 1 <= draft.max_length <= _LENGTHS[type_]:
        raise _wrong(
            "max_length",
            _("A length lies between 1 and %(most)s.") % {"most": _LENGTHS[type_]},
            draft.max_length,
            _("Choose a number in between."),
        )
    _only_for("unique", draft.unique, type_ in UNIQUE_TYPES)
    if draft.unique and draft.default is not None:
        raise _wrong("default", _("A unique field has no default."), draft.default, _("Leave one of them out."))
    if not 0 <= draft.weight <= MAX_WEIGHT:
        most = _("A weight lies between 0 and %(most)s.") % {"most": MAX_WEIGHT}
        raise _wrong("weight", most, draft.weight, _("Small ones come first."))
    for place, known in (("filter_logic", FilterLogic), ("visible", FieldVisible), ("editable", FieldEditable)):
        if getattr(draft, place) not in known.values:
            remedy = _("Use one of: %(names)s.") % {"names": ", ".join(known.values)}
            raise _wrong(place, _("There is no such choice."), getattr(draft, place), remedy)


def _check_parts(kind: str, type_: FieldType, draft: Draft) -> ChoiceSet | None:
    """Check what a definition points at, and return its choice set."""
    if len(draft.subkinds) > 50 or not all(_SUBKIND.match(each) for each in draft.subkinds):
        remedy = _("At most 50 names of letters, digits, points and hyphens.")
        raise _wrong("subkinds", _("These are not kinds."), ", ".join(draft.subkinds), remedy)
    if draft.subkinds and not nouns.noun(kind).subkind:
        raise _wrong("subkinds", _("Things of this sort have no kinds."), draft.subkinds, _("Leave it out."))
    _only_for("object_kind", draft.object_kind, type_ in OBJECTS)
    if type_ in OBJECTS and draft.object_kind not in {each.kind for each in nouns.nouns()}:
        raise _wrong(
            "object_kind",
            _("A field of this type points at one sort of thing."),
            draft.object_kind,
            _("Use one of: %(kinds)s.") % {"kinds": ", ".join(each.kind for each in nouns.nouns())},
        )
    _only_for("choice_set", draft.choice_set, type_ in SELECTS)
    if type_ not in SELECTS:
        return None
    found = ChoiceSet.objects.filter(name=draft.choice_set).first()
    if found is None:
        known = ", ".join(ChoiceSet.objects.values_list("name", flat=True)[:50])
        remedy = _("Use one of: %(names)s.") % {"names": known} if known else _("Make a choice set first.")
        raise _wrong("choice_set", _("There is no such choice set."), draft.choice_set, remedy)
    return found


def fill(row: FieldDefinition, draft: Draft) -> FieldDef:
    """Check a draft and put it into a row that is not saved yet; return the field it makes."""
    type_ = FieldType(row.type)
    _check_rules(type_, draft)
    row.choice_set = _check_parts(row.kind, type_, draft)
    for name in ("weight", "required", "unique", "minimum", "maximum", "max_length", "cloneable"):
        setattr(row, name, getattr(draft, name))
    for name in ("pattern", "object_kind", "filter_logic", "visible", "editable"):
        setattr(row, name, str(getattr(draft, name)))
    row.subkinds = list(dict.fromkeys(draft.subkinds))
    row.label = texts("label", draft.label, 100, needed=True)
    row.description = texts("description", draft.description, 500)
    row.group = texts("group", draft.group, 100)
    made = field_of(row)
    try:
        row.default = read(made, draft.default)
    except Unfit as unfit:
        raise _wrong("default", str(unfit.detail), draft.default, str(unfit.remedy)) from None
    return replace(made, default=row.default)


# --- what exists ------------------------------------------------------------------------------------------------------


def definitions(*, deleted: bool = False) -> QuerySet[FieldDefinition]:
    """Return the definitions in force, or those that can still be put back."""
    rows = FieldDefinition.objects.select_related("choice_set").filter(deleted_at__isnull=not deleted)
    return rows.order_by("kind", "weight", "name")


def get(kind: str, name: str) -> FieldDefinition:
    """Return a definition in force; NotFound names those of the sort."""
    row = definitions().filter(kind=kind, name=name).first()
    if row is None:
        known = ", ".join(definitions().filter(kind=kind).values_list("name", flat=True)[:50])
        raise NotFound(
            "custom_field.unknown",
            _("There is no custom field %(name)s of %(kind)s.") % {"name": name[:50], "kind": kind[:80]},
            field="name",
            value=name[:50],
            remedy=_("Use one of: %(names)s.") % {"names": known} if known else _("Define the field first."),
        )
    return row


def get_deleted(kind: str, name: str) -> FieldDefinition:
    """Return a deleted definition; NotFound when there is none."""
    row = definitions(deleted=True).filter(kind=kind, name=name).first()
    if row is None:
        raise NotFound(
            "custom_field.unknown",
            _("There is no deleted field %(name)s of %(kind)s.") % {"name": name[:50], "kind": kind[:80]},
            field="name",
            value=name[:50],
            remedy=_("Only a deleted field can be put back or deleted for good."),
        )
    return row


def using(row: FieldDefinition) -> QuerySet[Any]:
    """Return the rows that have a value of this field, whoever may see them."""
    found: QuerySet[Any] = model_of(row.kind).objects.filter(custom__has_key=row.name)
    return found


def usage(kind: str) -> dict[str, tuple[int, int]]:
    """Return, by name, how many rows have a value of each field of a sort, and how many lack one they should have.

    Deleted fields too; the second figure is of required ones only. One query, one look at every row.
    """
    noun, asked = nouns.noun(kind), {}
    for row in FieldDefinition.objects.filter(kind=kind):
        there = Q(custom__has_key=row.name)
        asked[f"n_{row.name}"] = Count("pk", filter=there)
        if row.required and row.deleted_at is None:
            having = noun.having(row.subkinds)
            among = Q(**{f"{noun.subkind}__in": sorted(having)}) if noun.subkind and having else Q()
            asked[f"m_{row.name}"] = Count("pk", filter=~there & among)
    found = model_of(kind).objects.aggregate(**asked) if asked else {}
    return {key[2:]: (count, found.get(f"m_{key[2:]}", 0)) for key, count in found.items() if key.startswith("n_")}


def _values(row: FieldDefinition) -> Iterator[tuple[Any, str, Any]]:
    """Every kept value of a field, with its row's key and subkind."""
    column = nouns.noun(row.kind).subkind
    for each in using(row).only("pk", "custom", *([column] if column else [])).iterator(chunk_size=2000):
        yield each.pk, str(getattr(each, column)) if column else "", each.custom[row.name]


def _fits(found: FieldDef, value: Any, subkind: str) -> bool:
    if not has(found, subkind):
        return False
    try:
        read(found, value)
    except Unfit:
        return False
    return True


def broken_by(row: FieldDefinition, old: FieldDef, new: FieldDef) -> list[str]:
    """Return the refs of rows whose value fits the old field and not the new one; with `unique`, of repeated values."""
    rules = ("subkinds", "minimum", "maximum", "pattern", "max_length", "choices", "object_kind")
    narrower = any(getattr(old, name) != getattr(new, name) for name in rules)
    broken = []
    if narrower:
        for pk, subkind, value in _values(row):
            if _fits(old, value, subkind) and not _fits(new, value, subkind):
                broken.append(f"{row.kind}:{pk}")
    return broken


def _check_repeats(row: FieldDefinition) -> None:
    counted = Counter(str(value) for _pk, _subkind, value in _values(row))
    repeated = [value for value, count in counted.most_common(EXAMPLES) if count > 1]
    if repeated:
        raise Conflict(
            "custom_field.repeated",
            _("Values of this field are used more than once: %(values)s.") % {"values": ", ".join(repeated)[:300]},
            field="unique",
            value="true",
            remedy=_("Make them differ first."),
        )


# --- writes -----------------------------------------------------------------------------------------------------------


def turn() -> None:
    """Wait for the turn to change definitions; one at a time. Call it first in the transaction, `stamp` last."""
    FieldStamp.objects.get_or_create(pk=STAMP)
    FieldStamp.objects.select_for_update().get(pk=STAMP)


def stamp() -> None:
    """Tell every process that its copy of the definitions is stale."""
    FieldStamp.objects.filter(pk=STAMP).update(token=uuid4())


def _facts(row: FieldDefinition) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(draft_of(row)).items()}


def _record(actor: Actor, verb: str, row: FieldDefinition, **more: Any) -> None:
    ledger.record(
        actor=actor, verb=verb, subject=ref(row), payload={"kind": row.kind, "name": row.name, "type": row.type, **more}
    )


def create(*, actor: Actor, kind: str, name: str, type_: str, draft: Draft) -> FieldDefinition:
    """Define a field. Event custom_field.created. Values need no column, so nothing else changes."""
    check(actor, MANAGE)
    model_of(kind)
    if not _NAME.match(name):
        raise _wrong(
            "name",
            _("This is no name of a field."),
            name[:60],
            _("1 to 50 of a-z, 0-9 and _, with at least one letter and no two _ in a row."),
        )
    if type_ not in FieldType.values:
        remedy = _("Use one of: %(names)s.") % {"names": ", ".join(FieldType.values)}
        raise _wrong("type", _("There is no such type."), type_[:60], remedy)
    row = FieldDefinition(kind=kind, name=name, type=type_, updated_by_name=actor.name[:150])
    with transaction.atomic():
        turn()
        old = FieldDefinition.objects.filter(kind=kind, name=name).first()
        if old is not None:
            raise Conflict(
                "custom_field.exists",
                _("There is a field %(name)s already.") % {"name": name}
                if old.deleted_at is None
                else _("A field %(name)s was deleted and still has its values.") % {"name": name},
                field="name",
                value=name,
                remedy=_("Choose another name.")
                if old.deleted_at is None
                else _("Put it back, or delete it for good."),
            )
        if FieldDefinition.objects.filter(kind=kind).count() >= MAX_FIELDS:
            raise Conflict(
                "custom_field.too_many",
                _("There are at most %(most)s fields of one sort.") % {"most": MAX_FIELDS},
                remedy=_("Delete one for good first."),
            )
        fill(row, draft)
        row.save(force_insert=True)
        stamp()
        _record(actor, "custom_field.created", row, new=_facts(row))
    return row


def change(*, actor: Actor, row: FieldDefinition, draft: Draft, keep_invalid: bool = False) -> FieldDefinition:
    """Change a definition. Event custom_field.changed carries old and new.

    Conflict custom_field.narrower, with how many rows and some of them, when values that fit now would not fit any
    more; with `keep_invalid` they stay and are marked. A field newly required breaks nothing: rows without are listed.
    """
    check(actor, MANAGE)
    with transaction.atomic():
        turn()
        row = _newest(row)
        old, before = field_of(row), _facts(row)
        if draft.object_kind != row.object_kind:
            raise _wrong("object_kind", _("This is fixed."), draft.object_kind, _("Define another field."))
        new = fill(row, draft)
        if new.unique and not old.unique:
            _check_repeats(row)
        broken = broken_by(row, old, new)
        if broken and not keep_invalid:
            raise narrower(broken)
        after = _facts(row)
        if after == before:
            return row
        row.updated_at, row.updated_by_name = timezone.now(), actor.name[:150]
        row.save()
        stamp()
        changed = sorted(key for key in after if after[key] != before[key])
        _record(
            actor,
            "custom_field.changed",
            row,
            old={key: before[key] for key in changed},
            new={key: after[key] for key in changed},
            broken=len(broken),
        )
    return row


def narrower(broken: list[str]) -> Problem:
    """Build the refusal that says how many rows would no longer fit."""
    return Conflict(
        "custom_field.narrower",
        _("%(count)s rows have a value that would no longer fit.") % {"count": len(broken)},
        value=len(broken),
        remedy=_("Change them first, or keep them: they stay as they are and are marked."),
        extra={"rows": len(broken), "examples": broken[:EXAMPLES]},
    )


def _newest(row: FieldDefinition) -> FieldDefinition:
    found = FieldDefinition.objects.select_for_update(of=("self",)).select_related("choice_set").filter(pk=row.pk)
    newest = found.first()
    if newest is None:
        raise NotFound(
            "custom_field.unknown",
            _("There is no such field any more."),
            field="name",
            value=row.name,
            remedy=_("Reload."),
        )
    return newest


def reorder(*, actor: Actor, kind: str, names: list[str]) -> None:
    """Give the fields of a sort weights in this order (10, 20, ...); those not named come after, as they were."""
    check(actor, MANAGE)
    with transaction.atomic():
        turn()
        rows = {row.name: row for row in definitions().filter(kind=kind)}
        unknown = [name for name in names if name not in rows]
        if unknown:
            get(kind, unknown[0])
        order = [*dict.fromkeys(names), *(name for name in rows if name not in names)]
        changed = []
        for place, name in enumerate(order, 1):
            if rows[name].weight != place * 10:
                rows[name].weight = place * 10
                changed.append(rows[name])
        if changed:
            FieldDefinition.objects.bulk_update(changed, ["weight"])
            stamp()
            ledger.record(
                actor=actor,
                verb="custom_field.reordered",
                subject=ref(changed[0]),
                payload={"kind": kind, "new": order},
            )


def delete(*, actor: Actor, row: FieldDefinition) -> FieldDefinition:
    """Take a field out of use; its values stay for a while. Event custom_field.deleted says how many rows have one."""
    check(actor, MANAGE)
    with transaction.atomic():
        turn()
        row = _newest(row)
        if row.deleted_at is None:
            row.deleted_at = timezone.now()
            row.save(update_fields=["deleted_at"])
            stamp()
            _record(actor, "custom_field.deleted", row, rows=using(row).count(), old=_facts(row))
    return row


def restore(*, actor: Actor, row: FieldDefinition) -> FieldDefinition:
    """Put a deleted field back, with its values. Event custom_field.restored."""
    check(actor, MANAGE)
    with transaction.atomic():
        turn()
        row = _newest(row)
        if row.deleted_at is not None:
            row.deleted_at = None
            row.save(update_fields=["deleted_at"])
            stamp()
            _record(actor, "custom_field.restored", row, rows=using(row).count())
    return row


def purge(*, actor: Actor, row: FieldDefinition) -> int:
    """Delete a deleted field for good, with its values; return how many. Event custom_field.purged.

    In batches, so that a cut leaves a deleted field with fewer values, and can be called again.
    """
    check(actor, MANAGE)
    if row.deleted_at is None:
        raise Conflict(
            "custom_field.in_use",
            _("This field is in use."),
            field="name",
            value=row.name,
            remedy=_("Delete it first; it can then be put back for a while."),
        )
    model, gone = model_of(row.kind), 0
    while True:
        with transaction.atomic():
            if FieldDefinition.objects.select_for_update().filter(pk=row.pk, deleted_at__isnull=False).first() is None:
                return gone  # put back meanwhile, or purged by another
            rows = list(using(row).select_for_update(of=("self",)).only("pk", "custom").order_by("pk")[:BATCH])
            for each in rows:
                del each.custom[row.name]
            model.objects.bulk_update(rows, ["custom"], batch_size=BATCH)
            gone += len(rows)
            if not rows:
                _record(actor, "custom_field.purged", row, rows=gone)
                FieldDefinition.objects.filter(pk=row.pk).delete()
                return gone


def purge_due() -> None:
    """Delete for good what was deleted longer ago than the setting says."""
    before = timezone.now() - timedelta(days=settings_store.get(KEEP_DAYS))
    for row in definitions(deleted=True).filter(deleted_at__lt=before):
        purge(actor=system("custom-fields"), row=row)
