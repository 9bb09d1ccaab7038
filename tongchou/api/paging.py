"""How far a list may be asked to skip: one bound for every list, within what both databases count with."""

from __future__ import annotations

from typing import Annotated

from ninja import Query

MAX_OFFSET = 1_000_000_000

# Below zero counts as zero (the lists clamp it); above the bound is refused with 422.
Offset = Annotated[int, Query(le=MAX_OFFSET)]
