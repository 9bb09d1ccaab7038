"""How the verbs of drift and of Ansible projects read. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import Tone

DRIFT: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "playbook.changed": (
        "book-copy",
        "accent",
        _("Ansible project %(name)s was saved."),
        _("An Ansible project was saved."),
    ),
    "playbook.retired": (
        "book-copy",
        "warning",
        _("Ansible project %(name)s is out of use."),
        _("An Ansible project is out of use."),
    ),
    "playbook.check_asked": (
        "file-diff",
        "neutral",
        _("A check of Ansible project %(name)s was asked for."),
        _("A check was asked for."),
    ),
    "playbook.checked": (
        "file-diff",
        "neutral",
        _("Ansible project %(name)s was checked: %(changing)s of %(hosts)s hosts would change."),
        _("An Ansible project was checked."),
    ),
    "playbook.check_failed": (
        "file-diff",
        "warning",
        _("The check of Ansible project %(name)s failed: %(why)s"),
        _("A check failed."),
    ),
    "playbook.host_changed": (
        "book-copy",
        "accent",
        _("%(project)s changed %(name)s: %(changed)s tasks."),
        _("A playbook changed a host."),
    ),
    "playbook.host_failed": (
        "book-copy",
        "critical",
        _("%(project)s did not come to an end on %(name)s. %(why)s"),
        _("A playbook failed on a host."),
    ),
    "baseline.changed": (
        "list-checks",
        "accent",
        _("Baseline %(name)s was saved."),
        _("A baseline was saved."),
    ),
    "baseline.retired": (
        "list-checks",
        "warning",
        _("Baseline %(name)s is out of use."),
        _("A baseline is out of use."),
    ),
    "baseline.taken": (
        "badge-check",
        "accent",
        _("Baseline %(name)s expects what %(host)s looks like."),
        _("A baseline was taken from a host."),
    ),
    "drift.opened": (
        "git-compare",
        "warning",
        _("%(name)s differs from %(source)s: %(path)s"),
        _("A difference nobody explained."),
    ),
    "drift.explained": (
        "git-compare",
        "neutral",
        _("%(name)s differs from %(source)s while a change is being implemented: %(path)s"),
        _("A difference that a change explains."),
    ),
    "drift.decided": (
        "git-compare",
        "neutral",
        _("Decided about %(path)s of %(name)s: %(reason)s"),
        _("Decided about a difference."),
    ),
    "drift.cleared": (
        "git-compare",
        "ok",
        _("%(name)s is again as %(source)s says: %(path)s"),
        _("A difference is gone."),
    ),
    "drift_ignore.added": (
        "eye-off",
        "neutral",
        _("Drift that fits %(name)s is ignored: %(reason)s"),
        _("A rule ignores drift."),
    ),
    "drift_ignore.removed": (
        "eye",
        "neutral",
        _("Drift that fits %(name)s is ignored no more."),
        _("A rule that ignored drift was removed."),
    ),
}

# the same verbs about what was only observed (source_kind of the payload)
OBSERVED: dict[str, str | Promise] = {
    "drift.opened": _("%(name)s was modified under no change: %(path)s"),
    "drift.explained": _("%(name)s was modified while a change was being implemented: %(path)s"),
    "drift.cleared": _("%(name)s is as it was: %(path)s"),
}
