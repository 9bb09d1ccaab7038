"""Paging by place: the next page begins after the last row shown, so that the last page costs what the first does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import F, Field, Model, Q, QuerySet

from tongchou.core.access import Actor
from tongchou.core.lists.conditions import Wanted, apply
from tongchou.core.lists.tables import Table

COUNT_LIMIT = 10_000  # counting stops here: nobody reads the difference between 10,000 and 100,000
FEW = 500  # so many that fit are sorted by themselves; of more, a walk along the index of the order soon finds a page


@dataclass(frozen=True, slots=True)
class Step:
    """One column of an order."""

    path: str
    down: bool
    nullable: bool


def steps(table: Table, sort: str) -> tuple[Step, ...]:
    """Return the order a sort means; "-" turns every column of it round."""
    column = table.column(sort.removeprefix("-"))
    if column is None or not column.order:
        raise ValueError(f"{table.kind} cannot be sorted by {sort!r}")
    turned = sort.startswith("-")
    return tuple(
        Step(each.lstrip("-"), each.startswith("-") != turned, column.nullable and place == 0)
        for place, each in enumerate(column.order)
    )


def ordered(rows: QuerySet[Any], order: tuple[Step, ...]) -> QuerySet[Any]:
    """Return the rows in this order; what is NULL stands last both ways."""
    terms: list[Any] = []
    for each in order:
        if each.nullable:
            terms.append(F(each.path).desc(nulls_last=True) if each.down else F(each.path).asc(nulls_last=True))
        else:
            terms.append(f"-{each.path}" if each.down else each.path)
    return rows.order_by(*terms)


def after(rows: QuerySet[Any], order: tuple[Step, ...], last: list[Any]) -> QuerySet[Any]:
    """Keep the rows after the place `last`: the first column as a range, so that the index finds the place."""
    beyond, equal = Q(), Q()
    for each, value in zip(order, last, strict=True):
        if value is None:
            equal &= Q(**{f"{each.path}__isnull": True})
            continue
        step = Q(**{f"{each.path}__{'lt' if each.down else 'gt'}": value})
        if each.nullable:
            step |= Q(**{f"{each.path}__isnull": True})
        beyond |= equal & step
        equal &= Q(**{each.path: value})
    rows = rows.filter(beyond)
    first, value = order[0], last[0]
    if value is not None and not first.nullable:
        rows = rows.filter(**{f"{first.path}__{'lte' if first.down else 'gte'}": value})
    return rows


def place_of(row: Any, order: tuple[Step, ...]) -> str:
    """Return the place of a row as an address carries it."""
    return json.dumps([_plain(getattr(row, each.path)) for each in order], ensure_ascii=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, int | float | str):
        return value
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def read_place(text: str, model: type[Model], order: tuple[Step, ...]) -> list[Any] | None:
    """Return the values of a place; None for nothing and for what is no place of ours: the list begins again."""
    try:
        given = json.loads(text)
        if not isinstance(given, list) or len(given) != len(order):
            return None
        found = [_value(model, each, value) for each, value in zip(order, given, strict=True)]
    except (ValueError, ValidationError, FieldDoesNotExist, OverflowError):
        return None
    return found


def _value(model: type[Model], step: Step, value: Any) -> Any:
    if value is None:
        if not step.nullable:
            raise ValueError("a place without a value")
        return None
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("not a value")  # noqa: TRY004  # read_place turns it into "no place"
    field = model._meta.get_field("id" if step.path == "pk" else step.path)
    if not isinstance(field, Field):
        raise ValueError("not a column")  # noqa: TRY004  # read_place turns it into "no place"
    if field.get_internal_type() == "CharField" and not isinstance(value, str):
        raise ValueError("not text")
    return field.to_python(value)


@dataclass(frozen=True, slots=True)
class Shown:
    """One page: its rows, the place after which the next begins ("" at the end), and how many fit in all."""

    rows: list[Any]
    after: str
    count: int
    first: bool

    @property
    def over(self) -> bool:
        """Whether counting stopped."""
        return self.count > COUNT_LIMIT


def fitting(table: Table, actor: Actor, wanted: Wanted) -> QuerySet[Any]:
    """Return all visible rows that fit, in the order wanted; slice it or iterate over it."""
    rows = apply(table, table.visible(actor), actor, wanted)
    return ordered(rows, steps(table, wanted.sort or table.sort))


def by_keys_if_few(rows: QuerySet[Any]) -> tuple[QuerySet[Any], int | None]:
    """Return the rows, by their keys when no more than FEW fit, and then their number. One query.

    Of few a walk along the order would pass everything else, and a count would look through everything once more.
    """
    keys = list(rows.order_by().values_list("pk", flat=True)[: FEW + 1])
    return (rows, None) if len(keys) > FEW else (rows.filter(pk__in=keys), len(keys))


def page(table: Table, actor: Actor, wanted: Wanted, *, after_text: str, size: int) -> Shown:
    """Return one page. Two queries, three when more than FEW fit, and those of `table.load`."""
    order = steps(table, wanted.sort or table.sort)
    rows = fitting(table, actor, wanted)
    if table.load is not None:  # no joins, no other columns: the index of the order alone gives the page
        rows = rows.select_related(None).prefetch_related(None).only("pk", *(each.path for each in order))
    last = read_place(after_text, rows.model, order) if after_text else None
    rows, few = by_keys_if_few(rows)
    count = rows.order_by()[: COUNT_LIMIT + 1].count() if few is None else few
    found = list((after(rows, order, last) if last else rows)[: size + 1])
    shown = found[:size]
    next_place = place_of(shown[-1], order) if len(found) > size else ""
    return Shown(loaded(table, shown), next_place, count, last is None)


def loaded(table: Table, rows: list[Any]) -> list[Any]:
    """Return the same rows with all that the columns read."""
    if table.load is None or not rows:
        return rows
    full = {row.pk: row for row in table.load([row.pk for row in rows])}
    return [full[row.pk] for row in rows if row.pk in full]
