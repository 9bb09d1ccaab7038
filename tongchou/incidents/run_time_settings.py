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


def _known_severity(value: str) -> str | Promise | None:
    return None if value in severity.ORDER else _("One of: info, warning, major, critical.")


def _minutes(value: int) -> str | Promise | None:
    return None if 1 <= value <= 1440 else _("A number of minutes from 1 to 1440.")


register(
    MIN_SEVERITY, str, "warning", _("An alert group opens an incident from this severity on."), validate=_known_severity
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
