"""The switches of execution: whether, where, and the emergency stop."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store


def _names(value: Any) -> str | Promise | None:
    if len(value) <= 1000 and all(isinstance(entry, str) and 0 < len(entry) <= 500 for entry in value):
        return None
    return _("This is a list of resource names or label selectors such as service=orders.")


settings_store.register(
    "execution.enabled", bool, False, _("Whether procedures may alter anything. Off stops runs that have begun, too.")
)
settings_store.register(
    "execution.targets",
    list,
    [],
    _("Where procedures may alter something: resource names, selectors (service=orders, or kind=host,role=web), or *."),
    validate=_names,
)
settings_store.register(
    "execution.stopped",
    bool,
    False,
    _("The emergency stop: nothing begins, and what is under way pauses before its next step."),
    elsewhere=_("Stop and resume execution on the page of runs, or with POST /api/v1/execution/stop and /resume."),
)
