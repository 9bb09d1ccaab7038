"""Work of this room that one process does from time to time."""

from __future__ import annotations

from django.utils import timezone

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.jobs import periodic
from tongchou.inventory.reads import without_resource
from tongchou.inventory.refresh import report_instances
from tongchou.telemetry import reads
from tongchou.telemetry.backend import backend, is_open
from tongchou.telemetry.buckets import FIVE_MINUTES_MS, HOUR_MS
from tongchou.telemetry.log_actions import set_retention


@periodic("telemetry.log_retention", every_seconds=60)
def apply_log_retention() -> None:
    """Bring the log table's retention to what the setting says."""
    if not is_open():
        return
    days = int(settings_store.get("logs.retention_days"))
    if backend().logs.tables.retention_days != days:
        set_retention(days, actor=system("log-retention"))


@periodic("telemetry.metric_retention", every_seconds=60)
def apply_metric_retention() -> None:
    """Bring the tables' retention to what the setting says."""
    if not is_open():
        return
    days = int(settings_store.get("metrics.retention_days"))
    if backend().tables.retention_days != days:
        backend().tables.set_retention(days)
        backend().older.clear()
    for width_ms, setting in ((FIVE_MINUTES_MS, "metrics.rollup_5m_days"), (HOUR_MS, "metrics.rollup_1h_days")):
        days = int(settings_store.get(setting))
        if backend().rollups.tables.retention_days[width_ms] != days:
            backend().rollups.set_retention(width_ms, days)


@periodic("telemetry.rollups", every_seconds=60)
def roll() -> None:
    """Roll the hours that are due; what the budget does not reach waits for the next turn."""
    if is_open():
        backend().rollups.roll_due()


@periodic("telemetry.unrecorded", every_seconds=300)
def report_unrecorded() -> None:
    """Tell the inventory which targets report `up` and are unknown to it, of a Prometheus that writes here, too."""
    if is_open():
        up = reads.instant_vector("group by (job, instance) (up)")
        seen = {(each.labels.get("job", ""), each.labels.get("instance", "")) for each in up}
        report_instances(without_resource(pair for pair in seen if pair[1]), timezone.now())
