"""Named reads of dashboards, and what the store answers to their variables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check
from tongchou.core.problems import NotFound
from tongchou.telemetry import reads
from tongchou.telemetry.backend import default_limits
from tongchou.telemetry.dashboards import choose
from tongchou.telemetry.metrics import metrics
from tongchou.telemetry.models import Dashboard, DashboardVersion

VIEW = "telemetry.view"
LISTED_WITHOUT = ("definition", "description")


def visible(actor: Actor) -> QuerySet[Dashboard]:
    """Return the dashboards there are; AccessDenied for who may not see metrics (they have no owner)."""
    check(actor, VIEW)
    return Dashboard.objects.filter(deleted_at__isnull=True)


def get(actor: Actor, name: str) -> Dashboard:
    """Return the dashboard of a name; raises NotFound, AccessDenied."""
    row = visible(actor).select_related("owner").filter(name=name).first()
    if row is None:
        raise missing(name)
    return row


def missing(name: str) -> NotFound:
    """Return the refusal for a dashboard that is not there."""
    return NotFound(
        "dashboard.unknown",
        _("There is no dashboard of this name."),
        field="name",
        value=name,
        remedy=_("Open the list of dashboards."),
    )


def versions(row: Dashboard) -> QuerySet[DashboardVersion]:
    """Return its versions, the newest first."""
    return DashboardVersion.objects.filter(dashboard=row).order_by("-number")


def content_of(row: Dashboard) -> dict[str, Any]:
    """Return what a version keeps of a dashboard."""
    return {
        "title": row.title,
        "folder": row.folder,
        "tags": row.tags,
        "description": row.description,
        "definition": row.definition,
    }


class StoreSource:
    """choose.Source on the metrics of this platform, over the time from `start` to `end`."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self._end = end
        self._from_ms = round(min(start, end - timedelta(minutes=5)).timestamp() * 1000)
        self._to_ms = round(end.timestamp() * 1000)

    def label_values(self, label: str, sets: choose.MatcherSets) -> list[str]:
        """As choose.Source says."""
        return metrics().label_values(label, sets, self._from_ms, self._to_ms, limits=default_limits())

    def label_names(self, sets: choose.MatcherSets) -> list[str]:
        """As choose.Source says."""
        return metrics().label_names(sets, self._from_ms, self._to_ms, limits=default_limits())

    def query_result(self, expr: str) -> list[str]:
        """As choose.Source says."""
        out = []
        for each in reads.instant_vector(expr, self._end.astimezone(UTC)):
            inside = ",".join(f'{key}="{value}"' for key, value in sorted(each.labels.items()) if key != "__name__")
            name = f"{each.labels.get('__name__', '')}{{{inside}}}"
            out.append(f"{name} {each.value:g} {round(each.at.timestamp() * 1000)}")
        return out
