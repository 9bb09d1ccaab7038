"""How long items of drift that are gone are kept; what still differs stays, however old."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_drift import Drift, DriftState
from tongchou.core import retention
from tongchou.core.retention import DataClass, Preview


def _old(before: datetime) -> QuerySet[Drift]:
    return Drift.objects.filter(state=DriftState.CLEARED, last_seen_at__lt=before, cleared_at__lt=before)


def _older(before: datetime) -> Preview:
    rows = _old(before).count()
    return Preview(rows, retention.share(retention.estimate(Drift), rows))


def _prune(before: datetime, limit: int) -> int:
    ids = list(_old(before).order_by("last_seen_at").values_list("pk", flat=True)[:limit])
    Drift.objects.filter(pk__in=ids).delete()
    return len(ids)


retention.register(
    DataClass(
        "drift",
        _("drift that is gone"),
        400,
        lambda: retention.estimate(Drift),
        _older,
        _prune,
        note=_("What still differs stays; the events of what is gone stay in the ledger."),
    )
)
