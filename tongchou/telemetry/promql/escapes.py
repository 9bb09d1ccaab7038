"""Escapes of single bytes in string literals, which the parser takes for characters."""

from __future__ import annotations

import re

_STRING = re.compile(r"`[^`]*`|\#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_BYTES = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\x[89a-fA-F][0-9a-fA-F]|\\[23][0-7][0-7])+)")
_BYTE = re.compile(r"\\x(..)|\\([0-7]{3})")


UNDECODABLE = "\N{REPLACEMENT CHARACTER}"


def with_characters(query: str) -> str:
    r"""The query with runs such as "\xc3\xa4" in its strings written as the characters they encode.

    Bytes that are no UTF-8 become UNDECODABLE: no label is named so, and none has such a value.
    """
    return _STRING.sub(_decoded, query) if "\\" in query else query


def _decoded(found: re.Match[str]) -> str:
    text = found.group()
    return text if text[0] in "`#" else _BYTES.sub(_characters, text)


def _characters(run: re.Match[str]) -> str:
    numbers = [int(h, 16) if h else int(o, 8) for h, o in _BYTE.findall(run.group(2))]
    return run.group(1) + bytes(numbers).decode(errors="replace")
