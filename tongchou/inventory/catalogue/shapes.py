"""What a kind, a group of kinds and a relation type are, and short words to declare standard fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from tongchou.core.field_types import Choice, FieldDef
from tongchou.core.models_fields import FieldType
from tongchou.core.problems import Text

NOUN = "inventory.resource"
COLUMN = "attributes"  # of the resource: its effective attributes, and so its standard fields

Needed = Literal["from", "to", "none"]
# How many ends one end may have: "many-to-one" means that each "from" has one "to" at most.
Cardinality = Literal["many-to-many", "many-to-one", "one-to-many", "one-to-one"]
CARDINALITIES: tuple[Cardinality, ...] = ("many-to-many", "many-to-one", "one-to-many", "one-to-one")


@dataclass(frozen=True, slots=True)
class Group:
    """Where kinds stand together on a page."""

    name: str
    title: Text
    icon: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of resource. `tier` orders the service map among equals: callers are low (left), stores high (right).

    `fields`: its own; those of its `parent` come first (`kinds.fields`). `wanted`: names of fields without which one
    cannot work with it; unlike a required field nobody is refused for it, it waits in the queue "unfilled".
    `defined`: by people, not by the catalogue; a `retired` one is no longer offered, and what there is of it stays.
    """

    name: str
    title: Text
    icon: str
    tier: int
    group: str = "other"
    fields: tuple[FieldDef, ...] = ()
    parent: str = ""
    help: Text = ""
    wanted: tuple[str, ...] = ()
    defined: bool = False
    retired: bool = False


@dataclass(frozen=True, slots=True)
class RelationType:
    """A sort of relation, read "from <title> to". `needed` is the end that the other one depends on.

    When the needed end fails, the other end is affected; never the other way round. "none": failure does not flow.
    `from_kinds`, `to_kinds`: what the ends may be ((): anything); those that inherit from one of them are, too.
    """

    name: str
    title: Text
    reverse_title: Text
    needed: Needed
    cardinality: Cardinality = "many-to-many"
    from_kinds: tuple[str, ...] = ()
    to_kinds: tuple[str, ...] = ()
    defined: bool = False
    retired: bool = False

    @property
    def one_to(self) -> bool:
        """Whether each "from" has one "to" at most."""
        return self.cardinality in ("many-to-one", "one-to-one")

    @property
    def one_from(self) -> bool:
        """Whether each "to" has one "from" at most."""
        return self.cardinality in ("one-to-many", "one-to-one")


# --- standard fields --------------------------------------------------------------------------------------------------


def both(title: Text) -> Mapping[str, Text]:
    """Return a text that translates itself in the form of one that is written in both languages."""
    return {"en": title, "zh": title} if title else {}


def field(name: str, title: Text, type_: FieldType = FieldType.TEXT, *, section: Text = "", **more: Any) -> FieldDef:
    """Declare a standard field: its value is an attribute of this name, so several sources may state it."""
    return FieldDef(
        id=uuid5(NAMESPACE_URL, f"attribute:{name}"),
        kind=NOUN,
        name=name,
        type=type_,
        label=both(title),
        group=both(section),
        column=COLUMN,
        **more,
    )


def whole(name: str, title: Text, unit: Text = "", *, least: int | None = 0, **more: Any) -> FieldDef:
    """Declare a whole number."""
    return field(name, title, FieldType.INTEGER, unit=unit, minimum=least, **more)


def number(name: str, title: Text, unit: Text = "", *, least: float | None = 0, **more: Any) -> FieldDef:
    """Declare a decimal number."""
    return field(name, title, FieldType.DECIMAL, unit=unit, minimum=least, **more)


def yes(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare a yes or no."""
    return field(name, title, FieldType.BOOLEAN, **more)


def day(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare a date."""
    return field(name, title, FieldType.DATE, **more)


def moment(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare a date and time."""
    return field(name, title, FieldType.DATE_TIME, **more)


def link(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare a web address."""
    return field(name, title, FieldType.URL, **more)


def notes(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare a long text."""
    return field(name, title, FieldType.LONG_TEXT, **more)


def data(name: str, title: Text, **more: Any) -> FieldDef:
    """Declare JSON: what sources tell as a list."""
    return field(name, title, FieldType.JSON, **more)


def one_of(name: str, title: Text, *choices: tuple[str, Text], **more: Any) -> FieldDef:
    """Declare one choice of some."""
    return field(name, title, FieldType.SELECT, choices=_choices(choices), **more)


def _choices(choices: tuple[tuple[str, Text], ...]) -> tuple[Choice, ...]:
    return tuple(Choice(value, both(title)) for value, title in choices)
