"""How long the history of sources is kept."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from tongchou.core import retention
from tongchou.core.retention import DataClass, Preview, register
from tongchou.inventory.models import SourceRun


def _older(before: datetime) -> Preview:
    rows = SourceRun.objects.filter(last_at__lt=before).count()
    return Preview(rows, retention.share(retention.estimate(SourceRun), rows))


def _prune(before: datetime, limit: int) -> int:
    ids = list(SourceRun.objects.filter(last_at__lt=before).order_by("last_at").values_list("pk", flat=True)[:limit])
    SourceRun.objects.filter(pk__in=ids).delete()
    return len(ids)


register(DataClass("source_runs", _("runs of sources"), 90, lambda: retention.estimate(SourceRun), _older, _prune))
