"""The nouns of runbooks that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check
from tongchou.core.field_types import localized
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref
from tongchou.runbooks import reads
from tongchou.runbooks.actions import check_targets

VIEW = "runbooks.view"
REQUEST = "runbooks.request"


def _check_procedure(actor: Actor, row: Any) -> None:
    check(actor, "runbooks.edit")


def _check_run(actor: Actor, run: Any) -> None:
    check_targets(actor, REQUEST, run)


def _of_run(run: Any) -> list[str]:
    """Its procedure, its targets, and the teams that own them."""
    found = list(run.target_rows.values_list("resource_id", "resource__owner_id"))
    teams = {team for _resource, team in found if team is not None}
    targets = [f"inventory.resource:{resource}" for resource, _team in found if resource is not None]
    return [f"runbooks.procedure:{run.procedure_id}", *targets, *(team_ref(team) for team in teams)]


register(
    Noun(
        "runbooks.procedure",
        _("Procedure"),
        _("Procedures"),
        VIEW,
        lambda actor: reads.procedures(actor, retired=True),
        _check_procedure,
        custom_fields=True,
        called=lambda row: localized(row.title, row.name),
        words=lambda row: [row.name, *row.title.values(), row.text],
    )
)
register(
    Noun(
        "runbooks.run",
        _("Run"),
        _("Runs"),
        VIEW,
        reads.runs,
        _check_run,
        custom_fields=True,
        called=lambda row: localized(row.procedure.title, row.procedure.name),
        watched_through=_of_run,
        words=lambda row: [row.procedure.name, row.reason, row.requested_by_name],
    )
)
