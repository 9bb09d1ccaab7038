"""The nouns of changes that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import reads
from tongchou.core.access import check
from tongchou.core.nouns import Noun, register
from tongchou.core.refs import ref
from tongchou.core.watching import team_ref


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
