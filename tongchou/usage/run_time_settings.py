"""What an operator may change about usage while the platform runs."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

REVENUE = "usage.revenue"
KEYS = {"query", "currency", "day_seconds", "catch_up_seconds"}


def problem_of(value: dict[str, Any]) -> str | Promise | None:
    """Return what is wrong with a revenue metric, None when it will do; {} means there is none."""
    if not value:
        return None
    if set(value) - KEYS:
        return _("The keys are: %(keys)s.") % {"keys": ", ".join(sorted(KEYS))}
    if not isinstance(value.get("query"), str) or not value["query"].strip():
        return _('"query" is PromQL for money per second, e.g. sum(rate(revenue_cny_total[$window])).')
    currency = value.get("currency", "CNY")
    if not isinstance(currency, str) or len(currency) != 3 or not currency.isascii() or not currency.isupper():
        return _('"currency" is three capital letters, such as CNY.')
    for key, least, most in (("day_seconds", 600, 86_400), ("catch_up_seconds", 0, 7 * 86_400)):
        number = value.get(key, least)
        if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number <= most:
            return _("%(key)s is a number of seconds from %(least)s to %(most)s.") % {
                "key": key,
                "least": least,
                "most": most,
            }
    return None


register(
    REVENUE,
    dict,
    {},
    _("What is earned: query (PromQL, money per second), currency, day_seconds, catch_up_seconds."),
    validate=problem_of,
)
