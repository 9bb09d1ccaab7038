"""What an operator may change about the pages while the platform runs."""

from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.web.panels import PANELS, problem_of

register(
    PANELS,
    list,
    [],
    _("Panels of the cockpit: a list of {title, query, unit, legend}. Empty: chosen from the metrics that arrive."),
    validate=problem_of,
)
