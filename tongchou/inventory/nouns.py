"""The nouns of the inventory that people work with."""

from django.utils.translation import gettext_lazy as _

from tongchou.core.access import check
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref
from tongchou.inventory import reads

EDIT = "inventory.edit"

register(
    Noun(
        "inventory.resource",
        _("Resource"),
        _("Resources"),
        "inventory.view",
        reads.visible,
        lambda actor, row: check(actor, EDIT, team=row.owner_id),
        custom_fields=True,
        subkind="kind",
        watched_through=lambda row: [team_ref(row.owner_id)] if row.owner_id else [],
        words=lambda row: [row.kind, *(f"{name}={value}" for name, value in row.labels.items())],
    )
)
