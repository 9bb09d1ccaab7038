"""The inventory source "host": this machine, its disks, file systems, interfaces and listening ports.

Facts that seldom change only: sizes and names, never readings such as free space or load, and never a PID.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.host import facts
from tongchou.integrations.host.uses import uses
from tongchou.inventory import source_settings
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.wire.host import reading
from tongchou.wire.host.reading import CONNECTIONS, PARTS, TRACKED

log = logging.getLogger(__name__)
SWITCHES = (*PARTS, CONNECTIONS, TRACKED)


class HostSource:
    """Looks at the machine this process runs on. Needs no right; with root it can name every listening process."""

    kind: str = "host"
    title: Any = _("This host")
    precedence: int = 300
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {**{part: {"type": "boolean", "default": True} for part in SWITCHES}, **source_settings.NODE},
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        node = source_settings.filled({"properties": source_settings.NODE}, {"node": settings.get("node")})
        for name, value in settings.items():
            if name == "node":
                continue
            if name not in SWITCHES or not isinstance(value, bool):
                raise Invalid(
                    "host.settings",
                    _("The settings of this source are %(known)s, each true or false.")
                    % {"known": ", ".join(SWITCHES)},
                    field=f"settings.{name}",
                    value=value,
                    remedy=_("Remove it or correct it."),
                )
        return {**{part: settings.get(part, True) for part in SWITCHES}, **node}

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Always: it is this host."""
        return True

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Look once. What the kernel refuses to tell makes the look incomplete, so that nothing is taken for gone."""
        seen = reading.read({part for part in SWITCHES if settings.get(part, True)})
        machine = facts.host(seen["machine"])
        key = machine.keys[0]
        parts = facts.parts(seen, key, machine.name)
        refused = {part: why for part, why in seen["refused"].items() if part != CONNECTIONS}
        if CONNECTIONS in seen["refused"]:  # what is not seen fades by itself: the rest of the look stays whole
            log.info("connections of this host: %s", seen["refused"][CONNECTIONS])
        held = seen.get(CONNECTIONS)
        return Observation(
            _unique([machine, *parts]),
            tuple(facts.relation(part, key) for part in parts),
            complete=not refused,
            warnings=(*(f"{part}: {why}" for part, why in refused.items()), *seen["notes"]),
            uses=tuple(uses(key, held["addresses"], held["edges"])) if held is not None else None,
        )


SOURCE = HostSource()


def _unique(found: list[ObservedResource]) -> tuple[ObservedResource, ...]:
    return tuple({thing.keys[0]: thing for thing in found}.values())
