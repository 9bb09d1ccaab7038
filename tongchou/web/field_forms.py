"""Custom fields in forms: what is drawn for each, and what a posted form says. Names of inputs begin with "cf-"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from tongchou.core.access import Actor
from tongchou.core.custom_fields import (
    Trouble,
    display,
    fields_for,
    fields_of,
    gone,
    missing,
    names_of,
    parse_cell,
    set_values,
    troubles,
)
from tongchou.core.field_types import OBJECTS, SEVERAL, Choice, FieldDef, write
from tongchou.core.models_fields import FieldEditable, FieldType, FieldVisible
from tongchou.core.problems import Problem
from tongchou.web.links import Link, resolve

PREFIX = "cf-"
THERE = "cf-there"  # names the fields a form offered: a box that is not ticked sends nothing


@dataclass
class Shown:
    """A field on a page: its value as people read it."""

    field: FieldDef
    text: str
    links: list[Link] = attribute(default_factory=list)
    choices: list[Choice] = attribute(default_factory=list)
    url: str = ""
    trouble: Trouble | None = None


@dataclass
class Drawn:
    """A field in a form. `widget` names its template; `text` is what stands in it, `chosen` what is ticked."""

    field: FieldDef
    widget: str
    text: str = ""
    chosen: list[str] = attribute(default_factory=list)
    options: list[tuple[str, str, str]] = attribute(default_factory=list)  # value, word, colour
    things: list[tuple[str, str]] = attribute(default_factory=list)  # ref, name
    invalid: bool = False

    @property
    def several(self) -> bool:
        """Whether more than one can be ticked."""
        return self.field.type in SEVERAL

    @property
    def name(self) -> str:
        """The name of its input."""
        return PREFIX + self.field.name


_WIDGETS = {
    FieldType.LONG_TEXT: "area",
    FieldType.JSON: "area",
    FieldType.BOOLEAN: "select",
    FieldType.SELECT: "select",
    FieldType.MULTI_SELECT: "ticks",
    FieldType.OBJECT: "objects",
    FieldType.MULTI_OBJECT: "objects",
}


def panel(actor: Actor, fields: Sequence[FieldDef], values: Mapping[str, Any]) -> list[tuple[str, list[Shown]]]:
    """Return what a page shows, by group; names of things are looked up at once."""
    seen = [
        each
        for each in fields
        if each.visible is FieldVisible.ALWAYS or (each.visible is FieldVisible.IF_SET and each.name in values)
    ]
    refs = [str(ref) for each in seen if each.type in OBJECTS for ref in listed(values.get(each.name))]
    links = resolve(names_of(actor, refs, hidden=False)) if refs else {}
    wrong = troubles(seen, values)
    groups: dict[str, list[Shown]] = {}
    for each in seen:
        value = values.get(each.name)
        shown = Shown(each, display(each, value), trouble=wrong.get(each.name))
        if each.type in OBJECTS:
            shown.links = [links.get(ref) or Link(ref, gone(actor), "", "circle-dashed", "") for ref in listed(value)]
        elif each.choices:
            known = {choice.value: choice for choice in each.choices}
            shown.choices = [known.get(str(item)) or Choice(str(item), {}) for item in listed(value)]
        elif each.type is FieldType.URL and str(value).startswith(("http://", "https://")):
            shown.url = str(value)
        groups.setdefault(each.heading, []).append(shown)
    return sorted(groups.items(), key=lambda pair: bool(pair[0]))


def listed(value: Any) -> list[Any]:
    """Return the entries of a value that may be one or several."""
    return value if isinstance(value, list) else [] if value is None else [value]


def editable(fields: Iterable[FieldDef]) -> list[FieldDef]:
    """Return the fields that forms offer."""
    return [each for each in fields if each.editable is FieldEditable.YES]


def form(
    actor: Actor,
    fields: Iterable[FieldDef],
    values: Mapping[str, Any],
    *,
    post: QueryDict | None = None,
    problem: Problem | None = None,
) -> list[tuple[str, list[Drawn]]]:
    """Return what a form draws, by group: the row's values, or what was posted and refused."""
    groups: dict[str, list[Drawn]] = {}
    drawn = [draw(each, values.get(each.name), post=post) for each in editable(fields)]
    refs = [ref for each in drawn if each.field.type in OBJECTS for ref in each.chosen]
    names = names_of(actor, refs)
    for each in drawn:
        if each.field.type in OBJECTS:
            each.things = [(ref, names.get(ref, ref)) for ref in each.chosen]
        each.invalid = problem is not None and problem.field == each.field.key
        groups.setdefault(each.field.heading, []).append(each)
    return sorted(groups.items(), key=lambda pair: bool(pair[0]))


def draw(each: FieldDef, value: Any, *, post: QueryDict | None = None) -> Drawn:
    """Return one field as a form draws it."""
    drawn = Drawn(each, _WIDGETS.get(each.type, "input"))
    if post is not None and each.name in post.getlist(THERE):
        drawn.chosen = [text for text in post.getlist(drawn.name) if text]
        drawn.text = drawn.chosen[0] if drawn.chosen else ""
    else:
        drawn.chosen = [str(item) for item in value] if isinstance(value, list) and each.type in SEVERAL else []
        drawn.text = write(each, value)
        if each.type is FieldType.DATE_TIME and value:
            drawn.text = f"{timezone.localtime(datetime.fromisoformat(str(value))):%Y-%m-%dT%H:%M:%S}"
        elif each.type not in SEVERAL and value is not None:
            drawn.chosen = [drawn.text]
    if each.choices:
        drawn.options = [(choice.value, choice.title, choice.colour) for choice in each.choices]
        known = {choice.value for choice in each.choices}
        drawn.options += [(text, text, "") for text in drawn.chosen if text not in known]
    return drawn


def posted(fields: Iterable[FieldDef], post: QueryDict) -> dict[str, Any]:
    """Return what a form says about the fields it offered; Invalid names the field that cannot be read."""
    offered, found = set(post.getlist(THERE)), {}
    for each in editable(fields):
        if each.name not in offered:
            continue
        texts = [text for text in post.getlist(PREFIX + each.name) if text]
        if each.type in SEVERAL:
            found[each.name] = texts or None
        else:
            found[each.name] = parse_cell(each, texts[0]) if texts else None
    return found


def of_new(actor: Actor, kind: str, *, post: QueryDict | None = None, problem: Problem | None = None) -> Any:
    """Return what the form of a new row of a sort draws, defaults filled in."""
    fields = fields_of(kind)
    return form(actor, fields, {each.name: each.default for each in fields}, post=post, problem=problem)


def of_row(actor: Actor, row: Any, *, post: QueryDict | None = None, problem: Problem | None = None) -> Any:
    """Return what the form of a row draws."""
    fields = fields_for(row)
    return form(actor, fields, row.custom, post=post, problem=problem)


def save(actor: Actor, row: Any, post: QueryDict, *, new: bool = False) -> Any:
    """Give a row what its form says, inside the transaction of the form; Invalid names the field.

    A new row must have what is required; where the form offered no input it gets the default.
    """
    fields = fields_for(row)
    values = posted(fields, post)
    if new:
        for each in fields:
            if each.required and each.name in values and values[each.name] is None:
                raise missing(each)
            if each.name not in values and each.default is not None:
                values[each.name] = each.default
    return set_values(actor=actor, row=row, values=values) if values else row
