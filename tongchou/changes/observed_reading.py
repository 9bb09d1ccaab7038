"""What the ledger says that sources saw modified: one look of a source at a time, in the order of sealing (ADR 0041).

A sync writes its events and then `source.synced`. Whoever meets that sealed event reads back the events of the same
source since the one before it: a look is taken as a whole, also when it was written in parts or a crash left some of it
to the next one. A sync has the inventory to itself while it writes, so the numbers of its events are in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from tongchou.changes import observed_facts as facts
from tongchou.changes.models_drift import DriftWhat
from tongchou.changes.models_observed import ObservedPlace
from tongchou.changes.observed_fold import Seen
from tongchou.changes.observed_settings import ATTRIBUTES, FACTS, HIGH_PORTS, LISTENERS, SCHEMAS
from tongchou.core import settings_store
from tongchou.core.models import Event, Seal
from tongchou.core.refs import parse
from tongchou.inventory.models import Relation, Resource, SourceConfig

SYNCED = "source.synced"
TOLD = ("resource.created", "resource.changed", "resource.returned", "resource.gone")
LISTENER = "listener"
HIGH_PORT = 32_768
ABOUT = "inventory.resource:"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which observations count, as the settings say."""

    facts: bool = True
    listeners: bool = True
    schemas: bool = True
    high_ports: bool = False
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Modification:
    """One thing seen modified. `ident` names it within `owner`, the resource it is known by.

    `resource`: the one that people look for it at; `path`: what it is called. `new`: whether it may be the first word
    of an item, or only goes on with one that is there.
    """

    what: DriftWhat
    owner: UUID
    ident: str
    resource: UUID
    path: str
    seen: Seen
    new: bool = True


@dataclass(slots=True)
class Look:
    """What one look of a source saw modified; `event` is the number of the event that ends it."""

    source: SourceConfig
    event: int
    at: datetime
    modifications: list[Modification] = field(default_factory=list)
    resources: dict[UUID, Resource] = field(default_factory=dict)


def wanted() -> Wanted:
    """Return what the settings say. One query."""
    found = {each.key: each.default for each in settings_store.known()}
    found |= {key: row.value for key, row in settings_store.newest().items()}
    return Wanted(found[FACTS], found[LISTENERS], found[SCHEMAS], found[HIGH_PORTS], tuple(found[ATTRIBUTES]))


def next_synced(place: ObservedPlace) -> Seal | None:
    """Return the seal of the next sync behind a place, None where there is none yet."""
    later = Q(segment__month=place.month, position__gt=place.position) | Q(segment__month__gt=place.month)
    found = Seal.objects.filter(later, event__verb=SYNCED).select_related("event", "segment")
    return found.order_by("segment__month", "position").first()


def look_of(synced: Event, wants: Wanted) -> Look | None:
    """Return what the look that ends with this event saw modified; None of a source that is gone, or declares.

    The same number of queries whatever the number of resources, but for chunks of 500.
    """
    source = SourceConfig.objects.filter(pk=parse(synced.subject).id).first()
    if source is None or source.declares:
        return None
    look = Look(source, synced.pk, synced.at)
    told = [event for event in _events(synced, source.name).iterator(chunk_size=2000) if _speaks(event, wants)]
    look.resources = _resources({UUID(parse(event.subject).id) for event in told})
    changed: list[tuple[Event, Resource]] = []
    ports: list[tuple[Event, Resource]] = []
    for event in told:
        row = look.resources.get(UUID(parse(event.subject).id))
        if row is not None:
            (ports if _is_port(event, row) else changed).append((event, row))
    for event, row in changed:
        look.modifications += _changed(event, row, wants)
    if wants.listeners:
        look.modifications += _ports(look, ports, wants)
        look.modifications = _at_their_host(look)
    return look


def _events(synced: Event, source: str) -> QuerySet[Event]:
    before = Event.objects.filter(verb=SYNCED, subject=synced.subject, pk__lt=synced.pk).order_by("-pk")
    first = before.values_list("pk", flat=True).first() or 0
    found = Event.objects.filter(verb__in=TOLD, pk__gt=first, pk__lt=synced.pk, payload__source=source)
    return found.order_by("pk")


def _speaks(event: Event, wants: Wanted) -> bool:
    """Whether an event may tell of a modification, before anything is read about its resource."""
    if event.payload.get("again"):
        return True
    if event.verb == "resource.created":
        return wants.listeners and event.payload.get("kind") == LISTENER
    return wants.listeners and event.verb in ("resource.gone", "resource.returned")


def _is_port(event: Event, row: Resource) -> bool:
    return row.kind == LISTENER and event.verb != "resource.changed"


def _resources(ids: set[UUID]) -> dict[UUID, Resource]:
    listed = sorted(ids)
    fields = ("id", "kind", "name", "owner_id", "attributes", "created_at")
    return {
        row.pk: row
        for at in range(0, len(listed), CHUNK)
        for row in Resource.objects.only(*fields).filter(pk__in=listed[at : at + CHUNK])
    }


def _changed(event: Event, row: Resource, wants: Wanted) -> Iterator[Modification]:
    """What an event says of facts and of tables. A value that was not there, or is no more, is no other fact."""
    again, changes = set(event.payload.get("again", ())), event.payload.get("changes", {})
    schema = facts.FINGERPRINT in again
    for name, pair in changes.items():
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            continue
        before, after = facts.text(pair[0]), facts.text(pair[1])
        seen = Seen(event.pk, before, after)
        if name.startswith(facts.TABLE):
            if schema and wants.schemas:
                path = f"schema {name.removeprefix(facts.TABLE)}"
                yield Modification(DriftWhat.SCHEMA, row.pk, name, row.pk, path, seen)
        elif name in again and before and after and facts.counts(row.kind, name, wants.attributes):
            what = DriftWhat.LISTENER if row.kind == LISTENER else DriftWhat.FACT
            if what == DriftWhat.FACT and wants.facts:
                yield Modification(what, row.pk, name, row.pk, name, seen)
            elif what == DriftWhat.LISTENER and wants.listeners and _port_counts(row, wants):
                yield Modification(what, row.pk, name, row.pk, f"{_named(row)} {name}", seen)


# --- listeners --------------------------------------------------------------------------------------------------------


def _port_counts(row: Resource, wants: Wanted) -> bool:
    port = row.attributes.get("port")
    return isinstance(port, int) and (wants.high_ports or port < HIGH_PORT)


def _named(row: Resource) -> str:
    process = row.attributes.get("process")
    return f"listener {row.attributes.get('protocol', 'tcp')}/{row.attributes['port']}" + (
        f" ({process})" if process else ""
    )


def _listens(row: Resource) -> str:
    """Who listens where, in words of no language."""
    said = row.attributes
    who = " ".join(str(said[name]) for name in ("process", "user") if said.get(name))
    return f"{who} @ {facts.text(said.get('addresses'))}".strip()


def _ports(look: Look, found: Sequence[tuple[Event, Resource]], wants: Wanted) -> Iterator[Modification]:
    """Ports that came, came back or went. What came with the first look at the ports of a host is no news."""
    hosts = _hosts([row.pk for event, row in found if event.verb == "resource.created"], look.source.name)
    first = min((row.created_at for event, row in found if event.verb == "resource.created"), default=look.at)
    known = _seen_before(set(hosts.values()), look.source.name, first)
    for event, row in found:
        if not _port_counts(row, wants):
            continue
        came = event.verb == "resource.created"
        there, gone = _listens(row), event.verb == "resource.gone"
        seen = Seen(event.pk, there, "") if gone else Seen(event.pk, "", there)
        if not came or hosts.get(row.pk) in known:
            yield Modification(DriftWhat.LISTENER, row.pk, LISTENER, row.pk, _named(row), seen, new=came)


def _hosts(listeners: Sequence[UUID], source: str) -> dict[UUID, UUID]:
    found: dict[UUID, UUID] = {}
    for at in range(0, len(listeners), CHUNK):
        runs = Relation.objects.filter(
            from_resource__in=listeners[at : at + CHUNK], type="runs_on", source=source, valid_to__isnull=True
        )
        found |= dict(runs.values_list("from_resource_id", "to_resource_id"))
    return found


def _seen_before(hosts: set[UUID], source: str, first: datetime) -> set[UUID]:
    """Those of the hosts at which this source saw a port before a moment, be it gone by now."""
    listed, found = sorted(hosts), set()
    for at in range(0, len(listed), CHUNK):
        runs = Relation.objects.filter(
            to_resource__in=listed[at : at + CHUNK], type="runs_on", source=source,
            from_resource__kind=LISTENER, from_resource__created_at__lt=first,
        )  # fmt: skip
        found |= set(runs.values_list("to_resource_id", flat=True).distinct())
    return found


def _at_their_host(look: Look) -> list[Modification]:
    """The same, ports being shown at the host they are on: there people look for them, and there changes are made."""
    ports = [each.owner for each in look.modifications if each.what == DriftWhat.LISTENER]
    hosts = _hosts(list(dict.fromkeys(ports)), look.source.name)
    missing = set(hosts.values()) - look.resources.keys()
    look.resources |= _resources(missing)
    return [
        replace(each, resource=hosts[each.owner]) if hosts.get(each.owner) in look.resources else each
        for each in look.modifications
    ]
