"""The work queues of the inventory: what belongs in each, as SQL; and how much there is, for pages and gauges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from tongchou.core.access import Actor
from tongchou.core.custom_fields import fields_of
from tongchou.inventory import end_of_life, kinds, reads, stamps
from tongchou.inventory.models import (
    AttributeValue,
    Relation,
    Resource,
    ResourceState,
    Sighting,
    SourceConfig,
    Stamp,
)
from tongchou.inventory.models_queues import Acceptance, ItemState, QueueItem, QueueName
from tongchou.inventory.precedence import MANUAL, all_effective, strongest
from tongchou.inventory.reconcile import canonical
from tongchou.inventory.recorded import chunks, given_up, given_up_among, weights
from tongchou.inventory.truth import settings_of_now

# What belongs to its host and is neither owned, nor accepted, nor named by itself; with those that inherit: parts().
PARTS = frozenset({"disk", "filesystem", "interface", "listener"})
# Who owns, and is not owned.
OWNING = frozenset({"person", "team"})
# What a resource of a kind, or of one that inherits from it, is not complete without: one of these, (direction, type of
# the relation).
EXPECTED: dict[str, tuple[tuple[str, str], ...]] = {
    "service": (("in", "part_of"), ("out", "runs_on")),
    "instance": (("out", "part_of"), ("out", "runs_on")),
    "database": (("in", "part_of"), ("out", "runs_on")),
    "cache": (("in", "part_of"), ("out", "runs_on")),
    "queue": (("in", "part_of"), ("out", "runs_on")),
    "load_balancer": (("in", "part_of"), ("out", "runs_on")),
}
SAME_NAME = "name"  # the key of an item of queue "identity" that two names brought; "keys:<source>": a source's look
MOST_OTHERS = 20
MAX_TOLD = 500
KIND = "inventory.resource"


@dataclass(frozen=True, slots=True)
class Found:
    """What belongs in a queue. `mark`: the digest of what a decision about it would be bound to."""

    resource_id: UUID | None
    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    mark: str = ""
    due: date | None = None


def digest(*parts: object) -> str:
    """Return a short digest of values, the same for what is equal as JSON."""
    return hashlib.blake2b(canonical(list(parts)).encode(), digest_size=12).hexdigest()


# --- what belongs in a queue, for every resource at once --------------------------------------------------------------


def active() -> QuerySet[Resource]:
    """Return what is there."""
    return Resource.objects.filter(state=ResourceState.ACTIVE).order_by()


def parts() -> frozenset[str]:
    """Return the kinds of what is part of a host."""
    return kinds.family(PARTS)


def _of_active() -> QuerySet[Sighting]:
    return Sighting.objects.filter(resource__state=ResourceState.ACTIVE)


def answered_for() -> QuerySet[Resource]:
    """Return what somebody answers for: all but what is part of a host."""
    return active().exclude(kind__in=parts())


def declaring() -> set[str]:
    """Return the sources whose word is meant to be so: people, and those configured to declare. One query."""
    return {MANUAL, *SourceConfig.objects.filter(declares=True).values_list("name", flat=True)}


def unseen(before: datetime) -> QuerySet[Resource]:
    """Return what no source and no person has seen since."""
    lately = Sighting.objects.filter(resource=OuterRef("pk"), last_seen__gte=before, gone_at__isnull=True)
    return active().filter(~Exists(lately), created_at__lt=before)


def unrecorded(declared_by: Iterable[str]) -> QuerySet[Resource]:
    """Return what is only observed: no person and no declaring source stands for it, nobody accepted it."""
    upheld = Sighting.objects.filter(resource=OuterRef("pk"), source__in=list(declared_by), gone_at__isnull=True)
    accepted = Acceptance.objects.filter(resource=OuterRef("pk"))
    return answered_for().filter(~Exists(upheld), ~Exists(accepted)).exclude(owner_source=MANUAL, owner__isnull=False)


def unowned() -> QuerySet[Resource]:
    """Return what nobody owns."""
    return answered_for().filter(owner__isnull=True).exclude(kind__in=kinds.family(OWNING))


def unrelated() -> QuerySet[Resource]:
    """Return what lacks every relation its kind is expected to have (EXPECTED), to something that is there."""
    found = Q(pk__in=[])
    for base, alike in _expecting().items():
        has = Q(pk__in=[])
        for direction, type_ in EXPECTED[base]:
            near, far = ("from_resource", "to_resource") if direction == "out" else ("to_resource", "from_resource")
            there = {near: OuterRef("pk"), f"{far}__state": ResourceState.ACTIVE}
            has |= Q(Exists(Relation.objects.filter(type=type_, valid_to__isnull=True, **there)))
        found |= Q(kind__in=alike) & ~has
    return active().filter(found)


def _expecting() -> dict[str, list[str]]:
    """Every kind that EXPECTED speaks of, by the nearest one above it, or itself, that it names."""
    found: dict[str, list[str]] = {}
    for each in kinds.every():
        base = next((name for name in kinds.lineage(each.name) if name in EXPECTED), None)
        if base is not None:
            found.setdefault(base, []).append(each.name)
    return found


def unfilled() -> dict[str, QuerySet[Resource]]:
    """Return, by the name of each required or wanted field, custom or standard, the resources without a value."""
    lacks: dict[str, Q] = {}
    for each in fields_of(KIND):
        if each.required:
            empty = Q(**{f"custom__{each.name}__isnull": True})
            empty &= Q(kind__in=kinds.family(each.subkinds)) if each.subkinds else Q()
            lacks[each.name] = lacks.get(each.name, Q(pk__in=[])) | empty
    for kind in kinds.every():
        for name in kinds.asked_for(kind.name):
            empty = Q(kind=kind.name, **{f"attributes__{name}__isnull": True})
            lacks[name] = lacks.get(name, Q(pk__in=[])) | empty
    return {name: active().filter(rows) for name, rows in lacks.items()}


# --- what belongs in a queue with its facts ---------------------------------------------------------------------------


def differing(declared_by: set[str]) -> list[Found]:
    """Return each attribute of which the strongest declaring and the strongest observing source say different things.

    A source that is not configured any more neither declares nor observes.
    """
    weight = weights()
    observers = set(weight.sources) - declared_by
    if not observers:
        return []
    texts = AttributeValue.objects.annotate(text=Cast("value", TextField()))
    others = texts.filter(
        resource=OuterRef("resource"), name=OuterRef("name"), source__in=observers, resource__state=ResourceState.ACTIVE
    ).exclude(text=OuterRef("text"))
    said = texts.filter(Exists(others), source__in=declared_by).order_by().values_list("resource_id", "name")
    wanted = set(said.iterator(chunk_size=5000))
    found: list[Found] = []
    for part in chunks({resource_id for resource_id, _name in wanted}):
        rows = AttributeValue.objects.filter(resource_id__in=part, source__in=declared_by | observers)
        words: dict[tuple[UUID, str], dict[str, Any]] = {}
        for resource_id, name, source, value in rows.values_list("resource_id", "name", "source", "value"):
            if (resource_id, name) in wanted:
                words.setdefault((resource_id, name), {})[source] = value
        gone = given_up(part)
        for (resource_id, name), by in words.items():
            one = disagreement(by, declared_by, weight.about(name, gone.get(resource_id, ())))
            if one is not None:
                found.append(Found(resource_id, name, one, digest(one["declared"], one["observed"])))
    return found


def disagreement(
    words: Mapping[str, Any], declared_by: set[str], precedence: Mapping[str, int]
) -> dict[str, Any] | None:
    """Return who says what (source -> value) where declared and observed differ; None when they agree. Pure.

    16 and "16" agree, as do two texts that differ only in capitals and outer spaces.
    """
    person = strongest([source for source in words if source in declared_by], precedence)
    world = strongest([source for source in words if source in precedence and source not in declared_by], precedence)
    if person is None or world is None or _plain(words[person]) == _plain(words[world]):
        return None
    return {
        "declared": _told(words[person]),
        "declared_by": person,
        "observed": _told(words[world]),
        "observed_by": world,
    }


def _plain(value: Any) -> str:
    return value.strip().casefold() if isinstance(value, str) else canonical(value).casefold()


def _told(value: Any) -> str:
    return (value if isinstance(value, str) else canonical(value))[:MAX_TOLD]


def same_names() -> list[Found]:
    """Return groups of one kind and name, each as one item of its oldest resource."""
    groups = answered_for().values("kind", "name").annotate(rows=Count("pk"), oldest=Min("created_at"))
    found: list[Found] = []
    pairs = list(groups.filter(rows__gt=1).values_list("kind", "name")[:5000])
    for part in chunks(pairs, 500):
        of = answered_for().filter(name__in={name for _kind, name in part}).order_by("created_at", "id")
        members: dict[tuple[str, str], list[UUID]] = {}
        for kind, name, id_ in of.values_list("kind", "name", "id"):
            members.setdefault((kind, name), []).append(id_)
        for pair in part:
            first, *others = members.get(pair, [None])
            if first is not None and others:
                facts = {"others": [str(each) for each in others[:MOST_OTHERS]], "count": len(others) + 1}
                found.append(Found(first, SAME_NAME, facts, digest(*map(str, [first, *others]))))
    return found


def ends(today: date) -> list[Found]:
    """Return each end of each resource: near, far, gone by, unknown. What has none announced is no item."""
    weight, gone, rules = weights(), given_up_among(_of_active()), end_of_life.pack()
    names = Q(name__in=end_of_life.READ)
    for ending in (end_of_life.VERSION_OF, *end_of_life.DATED):
        names |= Q(name__endswith=ending)
    said = AttributeValue.objects.filter(names, resource__state=ResourceState.ACTIVE).order_by("resource_id")
    said = said.exclude(_told_by_workload())
    rows = said.values_list("resource_id", "resource__kind", "name", "source", "value").iterator(chunk_size=5000)
    found: list[Found] = []
    for (resource_id, kind), group in groupby(rows, key=lambda row: (row[0], row[1])):
        words: dict[str, dict[str, Any]] = {}
        for _id, _kind, name, source, value in group:
            words.setdefault(name, {})[source] = value
        attributes = all_effective(words, weight, gone.get(resource_id, ()))
        found += [
            _end(resource_id, each)
            for each in end_of_life.ends_of(kinds.lineage(kind), attributes, rules, today)
            if each.verdict != "no_end"
        ]
    return found


def _told_by_workload() -> Q:
    """The images of a pod whose workload says the same: of what runs a hundred times one end, not a hundred."""
    workload = Relation.objects.filter(
        from_resource=OuterRef("resource"),
        type="part_of",
        valid_to__isnull=True,
        to_resource__kind="deployment",
        to_resource__state=ResourceState.ACTIVE,
    )
    return Q(Exists(workload), name__in=end_of_life.IMAGES, resource__kind="pod")


def _end(resource_id: UUID, end: end_of_life.End) -> Found:
    facts: dict[str, Any] = {"sort": end.sort, "what": end.what}
    if end.extended is not None:
        facts["extended"] = end.extended.isoformat()
    if end.source:
        facts["source"] = end.source
    return Found(resource_id, end.key, facts, digest(end.what, str(end.on)), end.on)


# --- how much there is ------------------------------------------------------------------------------------------------


def items(actor: Actor) -> QuerySet[QueueItem]:
    """Return the items the actor may see: all, or those of what their teams own."""
    teams = reads.seen_teams(actor)
    return QueueItem.objects.all() if teams is None else QueueItem.objects.filter(resource__owner_id__in=teams)


def waiting(rows: QuerySet[QueueItem], soon: date) -> QuerySet[QueueItem]:
    """Keep what waits for somebody: open, and of the ends those that are near or unknown."""
    return rows.filter(state=ItemState.OPEN).exclude(queue=QueueName.EXPIRING, due__gt=soon)


def soon() -> date:
    """Return the last day that counts as near. One query."""
    return timezone.localdate() + timedelta(days=settings_of_now().expiry_days)


def stamp() -> UUID | None:
    """Return the token that changes with every change of the queues."""
    return stamps.current(Stamp.QUEUES)


_counted: dict[tuple[object, ...], dict[str, int]] = {}
MOST_COUNTED = 200  # actors whose counts a process keeps


def counts(actor: Actor) -> dict[str, int]:
    """Return how much waits in each queue, as far as the actor may see. Kept until the queues change: two queries."""
    until = soon()
    key = (stamp(), until, reads.seen_teams(actor))
    found = _counted.get(key)
    if found is None:
        rows = waiting(items(actor), until).order_by().values_list("queue").annotate(rows=Count("pk"))
        have = dict(rows)
        found = {name: have.get(name, 0) for name in QueueName.values}
        if len(_counted) >= MOST_COUNTED:
            _counted.clear()
        _counted[key] = found
    return dict(found)
