"""Named reads of drift for the API and the pages."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_drift import Drift, DriftIgnore, DriftState
from tongchou.core.access import Actor, check, check_anywhere, visible_teams
from tongchou.core.problems import NotFound

VIEW = "changes.view"
DECIDED = (DriftState.ADOPT, DriftState.REVERT)


def items(actor: Actor) -> QuerySet[Drift]:
    """Return the differences an actor may see, the last seen first, with their resource."""
    check_anywhere(actor, VIEW)
    found = Drift.objects.select_related("resource").order_by("-last_seen_at", "-id")
    teams = visible_teams(actor)
    return found if teams is None else found.filter(resource__owner__in=teams)


def item(actor: Actor, drift_id: UUID) -> Drift:
    """Return one difference; raises NotFound for one that is not there or not to be seen."""
    found = items(actor).select_related("resource__owner", "ignored_by").filter(pk=drift_id).first()
    if found is None:
        raise NotFound("drift.unknown", _("There is no such difference."), field="id", value=str(drift_id))
    return found


def unexplained(actor: Actor) -> QuerySet[Drift]:
    """Return what waits for a decision."""
    return items(actor).filter(state=DriftState.OPEN)


def counts_of(source_refs: Collection[str]) -> dict[str, int]:
    """Return source -> how many differences of it are unexplained; one query."""
    rows = Drift.objects.filter(source_ref__in=source_refs, state=DriftState.OPEN)
    return dict(rows.order_by().values_list("source_ref").annotate(count=Count("id")))


def rules(actor: Actor) -> list[DriftIgnore]:
    """Return the rules that ignore, the oldest first, each with the number of differences it ignores now."""
    check(actor, VIEW)
    return list(DriftIgnore.objects.annotate(item_count=Count("items")).order_by("created_at", "id"))
