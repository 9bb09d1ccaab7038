"""How the verbs of the changes room read on the ledger's page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_control import Outcome, RiskLevel, TaskState
from tongchou.core.models import ApprovalState
from tongchou.incidents.timeline import Tone
from tongchou.inventory import holds

# verb -> (icon, tone, sentence with facts of the payload, sentence without)
CHANGES: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "change.created": ("git-pull-request-arrow", "neutral", _("%(name)s was made: %(title)s"), _("A change was made.")),
    "change.edited": ("pencil", "neutral", _("%(name)s was edited."), _("A change was edited.")),
    "change.assessed": (
        "scale",
        "neutral",
        _("Risk of %(name)s: %(risk)s (%(points)s points), %(conflicts)s collisions."),
        _("A change was assessed."),
    ),
    "change.conflicts_accepted": (
        "git-compare",
        "warning",
        _("%(name)s may be done in spite of its collisions: %(reason)s"),
        _("Collisions of a change were accepted."),
    ),
    "change.asked": ("hourglass", "accent", _("Consent to %(name)s was asked for."), _("Consent was asked for.")),
    "change.refused": ("ban", "warning", _("Consent to %(name)s was not given: %(how)s."), _("Consent was not given.")),
    "change.consent_lost": (
        "triangle-alert",
        "warning",
        _("%(name)s says something else now: consent has to be asked for again."),
        _("A change says something else than what was agreed on."),
    ),
    "change.scheduled": ("calendar-clock", "ok", _("%(name)s is scheduled."), _("A change is scheduled.")),
    "change.began": ("hammer", "accent", _("Work on %(name)s began: %(title)s"), _("Work on a change began.")),
    "change.broke_glass": (
        "siren",
        "critical",
        _("Work on %(name)s began without consent: %(reason)s"),
        _("Work on a change began without consent."),
    ),
    "change.task_run": ("play", "neutral", _("Task %(position)s was requested: %(task)s"), _("A task was requested.")),
    "change.task_done": (
        "check",
        "neutral",
        _("Task %(position)s ended (%(state)s): %(task)s"),
        _("A task of a change ended."),
    ),
    "change.backing_out": ("undo-2", "warning", _("%(name)s is being backed out."), _("A change is being backed out.")),
    "change.late": (
        "alarm-clock",
        "warning",
        _("The window of %(name)s is over and the work is not."),
        _("The window of a change is over and the work is not."),
    ),
    "change.finished": ("check", "ok", _("Work on %(name)s is over."), _("Work on a change is over.")),
    "change.closed": ("clipboard-check", "ok", _("%(name)s was closed: %(outcome)s."), _("A change was closed.")),
    "change.cancelled": ("ban", "neutral", _("%(name)s was withdrawn: %(reason)s"), _("A change was withdrawn.")),
    "change_template.changed": (
        "library",
        "neutral",
        _("Standard change %(name)s was changed."),
        _("A standard change was changed."),
    ),
    "change_template.agreed": (
        "badge-check",
        "ok",
        _("Standard change %(name)s was agreed on."),
        _("A standard change was agreed on."),
    ),
    "change_template.retired": (
        "library",
        "neutral",
        _("Standard change %(name)s was retired."),
        _("A standard change was retired."),
    ),
    "gate.overridden": (
        "siren",
        "critical",
        _("A deployment of %(service)s passed the gate by an emergency."),
        _("A deployment passed the gate by an emergency."),
    ),
    "gate_rule.changed": (
        "list-checks",
        "neutral",
        _("Gate rule %(name)s was changed."),
        _("A gate rule was changed."),
    ),
    "gate_rule.removed": (
        "list-checks",
        "warning",
        _("Gate rule %(name)s was removed."),
        _("A gate rule was removed."),
    ),
}
_CHOICES: dict[str, type[TextChoices]] = {
    "risk": RiskLevel,
    "outcome": Outcome,
    "state": TaskState,
    "how": ApprovalState,
}
NEWS_OF_CHANGES = (
    "change.began",
    "change.broke_glass",
    "change.late",
    "change.finished",
    "change.scheduled",
    "gate.overridden",
)


# A hold of a window is no freeze, and people should not read that it is one: (verb, kind) -> sentence.
HELD: dict[tuple[str, str], str | Promise] = {
    ("hold.placed", holds.QUIET): _("Alerts of %(name)s do not page: %(reason)s"),
    ("hold.lifted", holds.QUIET): _("Alerts of %(name)s page again."),
    ("hold.placed", holds.SLO_EXCLUDED): _(
        "Objectives of %(name)s show their budget without this time, too: %(reason)s"
    ),
    ("hold.lifted", holds.SLO_EXCLUDED): _("Objectives of %(name)s count all time again."),
}


def worded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a change's event with its choices as people call them; what is no choice stays."""
    return {
        name: _CHOICES[name](value).label if name in _CHOICES and value in _CHOICES[name].values else value
        for name, value in facts.items()
    }
