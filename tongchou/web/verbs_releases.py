"""How the verbs of releases, versions, environments and rollouts read on the ledger's page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes.release.words import sentence
from tongchou.incidents.timeline import Tone

# verb -> (icon, tone, sentence with facts of the payload, sentence without); %(because)s is the reason as a sentence
RELEASES: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "release.created": (
        "package-plus",
        "neutral",
        _("%(name)s into %(environment)s was planned: %(title)s"),
        _("A release was planned."),
    ),
    "release.planned": (
        "refresh-cw",
        "neutral",
        _("%(name)s was planned anew: it differs from before."),
        _("A release was planned anew."),
    ),
    "release.asked": (
        "hourglass",
        "accent",
        _("Consent to %(name)s was asked for."),
        _("Consent to a release was asked for."),
    ),
    "release.ready": ("badge-check", "ok", _("%(name)s is agreed on."), _("A release is agreed on.")),
    "release.refused": (
        "ban",
        "warning",
        _("Consent to %(name)s was not given: %(how)s."),
        _("Consent to a release was not given."),
    ),
    "release.started": (
        "rocket",
        "accent",
        _("%(name)s into %(environment)s began: %(title)s"),
        _("A release began."),
    ),
    "release.paused": ("circle-pause", "warning", _("%(name)s is paused. %(because)s"), _("A release is paused.")),
    "release.resumed": ("play", "accent", _("%(name)s goes on."), _("A release goes on.")),
    "release.rolling_back": (
        "undo-2",
        "warning",
        _("%(name)s goes back. %(because)s"),
        _("A release goes back."),
    ),
    "release.succeeded": (
        "circle-check",
        "ok",
        _("%(name)s into %(environment)s succeeded: %(title)s"),
        _("A release succeeded."),
    ),
    "release.rolled_back": (
        "history",
        "warning",
        _("%(name)s was taken back: everything is as before."),
        _("A release was taken back."),
    ),
    "release.failed": (
        "octagon-alert",
        "critical",
        _("%(name)s failed and something stayed altered. %(because)s"),
        _("A release failed."),
    ),
    "release.cancelled": ("ban", "neutral", _("%(name)s was withdrawn. %(because)s"), _("A release was withdrawn.")),
    "release.batch_began": (
        "play",
        "neutral",
        _("Batch %(batch)s of %(service)s %(version)s began."),
        _("A batch began."),
    ),
    "release.batch_going_back": (
        "undo-2",
        "neutral",
        _("Batch %(batch)s of %(service)s %(version)s is being taken back."),
        _("A batch is being taken back."),
    ),
    "release.batch_failed": (
        "circle-x",
        "critical",
        _("Batch %(batch)s of %(service)s %(version)s failed. %(because)s"),
        _("A batch failed."),
    ),
    "release.batch_left": (
        "triangle-alert",
        "critical",
        _("Batch %(batch)s of %(service)s %(version)s could not be taken back. %(because)s"),
        _("A batch could not be taken back."),
    ),
    "release.batch_done": (
        "circle-check",
        "ok",
        _("Batch %(batch)s of %(service)s %(version)s is done."),
        _("A batch is done."),
    ),
    "release.batch_rolled_back": (
        "history",
        "neutral",
        _("Batch %(batch)s of %(service)s %(version)s was taken back."),
        _("A batch was taken back."),
    ),
    "release.item_done": (
        "package-check",
        "ok",
        _("%(service)s %(version)s is in %(environment)s."),
        _("A service of a release is done."),
    ),
    "artefact.registered": (
        "package",
        "neutral",
        _("Version %(version)s of %(service)s is known."),
        _("A version is known."),
    ),
    "artefact.completed": (
        "package",
        "neutral",
        _("More is known of %(service)s %(version)s."),
        _("More is known of a version."),
    ),
    "artefact.withdrawn": (
        "package-x",
        "warning",
        _("%(service)s %(version)s was withdrawn: %(reason)s"),
        _("A version was withdrawn."),
    ),
    "artefact.restored": (
        "package",
        "neutral",
        _("%(service)s %(version)s may be rolled out again."),
        _("A version may be rolled out again."),
    ),
    "environment.changed": (
        "layers",
        "neutral",
        _("Environment %(name)s was changed."),
        _("An environment was changed."),
    ),
    "environment.retired": (
        "layers",
        "warning",
        _("Environment %(name)s is out of use."),
        _("An environment is out of use."),
    ),
    "rollout.changed": (
        "route",
        "neutral",
        _("How %(service)s is rolled out in %(environment)s was changed: by %(procedure)s."),
        _("A rollout was changed."),
    ),
    "rollout.retired": (
        "route",
        "warning",
        _("%(service)s is rolled out in %(environment)s no more."),
        _("A rollout is out of use."),
    ),
    "rollout.agreed": (
        "badge-check",
        "ok",
        _("%(by)s agreed to how %(service)s is rolled out in %(environment)s."),
        _("A rollout was agreed on."),
    ),
    "approval.derived": (
        "badge-check",
        "neutral",
        _("Consent to a part of what %(decided_by)s agreed to was written down."),
        _("Consent to a part of something larger was written down."),
    ),
    "approval.ended": (
        "badge-x",
        "neutral",
        _("Consent to a run of %(because)s ended: who tries it again asks anew."),
        _("Consent to a run ended: who tries it again asks anew."),
    ),
}
NEWS_OF_RELEASES = (
    "release.started",
    "release.paused",
    "release.rolling_back",
    "release.succeeded",
    "release.rolled_back",
    "release.failed",
    "artefact.withdrawn",
)


def reasoned(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a release's event with the reason it was told with as a sentence, "" for none."""
    why = facts.get("why")
    return {**facts, "because": sentence(why) if isinstance(why, Mapping) else ""}
