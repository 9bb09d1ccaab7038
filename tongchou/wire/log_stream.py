"""Log lines between a decoder and the store: streams of entries, whatever protocol brought them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Label = tuple[str, str]


class Entry(NamedTuple):
    """One line. `ts_ns` since the epoch; `fields` are facts beside the text; level and trace id "" when not told."""

    ts_ns: int
    line: bytes
    fields: Sequence[Label] = ()
    level: str = ""
    trace_id: str = ""


@dataclass(slots=True)
class Stream:
    """Lines of one source, told apart by its labels."""

    labels: list[Label]
    entries: list[Entry] = field(default_factory=list)
