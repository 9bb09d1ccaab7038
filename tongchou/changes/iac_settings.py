"""Where workspaces may lie, and how long their plans may be applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes.iac_applying import KEEP_HOURS
from tongchou.changes.iac_places import FOLDERS
from tongchou.core.settings_store import register


def _folders(value: Any) -> str | Promise | None:
    fits = all(isinstance(each, str) and each.startswith("/") and ".." not in each.split("/") for each in value)
    if fits and len(value) <= 50 and all(len(Path(each).parts) > 1 for each in value):
        return None
    return _("At most 50 full paths are wanted, none of them the root.")


def _hours(value: int) -> str | Promise | None:
    return None if 1 <= value <= 720 else _("A number of hours from 1 to 720.")


register(
    FOLDERS,
    list,
    [],
    _("Folders below which workspaces of Terraform and OpenTofu may lie. Empty: there are none."),
    validate=_folders,
)
register(KEEP_HOURS, int, 168, _("Hours a plan can be applied; then its file is removed."), validate=_hours)
