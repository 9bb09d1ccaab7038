"""How the verbs of workspaces and their plans read."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import Tone

IAC: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "workspace.changed": (
        "blocks",
        "neutral",
        _("Workspace %(name)s was set up anew."),
        _("A workspace was changed."),
    ),
    "workspace.removed": ("blocks", "warning", _("Workspace %(name)s was removed."), _("A workspace was removed.")),
    "workspace.drifted": (
        "git-compare",
        "warning",
        _("Workspace %(name)s: %(count)s more differences from its state."),
        _("A workspace drifted."),
    ),
    "plan.requested": ("file-diff", "neutral", _("Plan %(name)s was asked for."), _("A plan was asked for.")),
    "plan.ready": ("file-diff", "accent", _("Plan %(name)s shows changes."), _("A plan shows changes.")),
    "plan.failed": ("file-x", "warning", _("Plan %(name)s failed."), _("A plan failed.")),
    "plan.outdated": ("file-diff", "neutral", _("Plan %(name)s is outdated."), _("A plan is outdated.")),
    "plan.discarded": ("file-diff", "neutral", _("Plan %(name)s was discarded."), _("A plan was discarded.")),
    "plan.applying": ("play", "accent", _("Plan %(name)s is being applied."), _("A plan is being applied.")),
    "plan.applied": ("circle-check", "ok", _("Plan %(name)s was applied."), _("A plan was applied.")),
    "plan.apply_failed": (
        "octagon-alert",
        "critical",
        _("Plan %(name)s was not applied to its end."),
        _("A plan was not applied to its end."),
    ),
    "plan.interrupted": (
        "octagon-alert",
        "critical",
        _("Applying %(name)s was cut off: look at what was done."),
        _("Applying a plan was cut off."),
    ),
    "plan.stopped": (
        "octagon-x",
        "warning",
        _("Plan %(name)s is to end in good order."),
        _("A plan is to end in good order."),
    ),
}
