"""How verbs of the inventory read. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.incidents.timeline import Tone

INVENTORY: dict[str, tuple[str, Tone, str | Promise, str | Promise]] = {
    "agent.appeared": (
        "radio",
        "neutral",
        _("The agent of %(name)s reported for the first time."),
        _("An agent reported for the first time."),
    ),
    "resource.keys_moved": (
        "split",
        "accent",
        _("Identity keys of %(name)s went to %(to)s."),
        _("Identity keys were moved."),
    ),
}
