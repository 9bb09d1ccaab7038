"""What an operator may change about telemetry while the platform runs."""

from __future__ import annotations

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register


def _days(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3650 else _("A number of days from 1 to 3650 is wanted.")


def _count(value: int) -> str | Promise | None:
    return None if 0 <= value <= 1_000_000_000 else _("A number from 0 to 1,000,000,000 is wanted.")


def _seconds(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3600 else _("A number of seconds from 1 to 3600 is wanted.")


register(
    "metrics.retention_days",
    int,
    settings.TELEMETRY_RETENTION_DAYS,
    _("Days samples are kept; whole days are dropped. Until it is set, TONGCHOU_TELEMETRY_RETENTION_DAYS."),
    validate=_days,
)
register(
    "metrics.rollup_5m_days",
    int,
    120,
    _("Days metrics are kept in buckets of 5 minutes, beside the samples."),
    validate=_days,
)
register(
    "metrics.rollup_1h_days",
    int,
    1825,
    _("Days metrics are kept in buckets of an hour, beside the samples."),
    validate=_days,
)
register(
    "metrics.source_max_series",
    int,
    1_000_000,
    _("The most series one API token or scraped target may have active (a sample within the hour); 0: no limit."),
    validate=_count,
)
register(
    "metrics.source_max_samples_per_second",
    int,
    1_000_000,
    _("The most samples a second of one API token or scraped target, over a minute; 0: no limit."),
    validate=_count,
)
register(
    "metrics.otlp_scope_labels",
    bool,
    False,
    _("Whether metrics that come by OTLP get the labels otel_scope_name, otel_scope_version and the scope's own."),
)
register("logs.retention_days", int, 180, _("Days log lines are kept; whole days are dropped."), validate=_days)
register(
    "logs.search_interval_seconds",
    int,
    5,
    _("Seconds between two counts of the new lines of saved searches."),
    validate=_seconds,
)
