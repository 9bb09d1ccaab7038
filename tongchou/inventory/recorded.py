"""Reads what is recorded and bears on one observation: a few queries for each 5,000 resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from tongchou.core.models import Team
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Identity,
    Relation,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
    SourceConfig,
)
from tongchou.inventory.observation import Observation, ObservedEndpoint
from tongchou.inventory.reconcile import NAME_PREFIX, Known, Recorded, Seen

CHUNK = 5000  # parameters of one IN (...): SQLite takes 32,766
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut `items` into lists of at most `size`."""
    listed = list(items)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


def precedences() -> dict[str, int]:
    """Return the precedence of every configured source. One query."""
    return dict(SourceConfig.objects.values_list("name", "precedence"))


def load_recorded(source: str, observation: Observation) -> Recorded:
    """Return what reconcile needs to compare `observation` of `source` with."""
    recorded = Recorded(source, precedence=precedences(), teams=frozenset(Team.objects.values_list("name", flat=True)))
    ends = {end for relation in observation.relations for pair in relation.ends for end in pair}
    keys = {key for each in observation.resources for key in each.keys}
    keys |= {end for end in ends if not end.startswith(NAME_PREFIX)}
    for wanted in chunks(keys):
        recorded.by_key.update(Identity.objects.filter(key__in=wanted).values_list("key", "resource_id"))
    sightings = list(Sighting.objects.filter(source=source))
    ids = {sighting.resource_id for sighting in sightings} | set(recorded.by_key.values())
    _load_resources(recorded, ids)
    for sighting in sightings:
        recorded.resources[sighting.resource_id].seen = Seen(
            sighting.last_seen, sighting.missed, sighting.gone_at is not None
        )
    for part in chunks(ids):
        others = Sighting.objects.filter(resource_id__in=part, gone_at__isnull=True).exclude(source=source)
        for id_ in others.values_list("resource_id", flat=True):
            recorded.resources[id_].seen_by_others = True
    _load_names(recorded, {end.removeprefix(NAME_PREFIX) for end in ends if end.startswith(NAME_PREFIX)})
    open_ = Relation.objects.filter(source=source, valid_to__isnull=True)
    recorded.relations = set(open_.values_list("from_resource_id", "to_resource_id", "type"))
    for row in Endpoint.objects.filter(source=source):
        recorded.endpoints.setdefault(row.resource_id, []).append((row.pk, as_observed(row)))
    return recorded


def as_observed(row: Endpoint) -> ObservedEndpoint:
    """Return a recorded endpoint in the form in which it was observed (its key is not kept)."""
    return ObservedEndpoint("", row.url, row.labels, row.purpose, row.interval_seconds, row.timeout_seconds)


def _load_resources(recorded: Recorded, ids: Iterable[UUID]) -> None:
    fields = ("id", "kind", "name", "source", "owner__name", "owner_source", "state")
    for part in chunks(ids):
        for id_, kind, name, source, owner, owner_source, state in Resource.objects.filter(pk__in=part).values_list(
            *fields
        ):
            tombstone = state == ResourceState.TOMBSTONE
            recorded.resources[id_] = Known(id_, kind, name, source, owner, owner_source, tombstone)
        values = AttributeValue.objects.filter(resource_id__in=part).values_list(
            "resource_id", "name", "source", "value"
        )
        for id_, name, source, value in values:
            recorded.resources[id_].attributes.setdefault(name, {})[source] = value
        labels = ResourceLabel.objects.filter(resource_id__in=part).values_list(
            "resource_id", "name", "value", "source"
        )
        for id_, name, text, source in labels:
            recorded.resources[id_].labels[name] = (text, source)


def _load_names(recorded: Recorded, names: set[str]) -> None:
    active = Resource.objects.filter(state=ResourceState.ACTIVE)
    for part in chunks(names):
        for name, kind, id_ in active.filter(name__in=part).values_list("name", "kind", "id"):
            recorded.names.setdefault(name, []).append((kind, id_))
    for name in sorted(names - recorded.names.keys()):
        # a name nobody bears may mean the only member of a kind ("runs_on:host"); two show that it is not the only one
        members = active.filter(kind=name).values_list("kind", "id")[:2]
        if members:
            recorded.names[f"kind:{name}"] = list(members)
