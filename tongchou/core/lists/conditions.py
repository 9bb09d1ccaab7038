"""Conditions: read out of an address, applied to rows. Pure but for the clock of "the last seven days"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.lists.tables import OWN_PREFIX, Column, Queue, Table
from tongchou.core.problems import Invalid, Problem, Text

# type -> its operators, the first is meant where an address names none
OPERATORS: dict[str, tuple[str, ...]] = {
    "text": ("contains", "is", "not", "empty"),
    "choice": ("is", "not", "empty"),
    "number": ("is", "min", "max", "empty"),
    "date": ("last", "from", "to", "empty"),
    "moment": ("last", "from", "to", "empty"),
    "yes": ("is",),
    "labels": ("is", "not"),
}
WORDS: dict[str, Text] = {
    "contains": _("contains"),
    "is": _("is"),
    "not": _("is not"),
    "empty": _("is empty"),
    "filled": _("is not empty"),
    "min": _("at least"),
    "max": _("at most"),
    "last": _("in the last"),
    "from": _("from"),
    "to": _("until"),
}
SEARCH, SORT, COLUMNS, ROWS, AFTER, VIEW = "q", "sort", "columns", "rows", "after", "view"
ROW_COUNTS = (25, 50, 100, 200)
MAX_VALUE = 500
MAX_CHOICES = 50
ANY = "all"  # the value that takes a default condition away
NOBODY_WORD = "-"  # an older way to write "is empty"
_RELATIVE = re.compile(r"\A(\d{1,4})([mhdw])\Z")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Condition:
    """One column narrowed. `value` is the text of the address."""

    column: Column
    operator: str
    value: str

    @property
    def key(self) -> str:
        """How an address says it."""
        first = OPERATORS[self.column.type][0]
        return self.column.name if self.operator == first else f"{self.column.name}.{self.operator}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asked of a table. `wrong`: conditions that could not be read; they narrow nothing."""

    conditions: tuple[Condition, ...] = ()
    search: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()
    rows: int | None = None
    queue: Queue | None = None
    wrong: tuple[Problem, ...] = ()


def _condition(table: Table, key: str) -> tuple[Column, str] | None:
    column = table.column(key)
    if column is not None:
        return (column, OPERATORS[column.type][0]) if column.filterable else None
    name, _dot, operator = key.rpartition(".")
    column = table.column(name)
    if column is None or not column.filterable or operator not in OPERATORS[column.type]:
        return None
    return column, operator


def read(
    table: Table, given: Mapping[str, Sequence[str]], *, strict: bool = False, beside: frozenset[str] = frozenset()
) -> Wanted:
    """Return what an address asks for; keys of no column are somebody else's.

    `strict` raises Invalid for the first mistake (a key nobody knows, but for those in `beside`) instead of keeping
    mistakes in `wrong`.
    """
    conditions: list[Condition] = []
    wrong: list[Problem] = []
    own = {SEARCH, SORT, COLUMNS, ROWS, AFTER, VIEW, table.queue_word}
    for key, values in given.items():
        text = ",".join(each.strip() for each in values if each.strip())[:MAX_VALUE]
        found = None if key == table.queue_word and table.queues else _condition(table, key)
        try:
            if found is None and text and key.startswith(OWN_PREFIX) and key not in beside and not strict:
                raise _lost_field(key, text)
            if found is None and strict and key not in own | beside:
                raise _unknown_key(table, key)
            if found is not None and text:
                condition = _tidy(Condition(*found, text))
                apply_one(None, condition, timezone.now())
                conditions.append(condition)
        except Problem as problem:
            if strict:
                raise
            wrong.append(problem)
    told = {each.column.name for each in conditions}
    for name, value in table.defaults.items():
        column = table.column(name)
        if name not in told and column is not None:
            conditions.append(Condition(column, OPERATORS[column.type][0], value))
    conditions = [each for each in conditions if each.value != ANY]
    one = {key: (values[-1].strip() if values else "") for key, values in given.items()}
    rows = one.get(ROWS, "")
    names = tuple(each for each in one.get(COLUMNS, "").split(",") if table.column(each))
    wished = one.get(table.queue_word, "")
    queue = next((each for each in table.queues if each.name == wished), table.queues[0] if table.queues else None)
    return Wanted(
        tuple(conditions),
        one.get(SEARCH, "")[:200],
        _sort(table, one.get(SORT, ""), strict=strict),
        tuple(dict.fromkeys(names)),
        int(rows) if rows in {str(each) for each in ROW_COUNTS} else None,
        queue,
        tuple(wrong),
    )


def _tidy(condition: Condition) -> Condition:
    """The same condition in its usual words: "-" of a text or choice is "is empty"."""
    if condition.operator != "empty" and condition.value == NOBODY_WORD and condition.column.type in ("text", "choice"):
        return replace(condition, operator="empty", value="1")
    return condition


def _sort(table: Table, text: str, *, strict: bool) -> str:
    column = table.column(text.removeprefix("-"))
    if column is not None and column.order:
        return text
    if text and strict:
        names = ", ".join(each.name for each in table.all_columns() if each.order)
        raise Invalid(
            "table.sort",
            _("This list cannot be sorted by that column: no index orders it."),
            field=SORT,
            value=text,
            remedy=_("Use one of: %(names)s; with - in front it is turned round.") % {"names": names},
        )
    return table.sort


def _lost_field(key: str, value: str) -> Invalid:
    """A view that asks for a custom field that was deleted shows more than it means: whoever opens it is told."""
    return Invalid(
        "table.field_gone",
        _("This custom field is not defined here any more; the filter narrows nothing."),
        field=key[:80],
        value=value[:80],
        remedy=_("Take the filter away and update the view, or have an administrator put the field back."),
    )


def _unknown_key(table: Table, key: str) -> Invalid:
    names = [each.name for each in table.all_columns() if each.filterable]
    return Invalid(
        "table.filter",
        _("This list has no filter called %(key)s.") % {"key": key[:80]},
        field=key[:80],
        remedy=_("Use one of: %(names)s; or column.operator, such as %(example)s.")
        % {"names": ", ".join(names), "example": f"{names[0]}.is"},
    )


# --- applying -------------------------------------------------------------------------------------------------------


def apply(table: Table, rows: QuerySet[Any], actor: Actor, wanted: Wanted) -> QuerySet[Any]:
    """Return the rows that fit all conditions, the queue and the search."""
    now = timezone.now()
    if wanted.queue is not None:
        rows = wanted.queue.narrow(rows, actor)
    for condition in wanted.conditions:
        rows = apply_one(rows, condition, now)
    if wanted.search and table.search:
        either = Q()
        for path in table.search:
            either |= _holding(rows.model, path, wanted.search)
        rows = rows.filter(either)
    return rows


def _holding(model: type[Model], path: str, text: str) -> Q:
    """The condition that a text is held. What another table holds is looked up there: joined, it decides the plan."""
    near, _further, rest = path.partition("__")
    if not rest:
        return Q(**{f"{path}__icontains": text})
    other: Any = model._meta.get_field(near).related_model
    return Q(**{f"{near}__in": QuerySet(other).filter(**{f"{rest}__icontains": text}).values("pk")})


def apply_one(rows: QuerySet[Any] | None, condition: Condition, now: datetime) -> Any:
    """Narrow `rows` (None: only check the value) by one condition; raises Invalid naming column and value."""
    column, operator, value = condition.column, condition.operator, condition.value
    if column.narrow is not None:
        return None if rows is None else column.narrow(rows, operator, value)
    if operator == "empty":
        nothing = Q(**{f"{column.path}__isnull": True})
        if column.type in ("text", "choice") and "__" not in column.path:
            nothing |= Q(**{column.path: ""})
        asked = nothing if value not in ("0", "no", "false") else ~nothing
    else:
        asked = {
            "text": _text,
            "choice": _choice,
            "number": _number,
            "date": _when,
            "moment": _when,
            "yes": _yes,
            "labels": _nothing,
        }[column.type](condition, now)
    return None if rows is None else rows.filter(asked)


def _nothing(condition: Condition, now: datetime) -> Q:
    return Q()


def _text(condition: Condition, now: datetime) -> Q:
    path, value = condition.column.path, condition.value
    if condition.operator == "contains":
        return Q(**{f"{path}__icontains": value})
    return Q(**{path: value}) if condition.operator == "is" else ~Q(**{path: value})


def _choice(condition: Condition, now: datetime) -> Q:
    values = [each for each in condition.value.split(",") if each][:MAX_CHOICES]
    fits = Q(**{f"{condition.column.path}__in": values})
    return fits if condition.operator == "is" else ~fits


def _yes(condition: Condition, now: datetime) -> Q:
    if condition.value.lower() not in ("1", "0", "true", "false", "yes", "no"):
        raise _wrong(condition, _("A yes or a no is wanted."), _("Write 1 or 0."))
    return Q(**{condition.column.path: condition.value.lower() in ("1", "true", "yes")})


def _number(condition: Condition, now: datetime) -> Q:
    try:
        number = Decimal(condition.value)
        if not number.is_finite() or abs(number) > Decimal(10) ** 15:
            raise InvalidOperation
    except InvalidOperation:
        raise _wrong(condition, _("A number is wanted."), _("Write it like 3 or 0.5.")) from None
    lookup = {"is": "", "min": "__gte", "max": "__lte"}[condition.operator]
    return Q(**{f"{condition.column.path}{lookup}": number})


def _when(condition: Condition, now: datetime) -> Q:
    path, is_date = condition.column.path, condition.column.type == "date"
    if condition.operator == "last":
        begin = now - _span(condition)
        today = timezone.localdate(now)
        if is_date:
            return Q(**{f"{path}__gte": timezone.localdate(begin), f"{path}__lte": today})
        return Q(**{f"{path}__gte": begin, f"{path}__lte": now})
    moment = _moment(condition, now)
    bound: date | datetime = timezone.localdate(moment) if is_date else moment
    return Q(**{f"{path}__{'gte' if condition.operator == 'from' else 'lte'}": bound})


def _span(condition: Condition) -> timedelta:
    found = _RELATIVE.match(condition.value)
    if found is None:
        raise _wrong(condition, _("A length of time is wanted."), _("Write it like 30m, 24h, 7d or 4w."))
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _moment(condition: Condition, now: datetime) -> datetime:
    """The moment of "from" and "to": a time, a day (whole: "to" means its end), or a length of time ago."""
    text = condition.value
    if _RELATIVE.match(text):
        return now - _span(condition)
    try:
        day = parse_date(text)
        if day is not None:
            edge = time.min if condition.operator == "from" else time.max
            return timezone.make_aware(datetime.combine(day, edge))
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        if moment is not None:
            return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _wrong(
        condition, _("A day or a time is wanted."), _("Write it like 2026-03-01, 2026-03-01T08:30 or 7d (ago).")
    )


def _wrong(condition: Condition, detail: Text, remedy: Text) -> Invalid:
    return Invalid("table.value", detail, field=condition.key, value=condition.value, remedy=remedy)
