"""Choice sets as administrators change them. A choice in use is not dropped: refused, or replaced by another one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.custom_fields import CHANGED
from tongchou.core.field_definitions import MANAGE, stamp, texts, turn, using
from tongchou.core.lists import views
from tongchou.core.lists.tables import OWN_PREFIX
from tongchou.core.models_fields import ChoiceSet, FieldDefinition, FieldType
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref

MAX_SETS = 200
MAX_CHOICES = 500
COLOURS = ("", "grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")

_NAME = re.compile(r"\A(?=.*[a-z])[a-z0-9_]{1,50}\Z")
_VALUE = re.compile(
    r"\A[^\s;,\x00-\x1f\ud800-\udfff](?:[^;,\x00-\x1f\ud800-\udfff]{0,98}[^\s;,\x00-\x1f\ud800-\udfff])?\Z"
)


def _wrong(place: str, detail: str, value: object, remedy: str) -> Invalid:
    return Invalid("choice_set.invalid", detail, field=place, value=value, remedy=remedy)


def get(name: str) -> ChoiceSet:
    """Return a choice set; NotFound names those there are."""
    row = ChoiceSet.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(ChoiceSet.objects.values_list("name", flat=True)[:50])
        raise NotFound(
            "choice_set.unknown",
            _("There is no choice set %(name)s.") % {"name": name[:50]},
            field="choice_set",
            value=name[:50],
            remedy=_("Use one of: %(names)s.") % {"names": known} if known else _("Make a choice set first."),
        )
    return row


def _read(choices: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    if not 1 <= len(choices) <= MAX_CHOICES:
        most = _("A set has 1 to %(most)s choices.") % {"most": MAX_CHOICES}
        raise _wrong("choices", most, len(choices), _("Write one choice a line."))
    out = []
    for place, told in enumerate(choices):
        value, colour = str(told.get("value", "")).strip(), str(told.get("colour") or "")
        at = f"choices[{place}]"
        if not _VALUE.match(value):
            remedy = _("1 to 100 characters, without commas, semicolons and line breaks.")
            raise _wrong(f"{at}.value", _("This is no value of a choice."), value, remedy)
        if colour not in COLOURS:
            remedy = _("Use one of: %(names)s.") % {"names": ", ".join(COLOURS[1:])}
            raise _wrong(f"{at}.colour", _("There is no such colour."), colour, remedy)
        label = texts(at, {"en": str(told.get("en") or ""), "zh": str(told.get("zh") or "")}, 100)
        out.append({"value": value, "en": label.get("en", ""), "zh": label.get("zh", ""), "colour": colour})
    twice = [value for value, count in Counter(each["value"] for each in out).items() if count > 1]
    if twice:
        raise _wrong("choices", _("A value stands there twice."), twice[0], _("Take one of them out."))
    return out


def create(*, actor: Actor, name: str, label: Mapping[str, str], choices: Sequence[Mapping[str, Any]]) -> ChoiceSet:
    """Make a choice set of {"value", "en", "zh", "colour"}, in the order they are offered. Event choice_set.created."""
    check(actor, MANAGE)
    if not _NAME.match(name):
        remedy = _("1 to 50 of a-z, 0-9 and _, with at least one letter.")
        raise _wrong("name", _("This is no name of a choice set."), name[:60], remedy)
    row = ChoiceSet(name=name, label=texts("label", label, 100), choices=_read(choices))
    row.updated_by_name = actor.name[:150]
    with transaction.atomic():
        turn()
        if ChoiceSet.objects.filter(name=name).exists():
            raise Conflict(
                "choice_set.exists",
                _("There is a choice set %(name)s already.") % {"name": name},
                field="name",
                value=name,
                remedy=_("Choose another name."),
            )
        if ChoiceSet.objects.count() >= MAX_SETS:
            most = _("There are at most %(most)s choice sets.") % {"most": MAX_SETS}
            raise Conflict("choice_set.too_many", most, remedy=_("Delete one first."))
        row.save(force_insert=True)
        ledger.record(
            actor=actor,
            verb="choice_set.created",
            subject=ref(row),
            payload={"name": name, "new": [each["value"] for each in row.choices]},
        )
    return row


def used(row: ChoiceSet) -> dict[str, int]:
    """Return how many values there are of each choice, over all fields of the set, deleted ones included."""
    counted: Counter[str] = Counter()
    for definition in row.definitions.all():
        for each in using(definition).only("pk", "custom").iterator(chunk_size=2000):
            value = each.custom[definition.name]
            counted.update(value if isinstance(value, list) else [value])
        default = definition.default
        counted.update(default if isinstance(default, list) else [default] if default else [])
    return dict(counted)


def change(
    *,
    actor: Actor,
    row: ChoiceSet,
    label: Mapping[str, str],
    choices: Sequence[Mapping[str, Any]],
    replace: Mapping[str, str] | None = None,
) -> ChoiceSet:
    """Change labels, colours, order, and which choices there are. Event choice_set.changed carries old and new.

    Conflict choice_set.in_use, with the count of each, when a choice that is used is left out; `replace` (old value ->
    value of the new set) says what takes its place in every row, each with its event, or in none.
    """
    check(actor, MANAGE)
    wanted = _read(choices)
    values = {each["value"] for each in wanted}
    swap = dict(replace or {})
    for old, new in swap.items():
        if new not in values:
            remedy = _("Replace it by a choice of the new set.")
            raise _wrong(f"replace.{old[:50]}", _("This is not one of the choices."), new, remedy)
    with transaction.atomic():
        turn()
        row = ChoiceSet.objects.select_for_update().get(pk=row.pk)
        removed = {each["value"] for each in row.choices} - values
        left = {value: count for value, count in used(row).items() if value in removed and value not in swap}
        if left:
            raise Conflict(
                "choice_set.in_use",
                _("Choices in use would go: %(values)s.")
                % {"values": ", ".join(f"{value} ({count})" for value, count in sorted(left.items()))[:300]},
                field="choices",
                value=next(iter(left)),
                remedy=_("Leave them in, or say by which choice each is replaced."),
                extra={"in_use": left},
            )
        swap = {old: new for old, new in swap.items() if old in removed}
        replaced = sum(_replace(actor, each, swap) for each in row.definitions.all()) if swap else 0
        old_choices, row.choices = row.choices, wanted
        row.label = texts("label", label, 100)
        row.updated_at, row.updated_by_name = timezone.now(), actor.name[:150]
        row.save()
        stamp()
        ledger.record(
            actor=actor,
            verb="choice_set.changed",
            subject=ref(row),
            payload={"name": row.name, "old": old_choices, "new": wanted, "replaced": swap, "rows": replaced},
        )
    return row


def _swapped(value: Any, swap: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return list(dict.fromkeys(swap.get(each, each) for each in value))
    return swap.get(value, value)


def _replace(actor: Actor, definition: FieldDefinition, swap: Mapping[str, str]) -> int:
    """Replace choices in every row of a field, and in its default; return how many rows."""
    if definition.unique and definition.type == FieldType.SELECT:
        raise Conflict(
            "choice_set.unique",
            _("The field %(name)s is unique: two rows might end with the same choice.") % {"name": definition.name},
            field="replace",
            remedy=_("Change its rows first."),
        )
    changed, entries = [], []
    for each in using(definition).select_for_update(of=("self",)).only("pk", "custom"):
        old = each.custom[definition.name]
        new = _swapped(old, swap)
        if new != old:
            each.custom[definition.name] = new
            changed.append(each)
            told = {"fields": definition.name, "old": {definition.name: old}, "new": {definition.name: new}}
            entries.append(ledger.Entry(CHANGED, ref(each), payload=told))
    if changed:
        type(changed[0]).objects.bulk_update(changed, ["custom"], batch_size=500)
        ledger.record_many(actor=actor, entries=entries)
    views.follow(actor=actor, kinds=[definition.kind], key=f"{OWN_PREFIX}{definition.name}", renamed=swap)
    default = _swapped(definition.default, swap)
    if default != definition.default:
        definition.default = default
        definition.save(update_fields=["default"])
    return len(changed)


def delete(*, actor: Actor, row: ChoiceSet) -> None:
    """Delete a choice set that no field uses. Event choice_set.deleted carries what it held."""
    check(actor, MANAGE)
    with transaction.atomic():
        turn()
        names = sorted(f"{each.kind} {each.name}" for each in row.definitions.all())
        if names:
            raise Conflict(
                "choice_set.in_use",
                _("Fields use this set: %(names)s.") % {"names": ", ".join(names)[:300]},
                field="choice_set",
                value=row.name,
                remedy=_("Delete those fields for good first."),
            )
        ledger.record(
            actor=actor, verb="choice_set.deleted", subject=ref(row), payload={"name": row.name, "old": row.choices}
        )
        row.delete()
