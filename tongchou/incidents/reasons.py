"""Sentences for the reasons that suspects and joined groups carry, in the reader's language.

Rows keep codes and facts, never sentences, so one incident reads in Chinese for one and in English for another.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.units import shown

SUSPECT_TEXTS: dict[str, str | Promise] = {
    "target_down": _("It stopped answering at %(at)s."),
    "restarted": _("It did not answer for %(seconds)s s: probably a restart."),
    "down_for_long": _("It was down before the incident began."),
    "saturated": _("It ran out of something: %(alert)s."),
    "own_errors": _("It returned errors itself: %(alert)s."),
    "own_latency": _("It was slow itself: %(alert)s."),
    "own_alert": _("An alert is about it: %(alert)s."),
    "shift_disk": _("Disk space: %(what)s %(moved)s, %(when)s."),
    "shift_memory": _("Memory: %(what)s %(moved)s, %(when)s."),
    "shift_errors": _("Errors: %(what)s %(moved)s, %(when)s."),
    "shift_latency": _("Response time: %(what)s %(moved)s, %(when)s."),
    "shift_cpu": _("CPU: %(what)s %(moved)s, %(when)s."),
    "shift_queue": _("Waiting and concurrency: %(what)s %(moved)s, %(when)s."),
    "shift_traffic": _("Traffic: %(what)s %(moved)s, %(when)s."),
    "shift_other": _("%(what)s %(moved)s, %(when)s."),
    "demand_rose": _("Demand rose %(times)s × over the usual: %(what)s from %(before)s to %(after)s, %(when)s."),
    "new_error_lines": _("It logs a problem it did not log before (%(count)s lines): %(template)s"),
    "more_error_lines": _("It logs a problem far more often (%(count)s lines, %(usual)s expected): %(template)s"),
    "new_lines": _("It logs a kind of line it did not log before (%(count)s lines): %(template)s"),
    "already_explained": _("%(name)s, ranked above, already explains %(count)s of %(total)s failing resources."),
    "went_wrong_first": _("It went wrong %(seconds)s s after the first symptom."),
    "went_wrong_first.0": _("It went wrong first."),
    "explains": _("It explains %(count)s of %(total)s failing resources."),
    "needs_healthy": _("Nothing that it needs was failing (%(count)s resources looked at)."),
    "explained_by": _("%(name)s, which it needs, failed no later: it is rather a victim."),
    "not_failing": _("Nothing is known to be wrong with it."),
    "hop": _("The nearest failing resource is at distance %(hops)s."),
    "deployment": _("A service was deployed."),
    "config_change": _("A setting was changed."),
    "run": _("An automation ran."),
    "other_change": _("Something was altered."),
    "version_changed": _("The version changed."),
    "just_before": _("It happened %(seconds)s s before the first symptom that it could explain."),
    "just_before.0": _("It happened at the very moment of the first symptom that it could explain."),
    "on_first_failing": _("It changed %(name)s, which went wrong first."),
    "on_failing": _("It changed %(name)s, which is failing."),
    "only_some_fail": _("Only %(count)s of the %(total)s processes that it changed are in trouble."),
    "on_needed": _("It changed what %(name)s needs (distance %(hops)s)."),
    "on_caller": _("It changed a caller of %(name)s: new load is possible."),
    "unrelated": _("No dependency leads from a failing resource to what was changed."),
    "after_first_symptom": _("It came %(seconds)s s after the first symptom."),
    "past_record": _("%(count)s of %(total)s earlier changes of this kind here ended as a top suspect."),
}

JOIN_TEXTS: dict[str, str | Promise] = {
    "opened": _("It opened the incident."),
    "shared_resource": _("It is about the same resource, %(name)s, and began %(minutes)s min apart."),
    "needs": _("%(from_name)s needs %(to_name)s (distance %(hops)s), and they began %(minutes)s min apart."),
    "returned": _("The same alert group came back %(minutes)s min after the end."),
    "by_hand": _("A person put it here."),
}

RECURRENCE_TEXTS: dict[str, str | Promise] = {
    "same_chain": _("The same alert group came back: a new episode of %(name)s."),
    "same_group": _("The same alert group as in %(name)s: %(key)s."),
    "same_cause": _("The same alerts and the same first suspect as in %(name)s: %(alerts)s."),
}


def text(code: str, params: Mapping[str, Any], *, texts: Mapping[str, str | Promise] = SUSPECT_TEXTS) -> str:
    """The sentence of a reason in the active language; instants appear in the active time zone.

    An unknown code or a missing fact (a row of an older release) gives the code itself, never an error.
    """
    template = texts.get(f"{code}.0") if params.get("seconds") == 0 else None
    template = template or texts.get(code)
    if template is None:
        return code
    try:
        return str(template) % _facts(params)
    except (KeyError, ValueError, TypeError):
        return code


def _facts(params: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: _shown(name, value) for name, value in params.items()}
    if "unit" in params:
        facts |= {name: shown(float(params[name]), str(params["unit"])) for name in ("before", "after")}
        rose = params.get("direction", 1) > 0
        moved = _("rose from %(before)s to %(after)s") if rose else _("fell from %(before)s to %(after)s")
        facts["moved"] = str(moved) % {name: facts[name] for name in ("before", "after")}
    if "lead" in params:
        facts["when"] = _when(int(params["lead"]))
    return facts


def _when(lead: int) -> str:
    """When something began, `lead` seconds before the first symptom (negative: after it)."""
    if lead == 0:
        return str(_("starting with the first symptom"))
    text = (
        _("starting %(seconds)s s before the first symptom")
        if lead > 0
        else _("starting %(seconds)s s after the first symptom")
    )
    return str(text) % {"seconds": abs(lead)}


def _shown(name: str, value: Any) -> Any:
    if name != "at":
        return value
    return timezone.localtime(datetime.fromisoformat(value)).strftime("%H:%M:%S")
