"""What an operator may change about telemetry while the platform runs."""

from __future__ import annotations

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register


def _days(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3650 else _("A number of days from 1 to 3650 is wanted.")


def _seconds(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3600 else _("A number of seconds from 1 to 3600 is wanted.")


register(
    "metrics.retention_days",
    int,
    settings.TELEMETRY_RETENTION_DAYS,
    _("Days samples are kept; whole days are dropped. Until it is set, TONGCHOU_TELEMETRY_RETENTION_DAYS."),
    validate=_days,
)
register("logs.retention_days", int, 180, _("Days log lines are kept; whole days are dropped."), validate=_days)
register(
    "logs.search_interval_seconds",
    int,
    5,
    _("Seconds between two counts of the new lines of saved searches."),
    validate=_seconds,
)
