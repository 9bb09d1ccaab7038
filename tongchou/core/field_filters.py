"""Which rows have what in a field: conditions over the JSON column that holds it, alike on SQLite and PostgreSQL.

A row without a value is not equal to anything, so "is not" finds it; less and more do not.
Letters of the Latin alphabet match in either case where a part of a text is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, F, Func, JSONField, Q
from django.db.models.fields.json import KeyTransform
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.field_types import (
    NUMBERS,
    OBJECTS,
    SEPARATOR,
    SEVERAL,
    TEXTS,
    TIMES,
    FieldDef,
    Unfit,
    read,
    read_text,
)
from tongchou.core.models_fields import FieldType, FilterLogic
from tongchou.core.problems import Invalid

MAX_ANY_OF = 100

_SET = ("empty", "not_empty")
_ORDER = ("lt", "lte", "gt", "gte", "range")
TITLES: dict[str, str | Promise] = {
    "is": _("is"),
    "is_not": _("is not"),
    "contains": _("contains"),
    "any_of": _("is any of"),
    "lt": _("is less than"),
    "lte": _("is at most"),
    "gt": _("is more than"),
    "gte": _("is at least"),
    "range": _("lies between"),
    "empty": _("has no value"),
    "not_empty": _("has a value"),
}


class _HasItem(Func):
    """Whether the list under a key holds a text."""

    output_field = BooleanField()

    def __init__(self, column: str, name: str, item: str) -> None:
        super().__init__(F(column))
        self.name, self.item = name, item

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = compiler.compile(self.source_expressions[0])
        sql = f"EXISTS(SELECT 1 FROM json_each({column}, %s) WHERE value = %s)"  # noqa: S608  # a column and parameters
        return sql, (*params, f'$."{self.name}"', self.item)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = compiler.compile(self.source_expressions[0])
        return f"COALESCE({column} -> %s @> %s::jsonb, false)", (*params, self.name, json.dumps([self.item]))


def operators(field: FieldDef) -> tuple[str, ...]:
    """Which operators a field can be filtered by: none when its filter is switched off."""
    if field.filter_logic is FilterLogic.DISABLED:
        return ()
    if field.type is FieldType.JSON:
        return _SET
    if field.type in SEVERAL:
        return ("contains", "any_of", *_SET)
    if field.type is FieldType.BOOLEAN:
        return ("is", "is_not", *_SET)
    if field.type in (*NUMBERS, *TIMES):
        return ("is", "is_not", "any_of", *_ORDER, *_SET)
    part = ("contains",) if field.type in TEXTS and field.filter_logic is FilterLogic.LOOSE else ()
    return (*part, "is", "is_not", "any_of", *_SET)


def _refuse(field: FieldDef, detail: object, value: object, remedy: object) -> Invalid:
    return Invalid(
        "custom_field.filter", str(detail), field=field.key, value=None if value is None else value, remedy=str(remedy)
    )


def _one(field: FieldDef, value: Any) -> Any:
    """The value a filter asks for, as it is kept; Invalid when it is none of the field's type."""
    try:
        if field.type is FieldType.MULTI_SELECT or field.type in OBJECTS:
            known = {each.value for each in field.choices}
            text = str(value).strip()
            if field.choices and text not in known:
                raise Unfit(_("This is not one of the choices."), ", ".join(sorted(known))[:300])
            if not text:
                raise Unfit(_("A filter needs a value."), _("Use empty for those without one."))
            return text
        found = read(field, read_text(field, value) if isinstance(value, str) else value, limits=False)
    except Unfit as unfit:
        raise _refuse(field, unfit.detail, value, unfit.remedy) from None
    if found is None:
        raise _refuse(field, _("A filter needs a value."), value, _("Use empty for those without one."))
    return found


def _list(field: FieldDef, value: Any) -> list[Any]:
    parts: Iterable[Any] = (
        [each for each in value.split(SEPARATOR) if each.strip()] if isinstance(value, str) else value
    )
    if not isinstance(parts, list | tuple | set | frozenset) or len(parts) > MAX_ANY_OF:
        raise _refuse(field, _("This is a list."), value, _("At most %(most)s values.") % {"most": MAX_ANY_OF})
    return [_one(field, each) for each in parts]


def _at(field: FieldDef, lookup: str, value: Any) -> Q:
    """A lookup at a key. Not by keyword: a field may be called "in" or "contains"."""
    key = KeyTransform(field.name, F(field.column), output_field=JSONField())
    kind = key.get_lookup(lookup)
    if kind is None:
        raise RuntimeError(f"no lookup {lookup}")
    return Q(kind(key, value))


def condition(field: FieldDef, operator: str, value: Any = None, *, offered: bool = True) -> Q:
    """Return the condition on rows; Invalid for an operator the field does not have, or a value not of its type.

    `value`: as kept, or the text of a cell. A list for any_of, two for range, either also as a text divided by ";".
    Without `offered` a field whose filter is switched off is asked all the same.
    """
    known = operators(field) if offered else tuple(TITLES)
    if operator not in known:
        raise _refuse(
            field,
            _("The field %(name)s cannot be filtered by %(operator)s.")
            % {"name": field.name, "operator": operator[:30]},
            operator[:30],
            _("Use one of: %(operators)s.") % {"operators": ", ".join(known) or "-"},
        )
    there = Q(**{f"{field.column}__has_key": field.name})
    if operator in _SET:
        return there if operator == "not_empty" else ~there
    if operator == "any_of":
        return _any_of(field, value)
    if operator == "range":
        ends = _list(field, value)
        if len(ends) != 2:
            raise _refuse(field, _("A range has two ends."), value, _("Write both, divided by ;"))
        return there & _at(field, "gte", ends[0]) & _at(field, "lte", ends[1])
    if operator == "contains":
        return _contains(field, value)
    wanted = _one(field, value)
    if operator == "is":
        return there & _at(field, "exact", wanted)
    if operator == "is_not":
        return ~there | ~_at(field, "exact", wanted)
    return there & _at(field, operator, wanted)


def _any_of(field: FieldDef, value: Any) -> Q:
    wanted = _list(field, value)
    found = Q(pk__in=[])
    if field.type in SEVERAL:
        for each in wanted:
            found |= Q(_HasItem(field.column, field.name, each))
    elif wanted:
        found = _at(field, "in", wanted)
    return found


def _contains(field: FieldDef, value: Any) -> Q:
    if field.type in SEVERAL:
        return Q(_HasItem(field.column, field.name, _one(field, value)))
    part = str(value)
    if not part or "\0" in part:
        raise _refuse(field, _("A filter needs a value."), value, _("Use empty for those without one."))
    return Q(**{f"{field.column}__has_key": field.name}) & _at(field, "icontains", part)
