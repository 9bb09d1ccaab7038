"""What an operator may change about change control while the platform runs."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

TOLERANCE = "changes.tolerance_minutes"


def _minutes(value: int) -> str | Promise | None:
    return None if 0 <= value <= 1440 else _("A number of minutes from 0 to 1440 is wanted.")


register(
    TOLERANCE,
    int,
    10,
    _("Minutes before the beginning and after the end of a change in which a modification is explained by it."),
    validate=_minutes,
)
