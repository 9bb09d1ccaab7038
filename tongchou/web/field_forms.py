"""Fields in forms: what is drawn for each, and what a posted form says.

Names of inputs begin with "cf-" for custom fields, with "at-" for the standard fields of resources (attributes).
"""

from __future__ import annotations

import json
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
PREFIXES = {"custom": PREFIX, "attributes": "at-"}  # by the column that holds the values


def prefix_of(field: FieldDef) -> str:
    """Return what the name of a field's input begins with."""
    return PREFIXES[field.column]


def there_of(field: FieldDef) -> str:
    """Return the name of the inputs that name the fields a form offered."""
    return f"{prefix_of(field)}there"


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
        return prefix_of(self.field) + self.field.name

    @property
    def there(self) -> str:
        """The name of what says that a form offered it: a box that is not ticked sends nothing."""
        return there_of(self.field)


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
        shown = Shown(each, _text(each, value), trouble=wrong.get(each.name))
        if each.type in OBJECTS:
            shown.links = [links.get(ref) or Link(ref, gone(actor), "", "circle-dashed", "") for ref in listed(value)]
        elif each.choices:
            known = {choice.value: choice for choice in each.choices}
            shown.choices = [known.get(str(item)) or Choice(str(item), {}) for item in listed(value)]
        elif each.type is FieldType.URL and str(value).startswith(("http://", "https://")):
            shown.url = str(value)
        groups.setdefault(each.heading, []).append(shown)
    return sorted(groups.items(), key=lambda pair: bool(pair[0]))


def _text(field: FieldDef, value: Any) -> str:
    """A value as people read it; one that a source said and that is not of the field's type as it came."""
    try:
        return display(field, value)
    except (TypeError, ValueError):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    if post is not None and each.name in post.getlist(drawn.there):
        drawn.chosen = [text for text in post.getlist(drawn.name) if text]
        drawn.text = drawn.chosen[0] if drawn.chosen else ""
    else:
        drawn.chosen = [str(item) for item in value] if isinstance(value, list) and each.type in SEVERAL else []
        drawn.text = write(each, value)
        if each.type is FieldType.DATE_TIME and value:
            drawn.text = _local(value)
        elif each.type not in SEVERAL and value is not None:
            drawn.chosen = [drawn.text]
    if each.choices:
        drawn.options = [(choice.value, choice.title, choice.colour) for choice in each.choices]
        known = {choice.value for choice in each.choices}
        drawn.options += [(text, text, "") for text in drawn.chosen if text not in known]
    return drawn


def _local(value: Any) -> str:
    """A moment in the reader's time zone as the browser's input takes it; what is none as it came."""
    try:
        return f"{timezone.localtime(datetime.fromisoformat(str(value))):%Y-%m-%dT%H:%M:%S}"
    except ValueError:
        return str(value)


def posted(fields: Iterable[FieldDef], post: QueryDict) -> dict[str, Any]:
    """Return what a form says about the fields it offered; Invalid names the field that cannot be read."""
    found = {}
    for each in editable(fields):
        if each.name not in post.getlist(there_of(each)):
            continue
        texts = texts_of(each, post)
        if each.type in SEVERAL:
            found[each.name] = texts or None
        else:
            found[each.name] = parse_cell(each, texts[0]) if texts else None
    return found


def texts_of(field: FieldDef, post: QueryDict) -> list[str]:
    """Return what a form says about a field, as it was typed."""
    return [text for text in post.getlist(prefix_of(field) + field.name) if text]


def changed(fields: Iterable[FieldDef], values: Mapping[str, Any], post: QueryDict) -> dict[str, Any]:
    """Return what a form says otherwise than it was drawn with `values`; Invalid names the field.

    What nobody touched is not read: a value that does not fit its field stays, and is nobody's new word.
    """
    touched = []
    for each in editable(fields):
        drawn = draw(each, values.get(each.name))
        before = drawn.chosen if each.type in SEVERAL else [drawn.text] if drawn.text else []
        if sorted(texts_of(each, post)) != sorted(text.replace("\r\n", "\n") for text in before):
            touched.append(each)
    return posted(touched, post)


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
