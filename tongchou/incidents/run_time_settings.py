"""What an operator may change about incidents while the platform runs."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.incidents import severity

MIN_SEVERITY = "incidents.min_severity"
JOIN_WINDOW_MINUTES = "incidents.join_window_minutes"
JOIN_SPAN_MINUTES = "incidents.join_span_minutes"
REOPEN_MINUTES = "incidents.reopen_minutes"
LOOK_BACK_MINUTES = "incidents.look_back_minutes"
POSTMORTEM_SEVERITIES = "incidents.postmortem_severities"
POSTMORTEM_DAYS = "incidents.postmortem_days"
REMINDER_DAYS = "incidents.reminder_days"
REMINDER_CHANNEL = "incidents.reminder_channel"
HOLD_SEVERITY = "incidents.hold_severity"


def _known_severity(value: str) -> str | Promise | None:
    return None if value in severity.ORDER else _("One of: info, warning, major, critical.")


def _known_severity_or_none(value: str) -> str | Promise | None:
    return _known_severity(value) if value else None


def _minutes(value: int) -> str | Promise | None:
    return None if 1 <= value <= 1440 else _("A number of minutes from 1 to 1440.")


def _known_severities(value: str) -> str | Promise | None:
    words = [each.strip() for each in value.split(",") if each.strip()]
    return None if set(words) <= set(severity.ORDER) else _("Some of: info, warning, major, critical, by commas.")


def _days(value: int) -> str | Promise | None:
    return None if 1 <= value <= 365 else _("A number of days from 1 to 365.")


register(
    MIN_SEVERITY, str, "warning", _("An alert group opens an incident from this severity on."), validate=_known_severity
)
register(
    HOLD_SEVERITY,
    str,
    "critical",
    _("An incident of this severity or worse stops deployments to the services it breaks; empty: none does."),
    validate=_known_severity_or_none,
)
register(
    JOIN_WINDOW_MINUTES,
    int,
    15,
    _("Alert groups of one outage begin at most so many minutes apart."),
    validate=_minutes,
)
register(
    JOIN_SPAN_MINUTES,
    int,
    60,
    _("An incident takes no new alert group later than this after its start."),
    validate=_minutes,
)
register(
    REOPEN_MINUTES,
    int,
    30,
    _("The same alert group within so many minutes after the end opens the incident again."),
    validate=_minutes,
)
register(
    LOOK_BACK_MINUTES,
    int,
    60,
    _("Changes up to so many minutes before the first symptom are suspects."),
    validate=_minutes,
)
register(
    POSTMORTEM_SEVERITIES,
    str,
    "critical,major",
    _("Incidents of these severities (by commas) need a postmortem; empty: none does."),
    validate=_known_severities,
)
register(
    POSTMORTEM_DAYS,
    int,
    5,
    _("A postmortem that is needed is to be published within so many days after the impact ended."),
    validate=_days,
)
register(
    REMINDER_DAYS,
    int,
    7,
    _("The owner of an overdue improvement is reminded every so many days."),
    validate=_days,
)
register(
    REMINDER_CHANNEL,
    str,
    "",
    _("The channel that is told of overdue improvements, by its name; empty: the ledger alone tells."),
)
