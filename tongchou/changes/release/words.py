"""The reasons of releases as sentences: codes and values are kept, words are made for whoever reads. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.runbooks.reasons import Reason

SENTENCES: dict[str, str | Promise] = {
    "no_rollout": _("Nobody said how %(service)s is rolled out in %(environment)s."),
    "withdrawn": _("%(service)s %(version)s was withdrawn: %(reason)s"),
    "never_there": _("%(service)s %(version)s has not been in %(environment)s, which comes before."),
    "replaced": _("%(service)s %(version)s was taken back in %(environment)s, which comes before."),
    "soaking": _("%(service)s %(version)s stays in %(environment)s until %(until)s before it goes on."),
    "moved_on": _("%(service)s is at %(version)s now, not at %(planned)s as when this was planned: plan it anew."),
    "no_targets": _("%(service)s has no targets here: nothing would be done."),
    "target": _("%(service)s: %(why)s"),
    "check_no": _("The check %(name)s says no: %(shown)s, wanted is %(is)s."),
    "check_unknown": _("The check %(name)s has no answer: %(shown)s, wanted is %(is)s."),
    "run_failed": _("The run of the procedure failed."),
    "run_refused": _("The run was refused: %(why)s"),
    "batch_failed": _("A batch failed."),
    "no_way_back": _("It failed and there is no way back: %(service)s."),
    "gate": _("The gate says no: %(why)s"),
    "not_agreed": _("%(why)s"),
    "confirm": _("The first batches are done: a person says whether to go on."),
    "by_person": _("%(by)s: %(comment)s"),
    "by_person_alone": _("By %(by)s."),
    "restored": _("A backup was restored: look what really is there before it goes on."),
    "left": _("Left as it is by %(by)s: %(comment)s"),
}


def sentence(reason: Mapping[str, Any]) -> str:
    """Return a reason {code, params, service} as a sentence in the language spoken now; "" for none."""
    code = str(reason.get("code", ""))
    params: dict[str, Any] = {"service": reason.get("service", ""), **reason.get("params", {})}
    if code == "run":
        why = params["why"]
        return f"{params['service']}: {Reason(why['code'], why.get('params', {}))}"
    if code == "by_person" and not params.get("comment"):  # a pause asks for no reason
        code = "by_person_alone"
    text = SENTENCES.get(code)
    return str(text) % defaultdict(str, params) if text else code
