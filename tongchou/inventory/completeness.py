"""How complete the inventory is, by kind, team and site: a score whose every missing point is an item of a queue.

Score of a group: the mean, over the aspects, of the share of its resources that have no item in that aspect's queue.
What is ignored for a time is missing all the same. Parts of a host do not count (queues.parts).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from tongchou.core.access import Actor
from tongchou.inventory import queues, reads
from tongchou.inventory.models import Resource, ResourceLabel
from tongchou.inventory.models_queues import QueueItem, QueueName
from tongchou.inventory.truth import settings_of_now

ASPECTS: tuple[QueueName, ...] = (QueueName.UNOWNED, QueueName.UNSEEN, QueueName.UNRELATED, QueueName.UNFILLED)
GROUPINGS = ("kind", "team", "site")
MOST_GROUPS = 500
KEPT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Score:
    """One group: how many resources, how many lack each aspect, and the score from 0 to 1 (None of none)."""

    name: str
    total: int
    lacking: Mapping[str, int]

    @property
    def score(self) -> float | None:
        """Return the mean share that lacks nothing."""
        return score(self.total, list(self.lacking.values()))


def score(total: int, lacking: Sequence[int]) -> float | None:
    """Return the mean over aspects of the share of `total` that does not lack it; None of nothing. Pure."""
    if not total or not lacking:
        return None
    return sum(1 - min(each, total) / total for each in lacking) / len(lacking)


_kept: dict[tuple[object, ...], tuple[float, dict[str, list[Score]]]] = {}


def scores(actor: Actor) -> dict[str, list[Score]]:
    """Return the scores by each grouping, and "all" with one, of what the actor may see; the lowest first.

    Kept by a process until the queues change, at most a minute. Five queries over indexes.
    """
    label = settings_of_now().site_label
    key = (queues.stamp(), label, reads.seen_teams(actor))
    kept = _kept.get(key)
    if kept is not None and time.monotonic() - kept[0] < KEPT_SECONDS:
        return kept[1]
    found = _scores(actor, label)
    if len(_kept) >= queues.MOST_COUNTED:
        _kept.clear()
    _kept[key] = (time.monotonic(), found)
    return found


def _scores(actor: Actor, label: str) -> dict[str, list[Score]]:
    rows = queues.answered_for()
    items = QueueItem.objects.filter(queue__in=ASPECTS).exclude(resource__kind__in=queues.parts())
    if reads.seen_teams(actor) is not None:
        rows = rows.filter(pk__in=reads.visible(actor).values("pk"))
        items = items.filter(resource__in=reads.visible(actor).values("pk"))
    sites = ResourceLabel.objects.filter(name=label, resource__in=rows.values("pk"))
    labelled = items.filter(resource__label_rows__name=label)
    by = {
        "kind": _groups(_count(rows, "kind"), _lacking(items, "resource__kind")),
        "team": _groups(_count(rows, "owner__name"), _lacking(items, "resource__owner__name")),
        "site": _groups(
            dict(sites.order_by().values_list("value").annotate(rows=Count("pk"))),
            _lacking(labelled, "resource__label_rows__value"),
        ),
    }
    total = sum(each.total for each in by["kind"])
    lacking = {aspect.value: sum(each.lacking[aspect] for each in by["kind"]) for aspect in ASPECTS}
    return {"all": [Score("", total, lacking)], **by}


def _count(rows: QuerySet[Resource], path: str) -> dict[str, int]:
    return {name or "": count for name, count in rows.values_list(path).annotate(rows=Count("pk"))}


def _lacking(items: QuerySet[QueueItem], path: str) -> dict[tuple[str, str], int]:
    counted: Any = items.order_by().values_list(path, "queue").annotate(rows=Count("resource", distinct=True))
    return {(name or "", queue): count for name, queue, count in counted}


def _groups(totals: Mapping[str, int], lacking: Mapping[tuple[str, str], int]) -> list[Score]:
    found = [
        Score(name, total, {aspect.value: lacking.get((name, aspect.value), 0) for aspect in ASPECTS})
        for name, total in totals.items()
    ]
    return sorted(found, key=lambda each: (each.score or 0.0, each.name))[:MOST_GROUPS]
