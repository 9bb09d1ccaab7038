"""The list of baselines."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.changes import baseline_reads
from tongchou.core.lists.tables import Column, Queue, Table, register

register(
    Table(
        "changes.baseline",
        _("Baselines"),
        "changes.view",
        baseline_reads.visible,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("name", _("Name"), path="name", order=("name", "id")),
            Column("title", _("Title"), path="title"),
            Column("hosts", _("Hosts"), path="hosts"),
            Column(
                "owner",
                _("Owner"),
                path="owner__name",
                value=lambda row: row.owner.name if row.owner is not None else None,
            ),
            Column("looked", _("Looked at"), "moment", "looked_at"),
            Column("every", _("Check every"), "number", "check_every_seconds", unit="s"),
            Column("changed", _("Changed"), "moment", "updated_at", shown=False),
            Column("by", _("Changed by"), path="updated_by_name", shown=False),
        ),
        sort="name",
        search=("name", "title"),
        queues=(
            Queue("active", pgettext_lazy("queue", "In use"), lambda rows, _actor: rows.filter(retired_at=None)),
            Queue("retired", _("Out of use"), lambda rows, _actor: rows.exclude(retired_at=None)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
    )
)
