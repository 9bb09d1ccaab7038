"""How long plans are kept; and what becomes of those under way when a backup is restored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes import (
    control_keeping,  # noqa: F401  # registers: only this file is found by name
    drift_keeping,  # noqa: F401  # registers: only this file is found by name
    iac_states,
)
from tongchou.changes.models_iac import Plan, PlanState
from tongchou.changes.release import keeping as release_keeping  # noqa: F401  # registers: only this file is found by name
from tongchou.core import retention
from tongchou.core.backup.parts import after_restore
from tongchou.core.retention import DataClass, Preview


@after_restore
def end_what_was_under_way() -> dict[str, Any]:
    """Plan files are in no backup: what waited is outdated, what was being applied was cut off."""
    rows = Plan.objects.filter(state__in=(PlanState.READY, PlanState.QUEUED, PlanState.RUNNING))
    waiting = rows.update(state=PlanState.OUTDATED, outcome={"code": "restored"})
    cut = Plan.objects.filter(state=PlanState.APPLYING).update(
        state=PlanState.INTERRUPTED, outcome={"code": "interrupted"}
    )
    return {"plans_outdated": waiting, "applies_interrupted": cut}


def _old(before: datetime) -> QuerySet[Plan]:
    return Plan.objects.filter(created_at__lt=before, state__in=iac_states.ENDED)


def _older(before: datetime) -> Preview:
    rows = _old(before).count()
    return Preview(rows, retention.share(retention.estimate(Plan), rows))


def _prune(before: datetime, limit: int) -> int:
    ids = list(_old(before).order_by("created_at").values_list("pk", flat=True)[:limit])
    Plan.objects.filter(pk__in=ids).delete()
    return len(ids)


retention.register(
    DataClass(
        "iac_plans",
        _("ended plans of workspaces"),
        400,
        lambda: retention.estimate(Plan),
        _older,
        _prune,
        note=_("The events of plans and applies stay in the ledger."),
    )
)
