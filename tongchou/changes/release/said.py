"""What a rollout says with ${version} and the like in it, and what that becomes for one release. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAMES = ("version", "previous_version", "reference", "digest", "commit", "environment", "service")
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': "\\x22", "'": "\\x27", "`": "\\x60"})
_NAME = re.compile(r"\$\{([a-z_]+)\}")


def unknown(value: Any) -> list[str]:
    """Return the names in ${...} that stand for nothing, at any depth, each once."""
    return sorted({found for text in _texts(value) for found in _NAME.findall(text) if found not in NAMES})


def fill(value: Any, facts: Mapping[str, str]) -> Any:
    """Return the value with each ${name} replaced, at any depth of mappings and lists; keys stay as they are."""
    if isinstance(value, str):
        return _NAME.sub(lambda found: facts.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, facts) for key, item in value.items()}
    return [fill(item, facts) for item in value] if isinstance(value, list) else value


def fill_query(query: str, facts: Mapping[str, str]) -> str:
    """As `fill`, for PromQL: a value stands inside a string of the query, however that is quoted, and cannot end it."""
    return str(fill(query, {name: value.translate(_ESCAPED) for name, value in facts.items()}))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
    return [text for item in items for text in _texts(item)]
