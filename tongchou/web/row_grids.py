"""Rows of a form without a script: a table of inputs with a few empty rows; what is empty is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise

Text = str | Promise
EMPTY = 2
CELL = re.compile(r"(\w+)\[(\d+)\](?:\.(\w+))?")


@dataclass(frozen=True)
class Col:
    """One column: the key of a row, its heading, how wide (a class of the style sheet), its choices, an example."""

    key: str
    title: Text
    width: str = ""
    choices: Callable[[], Sequence[tuple[str, Text]]] | None = None
    number: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Grid:
    """What the template draws: rows of (column, name of the input, value)."""

    name: str
    title: Text
    help: Text
    columns: Sequence[Col]
    rows: list[list[tuple[Col, str, str]]]


def grid(name: str, title: Text, help_: Text, columns: Sequence[Col], rows: Sequence[Mapping[str, Any]]) -> Grid:
    """Return a table of inputs with the rows there are and some empty ones."""
    wanted = [*rows, *({} for _each in range(EMPTY if rows else EMPTY + 1))]
    drawn = [
        [(col, f"{name}-{number}-{col.key}", str(row.get(col.key, "") or "")) for col in columns]
        for number, row in enumerate(wanted)
    ]
    return Grid(name, title, help_, columns, drawn)


def sent(post: QueryDict, name: str, columns: Sequence[Col], most: int = 200) -> list[dict[str, Any]]:
    """Return the rows a form brought, in their order, without those in which nothing stands but choices."""
    found = []
    for number in range(most):
        if f"{name}-{number}-{columns[0].key}" not in post:
            break
        row = {col.key: post.get(f"{name}-{number}-{col.key}", "").strip() for col in columns}
        if any(row[col.key] for col in columns if col.choices is None):
            found.append(row)
    return found


def field_words(field: str | None, titles: Mapping[str, Text], columns: Mapping[str, Sequence[Col]]) -> str:
    """Return what a person calls the field of a problem: `load[0].value` reads "Expected load 1, Value"."""
    if not field:
        return ""
    found = CELL.fullmatch(field)
    if found is None:
        return str(titles.get(field, field))
    name, number, key = found.groups()
    if name not in columns:
        return f"{titles.get(name, name)} {number}"  # a line of a text, counted from 1
    column = next((col.title for col in columns[name] if col.key == key), key)
    return f"{titles.get(name, name)} {int(number) + 1}" + (f", {column}" if column else "")


def wrong_input(field: str | None) -> str:
    """Return the name of the input that the field of a problem means: `load[0].value` is `load-0-value`."""
    found = CELL.fullmatch(field or "")
    return "-".join(each for each in found.groups() if each) if found else field or ""
