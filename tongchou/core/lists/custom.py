"""Fields as columns of a table, as a change of many rows, and in an import: custom ones, and others kept likewise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import custom_fields, nouns
from tongchou.core.access import Actor
from tongchou.core.field_filters import operators
from tongchou.core.field_types import FieldDef
from tongchou.core.lists.changes import Change, Input, register
from tongchou.core.lists.importers import ImportField
from tongchou.core.lists.tables import OWN_PREFIX, Column
from tongchou.core.models_fields import FieldType, FieldVisible
from tongchou.core.problems import Invalid, Text

PREFIX = OWN_PREFIX
# what the table layer calls an operator -> what custom fields call it
_OPERATORS = {
    "contains": "contains",
    "is": "is",
    "not": "is_not",
    "min": "gte",
    "max": "lte",
    "from": "gte",
    "to": "lte",
}


def columns(kind: str) -> Callable[[], Sequence[Column]]:
    """Return what gives a table its custom columns: read anew each time, because people define them while it runs."""
    return lambda: [column_of(each) for each in custom_fields.fields_of(kind) if each.visible != FieldVisible.HIDDEN]


def column_of(field: FieldDef, prefix: str = PREFIX, *, shown: bool = False) -> Column:
    """Return the column of a field; the column of the noun that holds its value is `field.column`."""
    selects = field.type == FieldType.SELECT
    number = field.type in (FieldType.INTEGER, FieldType.DECIMAL)
    return Column(
        f"{prefix}{field.name}",
        field.title,
        "choice" if selects else "number" if number else "text",
        value=lambda row: _value(field, getattr(row, field.column).get(field.name)),
        narrow=_narrow(field),
        choices=(lambda _actor: [(each.value, each.title) for each in field.choices]) if selects else None,
        shown=shown,
        unit=field.unit,
    )


def _value(field: FieldDef, value: Any) -> Any:
    """What a cell holds: numbers, texts and choices as they are, the rest as an import reads it back.

    What a source said may be of any type.
    """
    number = field.type in (FieldType.INTEGER, FieldType.DECIMAL)
    plain = value is None or (number and isinstance(value, int | float))
    return value if plain else custom_fields.cell(field, value)


def _narrow(field: FieldDef) -> Callable[[QuerySet[Any], str, str], QuerySet[Any]]:
    def narrow(rows: QuerySet[Any], operator: str, value: str) -> QuerySet[Any]:
        if operator == "empty":
            asked = "empty" if value not in ("0", "no", "false") else "not_empty"
            return custom_fields.filter_rows(rows, field, asked)
        if field.type == FieldType.SELECT and operator == "is":
            return custom_fields.filter_rows(rows, field, "any_of", value.replace(",", ";"))
        asked, known = _OPERATORS[operator], operators(field)
        if asked in ("is", "contains") and asked not in known:  # a list contains, a date is; the reader means the same
            asked = "contains" if asked == "is" else "is"
        return custom_fields.filter_rows(rows, field, asked, value)

    return narrow


def _fields(kind: str) -> Callable[[Actor], Iterable[tuple[str, Text]]]:
    return lambda _actor: [(each.name, each.title) for each in custom_fields.fields_of(kind)]


def offer(kind: str, permission: str) -> Change:
    """Offer the custom fields of a noun as a change of many rows: one field, one value, empty clears it."""

    def read(_actor: Actor, form: Mapping[str, str]) -> dict[str, Any]:
        known = {each.name: each for each in custom_fields.fields_of(kind)}
        field = known.get(form.get("field", ""))
        if field is None:
            raise Invalid(
                "custom_field.unknown",
                _("There is no such custom field."),
                field="field",
                value=form.get("field", "")[:60],
                remedy=_("Choose one from the list."),
            )
        return {field.name: custom_fields.parse_cell(field, form.get("value", "").strip())}

    def after(row: Any, said: dict[str, Any]) -> dict[str, Any]:
        fits = {each.name for each in custom_fields.fields_for(row)}
        for name in said:
            if name not in fits:
                raise Invalid("custom_field.elsewhere", _("Things of this kind do not have the field."), field=name)
        return {name: value for name, value in {**row.custom, **said}.items() if value is not None}

    def write(actor: Actor, row: Any, wanted: dict[str, Any]) -> None:
        changed = {
            name: wanted.get(name) for name in {*row.custom, *wanted} if wanted.get(name) != row.custom.get(name)
        }
        custom_fields.set_values(actor=actor, row=row, values=changed)

    return register(
        Change(
            kind,
            "custom",
            _("Custom field"),
            lambda row: row.custom,
            after,
            write,
            nouns.check_change,
            (
                Input("field", _("Field"), "choice", required=True, choices=_fields(kind)),
                Input("value", _("Value"), help=_("Empty clears it.")),
            ),
            read,
            reversible=True,
            permission=permission,
        )
    )


# --- in an import -----------------------------------------------------------------------------------------------------


def import_fields(kind: str) -> list[ImportField]:
    """Return the custom fields of a noun as columns of a file; they are named as the list's export names them."""
    return [ImportField(f"{PREFIX}{each.name}", each.title) for each in custom_fields.fields_of(kind)]


def read_cells(kind: str, record: Mapping[str, str], subkind: str | None = None) -> dict[str, Any]:
    """Return the custom fields a record has, by column; Invalid names the field. Empty clears.

    A cell of a field that rows of this `subkind` do not have must be empty.
    """
    fields = custom_fields.fields_of(kind)
    having = fields if subkind is None else custom_fields.fields_of(kind, subkind)
    return read_fields(fields, having, record)


def read_fields(
    fields: Iterable[FieldDef], having: Iterable[FieldDef], record: Mapping[str, str], prefix: str = PREFIX
) -> dict[str, Any]:
    """Return the values a record has, by column; Invalid names the column. A cell must be empty but for `having`."""
    known = {each.name: each for each in having}
    found: dict[str, Any] = {}
    for name in dict.fromkeys(each.name for each in fields):
        column = f"{prefix}{name}"
        if column not in record:
            continue
        if name in known:
            found[column] = custom_fields.parse_cell(known[name], record[column])
        elif record[column]:
            raise Invalid(
                "custom_field.elsewhere",
                _("Things of this kind do not have the field."),
                field=column,
                value=record[column],
            )
    return found


def cells_of(row: Any) -> dict[str, Any]:
    """Return the values of a row as `read_cells` gives them."""
    return {f"{PREFIX}{name}": value for name, value in row.custom.items()}


def without_prefix(values: Mapping[str, Any], prefix: str = PREFIX) -> dict[str, Any]:
    """Return only the fields of this prefix among an import's values, by their own names."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def write_cells(actor: Actor, row: Any, values: Mapping[str, Any]) -> None:
    """Change the custom fields among an import's values."""
    named = without_prefix(values)
    if named:
        custom_fields.set_values(actor=actor, row=row, values=named)


def first_cells(kind: str, values: Mapping[str, Any], subkind: str | None = None) -> dict[str, Any]:
    """Return the custom fields of a new row, with defaults; Invalid when one that is required is missing."""
    return custom_fields.clean(kind, without_prefix(values), subkind=subkind)


def start_cells(actor: Actor, row: Any, kind: str, values: Mapping[str, Any], subkind: str | None = None) -> None:
    """Give a new row the custom fields among an import's values, and the defaults of the others."""
    first = first_cells(kind, values, subkind)
    if first:
        custom_fields.set_values(actor=actor, row=row, values=first)
