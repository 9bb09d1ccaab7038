"""How DORA's five are called, and why a number is not there. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from tongchou.assurance.dora import Five, Number

# field of Five -> (title, unit); s: seconds, per_day: deployments a day, share: of 1
METRICS: dict[str, tuple[str | Promise, str]] = {
    "lead_time": (gettext_lazy("Change lead time"), "s"),
    "frequency": (gettext_lazy("Deployment frequency"), "per_day"),
    "recovery_time": (gettext_lazy("Failed deployment recovery time"), "s"),
    "fail_rate": (gettext_lazy("Change fail rate"), "share"),
    "rework_rate": (gettext_lazy("Deployment rework rate"), "share"),
}


def number_of(numbers: Five, metric: str) -> Number:
    """Return one of the five."""
    found: Number = getattr(numbers, metric)
    return found


def why(metric: str, number: Number) -> str:
    """Return of what a number is made, or why there is none."""
    if number.reason == "no_deployment":
        return _("no deployment to production in these days")
    if number.reason == "no_new_commit":
        return _("no new commit came to production in these days")
    if metric == "lead_time" and number.known < number.of:
        missing = number.of - number.known
        return ngettext(
            "no commit time known for %(missing)d of %(all)d commit",
            "no commit time known for %(missing)d of %(all)d commits",
            number.of,
        ) % {"missing": missing, "all": number.of}
    if metric == "lead_time":
        return ngettext("median of %(count)d commit", "median of %(count)d commits", number.known) % {
            "count": number.known
        }
    if number.reason == "no_failed":
        return _("no incident names a deployment of these days")
    if metric == "recovery_time":
        return _("%(known)d of %(all)d failed deployments have recovered") % {"known": number.known, "all": number.of}
    if metric == "frequency":
        return ngettext("%(count)d deployment", "%(count)d deployments", number.of) % {"count": number.of}
    return _("%(part)d of %(all)d deployments") % {"part": number.known, "all": number.of}
