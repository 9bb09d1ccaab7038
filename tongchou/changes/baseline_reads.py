"""Named reads of baselines for the API and the pages: host against baseline, host against host."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes import baseline
from tongchou.changes.models_baselines import Baseline, Snapshot
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.problems import NotFound

VIEW = "changes.view"
Row = tuple[str, str, str]  # path, one side, the other


@dataclass(frozen=True)
class HostLook:
    """One host of a baseline: what it looked like last, and (path, expected, observed) of what is not as it should."""

    snapshot: Snapshot
    differences: list[Row]


def visible(actor: Actor) -> QuerySet[Baseline]:
    """Return the baselines an actor may see, by name: those of their teams, with a global role all."""
    check_anywhere(actor, VIEW)
    rows = Baseline.objects.select_related("owner", "taken_from").order_by("name")
    teams = visible_teams(actor)
    return rows if teams is None else rows.filter(owner__in=teams)


def one(actor: Actor, name: str) -> Baseline:
    """Return one baseline by its name; raises NotFound."""
    row = visible(actor).filter(name=name).first()
    if row is None:
        raise NotFound("baseline.unknown", _("There is no such baseline."), field="name", value=name)
    return row


def hosts(row: Baseline) -> list[HostLook]:
    """Return every host that was looked at, by name, with its differences from the baseline."""
    found = row.snapshots.select_related("resource").order_by("resource__name", "id")
    return [HostLook(each, baseline.differences(row.expected, each.content) if each.taken_at else []) for each in found]


def between(row: Baseline, one_id: UUID, other_id: UUID) -> tuple[Snapshot, Snapshot, list[Row]]:
    """Return two hosts of a baseline and in what they differ; raises NotFound when one was never seen."""
    found = {each.resource_id: each for each in row.snapshots.select_related("resource").exclude(taken_at=None)}
    missing = next((each for each in (one_id, other_id) if each not in found), None)
    if missing is not None:
        raise NotFound("baseline.snapshot", _("Nobody has looked at this host yet."), field="host", value=str(missing))
    left, right = found[one_id], found[other_id]
    return left, right, baseline.between(left.content, right.content)
