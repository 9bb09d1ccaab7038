"""Writes a plan in few statements: called by actions.apply_sync inside its transaction, by nobody else."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from tongchou.core import ledger
from tongchou.core.access import system
from tongchou.core.ledger import Entry
from tongchou.core.models import Team
from tongchou.inventory import absences, filling, ip_index, stamps
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Identity,
    Relation,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
    Stamp,
)
from tongchou.inventory.observation import ObservedEndpoint
from tongchou.inventory.plan import Changed, Plan, RelationChange
from tongchou.inventory.precedence import Weights, derived
from tongchou.inventory.recorded import chunks, given_up, weights

BATCH = 2000
SIGHTING_FLUSH_SECONDS = 60.0


def resource_ref(id_: UUID) -> str:
    """Return the Ref of a resource of which only the id is at hand."""
    return f"inventory.resource:{id_}"


def take_turn() -> UUID:
    """Wait for the turn to write, first thing in a transaction that changes what is recorded; return the stamp.

    The inventory has one writer at a time on every database, as SQLite has anyway: two sources that see the same
    things for the first time neither collide on their keys nor wait for each other in a circle.
    """
    stamp = Stamp.objects.select_for_update().filter(pk=Stamp.ANYTHING)
    row = stamp.first()
    if row is None:
        Stamp.objects.bulk_create([Stamp(pk=Stamp.ANYTHING)], ignore_conflicts=True)
        row = stamp.get()
    return row.token


def bump(*, graph: bool = True) -> UUID:
    """Tell that something recorded changed; with `graph`, make every process load the graph anew. One statement."""
    return stamps.renew(Stamp.ANYTHING, *([Stamp.GRAPH] if graph else []))


def current_stamp() -> UUID | None:
    """Return the token of anything recorded; None before the first write."""
    return stamps.current(Stamp.ANYTHING)


def write(plan: Plan, now: datetime, *, new: Collection[UUID] = ()) -> list[Entry]:
    """Write resources, relations and endpoints of a plan; return the ledger entries that tell of it.

    The caller changes the stamp, last. A relation between two resources in `new` (all the sync creates) comes with
    them and is no event of its own.
    """
    teams = dict(Team.objects.values_list("name", "id"))
    entries = _write_created(plan, teams, now) + _write_changed(plan, teams, now) + _write_gone(plan, now)
    entries += _write_relations(plan, now, new)
    _write_endpoints(plan)
    entries += _fill(plan)
    ip_index.index(_readdressed(plan))
    return entries


def _fill(plan: Plan) -> list[Entry]:
    """Let what this plan changed fill custom fields; what is new is told by its own event."""
    names = {each.name for each in filling.fillable()}
    new = [each.id for each in plan.created if not names.isdisjoint(each.attributes)]
    changed = [each.id for each in plan.changed if names and (each.rename or not names.isdisjoint(_touched(each)))]
    if not new and not changed:
        return []
    gone = {each.id: each.gone for each in plan.changed}
    entries, notes = filling.fill([*new, *changed], weights(), gone)
    plan.conflicts += notes
    own = {resource_ref(id_) for id_ in new}
    return [each for each in entries if each.subject not in own]


def _touched(change: Changed) -> tuple[str, ...]:
    """The attributes that may count otherwise afterwards."""
    return (*change.attributes_set, *change.attributes_removed, *change.effective)


def _readdressed(plan: Plan) -> list[UUID]:
    """Whose prefixes and addresses this plan may change."""
    found = [new.id for new in plan.created if ip_index.concerns(new.kind, new.attributes)]
    changed = (
        each.id
        for each in plan.changed
        if each.rename or each.returned
        or ip_index.concerns(each.kind, _touched(each))
    )  # fmt: skip
    return [*found, *changed, *plan.gone]


def write_sightings(plan: Plan, now: datetime) -> None:
    """Write who was seen: at most one statement for a sync without news, none within a minute of the last.

    What was not seen just now (Plan.seen_at) is compared one by one: its moment is not this one.
    """
    source = plan.source
    Sighting.objects.bulk_create(
        [Sighting(resource_id=id_, source=source, last_seen=plan.seen_at.get(id_, now)) for id_ in plan.sightings_new],
        batch_size=BATCH,
    )
    mine = Sighting.objects.filter(source=source)
    for part in chunks(plan.sightings_again):
        mine.filter(resource_id__in=part).update(last_seen=now, missed=0, gone_at=None)
    for part in chunks(plan.sightings_missed):
        mine.filter(resource_id__in=part).update(missed=F("missed") + 1)
    for part in chunks(plan.sightings_gone):
        mine.filter(resource_id__in=part).update(gone_at=now)
    stale = mine.filter(last_seen__lt=now - timedelta(seconds=SIGHTING_FLUSH_SECONDS), gone_at__isnull=True)
    for part in chunks(plan.seen_at):
        dated = [row for row in mine.filter(resource_id__in=part) if row.last_seen != plan.seen_at[row.resource_id]]
        for row in dated:
            row.last_seen = plan.seen_at[row.resource_id]
        Sighting.objects.bulk_update(dated, ["last_seen"], batch_size=500)
    if plan.seen and not plan.unseen and not plan.seen_at:
        stale.update(last_seen=now)
        return
    for part in chunks(id_ for id_ in plan.seen if id_ not in plan.seen_at):
        stale.filter(resource_id__in=part).update(last_seen=now)


def _write_created(plan: Plan, teams: dict[str, UUID], now: datetime) -> list[Entry]:
    source, created = plan.source, plan.created
    Resource.objects.bulk_create(
        [
            Resource(
                id=new.id,
                kind=new.kind,
                name=new.name,
                owner_id=teams.get(new.owner) if new.owner else None,
                owner_source=source if new.owner else "",
                labels=new.labels,
                attributes=derived({name: {source: value} for name, value in new.attributes.items()}, Weights()),
                source=source,
                created_at=now,
            )
            for new in created
        ],
        batch_size=BATCH,
    )
    Identity.objects.bulk_create(
        [Identity(resource_id=new.id, key=key) for new in created for key in new.keys], batch_size=BATCH
    )
    _set_labels([(new.id, new.labels) for new in created], source)
    _set_attributes([(new.id, new.attributes) for new in created], plan, now)
    return [
        Entry("resource.created", resource_ref(new.id), payload={"kind": new.kind, "name": new.name, "source": source})
        for new in created
    ]


def _set_labels(labels: Iterable[tuple[UUID, dict[str, str]]], source: str) -> None:
    ResourceLabel.objects.bulk_create(
        [
            ResourceLabel(resource_id=id_, name=n, value=v, source=source)
            for id_, found in labels
            for n, v in found.items()
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["resource", "name"],
        update_fields=["value", "source"],
    )


def _set_attributes(attributes: Iterable[tuple[UUID, dict[str, Any]]], plan: Plan, now: datetime) -> None:
    AttributeValue.objects.bulk_create(
        [
            AttributeValue(
                resource_id=id_,
                source=plan.source,
                name=name,
                value=value,
                changed_at=plan.seen_at.get(id_, now),
            )
            for id_, found in attributes
            for name, value in found.items()
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["resource", "name", "source"],
        update_fields=["value", "changed_at"],
    )


def _write_changed(plan: Plan, teams: dict[str, UUID], now: datetime) -> list[Entry]:
    source, changed = plan.source, plan.changed
    Identity.objects.bulk_create(
        [Identity(resource_id=each.id, key=key) for each in changed for key in each.keys], batch_size=BATCH
    )
    _set_labels([(each.id, each.labels_set) for each in changed], source)
    _set_attributes([(each.id, each.attributes_set) for each in changed], plan, now)
    _remove_values(changed, source)
    by_id = {
        each.id: each
        for each in changed
        if each.rename or each.owner or each.labels_set or each.labels_removed or each.returned
        or each.attributes_set or each.attributes_removed or each.derived is not None
    }  # fmt: skip
    for part in chunks(by_id):
        rows = list(Resource.objects.filter(pk__in=part))
        absences.note_return([row for row in rows if by_id[row.pk].returned], now)
        for row in rows:
            _alter(row, by_id[row.pk], teams, source)
        fields = ["kind", "name", "source", "owner", "owner_source", "labels", "state", "gone_at", "attributes"]
        Resource.objects.bulk_update(rows, fields, batch_size=200)
    return [entry for each in changed if (entry := _entry(each, source)) is not None]


def _alter(row: Resource, change: Changed, teams: dict[str, UUID], source: str) -> None:
    if change.rename:
        row.kind, row.name = change.rename
        row.source = source
    if change.owner:
        new = change.owner[1]
        row.owner_id, row.owner_source = (teams.get(new), source) if new else (None, "")
    row.labels = change.labels
    if change.derived is not None:
        row.attributes = change.derived
    if change.returned:
        row.state, row.gone_at = ResourceState.ACTIVE, None


def _remove_values(changed: Iterable[Changed], source: str) -> None:
    attributes: dict[str, list[UUID]] = {}
    labels: dict[str, list[UUID]] = {}
    for each in changed:
        for name in each.attributes_removed:
            attributes.setdefault(name, []).append(each.id)
        for name in each.labels_removed:
            labels.setdefault(name, []).append(each.id)
    for name, ids in attributes.items():
        for part in chunks(ids):
            AttributeValue.objects.filter(source=source, name=name, resource_id__in=part).delete()
    for name, ids in labels.items():
        for part in chunks(ids):
            ResourceLabel.objects.filter(source=source, name=name, resource_id__in=part).delete()


def _entry(change: Changed, source: str) -> Entry | None:
    """What a reader sees differ; a weaker source's word that stays in the shadow is no transition."""
    changes: dict[str, list[Any]] = {name: [old, new] for name, (old, new) in sorted(change.effective.items())}
    if change.rename:
        changes["kind, name"] = [f"{change.kind} {change.name}", " ".join(change.rename)]
    if change.owner:
        changes["owner"] = list(change.owner)
    if not changes and not change.returned:
        return None
    verb = "resource.returned" if change.returned else "resource.changed"
    name = change.rename[1] if change.rename else change.name
    again = {"again": sorted(change.again)} if change.again else {}
    payload = {"name": name, "source": source, "changes": changes, **again}
    return Entry(verb, resource_ref(change.id), payload=payload)


def _write_gone(plan: Plan, now: datetime) -> list[Entry]:
    entries: list[Entry] = []
    for part in chunks(plan.gone):
        rows = Resource.objects.filter(pk__in=part, state=ResourceState.ACTIVE)
        entries += [
            Entry("resource.gone", resource_ref(id_), payload={"kind": kind, "name": name, "source": plan.source})
            for id_, kind, name in rows.values_list("id", "kind", "name")
        ]
        rows.update(state=ResourceState.TOMBSTONE, gone_at=now)
    return entries


def _write_relations(plan: Plan, now: datetime, new: Collection[UUID]) -> list[Entry]:
    source = plan.source
    Relation.objects.bulk_create(
        [
            Relation(
                from_resource_id=each.from_id,
                to_resource_id=each.to_id,
                type=each.type,
                source=source,
                origin=each.origin,
                confidence=each.confidence,
                valid_from=now,
            )
            for each in plan.relations_added
        ],
        batch_size=BATCH,
    )
    _alter_relations(plan, now)
    told = [each for each in plan.relations_added if not (each.from_id in new and each.to_id in new)]
    names = _names({id_ for each in (*told, *plan.relations_closed) for id_ in (each.from_id, each.to_id)})
    return [_relation_entry("relation.added", each, source, names) for each in told] + [
        _relation_entry("relation.removed", each, source, names) for each in plan.relations_closed
    ]


def _alter_relations(plan: Plan, now: datetime) -> None:
    """Close what is closed, and write how sure the source is of the others now: the relation itself stays the same."""
    edges = {(each.from_id, each.to_id, each.type): each for each in (*plan.relations_weighed, *plan.relations_closed)}
    if not edges:
        return
    closing = {(each.from_id, each.to_id, each.type) for each in plan.relations_closed}
    open_ = Relation.objects.filter(source=plan.source, valid_to__isnull=True)
    closed: list[UUID] = []
    weighed: dict[tuple[str, float], list[UUID]] = {}
    for id_, from_id, to_id, type_ in open_.values_list("id", "from_resource_id", "to_resource_id", "type"):
        edge = edges.get((from_id, to_id, type_))
        if edge is None:
            continue
        if (from_id, to_id, type_) in closing:
            closed.append(id_)
        else:
            weighed.setdefault((edge.origin, edge.confidence), []).append(id_)
    for part in chunks(closed):
        Relation.objects.filter(pk__in=part).update(valid_to=now)
    for (origin, confidence), ids in weighed.items():
        for part in chunks(ids):
            Relation.objects.filter(pk__in=part).update(origin=origin, confidence=confidence)


def derive(ids: Iterable[UUID], weights: Weights) -> int:
    """Derive Resource.attributes, what fills custom fields, and the index of addresses anew; return how many differed.

    Five queries a chunk, two more where fields may be filled, and writes.
    """
    count = 0
    for part in chunks(ids, 1000):
        gone = given_up(part)
        said: dict[UUID, dict[str, dict[str, Any]]] = {}
        values = AttributeValue.objects.filter(resource_id__in=part)
        for id_, name, source, value in values.values_list("resource_id", "name", "source", "value"):
            said.setdefault(id_, {}).setdefault(name, {})[source] = value
        changed = []
        for row in Resource.objects.filter(pk__in=part).only("attributes"):
            found = derived(said.get(row.pk, {}), weights, gone.get(row.pk, ()))
            if found != row.attributes:
                row.attributes = found
                changed.append(row)
        Resource.objects.bulk_update(changed, ["attributes"], batch_size=200)
        entries, _notes = filling.fill(part, weights, gone)
        ledger.record_many(actor=system("inventory"), entries=entries)
        ip_index.index(part)
        count += len(changed)
    return count


def _names(ids: Iterable[UUID]) -> dict[UUID, str]:
    names: dict[UUID, str] = {}
    for part in chunks(ids):
        names.update(Resource.objects.filter(pk__in=part).values_list("id", "name"))
    return names


def _relation_entry(verb: str, edge: RelationChange, source: str, names: dict[UUID, str]) -> Entry:
    payload = {"type": edge.type, "from": names.get(edge.from_id), "to": names.get(edge.to_id), "source": source}
    return Entry(verb, resource_ref(edge.from_id), about=(resource_ref(edge.to_id),), payload=payload)


def endpoint_row(resource_id: UUID, endpoint: ObservedEndpoint, source: str, id_: UUID | None = None) -> Endpoint:
    """Return the (unsaved) row of an observed endpoint."""
    return Endpoint(
        id=id_ or uuid4(),
        resource_id=resource_id,
        purpose=endpoint.purpose,
        url=endpoint.url,
        labels=dict(endpoint.labels),
        job=endpoint.labels.get("job", ""),
        instance=endpoint.labels.get("instance", ""),
        interval_seconds=endpoint.interval_seconds,
        timeout_seconds=endpoint.timeout_seconds,
        source=source,
    )


def _write_endpoints(plan: Plan) -> None:
    for part in chunks(plan.endpoints_removed):
        Endpoint.objects.filter(pk__in=part).delete()
    rows = [endpoint_row(each.resource_id, each.endpoint, plan.source, each.id) for each in plan.endpoints_set]
    known = {each.id for each in plan.endpoints_set if each.id}
    Endpoint.objects.bulk_create([row for row in rows if row.pk not in known], batch_size=BATCH)
    Endpoint.objects.bulk_update(
        [row for row in rows if row.pk in known],
        ["labels", "job", "instance", "interval_seconds", "timeout_seconds"],
        batch_size=200,
    )
