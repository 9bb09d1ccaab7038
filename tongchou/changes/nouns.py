"""The nouns of changes that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import (
    baseline_nouns,  # noqa: F401  # registers: only this file is found by name
    control_nouns,  # noqa: F401  # registers: only this file is found by name
    drift_actions,
    drift_reads,
    iac_nouns,  # noqa: F401  # registers workspaces and plans
    playbook_nouns,  # noqa: F401  # registers: only this file is found by name
    reads,
    requirement_nouns,  # noqa: F401  # registers: only this file is found by name
)
from tongchou.changes.release import nouns as release_nouns  # noqa: F401  # registers: only this file is found by name
from tongchou.core.access import check
from tongchou.core.nouns import Noun, register
from tongchou.core.refs import ref
from tongchou.core.watching import team_ref


def _of_drift(row: Any) -> list[str]:
    """Its resource, and the team that owns it."""
    if row.resource is None:
        return []
    return [ref(row.resource), *([team_ref(row.resource.owner_id)] if row.resource.owner_id else [])]


def _of(row: Any) -> list[str]:
    """Its service, and the team that owns it."""
    if row.service is None:
        return []
    return [ref(row.service), *([team_ref(row.service.owner_id)] if row.service.owner_id else [])]


register(
    Noun(
        "changes.deployment",
        _("Deployment"),
        _("Deployments"),
        "changes.view",
        reads.deployments,
        lambda actor, row: check(actor, "changes.edit", team=row.service.owner_id if row.service else None),
        custom_fields=True,
        watched_through=_of,
    )
)
register(
    Noun(
        "changes.drift",
        _("Difference"),
        _("Drift"),
        "changes.view",
        drift_reads.items,
        drift_actions.may_decide,
        watched_through=_of_drift,
        words=lambda row: [row.source_name, row.reason],
    )
)
