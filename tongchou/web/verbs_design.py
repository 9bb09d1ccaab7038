"""How the verbs of requirements, options, decision records and scorecards read. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import Tone

Sentence = tuple[str, Tone, str | Promise, str | Promise]

# verb -> (icon, tone, sentence with facts of the payload, sentence without)
DESIGN: dict[str, Sentence] = {
    "requirement.added": (
        "file-plus",
        "neutral",
        _("%(name)s was written: %(title)s"),
        _("A requirement was written."),
    ),
    "requirement.changed": ("pencil", "neutral", _("%(name)s was edited."), _("A requirement was edited.")),
    "requirement.removed": ("x", "warning", _("%(name)s was removed: %(title)s"), _("A requirement was removed.")),
    "requirement.submitted": ("eye", "accent", _("%(name)s went to review."), _("A requirement went to review.")),
    "requirement.answered": (
        "list-checks",
        "neutral",
        _("Questions of the review were answered; %(left)s are left."),
        _("Questions of the review were answered."),
    ),
    "requirement.participant_asked": (
        "user-plus",
        "neutral",
        _("%(user)s was asked about %(name)s."),
        _("Somebody was asked about a requirement."),
    ),
    "requirement.participant_said": (
        "message-square",
        "neutral",
        _("An opinion on %(name)s: %(answer)s. %(comment)s"),
        _("An opinion on a requirement was given."),
    ),
    "requirement.acceptance_asked": (
        "stamp",
        "accent",
        _("Others are asked to accept %(name)s."),
        _("Others are asked to accept a requirement."),
    ),
    "requirement.accepted": ("badge-check", "ok", _("%(name)s was accepted."), _("A requirement was accepted.")),
    "requirement.rejected": (
        "ban",
        "critical",
        _("%(name)s was rejected: %(comment)s"),
        _("A requirement was rejected."),
    ),
    "requirement.returned": (
        "rotate-ccw",
        "warning",
        _("%(name)s is in review again: what was accepted, or was to be, holds no more."),
        _("A requirement is in review again."),
    ),
    "requirement.withdrawn": (
        "undo-2",
        "warning",
        _("%(name)s was withdrawn: %(note)s"),
        _("A requirement was withdrawn."),
    ),
    "requirement.done": ("circle-check", "ok", _("%(name)s is done: %(note)s"), _("A requirement is done.")),
    "requirement.reopened": (
        "rotate-ccw",
        "accent",
        _("%(name)s was taken up again: %(note)s"),
        _("A requirement was taken up again."),
    ),
    "option.added": ("plus", "neutral", _("Option %(option)s was added."), _("An option was added.")),
    "option.changed": ("pencil", "neutral", _("Option %(option)s was edited."), _("An option was edited.")),
    "option.removed": ("x", "warning", _("Option %(option)s was removed."), _("An option was removed.")),
    "option.chosen": (
        "badge-check",
        "ok",
        _("Option %(option)s was chosen for %(name)s; %(decision)s says why."),
        _("An option was chosen."),
    ),
    "decision.proposed": (
        "file-plus",
        "neutral",
        _("%(name)s was proposed: %(title)s"),
        _("A decision record was proposed."),
    ),
    "decision.changed": ("pencil", "neutral", _("%(name)s was edited."), _("A decision record was edited.")),
    "decision.accepted": ("badge-check", "ok", _("%(name)s holds: %(title)s"), _("A decision record was accepted.")),
    "decision.superseded": (
        "history",
        "warning",
        _("%(name)s was superseded by %(by)s."),
        _("A decision record was superseded."),
    ),
    "decision.deprecated": (
        "ban",
        "warning",
        _("%(name)s no longer holds: %(note)s"),
        _("A decision record no longer holds."),
    ),
    "scorecard.added": ("scale", "neutral", _("%(name)s was written: %(title)s"), _("A scorecard was written.")),
    "scorecard.changed": (
        "scale",
        "neutral",
        _("%(name)s was edited; best is %(winner)s."),
        _("A scorecard was edited."),
    ),
    "scorecard.removed": ("x", "warning", _("%(name)s was removed: %(title)s"), _("A scorecard was removed.")),
}
