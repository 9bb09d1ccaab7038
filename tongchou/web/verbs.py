"""How the verbs read that no timeline of a room speaks of: people, tokens, settings, sources, rules. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import LINES, Entry, Tone
from tongchou.inventory import kinds
from tongchou.web.verbs_changes import CHANGES, HELD, NEWS_OF_CHANGES, worded
from tongchou.web.verbs_design import DESIGN
from tongchou.web.verbs_drift import DRIFT, OBSERVED
from tongchou.web.verbs_iac import IAC
from tongchou.web.verbs_inventory import INVENTORY
from tongchou.web.verbs_releases import NEWS_OF_RELEASES, RELEASES, reasoned

# verb -> (icon, tone, sentence with facts of the payload, sentence without)
MORE: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    **CHANGES,
    **DESIGN,
    **INVENTORY,
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
    "user.linked": (
        "link",
        "accent",
        _("%(username)s was connected with a sign-in at %(provider)s."),
        _("An account was connected with a sign-in elsewhere."),
    ),
    "user.unlinked": (
        "unlink",
        "warning",
        _("%(username)s was disconnected from the sign-in at %(provider)s."),
        _("An account was disconnected from a sign-in elsewhere."),
    ),
    "user.sign_in_refused": (
        "shield-alert",
        "warning",
        _("A sign-in of %(username)s was refused: %(reason)s."),
        _("A sign-in was refused."),
    ),
    "user.broke_glass": (
        "siren",
        "critical",
        _("%(username)s signed in by emergency access from %(address)s."),
        _("Somebody signed in by emergency access."),
    ),
    "session.ended": (
        "log-out",
        "warning",
        _("A session on %(device)s from %(address)s was ended."),
        _("A session was ended."),
    ),
    "second_factor.added": (
        "shield-check",
        "ok",
        _("%(username)s added a second factor (%(type)s)."),
        _("A second factor was added."),
    ),
    "second_factor.removed": (
        "shield-x",
        "warning",
        _("%(username)s removed a second factor (%(type)s)."),
        _("A second factor was removed."),
    ),
    "second_factor.codes_renewed": (
        "shield-check",
        "neutral",
        _("%(username)s made new recovery codes."),
        _("New recovery codes were made."),
    ),
    "second_factor.failed": (
        "shield-alert",
        "warning",
        _("A wrong second factor was given for %(username)s."),
        _("A wrong second factor was given."),
    ),
    "service_account.described": (
        "square-terminal",
        "neutral",
        _("Owner or purpose of the service account %(username)s was changed."),
        _("A service account was described."),
    ),
    "access.confirmed": (
        "badge-check",
        "ok",
        _("The role %(role)s of %(username)s was reviewed and confirmed."),
        _("A role was reviewed and confirmed."),
    ),
    "access.withdrawn": (
        "user-x",
        "warning",
        _("The role %(role)s of %(username)s was withdrawn at a review."),
        _("A role was withdrawn at a review."),
    ),
    "token.rotated": ("refresh-cw", "neutral", _("Token %(name)s has a successor."), _("A token has a successor.")),
    "comment.edited": ("message-square", "neutral", _("A comment was edited."), _("A comment was edited.")),
    "comment.deleted": ("message-square-x", "neutral", _("A comment was taken back."), _("A comment was taken back.")),
    "comment.restored": ("message-square", "neutral", _("A comment was restored."), _("A comment was restored.")),
    "comment.hidden": (
        "eye-off",
        "warning",
        _("A comment of %(author)s was hidden: %(reason)s"),
        _("A comment was hidden."),
    ),
    "comment.unhidden": ("eye", "neutral", _("A comment is shown again."), _("A comment is shown again.")),
    "attachment.deleted": ("paperclip", "neutral", _("File %(name)s was deleted."), _("A file was deleted.")),
    "attachment.restored": ("paperclip", "neutral", _("File %(name)s was restored."), _("A file was restored.")),
    "token.created": ("key-round", "neutral", _("Token %(name)s was made."), _("A token was made.")),
    "token.revoked": ("key-round", "warning", _("Token %(name)s was revoked."), _("A token was revoked.")),
    "setting.changed": ("settings", "accent", _("Setting %(key)s was changed."), _("A setting was changed.")),
    "kind.created": ("shapes", "neutral", _("Kind %(name)s was defined."), _("A kind was defined.")),
    "kind.changed": ("shapes", "neutral", _("Kind %(name)s was changed."), _("A kind was changed.")),
    "kind.renamed": ("shapes", "neutral", _("Kind %(old)s is now called %(new)s."), _("A kind was renamed.")),
    "kind.retired": ("shapes", "neutral", _("Kind %(name)s is offered no more."), _("A kind was retired.")),
    "kind.restored": ("shapes", "neutral", _("Kind %(name)s is offered again."), _("A kind was brought back.")),
    "kind.deleted": ("shapes", "warning", _("Kind %(name)s was deleted."), _("A kind was deleted.")),
    "relation_type.created": (
        "waypoints",
        "neutral",
        _("Relation type %(name)s was defined."),
        _("A relation type was defined."),
    ),
    "relation_type.changed": (
        "waypoints",
        "neutral",
        _("Relation type %(name)s was changed."),
        _("A relation type was changed."),
    ),
    "relation_type.retired": (
        "waypoints",
        "neutral",
        _("Relation type %(name)s was retired."),
        _("A relation type was retired."),
    ),
    "relation_type.restored": (
        "waypoints",
        "neutral",
        _("Relation type %(name)s was brought back."),
        _("A relation type was brought back."),
    ),
    "relation_type.deleted": (
        "waypoints",
        "neutral",
        _("Relation type %(name)s was deleted."),
        _("A relation type was deleted."),
    ),
    "custom_fields.changed": (
        "text-cursor-input",
        "neutral",
        _("Custom fields were changed: %(fields)s."),
        _("Custom fields were changed."),
    ),
    "custom_field.created": (
        "text-cursor-input",
        "neutral",
        _("Custom field %(name)s was defined."),
        _("A custom field was defined."),
    ),
    "custom_field.changed": (
        "text-cursor-input",
        "neutral",
        _("Custom field %(name)s was changed."),
        _("A custom field was changed."),
    ),
    "custom_field.reordered": (
        "text-cursor-input",
        "neutral",
        _("Custom fields have another order."),
        _("Custom fields have another order."),
    ),
    "custom_field.deleted": (
        "text-cursor-input",
        "warning",
        _("Custom field %(name)s was deleted; %(rows)s rows have a value."),
        _("A custom field was deleted."),
    ),
    "custom_field.restored": (
        "undo-2",
        "neutral",
        _("Custom field %(name)s was put back."),
        _("A custom field was put back."),
    ),
    "custom_field.purged": (
        "trash-2",
        "warning",
        _("Custom field %(name)s was deleted for good, with %(rows)s values."),
        _("A custom field was deleted for good."),
    ),
    "choice_set.created": ("list", "neutral", _("Choice set %(name)s was made."), _("A choice set was made.")),
    "choice_set.changed": ("list", "neutral", _("Choice set %(name)s was changed."), _("A choice set was changed.")),
    "choice_set.deleted": ("list", "warning", _("Choice set %(name)s was deleted."), _("A choice set was deleted.")),
    "job.retried": ("refresh-cw", "neutral", _("Job %(name)s was queued again."), _("A job was queued again.")),
    "job.cancelled": ("x", "warning", _("Job %(name)s was taken back."), _("A job was taken back.")),
    "secret.changed": ("lock", "neutral", _("Secret %(name)s was stored."), _("A secret was stored.")),
    "secret.deleted": ("lock", "neutral", _("Secret %(name)s was deleted."), _("A secret was deleted.")),
    "backup.requested": ("archive", "neutral", _("A backup was requested."), _("A backup was requested.")),
    "backup.made": ("archive", "ok", _("Backup %(file)s was made."), _("A backup was made.")),
    "backup.failed": ("archive-x", "critical", _("A backup failed: %(detail)s"), _("A backup failed.")),
    "backup.verified": (
        "archive-restore",
        "ok",
        _("Backup %(file)s was checked and is good."),
        _("A backup was checked and is good."),
    ),
    "backup.damaged": (
        "archive-x",
        "critical",
        _("Backup %(file)s is damaged: %(detail)s"),
        _("A backup is damaged."),
    ),
    "backup.pruned": (
        "scissors",
        "neutral",
        _("Backup %(file)s was deleted by the keep rule."),
        _("A backup was deleted by the keep rule."),
    ),
    "backup.restored": (
        "archive-restore",
        "warning",
        _("The backup of %(made_at)s was restored."),
        _("A backup was restored."),
    ),
    "retention.pruned": (
        "scissors",
        "neutral",
        _("%(rows)s rows of %(class)s were past their time and deleted."),
        _("Rows past their time were deleted."),
    ),
    "storage.short": (
        "hard-drive",
        "warning",
        _("Room for data lasts about %(days)s days."),
        _("Room for data runs short."),
    ),
    "ledger.pruned": (
        "scissors",
        "warning",
        _("The ledger of %(month)s was pruned."),
        _("A month of the ledger was pruned."),
    ),
    "resource.created": ("plus", "neutral", _("%(name)s was found."), _("A resource was found.")),
    "resource.returned": ("undo-2", "neutral", _("%(name)s is back."), _("A resource is back.")),
    "resource.gone": ("circle-x", "warning", _("%(name)s is gone."), _("A resource is gone.")),
    "resource.recorded": ("check", "ok", _("%(name)s is recorded now."), _("A resource is recorded now.")),
    "resource.confirmed": ("eye", "ok", _("%(name)s was seen by a person."), _("A resource was seen by a person.")),
    "resource.merged": (
        "merge",
        "accent",
        _("%(absorbed)s was merged into %(name)s."),
        _("Two resources were made one."),
    ),
    "resource.split": ("split", "accent", _("%(new)s was split off %(name)s."), _("A resource was split.")),
    "resource.unmerged": (
        "undo-2",
        "neutral",
        _("%(absorbed)s was taken out of %(name)s again."),
        _("A merge was undone."),
    ),
    "resource.expiring": (
        "calendar-clock",
        "warning",
        _("%(what)s of %(name)s ends on %(due)s."),
        _("Something of a resource ends."),
    ),
    "drift.accepted": (
        "check",
        "ok",
        _("%(key)s of %(name)s is %(observed)s now, as observed."),
        _("What is observed was accepted."),
    ),
    "drift.kept": (
        "pin",
        "neutral",
        _("%(key)s of %(name)s stays %(declared)s: %(reason)s"),
        _("What is declared was kept."),
    ),
    "queue_item.ignored": (
        "bell-off",
        "neutral",
        _("%(name)s is ignored in its queue until %(until)s: %(reason)s"),
        _("An item was ignored for a time."),
    ),
    "queue_item.reopened": (
        "undo-2",
        "neutral",
        _("%(name)s is open in its queue again."),
        _("An item is open again."),
    ),
    "relation.added": ("link", "neutral", _("%(from)s now %(type)s %(to)s."), _("A relation was added.")),
    "relation.removed": ("unlink", "neutral", _("%(from)s no longer %(type)s %(to)s."), _("A relation ended.")),
    "hold.placed": ("wrench", "warning", _("%(name)s was put on hold: %(reason)s"), _("Put on hold.")),
    "hold.lifted": ("wrench", "ok", _("The hold on %(name)s was lifted."), _("The hold was lifted.")),
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
    "alert.group_unacknowledged": (
        "hand",
        "warning",
        _("The acknowledgement of %(of)s ended: reminders go on."),
        _("An acknowledgement ended: reminders go on."),
    ),
    "usage.impact_assessed": (
        "banknote",
        "neutral",
        _("What it cost was computed: %(lost)s %(currency)s (%(low)s to %(high)s)."),
        _("What it cost cannot be computed."),
    ),
    "list.exported": (
        "download",
        "neutral",
        _("A list was exported: %(kind)s, %(rows)s rows as %(format)s."),
        _("A list was exported."),
    ),
    "list.changing": (
        "list-checks",
        "neutral",
        _("A change of many rows began: %(act)s, %(rows)s rows."),
        _("A change of many rows began."),
    ),
    "list.changed": (
        "list-checks",
        "accent",
        _("Many rows were changed: %(act)s, %(done)s done, %(failed)s failed."),
        _("Many rows were changed."),
    ),
    "list.undoing": ("undo-2", "neutral", _("A change of many rows is put back."), _("A change is put back.")),
    "list.undone": (
        "undo-2",
        "accent",
        _("A change of many rows was put back: %(undone)s rows, %(kept)s left alone."),
        _("A change of many rows was put back."),
    ),
    "view.saved": ("bookmark", "neutral", _("View %(name)s of a list was kept."), _("A view was kept.")),
    "view.changed": ("bookmark", "neutral", _("View %(name)s of a list was changed."), _("A view was changed.")),
    "view.deleted": ("bookmark", "neutral", _("View %(name)s of a list was deleted."), _("A view was deleted.")),
    "view.restored": ("bookmark", "neutral", _("View %(name)s of a list is back."), _("A view is back.")),
    "dashboard.created": (
        "layout-dashboard",
        "accent",
        _("Dashboard %(title)s was made: %(panels)s panels."),
        _("A dashboard was made."),
    ),
    "dashboard.changed": (
        "layout-dashboard",
        "neutral",
        _("Dashboard %(title)s was changed: version %(version)s."),
        _("A dashboard was changed."),
    ),
    "dashboard.restored": (
        "undo-2",
        "neutral",
        _("Dashboard %(title)s is again as in version %(restored)s."),
        _("A dashboard is as it was."),
    ),
    "dashboard.deleted": (
        "layout-dashboard",
        "warning",
        _("Dashboard %(title)s was deleted."),
        _("A dashboard was deleted."),
    ),
    "dashboard.undeleted": ("undo-2", "neutral", _("Dashboard %(title)s is back."), _("A dashboard is back.")),
    "procedure.changed": ("book-open-check", "accent", _("Procedure %(name)s was saved."), _("A procedure was saved.")),
    "procedure.retired": (
        "book-open-check",
        "warning",
        _("Procedure %(name)s was retired."),
        _("A procedure was retired."),
    ),
    "approval.cancelled": ("undo-2", "neutral", _("The request was taken back."), _("The request was taken back.")),
    "deployment.started": (
        "rocket",
        "accent",
        _("A deployment of %(service)s began: %(version)s"),
        _("A deployment began."),
    ),
    "deployment_source.changed": (
        "rocket",
        "neutral",
        _("A sender of deployments was set up."),
        _("A sender of deployments was set up."),
    ),
    "build_server.changed": (
        "hammer",
        "neutral",
        _("Build server %(name)s was set up anew."),
        _("A build server was changed."),
    ),
    "build_server.removed": (
        "hammer",
        "warning",
        _("Build server %(name)s was removed."),
        _("A build server was removed."),
    ),
    **DRIFT,
    "deployment.marked": (
        "rocket",
        "neutral",
        _("Whether %(title)s was unplanned was said."),
        _("Whether a deployment was unplanned was said."),
    ),
    "run.retried": ("refresh-cw", "accent", _("The run goes on from the step that failed."), _("The run goes on.")),
    "run.previewed": (
        "file-diff",
        "neutral",
        _("What would be changed was shown."),
        _("What would be changed was shown."),
    ),
    "run.paused": (
        "octagon-x",
        "warning",
        _("The run was paused."),
        _("The run was paused."),
    ),
    "run.resumed": ("play", "accent", _("A person resumed the run."), _("A person resumed the run.")),
    "run.step_retried": (
        "refresh-cw",
        "warning",
        _("Step %(step)s failed and will be tried again."),
        _("A step failed and will be tried again."),
    ),
    "execution.stopped": ("octagon-x", "critical", _("Emergency stop: %(reason)s"), _("Emergency stop.")),
    "execution.resumed": (
        "play",
        "accent",
        _("The emergency stop was lifted."),
        _("The emergency stop was lifted."),
    ),
    "run.step_uncertain": (
        "circle-question-mark",
        "warning",
        _("Nobody knows whether step %(step)s took effect."),
        _("A step is uncertain."),
    ),
    **IAC,
    **RELEASES,
}


_SMALL = (
    "run.step_",
    "resource.",
    "incident.suspects_ranked",
    "postmortem.cause_",
    "postmortem.edited",
    "postmortem.prefilled",
)
# What the cockpit tells of: not who signed in, nor every listening port that a source found.
NEWS: tuple[str, ...] = (
    *(verb for verb in LINES if not verb.startswith(_SMALL)),
    "setting.changed",
    "alerting.rule_file_changed",
    "procedure.changed",
    "hold.placed",
    "hold.lifted",
    "source.failed",
    "source.recovered",
    "deployment.started",
    "drift.opened",
    "requirement.accepted",
    "requirement.rejected",
    "option.chosen",
    "decision.accepted",
    "plan.applied",
    "plan.apply_failed",
    "plan.interrupted",
    "playbook.host_changed",
    "playbook.host_failed",
    "user.role_changed",
    *NEWS_OF_CHANGES,
    *NEWS_OF_RELEASES,
)


def spoken(entry: Entry, payload: object) -> Entry:
    """Return the entry with our sentence when its room has none for the verb."""
    if entry.verb in LINES or entry.verb not in MORE:
        return entry
    icon, tone, full, bare = MORE[entry.verb]
    facts: Mapping[str, Any] = payload if isinstance(payload, Mapping) else {}
    if facts.get("source_kind") == "observed":
        full = OBSERVED.get(entry.verb, full)
    full = HELD.get((entry.verb, str(facts.get("kind"))), full)
    known = {key: value for key, value in facts.items() if value not in (None, "")}
    if entry.verb.startswith("relation.") and "type" in known:
        known["type"] = kinds.relation_words(str(known["type"]))
    if entry.verb in CHANGES:
        known = worded(known)
    if entry.verb in RELEASES:
        known = reasoned(worded(known))
    try:
        text = str(full) % known
    except (KeyError, ValueError, TypeError):
        text = str(bare)
    return replace(entry, icon=icon, tone=tone, text=text)
