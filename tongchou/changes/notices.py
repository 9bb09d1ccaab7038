"""What happens to deployments and to drift that inboxes hear of."""

from tongchou.changes import (
    iac_notices,  # noqa: F401  # declares those of workspaces and plans
    requirement_notices,  # noqa: F401  # registers: only this file is found by name
)
from tongchou.core.inbox import tell_watchers

tell_watchers(
    "release.asked", "release.started", "release.paused", "release.resumed", "release.rolling_back",
    "release.succeeded", "release.rolled_back", "release.failed", "release.cancelled", "artefact.withdrawn",
)  # fmt: skip
tell_watchers(
    "deployment.started", "deployment.finished", "drift.opened", "drift.explained", "drift.decided", "drift.cleared"
)
tell_watchers("playbook.changed", "playbook.retired", "playbook.checked", "playbook.check_failed")
