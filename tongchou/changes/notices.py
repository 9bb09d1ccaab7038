"""What happens to deployments that inboxes hear of."""

from tongchou.core.inbox import tell_watchers

tell_watchers("deployment.started", "deployment.finished")
