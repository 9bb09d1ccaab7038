"""What can be done to many procedures at once."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.core import nouns
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, register
from tongchou.runbooks.actions import retire_procedure

EDIT = "runbooks.edit"

register(
    Change(
        "runbooks.procedure",
        "retire",
        _("Retire"),
        lambda row: {"state": row.state},
        lambda _row, _said: {"state": "retired"},
        lambda actor, row, _wanted: retire_procedure(actor=actor, procedure=row),
        nouns.check_change,
        permission=EDIT,
    )
)
custom.offer("runbooks.procedure", EDIT)
