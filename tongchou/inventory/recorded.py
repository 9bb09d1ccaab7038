"""Reads what is recorded and bears on one observation: a few queries for each 5,000 resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from django.db.models import QuerySet

from tongchou.core.models import Team
from tongchou.inventory import kinds
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
from tongchou.inventory.precedence import Weights
from tongchou.inventory.reconcile import NAME_PREFIX, Known, Recorded, Seen

CHUNK = 5000  # parameters of one IN (...): SQLite takes 32,766
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut `items` into lists of at most `size`."""
    listed = list(items)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


def weights() -> Weights:
    """Return how much the word of every configured source counts. One query."""
    sources: dict[str, int] = {}
    special: dict[str, dict[str, int]] = {}
    for name, usual, by_attribute in SourceConfig.objects.values_list("name", "precedence", "attribute_precedence"):
        sources[name] = usual
        for attribute, number in by_attribute.items():
            special.setdefault(attribute, {})[name] = number
    return Weights(sources, special)


def precedences() -> Mapping[str, int]:
    """Return the precedence of every configured source where nothing special is at stake. One query."""
    return weights().about()


def given_up(ids: Iterable[UUID]) -> dict[UUID, tuple[str, ...]]:
    """Return which sources gave up each of these resources, the first first. One query for each 5,000."""
    found: dict[UUID, tuple[str, ...]] = {}
    for part in chunks(ids):
        found.update(given_up_among(Sighting.objects.filter(resource_id__in=part)))
    return found


def given_up_among(rows: QuerySet[Sighting]) -> dict[UUID, tuple[str, ...]]:
    """Return the same of the resources of these sightings. One query."""
    found: dict[UUID, tuple[str, ...]] = {}
    gone = rows.filter(gone_at__isnull=False).order_by("gone_at", "source")
    for id_, source in gone.values_list("resource_id", "source"):
        found[id_] = (*found.get(id_, ()), source)
    return found


def load_recorded(source: str, observation: Observation) -> Recorded:
    """Return what reconcile needs to compare `observation` of `source` with."""
    recorded = Recorded(source, weights(), teams=frozenset(Team.objects.values_list("name", flat=True)))
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
        rows = Sighting.objects.filter(resource_id__in=part).order_by("gone_at", "source")
        for id_, by, gone_at in rows.values_list("resource_id", "source", "gone_at"):
            known = recorded.resources[id_]
            if gone_at is not None:
                known.gone = (*known.gone, by)
            elif by != source:
                known.seen_by_others = True
    open_ = Relation.objects.filter(source=source, valid_to__isnull=True)
    fields = ("from_resource_id", "to_resource_id", "type", "origin", "confidence")
    for from_id, to_id, type_, origin, confidence in open_.values_list(*fields):
        recorded.relations[from_id, to_id, type_] = (origin, confidence)
    _load_names(recorded, {end.removeprefix(NAME_PREFIX) for end in ends if end.startswith(NAME_PREFIX)})
    for type_ in {relation.type for relation in observation.relations}:
        if (of := kinds.relation(type_)) is not None and (of.from_kinds or of.to_kinds):
            recorded.ends[type_] = (_kinds(of.from_kinds), _kinds(of.to_kinds))
    for row in Endpoint.objects.filter(source=source):
        recorded.endpoints.setdefault(row.resource_id, []).append((row.pk, as_observed(row)))
    return recorded


def _kinds(allowed: Iterable[str]) -> frozenset[str]:
    """These kinds with all that inherit from them."""
    return frozenset(name for each in allowed for name in kinds.with_heirs(each))


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
        members = list(active.filter(kind=name).values_list("kind", "id")[:2])
        if len(members) > 1:  # what the source's relations point at already is among those it may mean
            far = {edge[1] for edge in recorded.relations}
            members += [
                row for part in chunks(far) for row in active.filter(kind=name, pk__in=part).values_list("kind", "id")
            ]
        if members:
            recorded.names[f"kind:{name}"] = members
