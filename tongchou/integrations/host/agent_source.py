"""The inventory source "agent": what agents told of their machines, shaped as the platform shapes its own.

The look reads reports that are there already: it asks nobody. A machine that reports no more is told of as it was, with
the time it was seen last: silence is no proof that it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.integrations.host import facts
from tongchou.integrations.host.uses import uses
from tongchou.inventory import agents, claims, identity, source_settings
from tongchou.inventory.connections import SeenUse, merged
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import Identity, ResourceState
from tongchou.inventory.models_agents import AgentReport
from tongchou.inventory.observation import Observation
from tongchou.wire.host.reading import CONNECTIONS

MOST_RESOURCES = 200_000
MOST_USES = 5000
MOST_NAMED = 5  # in a note
AT_ONCE = 50  # bodies in memory


class AgentSource:
    """Reads what agents reported. Every machine is one of its own; clones are told apart by their interfaces."""

    kind: str = "agent"
    title: Any = _("Agents")
    precedence: int = 300
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "max_age_seconds": {
                "type": "integer",
                "default": 900,
                "minimum": 60,
                "maximum": 86_400,
                "description": _("from when on a machine that does not report is told of as silent"),
            },
            "connections": {
                "type": "boolean",
                "default": True,
                "description": _("who was seen to use what, for the service map"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read every report. Complete: a part that could not be read stands as it was read last."""
        now = timezone.now()
        oldest = now - timedelta(seconds=settings["max_age_seconds"])
        gathering = Gathering(MOST_RESOURCES)
        found: list[SeenUse] = []
        machines = _machines(gathering, oldest, now)
        for machine, row in _bodies(machines):
            _add(gathering, machine, row)
            held = row.body.get(CONNECTIONS)
            if held and settings["connections"] and not machine.silent:
                found += uses(machine.keys[0], held.get("addresses", ()), held.get("edges", ()))
        silent = sorted(each.row.name for each in machines if each.silent)
        if silent:
            named = ", ".join(silent[:MOST_NAMED])
            gathering.warn(f"{len(silent)} machines did not report for {settings['max_age_seconds']} s: {named}")
        return replace(
            gathering.observation(), uses=tuple(merged(found, MOST_USES)) if settings["connections"] else None
        )


SOURCE = AgentSource()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose report is told, without the body of it. `silent`: not heard for longer than is usual."""

    row: AgentReport
    keys: tuple[str, ...]
    silent: bool
    seen_at: datetime | None


def own_key(row: AgentReport) -> str:
    """Return the key that a machine has among agents alone, whatever else it is known by."""
    return f"agent:{row.pk}"


def _machines(gathering: Gathering, oldest: datetime, now: datetime) -> list[Machine]:
    rows = _told(list(AgentReport.objects.defer("body").order_by("name", "id")), oldest, now)
    keys = {row.pk: _keys(row) for row in rows}
    shared = claims.shared(agents.claim_of(row, keys[row.pk]) for row in rows)
    for key in sorted(shared):
        gathering.warn(claims.note(key, shared[key]))
    return [
        Machine(
            row,
            (*(key for key in keys[row.pk] if key not in shared), own_key(row)),
            row.received_at < oldest and not agents.alive(row, now),
            None if agents.alive(row, now) and row.received_at >= oldest else row.received_at,
        )
        for row in rows
    ]


def _keys(row: AgentReport) -> tuple[str, ...]:
    """The keys that hold everywhere; its bare name is one only of a machine that has nothing better."""
    keys = identity.keys(*facts.hardware_keys(row.about), identity.fqdn_key(row.about.get("fqdn")))
    return keys or (f"hostname:{row.name}",)


def _told(rows: Sequence[AgentReport], oldest: datetime, now: datetime) -> list[AgentReport]:
    """Leave out what was replaced (the same machine with other interfaces), and the silent that a person retired."""
    living = {(row.machine, row.name) for row in rows if agents.alive(row, now)}
    rows = [row for row in rows if agents.alive(row, now) or (row.machine, row.name) not in living]
    silent = [own_key(row) for row in rows if row.received_at < oldest]
    gone = Identity.objects.filter(key__in=silent, resource__state=ResourceState.TOMBSTONE).values_list(
        "key", flat=True
    )
    retired = set(gone)
    return [row for row in rows if own_key(row) not in retired]


def _bodies(machines: Sequence[Machine]) -> Iterator[tuple[Machine, AgentReport]]:
    """Each machine with its whole report, a few in memory at a time."""
    for start in range(0, len(machines), AT_ONCE):
        part: dict[UUID, Machine] = {each.row.pk: each for each in machines[start : start + AT_ONCE]}
        whole = AgentReport.objects.in_bulk(list(part))
        yield from ((each, whole[pk]) for pk, each in part.items() if pk in whole)


def _add(gathering: Gathering, machine: Machine, row: AgentReport) -> None:
    host = facts.host(row.about)
    key = machine.keys[0]
    attributes = {**host.attributes, "fqdn": row.about.get("fqdn", "")}
    gathering.add(host.kind, host.name, machine.keys, attributes, seen_at=machine.seen_at)
    for part, shape in facts.SHAPES.items():
        seen_at = datetime.fromisoformat(row.kept[part]) if part in row.kept else machine.seen_at
        for each in shape(row.body.get(part, ()), key, host.name):
            gathering.add(each.kind, each.name, each.keys, each.attributes, seen_at=seen_at)
            relation = facts.relation(each, key)
            gathering.relate(relation.type, each.keys[0], key)
