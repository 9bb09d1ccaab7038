"""How long the history of sources is kept, and the report of a machine that reports no more."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from tongchou.core import retention
from tongchou.core.retention import DataClass, Preview, register
from tongchou.inventory.models import SourceRun
from tongchou.inventory.models_agents import AgentReport


def _older(before: datetime) -> Preview:
    rows = SourceRun.objects.filter(last_at__lt=before).count()
    return Preview(rows, retention.share(retention.estimate(SourceRun), rows))


def _prune(before: datetime, limit: int) -> int:
    ids = list(SourceRun.objects.filter(last_at__lt=before).order_by("last_at").values_list("pk", flat=True)[:limit])
    SourceRun.objects.filter(pk__in=ids).delete()
    return len(ids)


def _silent(before: datetime) -> Preview:
    rows = AgentReport.objects.filter(received_at__lt=before).count()
    return Preview(rows, retention.share(retention.estimate(AgentReport), rows))


def _forget(before: datetime, limit: int) -> int:
    ids = AgentReport.objects.filter(received_at__lt=before).order_by("received_at").values_list("pk", flat=True)
    listed = list(ids[:limit])
    AgentReport.objects.filter(pk__in=listed).delete()
    return len(listed)


register(DataClass("source_runs", _("runs of sources"), 90, lambda: retention.estimate(SourceRun), _older, _prune))
register(
    DataClass(
        "agent_reports",
        _("last reports of silent agents"),
        30,
        lambda: retention.estimate(AgentReport),
        _silent,
        _forget,
    )
)
