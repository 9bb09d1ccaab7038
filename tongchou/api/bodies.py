"""What a request may bring: schemas that refuse what the document does not tell, instead of dropping or guessing."""

from __future__ import annotations

import re
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from ninja import Schema
from pydantic import (
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _a_day(value: Any) -> Any:
    """Refuse what pydantic would take for a date and the document does not tell: Unix numbers, times."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise PydanticKnownError("date_type")


Day = Annotated[date, BeforeValidator(_a_day)]  # a date that is sent: 2026-03-02 and nothing else


class Body(Schema):
    """The base of every schema of a JSON body: unknown keys, 0 for false and "5" for 5 are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _an_object(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse what is no object: ninja reads attributes of anything, and defaults fill those that 5 has not."""
        if not isinstance(value, dict | cls):
            raise PydanticKnownError("model_type", {"class_name": cls.__name__})
        return handler(value)

    @field_validator("*", mode="before")
    @classmethod
    def _not_guessed(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        several = get_origin(annotation) in (Union, UnionType)
        kinds = set(get_args(annotation) if several else (annotation,)) - {NoneType}
        if value is None or not kinds or not kinds <= {bool, int, float}:
            return value
        if kinds == {bool} and not isinstance(value, bool):
            raise PydanticKnownError("bool_type")
        if bool not in kinds and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise PydanticKnownError("int_type" if kinds == {int} else "float_type")
        return value
