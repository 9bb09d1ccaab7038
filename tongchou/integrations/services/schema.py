"""What a database's tables look like, as attributes: a fingerprint of all, and each table in one bounded line. Pure.

Types, keys and the names of things only; of a default value a hash, since it may be anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

FINGERPRINT, COUNT, TABLE = "schema_fingerprint", "schema_tables", "table/"
MOST_TABLES = 200  # that are told one by one; what is beyond is in the fingerprint, and in one line for all of them
MOST_COLUMNS = 50_000
MAX_TEXT = 800
MAX_NAME = 110
REST = "_others"
_UNFIT = re.compile(r"[^A-Za-z0-9_./-]")  # for the name of an attribute
Tables = Mapping[str, Iterable[str]]


def digest(text: str, length: int = 16) -> str:
    """Return the begin of the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def column(name: str, type_: str, *, null: bool, default: str | None = None, more: str = "") -> str:
    """Write a column. `more`: what else the server says of it, such as auto_increment."""
    words = [name, type_, "" if null else "not null", f"default #{digest(default, 8)}" if default else "", more]
    return " ".join(each for each in words if each)


def attributes(tables: Tables) -> dict[str, str | int]:
    """Return what is told of tables: name -> lines (columns in their order, then indexes and constraints)."""
    texts = {name: "; ".join(lines) for name, lines in sorted(tables.items())}
    found: dict[str, str | int] = {
        FINGERPRINT: digest("\n".join(f"{name}: {text}" for name, text in texts.items())),
        COUNT: len(texts),
    }
    listed = list(texts.items())
    for name, text in listed[:MOST_TABLES]:
        legal = _legal(name)
        found[f"{TABLE}{legal}"] = _cut(text if legal == name else f"({name}); {text}", MAX_TEXT)
    if len(listed) > MOST_TABLES:
        rest = "\n".join(f"{name}: {text}" for name, text in listed[MOST_TABLES:])
        found[f"{TABLE}{REST}"] = f"{len(listed) - MOST_TABLES} #{digest(rest)}"
    return found


def _legal(name: str) -> str:
    """The name as an attribute may have it; one that has to be altered gets a hash, so that no two become one."""
    fit = _UNFIT.sub("_", name)
    return name if fit == name and len(name) <= MAX_NAME else f"{fit[: MAX_NAME - 9]}-{digest(name, 8)}"


def _cut(text: str, most: int) -> str:
    """The text, or its beginning with a hash of all of it, so that what is cut off is compared all the same."""
    return text if len(text) <= most else f"{text[: most - 20]}… #{digest(text)}"
