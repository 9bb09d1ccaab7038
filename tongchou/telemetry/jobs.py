"""Work of this room that one process does from time to time."""

from __future__ import annotations

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.jobs import periodic
from tongchou.telemetry.backend import backend, is_open
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
