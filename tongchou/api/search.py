"""The search over every noun."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema

from tongchou.api.core import actor_of
from tongchou.core import search

router = Router(tags=["core"])


class HitOut(Schema):
    """One row that fits."""

    ref: str
    kind: str
    title: str
    score: int


@router.get("/search", response=list[HitOut])
def find(
    request: HttpRequest,
    q: Annotated[str, Query(max_length=200)],
    kind: Annotated[str | None, Query(max_length=60)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[search.Hit]:
    """Return rows of every noun (or of one `kind`) that have every word of `q`, the best first, `limit` a kind.

    Chinese is found by any part of a run, names of code by their parts; the last word may go on. New rows are found
    within seconds.
    """
    return search.find(actor_of(request), q, kinds=[kind] if kind else None, limit=limit)
