"""The change, as a noun that people work with."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import control_reads
from tongchou.changes.control import check_edit
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref


def _of_change(row: Any) -> list[str]:
    """What it touches, and the teams that answer for it."""
    rows = list(row.touched.values_list("resource_id", "resource__owner_id")[:400])
    teams = {team for _resource, team in rows if team is not None} | ({row.team_id} if row.team_id else set())
    return [*(f"inventory.resource:{each}" for each, _team in rows), *(team_ref(each) for each in sorted(teams))]


register(
    Noun(
        "changes.change",
        _("Change"),
        _("Changes"),
        "changes.view",
        control_reads.visible,
        check_edit,
        custom_fields=True,
        subkind="kind",
        watched_through=_of_change,
        words=lambda row: [row.description, row.backout, row.verification, row.review],
    )
)
