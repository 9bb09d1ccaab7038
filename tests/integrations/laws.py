"""What holds for every source of the inventory; each source's tests call these."""

from __future__ import annotations

import json
from typing import Any

from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.inventory import checks, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import AttributeValue, Relation, Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedRelation
from tongchou.inventory.plan import Plan

ACTOR = system("tests")


def configured(kind: str, settings: dict[str, Any] | None = None, name: str = "it") -> SourceConfig:
    wanted = sources.Wanted(kind=kind, settings=settings or {}, missing_after=1, grace_seconds=0)
    return sources.configure_source(actor=ACTOR, name=name, wanted=wanted)


def document(content: Any, name: str = "export.json") -> Document:
    return Document(name, content if isinstance(content, bytes) else json.dumps(content).encode())


def settles(config: SourceConfig, document: Document | None = None) -> Plan:
    """Run a source twice: the second time nothing is left to do. Returns the first plan."""
    planned = sources.dry_run(actor=ACTOR, source=config, document=document)
    assert not Resource.objects.filter(source=config.name).exists(), "a dry run writes nothing"
    first = sources.run_source(actor=ACTOR, source=config, document=document)
    assert first.counts() == planned.counts()
    assert not first.conflicts
    for look in (sources.dry_run, sources.run_source):
        again = look(actor=ACTOR, source=config, document=document)
        assert not again.changes_something, again
    return first


def same(a: Observation, b: Observation) -> bool:
    """Two looks say the same, in whatever order."""

    def parts(seen: Observation) -> tuple[Any, ...]:
        return (sorted(map(repr, seen.resources)), sorted(map(repr, seen.relations)), sorted(map(repr, seen.endpoints)))

    return parts(a) == parts(b)


def by_name(seen: Observation) -> dict[tuple[str, str], Any]:
    """Resources by (kind, name); every one legal."""
    checks.observation(seen)
    return {(each.kind, each.name): each for each in seen.resources}


def edges(seen: Observation) -> set[tuple[str, str, str]]:
    """Relations as (name, type, name); ends that this look does not have stand as their key."""
    names = {key: each.name for each in seen.resources for key in each.keys}

    def edge(relation: ObservedRelation) -> tuple[str, str, str]:
        a, b = relation.ends[0]
        return (names.get(a, a), relation.type, names.get(b, b))

    return {edge(each) for each in seen.relations}


def recorded_edges() -> set[tuple[str, str, str]]:
    """Open relations in the inventory as (name, type, name)."""
    rows = Relation.objects.filter(valid_to__isnull=True)
    return set(rows.values_list("from_resource__name", "type", "to_resource__name"))


def everything_recorded() -> str:
    """All that was written of a look, as one text: for a search for what must not be in it."""
    values = [
        *Resource.objects.values_list("name", "labels", "custom"),
        *AttributeValue.objects.values_list("name", "value"),
        *Event.objects.values_list("payload"),
        *SourceConfig.objects.values_list("settings", "last_error", "last_remedy", "last_result"),
    ]
    return repr(values)
