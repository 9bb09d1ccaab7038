"""The noun of Ansible projects."""

from django.utils.translation import gettext_lazy as _

from tongchou.changes import playbook_reads
from tongchou.core.access import check
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref

register(
    Noun(
        "changes.playbook",
        _("Ansible project"),
        _("Ansible projects"),
        "changes.view",
        playbook_reads.visible,
        lambda actor, row: check(actor, "changes.edit", team=row.owner_id),
        watched_through=lambda row: [team_ref(row.owner_id)] if row.owner_id else [],
        words=lambda row: [row.name, row.folder, row.playbook],
    )
)
