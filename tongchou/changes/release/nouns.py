"""Releases, versions and rollouts as nouns that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes.release import actions, reads
from tongchou.core.access import Actor, check
from tongchou.core.nouns import Noun, register
from tongchou.core.refs import ref
from tongchou.core.watching import team_ref


def _of_release(row: Any) -> list[str]:
    """Its services, and the teams that own them."""
    rows = list(row.items.values_list("service_id", "service__owner_id"))
    teams = {team for _service, team in rows if team is not None}
    return [*(f"inventory.resource:{each}" for each, _team in rows), *(team_ref(each) for each in sorted(teams))]


def _of_service(row: Any) -> list[str]:
    owner = row.service.owner_id
    return [ref(row.service), *([team_ref(owner)] if owner else [])]


def _may_edit(actor: Actor, row: Any) -> None:
    check(actor, reads.EDIT, team=row.service.owner_id)


register(
    Noun(
        "changes.release",
        _("Release"),
        _("Releases"),
        reads.VIEW,
        reads.visible,
        actions.check_edit,
        custom_fields=True,
        watched_through=_of_release,
        words=lambda row: [row.skip_promotion, row.environment.name],
    )
)
register(
    Noun(
        "changes.artefact",
        _("Version of a service"),
        _("Versions of services"),
        reads.VIEW,
        reads.artefacts,
        _may_edit,
        watched_through=_of_service,
        words=lambda row: [row.version, row.reference, row.commit_sha, row.notes],
    )
)
register(
    Noun(
        "changes.rollout",
        _("Rollout"),
        _("Rollouts"),
        reads.VIEW,
        lambda actor: reads.rollouts(actor, retired=True),
        _may_edit,
        watched_through=_of_service,
    )
)
