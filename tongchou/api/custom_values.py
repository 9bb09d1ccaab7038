"""What every endpoint of a noun with custom fields does with them: filter a list, take values with a write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou.core.access import Actor
from tongchou.core.custom_fields import clean, fields_of, filter_rows, set_values
from tongchou.core.field_filters import operators
from tongchou.core.field_types import FieldDef
from tongchou.core.problems import Invalid

PREFIX = "cf."
MAX_CONDITIONS = 20


def filtered(request: HttpRequest, rows: QuerySet[Any], kind: str) -> QuerySet[Any]:
    """Return the rows that fit every `cf.<name>=value` and `cf.<name>__<operator>=value` of the query."""
    return narrowed(request, rows, PREFIX, lambda: {each.name: each for each in fields_of(kind)})


def narrowed(
    request: HttpRequest, rows: QuerySet[Any], prefix: str, known_fields: Callable[[], Mapping[str, FieldDef]]
) -> QuerySet[Any]:
    """Return the rows that fit the conditions of the query whose keys begin with `prefix`."""
    asked = [(key, value) for key in request.GET if key.startswith(prefix) for value in request.GET.getlist(key)]
    if not asked:
        return rows
    if len(asked) > MAX_CONDITIONS:
        most = _("A list is filtered by at most %(most)s custom fields.") % {"most": MAX_CONDITIONS}
        raise Invalid("custom_field.filter", most, field=prefix, value=len(asked), remedy=_("Leave some out."))
    fields = known_fields()
    for key, value in asked:
        name, _between, operator = key.removeprefix(prefix).partition("__")
        field = fields.get(name)
        if field is None:
            raise Invalid(
                "custom_field.unknown",
                _("There are no custom fields called %(names)s here.") % {"names": name[:50]},
                field=key[:80],
                value=name[:50],
                remedy=_("Use one of: %(names)s.") % {"names": ", ".join(fields)[:500] or "-"},
            )
        known = operators(field)
        rows = filter_rows(rows, field, operator or ("is" if "is" in known or not known else known[0]), value)
    return rows


def start(actor: Actor, row: Any, kind: str, values: Mapping[str, Any], *, subkind: str | None = None) -> Any:
    """Give a new row its values and defaults; Invalid when one that is required is missing. Inside its transaction."""
    first = clean(kind, values, subkind=subkind)
    return set_values(actor=actor, row=row, values=first) if first else row


def put(actor: Actor, row: Any, values: Mapping[str, Any]) -> Any:
    """Change what is named; null clears. Inside the transaction of the other changes of the request."""
    return set_values(actor=actor, row=row, values=values) if values else row
