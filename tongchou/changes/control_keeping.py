"""How long answers of the gate are kept; which months of the ledger changes that are not over need."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes import change_states
from tongchou.changes.models_control import Change, GateAnswer
from tongchou.core import retention
from tongchou.core.refs import ref
from tongchou.core.retention import DataClass, Preview


def _old(before: datetime) -> QuerySet[GateAnswer]:
    return GateAnswer.objects.filter(at__lt=before)


def _older(before: datetime) -> Preview:
    rows = _old(before).count()
    return Preview(rows, retention.share(retention.estimate(GateAnswer), rows))


def _prune(before: datetime, limit: int) -> int:
    ids = list(_old(before).order_by("at").values_list("pk", flat=True)[:limit])
    GateAnswer.objects.filter(pk__in=ids).delete()
    return len(ids)


def open_refs(refs: list[str]) -> set[str]:
    """Return which refs are of changes that are not over."""
    return {ref(each) for each in Change.objects.exclude(state__in=change_states.OVER).only("pk")} & set(refs)


retention.register(
    DataClass(
        "gate_answers",
        _("answers of the gate"),
        400,
        lambda: retention.estimate(GateAnswer),
        _older,
        _prune,
        note=_("Answers that were overridden stay in the ledger."),
    )
)
retention.hold("ledger", open_refs)
