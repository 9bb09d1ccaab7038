"""What an operator may change while alerting runs."""

from __future__ import annotations

import re
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

GROUP_BY = "alerting.group_by"
INTERVAL = "alerting.evaluation_interval_seconds"


def _labels(value: Any) -> str | Promise | None:
    if all(isinstance(name, str) and re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in value):
        return None
    return _("A list of label names is wanted.")


def _interval(value: Any) -> str | Promise | None:
    return None if 1 <= value <= 3600 else _("A number of seconds between 1 and 3600 is wanted.")


register(
    GROUP_BY,
    list,
    ["service"],
    _("Labels by which alerts are grouped; an alert without any of them is grouped by name."),
    validate=_labels,
)
register(INTERVAL, int, 15, _("Seconds between evaluations of rule groups that set no interval."), validate=_interval)
