"""A Ref is the string `room.noun:id`: the only way to point at an arbitrary noun."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import UUID

from django.db import models

_REF = re.compile(r"\A([a-z_]+)\.([a-z_]+):([0-9A-Za-z_\-]{1,64})\Z")


class ParsedRef(NamedTuple):
    """The three parts of a Ref."""

    room: str
    noun: str
    id: str


def ref(noun: models.Model) -> str:
    """Return the Ref of a saved noun, e.g. "inventory.resource:0193..."."""
    return f"{noun._meta.app_label}.{noun._meta.model_name}:{noun.pk}"


def parse(text: str) -> ParsedRef:
    """Split a Ref; raises ValueError when `text` is not one."""
    match = _REF.match(text)
    if match is None:
        raise ValueError(f"not a ref (room.noun:id): {text[:80]!r}")
    return ParsedRef(*match.groups())


def is_ref(text: str) -> bool:
    """Tell whether `text` has the form of a Ref."""
    return _REF.match(text) is not None


def is_uuid(text: str) -> bool:
    """Tell whether `text` can be the id of a noun that is known by a UUID, before a database is asked for it."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
