"""Cells by the type of their column; a list says only what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from tongchou.core.lists.export import text
from tongchou.core.lists.tables import Column
from tongchou.web.templatetags.ui import ago, chip, clip, duration, nbytes, when

Cell = Callable[[Any, Mapping[str, Any]], str]
NOTHING: SafeString = mark_safe('<span class="faint">–</span>')
SHOWN_LABELS = 3
DRAWN_UNITS = ("s", "B")  # drawn with the value, not in the head
MAX_TEXT = 300


def draw(column: Column, row: Any, titles: Mapping[Any, Any]) -> str:
    """Draw a cell by the type of its column; `titles` are the words of its choices."""
    value = column.of(row)
    if value in (None, "", [], {}):
        return NOTHING
    if column.type == "choice":
        return format_html("{}", titles.get(value, value))
    if isinstance(value, datetime):
        return ago(value)
    if isinstance(value, date):
        return value.isoformat()
    if column.type == "yes":
        return chip("enabled" if value else "disabled")
    if column.unit in DRAWN_UNITS and isinstance(value, int | float):
        return duration(value) if column.unit == "s" else nbytes(value)
    if isinstance(value, dict):
        return labels(value)
    if isinstance(value, Promise):
        return str(value)
    return format_html('<span class="wrap-any">{}</span>', clip(text(value), MAX_TEXT))


def labels(value: Mapping[str, Any], skip: Iterable[str] = ()) -> SafeString:
    """Draw labels as tags, the first three; the rest as a number with them in its tooltip."""
    pairs = [(str(name), str(each)) for name, each in value.items() if name not in set(skip)]
    tags = format_html_join(
        "",
        '<span class="tag" title="{0}={1}">{0}=<b>{2}</b></span>',
        ((name, each, clip(each, 24)) for name, each in pairs[:SHOWN_LABELS]),
    )
    rest = pairs[SHOWN_LABELS:]
    more: str = ""
    if rest:
        told = ", ".join(f"{name}={each}" for name, each in rest)
        more = format_html('<span class="faint" title="{}">+{}</span>', told, len(rest))
    return format_html('<span class="tags">{}{}</span>', tags, more)


def link(url: str, words: object, css: str = "") -> str:
    """Draw a link; words alone when there is nowhere to go."""
    if not url:
        return format_html("{}", words)
    return (
        format_html('<a href="{}" class="{}">{}</a>', url, css, words)
        if css
        else format_html('<a href="{}">{}</a>', url, words)
    )


def second(main: object, below: object, css: str = "") -> SafeString:
    """Draw a line with a smaller one below it; the lower one may be empty."""
    if not below:
        return format_html("{}", main)
    return format_html('{}<span class="second {} wrap-any">{}</span>', main, css, below)


def person(name: object) -> str:
    """Draw a person's name, a dash for nobody."""
    return format_html("{}", name) if name else NOTHING


def moment(value: datetime | None) -> str:
    """Draw an exact moment."""
    return when(value)
