"""What happens to alert groups, silences, objectives and rule files that inboxes hear of."""

from tongchou.core.inbox import tell_watchers

tell_watchers(
    "alert.group_opened",
    "alert.group_closed",
    "silence.created",
    "silence.extended",
    "silence.expired",
    "alerting.objective_changed",
    "alerting.rule_file_changed",
)
