"""The run-time settings that decide what is fresh, overdue and complete, as one value. One query."""

from __future__ import annotations

from dataclasses import dataclass

from tongchou.core import settings_store
from tongchou.inventory.freshness import Limits, read_overrides

UNSEEN_DAYS = "inventory.unseen_days"
STALE_INTERVALS = "inventory.stale_intervals"
MANUAL_DAYS = "inventory.manual_stale_days"
STALE_OVERRIDES = "inventory.stale_overrides"
EXPIRY_DAYS = "inventory.expiry_days"
SITE_LABEL = "inventory.site_label"
KEYS = (UNSEEN_DAYS, STALE_INTERVALS, MANUAL_DAYS, STALE_OVERRIDES, EXPIRY_DAYS, SITE_LABEL)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the operator holds to be too old, too soon, and a site."""

    unseen_days: int
    expiry_days: int
    site_label: str
    limits: Limits


def settings_of_now() -> Truth:
    """Return the settings in force."""
    newest = {key: row.value for key, row in settings_store.newest().items() if key in KEYS}
    declared = {each.key: each.default for each in settings_store.known()}

    def value(key: str) -> object:
        return newest.get(key, declared[key])

    limits = Limits(
        int(str(value(STALE_INTERVALS))),
        int(str(value(MANUAL_DAYS))) * 86_400.0,
        read_overrides(str(value(STALE_OVERRIDES))) or {},
    )
    return Truth(int(str(value(UNSEEN_DAYS))), int(str(value(EXPIRY_DAYS))), str(value(SITE_LABEL)), limits)
