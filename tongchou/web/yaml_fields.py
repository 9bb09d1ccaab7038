"""Values that a form takes as YAML: plain ones, as JSON knows them, which any database can keep."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import yaml

from tongchou.middleware import is_storable

MAX_TEXT, MAX_DEPTH = 100_000, 30


def mapping_of(text: str) -> dict[str, Any] | None:
    """Return what a text says, {} for nothing; None for what is no mapping with texts as keys.

    Raises ValueError for what is no YAML, nested too deep, or of values that JSON or a database does not know. Aliases
    are refused: a few lines of them stand for more than there is memory.
    """
    if len(text) > MAX_TEXT:
        raise ValueError("the text is too long")
    try:
        _look_through(text)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("the text is no YAML") from error
    if value is None:
        return {}
    _check(value)
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None


def _look_through(text: str) -> None:
    """Count the depth on the stream of events, which takes no stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliased = isinstance(event, yaml.AliasEvent)
        if aliased or depth > MAX_DEPTH:
            raise ValueError("aliases are not taken" if aliased else "the text is nested too deep")


def _check(value: Any) -> None:
    if isinstance(value, str):
        if not is_storable(value):
            raise ValueError("no text that can be kept")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _check(key)
            _check(each)
    elif isinstance(value, list):
        for each in value:
            _check(each)
    elif not (value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))):
        raise ValueError("no value that JSON knows")
