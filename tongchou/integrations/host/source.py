"""The inventory source "host": this machine, its disks, file systems, interfaces and listening ports.

Facts that seldom change only: sizes and names, never readings such as free space or load, and never a PID.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.host import facts
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource

PARTS = ("disks", "filesystems", "interfaces", "listeners")


class HostSource:
    """Looks at the machine this process runs on. Needs no right; with root it can name every listening process."""

    kind: str = "host"
    title: Any = _("This host")
    precedence: int = 300
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {part: {"type": "boolean", "default": True} for part in PARTS},
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        for name, value in settings.items():
            if name not in PARTS or not isinstance(value, bool):
                raise Invalid(
                    "host.settings",
                    _("The settings of this source are %(known)s, each true or false.") % {"known": ", ".join(PARTS)},
                    field=f"settings.{name}",
                    value=value,
                    remedy=_("Remove it or correct it."),
                )
        return {part: settings.get(part, True) for part in PARTS}

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Look once. What the kernel refuses to tell makes the look incomplete, so that nothing is taken for gone."""
        machine = facts.host()
        key = machine.keys[0]
        found = [machine]
        relations: list[ObservedRelation] = []
        warnings: list[str] = []
        readers = {
            "disks": facts.disks,
            "filesystems": facts.filesystems,
            "interfaces": facts.interfaces,
            "listeners": facts.listeners,
        }
        for part in PARTS:
            if not settings.get(part, True):
                continue
            try:
                things = readers[part](key, machine.name)
            except facts.REFUSED as error:
                warnings.append(f"{part}: {type(error).__name__}: {error}")
                continue
            found += things
            type_ = "runs_on" if part == "listeners" else "part_of"
            relations += [ObservedRelation(type_, ((thing.keys[0], key),), origin="observed") for thing in things]
        return Observation(_unique(found), tuple(relations), complete=not warnings, warnings=tuple(warnings))


SOURCE = HostSource()


def _unique(found: list[ObservedResource]) -> tuple[ObservedResource, ...]:
    return tuple({thing.keys[0]: thing for thing in found}.values())
