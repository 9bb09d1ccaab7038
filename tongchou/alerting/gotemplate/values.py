"""The values a template can hold, and what Go's rules say of their type, truth and fields.

Allowed: None (nil), bool, int, float, str, list, dict, and the objects below. Nothing else is ever reached: a field is
looked up in a mapping or asked of a GoObject, never by Python's getattr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from tongchou.alerting.gotemplate.errors import Unfit


class GoObject:
    """An object that answers for its own fields and methods."""

    __slots__ = ()

    go_type: ClassVar[str]

    def go_field(self, name: str) -> object:
        """The field's value, or a callable for a method; raises ValueError in Go's words for an unknown name."""
        raise NotImplementedError


@runtime_checkable
class HasMethods(Protocol):
    """A list or map with methods a template may call; they shadow keys of the same name, as in Go."""

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """The methods by name."""
        ...


class NoValue:
    """What a key missing from an untyped map yields; printed as ``<no value>``, false, without fields."""

    __slots__ = ()


NO_VALUE = NoValue()


class StringMap(dict[str, str]):
    """Go's map[string]string: a missing key is the empty string."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Struct(GoObject):
    """A fixed set of named fields."""

    name: str
    fields: Mapping[str, object]

    go_type = "struct"

    def go_field(self, name: str) -> object:
        if name not in self.fields:
            raise Unfit(f"can't evaluate field {name} in type {self.name}")
        return self.fields[name]


@dataclass(frozen=True, slots=True)
class Sample(GoObject):
    """One element of a query result."""

    labels: StringMap
    value: float

    go_type = "*template.sample"

    def go_field(self, name: str) -> object:
        if name == "Labels":
            return self.labels
        if name == "Value":
            return self.value
        raise Unfit(f"can't evaluate field {name} in type {self.go_type}")


def type_name(value: object) -> str:
    """Go's name of the value's type, as %T prints it."""
    if value is None or isinstance(value, NoValue):
        return "<nil>"
    if isinstance(value, GoObject):
        return value.go_type
    for kind, name in (
        (bool, "bool"),
        (int, "int"),
        (float, "float64"),
        (str, "string"),
        (StringMap, "map[string]string"),
        (dict, "map[string]interface {}"),
    ):
        if isinstance(value, kind):
            return name
    if isinstance(value, list) and value and isinstance(value[0], Sample):
        return "template.queryResult"
    return "[]interface {}"


def truth(value: object) -> bool:
    """Whether ``if`` takes the value: not for false, zero, nil and anything empty."""
    if isinstance(value, GoObject):
        return True
    if isinstance(value, NoValue):
        return False
    return bool(value)


def field_of(value: object, name: str) -> object:
    """``value.name``; raises ValueError in Go's words when the value has no such field."""
    if isinstance(value, HasMethods):
        method = value.methods().get(name)
        if method is not None:
            return method
    if isinstance(value, StringMap):
        return value.get(name, "")
    if isinstance(value, dict):
        return value.get(name, NO_VALUE)
    if isinstance(value, GoObject):
        return value.go_field(name)
    if value is None:
        return NO_VALUE
    if isinstance(value, NoValue):
        raise Unfit(f"nil pointer evaluating interface {{}}.{name}")
    raise Unfit(f"can't evaluate field {name} in type {type_name(value)}")
