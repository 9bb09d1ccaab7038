"""Which differences are explained: by the approved change, or else the run, that is under way on the resource now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from tongchou.changes.control_settings import TOLERANCE
from tongchou.changes.explained import being_implemented
from tongchou.core import settings_store
from tongchou.runbooks.machine import HOLDING
from tongchou.runbooks.models import RunTarget

Explain = Callable[[Collection[UUID], datetime], Mapping[UUID, str]]


def _running(resources: Collection[UUID], _at: datetime) -> dict[UUID, str]:
    """The run that is under way on each resource; what is not approved does not run."""
    rows = RunTarget.objects.filter(resource__in=list(resources), active=True, run__state__in=HOLDING)
    return {resource: f"runbooks.run:{run}" for resource, run in rows.values_list("resource_id", "run_id")}


EXPLAINING: tuple[Explain, ...] = (being_implemented, _running)  # the first that names a resource counts


def change_between(resources: Collection[UUID], since: datetime, at: datetime) -> dict[UUID, str]:
    """Return resource -> Ref of the change, or else the run, that was under way on it at any time from `since` to `at`.

    For what was seen at `at` and happened since the look before. What nothing names is unexplained.
    """
    if not resources:
        return {}
    slack = timedelta(minutes=int(settings_store.get(TOLERANCE)))
    rows = RunTarget.objects.filter(resource__in=list(resources), run__started_at__lte=at + slack).filter(
        Q(active=True, run__state__in=HOLDING) | Q(run__finished_at__gte=since - slack)
    )
    ran = rows.order_by("run__started_at").values_list("resource_id", "run_id")
    return {resource: f"runbooks.run:{run}" for resource, run in ran} | being_implemented(resources, at, since)


def change_of(resources: Collection[UUID], at: datetime) -> dict[UUID, str]:
    """Return resource -> Ref of what explains a modification of it at a time. What nothing names is unexplained."""
    found: dict[UUID, str] = {}
    for each in EXPLAINING if resources else ():
        for resource, change in each(resources, at).items():
            found.setdefault(resource, change)
    return found
