"""Turns what a source saw and what is recorded into a plan.

Pure: no database, no clock. The order in which a source lists things never matters, and a plan that was carried out
leaves nothing to do for the same observation. Absence proves something only in a complete, non-empty look.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tongchou.inventory.notes import Note
from tongchou.inventory.observation import Json, Observation, ObservedEndpoint, ObservedRelation, ObservedResource
from tongchou.inventory.plan import Changed, Created, EndpointChange, Plan, RelationChange
from tongchou.inventory.precedence import MANUAL, NAME, OWNER, Weights, derived, effective, may_overrule

NAME_PREFIX = "name:"
Edge = tuple[UUID, UUID, str]


@dataclass(slots=True)
class Seen:
    """The sighting of a resource by the source at hand."""

    last_seen: datetime
    missed: int = 0
    gone: bool = False


@dataclass(slots=True)
class Known:
    """A recorded resource. `labels` are name -> (value, source), `attributes` name -> source -> value.

    `seen` is the sighting by the source at hand; `seen_by_others`: another source has not given it up. `gone`: who gave
    it up, the source at hand perhaps among them, the first to do so first.
    """

    id: UUID
    kind: str
    name: str
    source: str
    owner: str | None = None
    owner_source: str = ""
    tombstone: bool = False
    labels: dict[str, tuple[str, str]] = field(default_factory=dict)
    attributes: dict[str, dict[str, Json]] = field(default_factory=dict)
    seen: Seen | None = None
    seen_by_others: bool = False
    gone: tuple[str, ...] = ()


@dataclass(slots=True)
class Recorded:
    """What is recorded and bears on one observation of one source. `endpoints` and `relations` are that source's own.

    `names`: resources by name that relations may point at, (kind, id) for each active one. `ends`: the kinds that the
    two ends of a relation type may be, none where they may be anything. `relations`: edge -> (origin, confidence).
    """

    source: str
    weights: Weights = field(default_factory=Weights)
    resources: dict[UUID, Known] = field(default_factory=dict)
    by_key: dict[str, UUID] = field(default_factory=dict)
    names: dict[str, list[tuple[str, UUID]]] = field(default_factory=dict)
    ends: dict[str, tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)
    relations: dict[Edge, tuple[str, float]] = field(default_factory=dict)
    endpoints: dict[UUID, list[tuple[UUID, ObservedEndpoint]]] = field(default_factory=dict)
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """When absence counts: after so many complete looks and so long unseen, both."""

    missing_after: int = 3
    grace_seconds: float = 600.0


def reconcile(
    observation: Observation, recorded: Recorded, *, now: datetime, policy: Policy, new_id: Callable[[], UUID]
) -> Plan:
    """Return the plan that makes `recorded` agree with `observation`."""
    plan = Plan(recorded.source, warnings=[Note("source_says", {"text": each}) for each in observation.warnings])
    ids: dict[str, UUID] = {}
    for group in _groups(observation.resources, recorded.by_key):
        merged = _merge(group, plan)
        id_ = _match(merged, recorded, plan)
        if id_ is None:
            id_ = new_id()
            plan.created.append(_created(id_, merged, recorded, plan))
            plan.sightings_new.append(id_)
        else:
            _compare(recorded.resources[id_], merged, recorded, observation.complete, plan)
        plan.seen.append(id_)
        if merged.seen_at is not None:
            plan.seen_at[id_] = min(merged.seen_at, now)
        for key in merged.keys:
            ids.setdefault(key, id_)
    seen = set(plan.seen)
    stated = _relations(observation, recorded, ids, seen, plan)
    _endpoints(observation, recorded, ids, seen, plan)
    _absent(observation, recorded, seen, now, policy, plan)
    if observation.complete:
        _let_go(recorded, stated, plan)
    return plan


def canonical(value: object) -> str:
    """Return JSON text that is equal exactly when two values are equal as JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# --- one thing seen under several keys, or several times, is one ------------------------------------------------------


def _groups(resources: Iterable[ObservedResource], by_key: Mapping[str, UUID]) -> list[list[ObservedResource]]:
    """Group what shares a key, or a recorded resource; in an order that does not depend on the order of arrival."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    listed = list(resources)
    for each in listed:
        first = root(f"k:{each.keys[0]}")
        for key in each.keys:
            parent[root(f"k:{key}")] = first
            first = root(first)
            if key in by_key and key == _anchor(each, by_key):
                parent[root(f"r:{by_key[key]}")] = first
                first = root(first)
    groups: dict[str, list[ObservedResource]] = {}
    for each in listed:
        groups.setdefault(root(f"k:{each.keys[0]}"), []).append(each)
    ordered = [sorted(group, key=_order) for group in groups.values()]
    return sorted(ordered, key=lambda group: _order(group[0]))


def _anchor(each: ObservedResource, by_key: Mapping[str, UUID]) -> str | None:
    """The strongest key that is recorded: the one that decides which resource this is."""
    return next((key for key in each.keys if key in by_key), None)


def _order(each: ObservedResource) -> tuple[Any, ...]:
    return (each.keys, each.kind, each.name, canonical(each.attributes), canonical(each.labels), each.owner or "")


def _merge(group: Sequence[ObservedResource], plan: Plan) -> ObservedResource:
    """One resource out of several sightings of it; where they differ the first in order stands, and it is told."""
    if len(group) == 1:
        return group[0]
    first = group[0]
    ranked = sorted((place, key) for each in group for place, key in enumerate(each.keys))
    attributes: dict[str, Json] = {}
    labels: dict[str, str] = {}
    for each in group:
        for name, value in each.attributes.items():
            if canonical(attributes.setdefault(name, value)) != canonical(value):
                plan.conflicts.append(_differs(first.name, name, attributes[name], value))
        for name, text in each.labels.items():
            if labels.setdefault(name, text) != text:
                plan.conflicts.append(_differs(first.name, name, labels[name], text))
        if (each.kind, each.name) != (first.kind, first.name):
            plan.conflicts.append(Note("name", {"name": first.name, "other": f"{each.kind} {each.name}"}))
    owner = next((each.owner for each in group if each.owner), None)
    keys = tuple(dict.fromkeys(key for _place, key in ranked))
    dated = [each.seen_at for each in group if each.seen_at is not None]
    seen_at = max(dated) if len(dated) == len(group) else None
    return ObservedResource(first.kind, first.name, keys, attributes, labels, owner, seen_at)


def _differs(name: str, attribute: str, kept: Json, other: Json) -> Note:
    facts = {"attribute": attribute, "kept": canonical(kept)[:200], "other": canonical(other)[:200]}
    return Note("value", {"name": name, **facts})


def _match(merged: ObservedResource, recorded: Recorded, plan: Plan) -> UUID | None:
    found = list(dict.fromkeys(recorded.by_key[key] for key in merged.keys if key in recorded.by_key))
    if len(found) > 1:
        others = ", ".join(
            recorded.resources[each].name if each in recorded.resources else str(each) for each in found[1:]
        )
        plan.conflicts.append(Note("identity", {"name": merged.name, "others": others}))
        plan.collisions.append(tuple(found))
    return found[0] if found else None


# --- differences ------------------------------------------------------------------------------------------------------


def _team(owner: str | None, recorded: Recorded, name: str, plan: Plan) -> str | None:
    if owner is not None and owner not in recorded.teams:
        plan.warnings.append(Note("owner_unknown", {"name": name, "owner": owner}))
        return None
    return owner


def _created(id_: UUID, merged: ObservedResource, recorded: Recorded, plan: Plan) -> Created:
    owner = _team(merged.owner, recorded, merged.name, plan)
    return Created(id_, merged.kind, merged.name, owner, merged.keys, dict(merged.labels), dict(merged.attributes))


def _compare(known: Known, merged: ObservedResource, recorded: Recorded, complete: bool, plan: Plan) -> None:
    source, weights = recorded.source, recorded.weights
    gone = tuple(each for each in known.gone if each != source)
    change = Changed(known.id, known.kind, known.name, returned=known.tombstone, gone=gone)
    named = (merged.kind, merged.name)
    if (known.kind, known.name) != named and may_overrule(source, known.source, weights.about(NAME, gone)):
        change.rename = named
    owner = _team(merged.owner, recorded, merged.name, plan)
    told = owner is not None or (complete and merged.owner is None)
    if owner != known.owner and told and _may_own(owner, known, source, weights.about(OWNER, gone)):
        change.owner = (known.owner, owner)
    if len({recorded.by_key[key] for key in merged.keys if key in recorded.by_key}) == 1:
        # keys of several resources prove nothing about a new one: recorded, it would group things otherwise next time
        change.keys = tuple(key for key in merged.keys if key not in recorded.by_key)
    _compare_labels(known, merged, recorded, complete, change)
    _compare_attributes(known, merged, recorded, complete, change)
    if change:
        plan.changed.append(change)
    if known.seen is None:
        plan.sightings_new.append(known.id)
    elif known.seen.missed or known.seen.gone:
        plan.sightings_again.append(known.id)


def _may_own(owner: str | None, known: Known, source: str, precedence: Mapping[str, int]) -> bool:
    """Tell whether the source may name this owner, or, with None, take back the one it named itself.

    Silence is no word against anybody: a source without owners leaves those of weaker ones alone.
    """
    if owner is None:
        return known.owner_source == source
    if known.owner is None and known.owner_source != MANUAL:
        return True
    return may_overrule(source, known.owner_source, precedence)


def _compare_labels(
    known: Known, merged: ObservedResource, recorded: Recorded, complete: bool, change: Changed
) -> None:
    source, precedence = recorded.source, recorded.weights.about("", change.gone)
    change.labels = {name: value for name, (value, _by) in known.labels.items()}
    removed = []
    for name, (value, by) in known.labels.items():
        if by == source and name not in merged.labels and complete:
            removed.append(name)
            del change.labels[name]
            change.effective[f"label {name}"] = (value, None)
    for name, text in merged.labels.items():
        old = known.labels.get(name)
        if old is None or (old != (text, source) and may_overrule(source, old[1], precedence)):
            change.labels_set[name] = change.labels[name] = text
            if old is None or old[0] != text:
                change.effective[f"label {name}"] = (old[0] if old else None, text)
    change.labels_removed = tuple(sorted(removed))


def _compare_attributes(
    known: Known, merged: ObservedResource, recorded: Recorded, complete: bool, change: Changed
) -> None:
    source = recorded.source
    removed = (
        [n for n, by in known.attributes.items() if source in by and n not in merged.attributes] if complete else []
    )
    changed = {
        name: value
        for name, value in merged.attributes.items()
        if source not in known.attributes.get(name, {}) or canonical(known.attributes[name][source]) != canonical(value)
    }
    after = dict(known.attributes)
    for name, value in changed.items():
        after[name] = {**after.get(name, {}), source: value}
    for name in removed:
        after[name] = {by: value for by, value in after[name].items() if by != source}
    spoken_of: Iterable[str] = (
        after if source in known.gone else (*changed, *removed)
    )  # seen again, it counts again in everything
    _weigh(known, after, spoken_of, recorded.weights, change)
    change.again = tuple(n for n in change.effective if n in changed and source in known.attributes.get(n, {}))
    change.attributes_set, change.attributes_removed = changed, tuple(sorted(removed))
    if changed or removed:
        change.derived = derived(after, recorded.weights, change.gone)


def _weigh(
    known: Known, after: Mapping[str, Mapping[str, Json]], names: Iterable[str], weights: Weights, change: Changed
) -> None:
    """Note of which attributes another value counts, once `after` is said and change.gone have given it up."""
    for name in names:
        old = effective(known.attributes.get(name, {}), weights.about(name, known.gone))
        new = effective(after[name], weights.about(name, change.gone))
        if canonical(old) != canonical(new):
            change.effective[name] = (old, new)
            change.derived = derived(after, weights, change.gone) if change.derived is None else change.derived


# --- relations, endpoints, absence ------------------------------------------------------------------------------------


def candidates(
    end: str,
    ids: Mapping[str, UUID],
    recorded: Recorded,
    created: Mapping[str, list[tuple[str, UUID]]],
    allowed: Collection[str] = (),
) -> list[UUID]:
    """Return the resources a relation's end may mean: one when it is clear, none when there is none (yet).

    An identity key means its resource. "name:X": the resources of that name whose kind the end may be (`allowed`, empty
    for any), all of that name when none is, for sources are believed. Of these what is no service, else the services;
    where nobody bears the name and X is a kind, its members.
    """
    if not end.startswith(NAME_PREFIX):
        found = ids.get(end) or recorded.by_key.get(end)
        return [found] if found else []
    name = end.removeprefix(NAME_PREFIX)
    named = list(dict.fromkeys([*recorded.names.get(name, ()), *created.get(name, ())]))
    named = [each for each in named if not allowed or each[0] in allowed] or named
    others = [id_ for kind, id_ in named if kind != "service"]
    services = [id_ for kind, id_ in named if kind == "service"]
    members = dict.fromkeys([*recorded.names.get(f"kind:{name}", ()), *created.get(f"kind:{name}", ())])
    return others or services or [id_ for _kind, id_ in members]


def _relations(
    observation: Observation, recorded: Recorded, ids: Mapping[str, UUID], seen: set[UUID], plan: Plan
) -> set[Edge]:
    """Plan what to open, weigh anew and close; return the edges that the source states."""
    created: dict[str, list[tuple[str, UUID]]] = {}
    for new in plan.created:
        created.setdefault(new.name, []).append((new.kind, new.id))
        created.setdefault(f"kind:{new.kind}", []).append((new.kind, new.id))
    wanted: dict[Edge, ObservedRelation] = {}
    for relation in sorted(
        observation.relations, key=lambda each: (each.type, each.ends, each.origin, -each.confidence)
    ):
        edges = _edges(relation, ids, recorded, created)
        if not edges:
            plan.deferred.append(f"{relation.ends[0][0]} {relation.type} {relation.ends[0][1]}")
        for edge in edges:
            wanted.setdefault(edge, relation)
    for edge, relation in wanted.items():
        change = RelationChange(*edge, relation.origin, relation.confidence)
        if edge not in recorded.relations:
            plan.relations_added.append(change)
            continue
        origin, confidence = recorded.relations[edge]
        # never less certain while it is open: who answers for its other end may be silent in this look alone
        if relation.confidence > confidence or (relation.confidence == confidence and relation.origin != origin):
            plan.relations_weighed.append(change)
    if observation.complete:
        # what was not seen may still hold: only a resource that was seen without its relation has lost it
        lost = [edge for edge in recorded.relations if edge[0] in seen and edge not in wanted]
        plan.relations_closed.extend(RelationChange(*edge) for edge in sorted(lost, key=str))
    return set(wanted)


def _edges(
    relation: ObservedRelation,
    ids: Mapping[str, UUID],
    recorded: Recorded,
    created: Mapping[str, list[tuple[str, UUID]]],
) -> list[Edge]:
    """The edge that a stated relation means, by the first pair of its ends that means one.

    Where a name fits several nothing is guessed; but what stands already between two of them stays: a namesake that
    comes later says nothing against it.
    """
    from_kinds, to_kinds = recorded.ends.get(relation.type, (frozenset(), frozenset()))
    for a, b in relation.ends:
        left = candidates(a, ids, recorded, created, from_kinds)
        right = candidates(b, ids, recorded, created, to_kinds)
        if len(left) == len(right) == 1:
            found = [(left[0], right[0], relation.type)] if left != right else []
        else:
            pairs = ((one, other, relation.type) for one in left for other in right)
            found = [edge for edge in pairs if edge in recorded.relations]
        if found:
            return found
    return []


def _endpoints(
    observation: Observation, recorded: Recorded, ids: Mapping[str, UUID], seen: set[UUID], plan: Plan
) -> None:
    wanted: dict[tuple[UUID, str, str], ObservedEndpoint] = {}
    for endpoint in sorted(
        observation.endpoints, key=lambda each: (each.resource_key, each.purpose, each.url, canonical(each.labels))
    ):
        id_ = ids.get(endpoint.resource_key)
        if id_ is not None:
            wanted.setdefault((id_, endpoint.purpose, endpoint.url), endpoint)
    kept: set[tuple[UUID, str, str]] = set()
    for resource_id in seen & recorded.endpoints.keys():
        for endpoint_id, old in recorded.endpoints[resource_id]:
            key = (resource_id, old.purpose, old.url)
            new = wanted.get(key)
            if new is None:
                if observation.complete:
                    plan.endpoints_removed.append(endpoint_id)
                continue
            kept.add(key)
            if _reading(old) != _reading(new):
                plan.endpoints_set.append(EndpointChange(resource_id, new, endpoint_id))
    plan.endpoints_set.extend(EndpointChange(key[0], new) for key, new in wanted.items() if key not in kept)


def _reading(endpoint: ObservedEndpoint) -> tuple[object, ...]:
    return (dict(endpoint.labels), endpoint.interval_seconds, endpoint.timeout_seconds)


def _absent(
    observation: Observation, recorded: Recorded, seen: set[UUID], now: datetime, policy: Policy, plan: Plan
) -> None:
    unseen = [each for each in recorded.resources.values() if each.seen and not each.seen.gone and each.id not in seen]
    plan.unseen = len(unseen)
    if not observation.complete:
        return
    if unseen and not observation.resources:
        plan.warnings.append(Note("nothing_listed", {"count": len(unseen)}))
        return
    for known in sorted(unseen, key=lambda each: each.id):
        sighting = known.seen
        if sighting is None:
            continue
        unseen_seconds = (now - sighting.last_seen).total_seconds()
        if sighting.missed + 1 < policy.missing_after or unseen_seconds < policy.grace_seconds:
            plan.sightings_missed.append(known.id)
            continue
        plan.sightings_gone.append(known.id)
        _give_up(known, recorded, plan)
        plan.endpoints_removed.extend(endpoint_id for endpoint_id, _old in recorded.endpoints.get(known.id, ()))
        if not known.seen_by_others and not known.tombstone:
            plan.gone.append(known.id)


def _give_up(known: Known, recorded: Recorded, plan: Plan) -> None:
    """Let the words of those who still see it count before this source's own."""
    labels = {name: text for name, (text, _by) in known.labels.items()}
    change = Changed(known.id, known.kind, known.name, labels=labels, gone=(*known.gone, recorded.source))
    spoken_of = [name for name, by in known.attributes.items() if recorded.source in by and len(by) > 1]
    _weigh(known, known.attributes, spoken_of, recorded.weights, change)
    if change:
        plan.changed.append(change)


def _let_go(recorded: Recorded, stated: set[Edge], plan: Plan) -> None:
    """Close what this source said of the relations of things it gave up, now or before."""
    left = {each.id for each in recorded.resources.values() if each.seen and each.seen.gone} - set(plan.seen)
    left.update(plan.sightings_gone)
    ended = [edge for edge in recorded.relations if edge[0] in left and edge not in stated]
    plan.relations_closed.extend(RelationChange(*edge) for edge in sorted(ended, key=str))
