"""The list of Ansible projects."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes import playbook_reads
from tongchou.core.lists.tables import Column, Queue, Table, register

register(
    Table(
        "changes.playbook",
        _("Ansible projects"),
        "changes.view",
        playbook_reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("name", _("Name"), path="name", order=("name", "id")),
            Column("title", _("Title"), path="title"),
            Column("playbook", _("Playbook"), path="playbook"),
            Column("folder", _("Folder"), path="folder", shown=False),
            Column("hosts", _("Hosts"), path="hosts"),
            Column(
                "owner",
                _("Owner"),
                path="owner__name",
                value=lambda row: row.owner.name if row.owner is not None else None,
            ),
            Column("every", _("Check every"), "number", "check_every_seconds", unit="s"),
            Column("next", _("Next check"), "moment", "next_check_at"),
            Column("changed", _("Changed"), "moment", "updated_at", shown=False),
            Column("by", _("Changed by"), path="updated_by_name", shown=False),
        ),
        sort="name",
        search=("name", "title", "playbook"),
        queues=(
            Queue("active", pgettext_lazy("queue", "In use"), lambda rows, _actor: rows.filter(retired_at=None)),
            Queue("retired", _("Out of use"), lambda rows, _actor: rows.exclude(retired_at=None)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
    )
)
