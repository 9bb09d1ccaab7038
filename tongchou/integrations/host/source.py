"""The inventory source "host": this machine, its disks, file systems, interfaces and listening ports.

Facts that seldom change only: sizes and names, never readings such as free space or load, and never a PID.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.host import conntrack, facts, sockets
from tongchou.integrations.host.programs import NoAnswerError
from tongchou.inventory.connections import SeenUse, merged
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource

log = logging.getLogger(__name__)
PARTS = ("disks", "filesystems", "interfaces", "listeners")
CONNECTIONS, TRACKED = "connections", "conntrack"
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
        "properties": {part: {"type": "boolean", "default": True} for part in SWITCHES},
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        for name, value in settings.items():
            if name not in SWITCHES or not isinstance(value, bool):
                raise Invalid(
                    "host.settings",
                    _("The settings of this source are %(known)s, each true or false.")
                    % {"known": ", ".join(SWITCHES)},
                    field=f"settings.{name}",
                    value=value,
                    remedy=_("Remove it or correct it."),
                )
        return {part: settings.get(part, True) for part in SWITCHES}

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
        uses, notes = None, []
        if settings.get(CONNECTIONS, True):
            tracked = []
            if settings.get(TRACKED, True):
                try:
                    tracked = conntrack.flows(conntrack.read() or "")
                except NoAnswerError as error:  # a note and no more: the sockets are there all the same
                    notes.append(f"{TRACKED}: {error}")
            try:
                uses = _uses(key, tracked)
            except facts.REFUSED as error:  # what is not seen fades by itself: the rest of the look stays whole
                log.info("connections of this host: %s: %s", type(error).__name__, error)
        told = (*warnings, *notes)
        return Observation(_unique(found), tuple(relations), complete=not warnings, warnings=told, uses=uses)


SOURCE = HostSource()


def _uses(machine: str, tracked: list[conntrack.Flow]) -> tuple[SeenUse, ...]:
    listeners, established = sockets.own_sockets()
    addresses, ephemeral = sockets.own_addresses(), sockets.ephemeral_from()
    held = sockets.summarise(machine, addresses, listeners, established, ephemeral=ephemeral)
    passed = conntrack.summarise(machine, addresses, listeners, established, tracked, ephemeral=ephemeral)
    return tuple(merged([*held, *passed]))


def _unique(found: list[ObservedResource]) -> tuple[ObservedResource, ...]:
    return tuple({thing.keys[0]: thing for thing in found}.values())
