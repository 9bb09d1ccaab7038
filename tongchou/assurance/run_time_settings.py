"""What an operator may change about measures while the platform runs."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

PRODUCTION = "dora.production_environments"


def _words(value: str) -> str | Promise | None:
    words = [each.strip() for each in value.split(",")]
    return None if all(0 < len(each) <= 80 for each in words) else _("Names of environments by commas are wanted.")


register(
    PRODUCTION,
    str,
    "production, prod, live",
    _("Environments whose deployments count for DORA, by commas, where the sender does not state the tier."),
    validate=_words,
)
