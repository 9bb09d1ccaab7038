"""Takes down what was seen to use what, and keeps relations true to it: opened, weighed anew, closed when long unseen.

A source's uses make relations of that source alone: what people or other sources declared is never closed by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.ledger import Entry
from tongchou.inventory import connections
from tongchou.inventory.apply import bump, resource_ref, take_turn
from tongchou.inventory.connections import ADDRESS, LEAST, Known, SeenUse
from tongchou.inventory.models import AttributeValue, Endpoint, Identity, Relation, Resource, ResourceState
from tongchou.inventory.models_queues import QueueName
from tongchou.inventory.models_seen import Use
from tongchou.inventory.observation import OWN_SERVICE, service_key
from tongchou.inventory.queues import Found, digest
from tongchou.inventory.recorded import chunks
from tongchou.inventory.refresh import PEER, follow
from tongchou.inventory.refresh import bump as bump_queues

MANAGE = "inventory.manage_sources"
LOOK_SECONDS = 55.0  # looks nearer than this count as one: confidence is a matter of time, not of how often one looks
MOST_ROWS = 20_000  # edges of one source
MOST_PEERS = 500
FORGET = timedelta(days=14)


def note_uses(*, actor: Actor, source: str, uses: Iterable[SeenUse], now: datetime) -> int:
    """Take down one look of a source and settle its relations; return how many relations changed.

    Events relation.added and relation.removed. A look that sees nothing is one, too: what was seen before fades.
    """
    check(actor, MANAGE)
    seen = {tuple(key[:255] for key in use.key): use for use in connections.merged(uses, MOST_ROWS)}
    with transaction.atomic():
        take_turn()
        rows = {(row.from_key, row.to_key): row for row in Use.objects.filter(source=source)}
        new, known = [], []
        for key, use in seen.items():
            row = rows.get((key[0], key[1]))
            if row is None:
                row = Use(source=source, from_key=key[0], to_key=key[1], first_seen=now, last_seen=now)
                new.append(row)
            else:
                if (now - row.last_seen).total_seconds() >= LOOK_SECONDS:
                    row.looks, row.last_seen = row.looks + 1, now
                known.append(row)
            row.from_keys, row.to_keys, row.count = list(use.from_keys), list(use.to_keys), use.count
        room = max(0, MOST_ROWS - len(rows))
        everything = [*rows.values(), *new[:room]]
        _resolve(everything)
        Use.objects.bulk_create(new[:room], batch_size=500)
        fields = ["from_keys", "to_keys", "from_resource", "to_resource", "last_seen", "looks", "count"]
        Use.objects.bulk_update(known, fields, batch_size=200)
        Use.objects.filter(source=source, last_seen__lt=now - FORGET).delete()
        changed = _settle(actor, source, everything, now)
        if _peers(source, everything, now):
            bump_queues()
    return changed


def fade(*, actor: Actor, now: datetime) -> int:
    """Settle the relations of every source that saw nothing for an hour; return how many relations changed.

    A look settles its own source's; without this one that fails, is switched off or sends no more spans would leave
    the world as it saw it last for good. Done again it changes nothing.
    """
    check(actor, MANAGE)
    silent = Use.objects.values("source").annotate(newest=Max("last_seen")).order_by("source")
    silent = silent.filter(newest__lte=now - timedelta(seconds=connections.GRACE_SECONDS))
    return sum(note_uses(actor=actor, source=each["source"], uses=(), now=now) for each in silent)


def forget_uses(*, source: str, now: datetime) -> None:
    """Let go of all that a source saw in use: its relations end. In the transaction of the caller, who has the turn."""
    Relation.objects.filter(source=source, valid_to__isnull=True).update(valid_to=now)
    Use.objects.filter(source=source).delete()
    if _peers(source, (), now):
        bump_queues()


def _resolve(rows: Sequence[Use]) -> None:
    """Find the resources of both ends anew: what was nobody's may be known now."""
    known = _known({key for row in rows for key in (*row.from_keys, *row.to_keys)})
    for row in rows:
        row.from_resource_id = connections.resolve(row.from_keys, known)
        row.to_resource_id = connections.resolve(row.to_keys, known)


def _known(keys: set[str]) -> Known:
    """Look up what the ends may mean. A handful of queries, whatever their number."""
    places = {key.removeprefix(ADDRESS) for key in keys if key.startswith(ADDRESS)}
    hosts = hosts_by_address() if places else {}
    wanted = {key for key in keys if not key.startswith(ADDRESS)}
    for each in places:
        wanted.update(connections.keys_at(each, hosts))
    found: dict[str, UUID] = {}
    active = Q(resource__state=ResourceState.ACTIVE)
    for part in chunks(sorted(wanted)):
        found.update(Identity.objects.filter(active, key__in=part).values_list("key", "resource_id"))
    endpoints: dict[str, UUID] = {}
    for part in chunks(sorted(places)):
        endpoints.update(Endpoint.objects.filter(active, instance__in=part).values_list("instance", "resource_id"))
    wholes: dict[UUID, UUID] = {}
    parts = Relation.objects.filter(
        type="part_of",
        valid_to__isnull=True,
        to_resource__kind__in=connections.CALLED | connections.STORES,
        to_resource__state=ResourceState.ACTIVE,
    )
    for ids in chunks({*found.values(), *endpoints.values()}):
        for one, whole in parts.filter(from_resource__in=ids).values_list("from_resource_id", "to_resource_id"):
            wholes.setdefault(one, whole)
    return Known(found, endpoints, hosts, wholes)


def hosts_by_address() -> dict[str, str]:
    """Return addresses -> the identity key of the machine they are on, as its interfaces tell; loopback is everybody's.

    One query.
    """
    rows = AttributeValue.objects.filter(
        name="addresses", resource__kind="interface", resource__state=ResourceState.ACTIVE
    ).values_list("value", "resource__identities__key")
    found: dict[str, str] = {}
    for addresses, key in rows:
        machine = str(key or "").partition("/interface:")[0]
        for each in addresses if isinstance(addresses, list) and machine != key else ():
            if isinstance(each, str) and not each.startswith("127.") and each != "::1":
                found.setdefault(each, machine)
    return found


def _settle(actor: Actor, source: str, rows: Sequence[Use], now: datetime) -> int:
    ends = {id_ for row in rows for id_ in (row.from_resource_id, row.to_resource_id) if id_ is not None}
    told = {
        id_: (kind, name)
        for part in chunks(ends)
        for id_, kind, name in Resource.objects.filter(pk__in=part).values_list("id", "kind", "name")
    }
    sure = ((r.from_resource_id, r.to_resource_id, connections.confidence(r.looks, r.last_seen, now)) for r in rows)
    own = Identity.objects.filter(key=service_key(OWN_SERVICE)).values_list("resource_id", flat=True).first()
    wanted = connections.wanted(sure, lambda id_: told[id_][0], watcher=own)
    open_ = {
        (row.from_resource_id, row.to_resource_id, row.type): row
        for row in Relation.objects.filter(source=source, valid_to__isnull=True)
    }
    added = [key for key in wanted if key not in open_]
    closed = [row for key, row in open_.items() if key not in wanted]
    moved = [row for key, row in open_.items() if key in wanted and row.confidence != wanted[key]]
    for row in moved:
        row.confidence = wanted[row.from_resource_id, row.to_resource_id, row.type]
    Relation.objects.bulk_update(moved, ["confidence"], batch_size=500)
    Relation.objects.filter(pk__in=[row.pk for row in closed]).update(valid_to=now)
    Relation.objects.bulk_create(
        Relation(
            from_resource_id=a, to_resource_id=b, type=type_, source=source, origin="observed",
            confidence=max(LEAST, wanted[a, b, type_]), valid_from=now,
        )
        for a, b, type_ in added
    )  # fmt: skip
    gone = [(row.from_resource_id, row.to_resource_id, row.type) for row in closed]
    entries = [
        Entry(
            verb,
            resource_ref(a),
            about=(resource_ref(b),),
            payload={"type": type_, "from": _name(told, a), "to": _name(told, b), "source": source},
        )
        for verb, keys in (("relation.added", added), ("relation.removed", gone))
        for a, b, type_ in keys
    ]
    if entries:
        ledger.record_many(actor=actor, entries=entries)
    if entries or moved:
        bump()
    return len(entries) + len(moved)


def _name(told: dict[UUID, tuple[str, str]], id_: UUID) -> str:
    return told[id_][1] if id_ in told else str(id_)


def _peers(source: str, rows: Sequence[Use], now: datetime) -> int:
    """List whom resources use and nobody recorded, in the queue of what is seen and not recorded."""
    unknown: dict[str, float] = {}
    for row in rows:
        if row.to_resource_id is None and (now - row.last_seen).total_seconds() < connections.HALF_LIFE_SECONDS:
            name = str(row.to_keys[0]).removeprefix(ADDRESS)
            unknown[name] = unknown.get(name, 0.0) + row.count
    found = [
        Found(None, f"{PEER}{source}/{name}"[:255], {"job": source, "instance": name}, digest(name, source))
        for name in sorted(unknown, key=lambda each: (-unknown[each], each))[:MOST_PEERS]
    ]
    return follow(QueueName.UNRECORDED, found, now, only=Q(resource__isnull=True, key__startswith=f"{PEER}{source}/"))
