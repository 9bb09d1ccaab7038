"""How the verbs read that no timeline of a room speaks of: people, tokens, settings, sources, rules. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import LINES, Entry, Tone
from tongchou.inventory.kinds import RELATION_TYPES

# verb -> (icon, tone, sentence with facts of the payload, sentence without)
MORE: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "user.signed_in": ("log-in", "neutral", _("Signed in from %(address)s."), _("Signed in.")),
    "user.signed_out": ("log-out", "neutral", _("Signed out."), _("Signed out.")),
    "user.sign_in_failed": (
        "shield-alert",
        "warning",
        _("Sign-in failed for %(username)s from %(address)s."),
        _("Sign-in failed."),
    ),
    "user.created": ("user-plus", "neutral", _("%(username)s was added."), _("A person was added.")),
    "user.role_changed": (
        "user-cog",
        "neutral",
        _("The role of %(username)s is now %(new)s."),
        _("A role was changed."),
    ),
    "user.activated": ("user-check", "neutral", _("%(username)s may come in again."), _("A person may come in again.")),
    "user.deactivated": ("user-x", "warning", _("%(username)s is kept out."), _("A person is kept out.")),
    "user.password_changed": (
        "key-round",
        "neutral",
        _("A new password for %(username)s."),
        _("A password was changed."),
    ),
    "user.preferences_changed": (
        "sliders-horizontal",
        "neutral",
        _("Own settings were changed."),
        _("Own settings were changed."),
    ),
    "team.created": ("users", "neutral", _("Team %(name)s was made."), _("A team was made.")),
    "token.created": ("key-round", "neutral", _("Token %(name)s was made."), _("A token was made.")),
    "token.revoked": ("key-round", "warning", _("Token %(name)s was revoked."), _("A token was revoked.")),
    "setting.changed": ("settings", "accent", _("Setting %(key)s was changed."), _("A setting was changed.")),
    "secret.changed": ("lock", "neutral", _("Secret %(name)s was stored."), _("A secret was stored.")),
    "secret.deleted": ("lock", "neutral", _("Secret %(name)s was deleted."), _("A secret was deleted.")),
    "ledger.pruned": (
        "scissors",
        "warning",
        _("The ledger of %(month)s was pruned."),
        _("A month of the ledger was pruned."),
    ),
    "resource.created": ("plus", "neutral", _("%(name)s was found."), _("A resource was found.")),
    "resource.returned": ("undo-2", "neutral", _("%(name)s is back."), _("A resource is back.")),
    "resource.gone": ("circle-x", "warning", _("%(name)s is gone."), _("A resource is gone.")),
    "relation.added": ("link", "neutral", _("%(from)s now %(type)s %(to)s."), _("A relation was added.")),
    "relation.removed": ("unlink", "neutral", _("%(from)s no longer %(type)s %(to)s."), _("A relation ended.")),
    "hold.placed": ("wrench", "warning", _("Put on hold: %(reason)s"), _("Put on hold.")),
    "hold.lifted": ("wrench", "ok", _("The hold was lifted."), _("The hold was lifted.")),
    "endpoint.registered": ("plug", "neutral", _("An endpoint was registered."), _("An endpoint was registered.")),
    "endpoint.enabled": ("plug", "neutral", _("An endpoint was switched on."), _("An endpoint was switched on.")),
    "endpoint.disabled": ("plug", "warning", _("An endpoint was switched off."), _("An endpoint was switched off.")),
    "source.added": ("radio", "neutral", _("Source %(name)s was added."), _("A source was added.")),
    "source.configured": ("radio", "neutral", _("Source %(name)s was changed."), _("A source was changed.")),
    "source.synced": (
        "radio",
        "neutral",
        _("Source %(name)s looked and found changes."),
        _("The source looked and found changes."),
    ),
    "source.failed": (
        "radio",
        "warning",
        _("Source %(name)s could not look: %(error)s"),
        _("The source could not look."),
    ),
    "source.recovered": ("radio", "ok", _("Source %(name)s can look again."), _("The source can look again.")),
    "source.removed": ("radio", "warning", _("Source %(name)s was deleted."), _("A source was deleted.")),
    "alerting.rule_file_changed": (
        "file-text",
        "accent",
        _("Rule file %(name)s: %(rules)s rules in force."),
        _("A rule file was changed."),
    ),
    "alerting.rule_file_deleted": (
        "file-text",
        "warning",
        _("Rule file %(name)s was deleted."),
        _("A rule file was deleted."),
    ),
    "alerting.objective_changed": (
        "target",
        "accent",
        _("Objective %(name)s was changed; its rules are in force."),
        _("An objective was changed."),
    ),
    "alerting.objective_deleted": (
        "target",
        "warning",
        _("Objective %(name)s was deleted."),
        _("An objective was deleted."),
    ),
    "alerting.channel_changed": ("send", "neutral", _("Channel %(name)s was changed."), _("A channel was changed.")),
    "alerting.channel_deleted": ("send", "warning", _("Channel %(name)s was deleted."), _("A channel was deleted.")),
    "alerting.channel_tested": ("send", "neutral", _("Channel %(name)s was tried."), _("A channel was tried.")),
    "silence.created": ("bell-off", "warning", _("Silence until %(ends_at)s: %(matchers)s"), _("A silence was made.")),
    "silence.extended": ("bell-off", "neutral", _("Silence now ends %(ends_at)s."), _("A silence has another end.")),
    "silence.expired": ("bell-ring", "neutral", _("The silence ended: %(matchers)s"), _("A silence ended.")),
    "alert.group_held": (
        "bell-off",
        "neutral",
        _("Notices about %(key)s are held."),
        _("Notices about a group are held."),
    ),
    "alert.group_released": (
        "bell-ring",
        "warning",
        _("Notices about %(key)s are no longer held."),
        _("Notices about a group are no longer held."),
    ),
    "alert.acknowledged": ("hand", "accent", _("The alert was acknowledged."), _("The alert was acknowledged.")),
    "alert.group_acknowledged": (
        "hand",
        "accent",
        _("The alert group was acknowledged."),
        _("The alert group was acknowledged."),
    ),
    "usage.impact_assessed": (
        "banknote",
        "neutral",
        _("What it cost was computed: %(lost)s %(currency)s (%(low)s to %(high)s)."),
        _("What it cost cannot be computed."),
    ),
    "procedure.changed": ("book-open-check", "accent", _("Procedure %(name)s was saved."), _("A procedure was saved.")),
    "procedure.retired": (
        "book-open-check",
        "warning",
        _("Procedure %(name)s was retired."),
        _("A procedure was retired."),
    ),
    "approval.cancelled": ("undo-2", "neutral", _("The request was taken back."), _("The request was taken back.")),
    "deployment.started": ("rocket", "accent", _("A release of %(service)s began: %(version)s"), _("A release began.")),
    "deployment_source.changed": (
        "rocket",
        "neutral",
        _("A sender of releases was set up."),
        _("A sender of releases was set up."),
    ),
    "run.retried": ("refresh-cw", "accent", _("The run goes on from the step that failed."), _("The run goes on.")),
    "run.step_uncertain": (
        "circle-question-mark",
        "warning",
        _("Nobody knows whether step %(step)s took effect."),
        _("A step is uncertain."),
    ),
}


# What the cockpit tells of: not who signed in, nor every listening port that a source found.
NEWS: tuple[str, ...] = (
    *(verb for verb in LINES if not verb.startswith(("run.step_", "resource.")) and verb != "incident.suspects_ranked"),
    "setting.changed",
    "alerting.rule_file_changed",
    "procedure.changed",
    "hold.placed",
    "hold.lifted",
    "source.failed",
    "source.recovered",
    "deployment.started",
    "user.role_changed",
)


def spoken(entry: Entry, payload: object) -> Entry:
    """Return the entry with our sentence when its room has none for the verb."""
    if entry.verb in LINES or entry.verb not in MORE:
        return entry
    icon, tone, full, bare = MORE[entry.verb]
    facts: Mapping[str, Any] = payload if isinstance(payload, Mapping) else {}
    known = {key: value for key, value in facts.items() if value not in (None, "")}
    if entry.verb.startswith("relation.") and str(known.get("type")) in RELATION_TYPES:
        known["type"] = RELATION_TYPES[str(known["type"])].title
    try:
        text = str(full) % known
    except (KeyError, ValueError, TypeError):
        text = str(bare)
    return replace(entry, icon=icon, tone=tone, text=text)
