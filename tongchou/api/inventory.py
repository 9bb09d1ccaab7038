"""Resources, relations, holds, the graph and its map."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import MAX_OFFSET, Offset, page_of
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.problems import Invalid, NotFound
from tongchou.inventory import actions, kinds, merge, reads, words
from tongchou.inventory.bulk import team_named
from tongchou.inventory.freshness import Freshness
from tongchou.inventory.graph import Edge, Graph, Kept, Node, load_graph
from tongchou.inventory.layout import lay_out
from tongchou.inventory.models import Endpoint, Hold, Relation, Resource
from tongchou.inventory.past import graph_at
from tongchou.inventory.tables import PREFIX

router = Router(tags=["inventory"])
VIEW = "inventory.view"
KIND = "inventory.resource"
MAX_NODES = 2000
_maps: Kept[bytes] = Kept(8)  # laying them out takes longest
MAP_KINDS = "load_balancer,service,queue,cache,database"  # and those that inherit from one of them


# --- shapes -----------------------------------------------------------------------------------------------------------


class ResourceIn(Body):
    """A resource by a person's word. `keys`: identity keys, where the kind's usual ones will not do."""

    kind: str
    name: str
    owner: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    attributes: dict[str, Any] = Field(default_factory=dict)
    custom: dict[str, Any] = Field(default_factory=dict)
    keys: list[str] = Field(default_factory=list, max_length=20)


class ResourcePatch(Body):
    """What to change; null takes a label, attribute, custom field or the owner back. `state` retires or restores."""

    name: str | None = None
    owner: str | None = None
    labels: dict[str, str | None] = Field(default_factory=dict)
    attributes: dict[str, Any] = Field(default_factory=dict)
    custom: dict[str, Any] = Field(default_factory=dict)
    state: Literal["active", "tombstone"] | None = None
    reason: str = Field(default="", max_length=500)


class EndpointIn(Body):
    """Where a resource can be read."""

    url: str
    labels: dict[str, str] = Field(default_factory=dict)
    purpose: str = Field(default="metrics", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    interval_seconds: float = 15.0
    timeout_seconds: float = 10.0


class EndpointPatch(Body):
    """Switch an endpoint on or off."""

    enabled: bool


class RelationIn(Body):
    """A relation by a person's word."""

    from_id: UUID
    to_id: UUID
    type: str


class HoldIn(Body):
    """A stop on a resource; without `until` it holds until it is lifted."""

    resource_id: UUID
    kind: str
    reason: str
    until: datetime | None = None


class ResourceFilter(Schema):
    """What a list shows. `label` may be repeated: name, or name=value; `owner` empty means without owner."""

    kind: str | None = None
    owner: str | None = None
    label: list[str] = Field(default_factory=list, max_length=10)
    state: Literal["active", "tombstone", "merged", "all"] = "active"
    q: str | None = Field(default=None, max_length=200)
    source: str | None = None
    limit: int = Field(default=100, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET)


# --- rendering --------------------------------------------------------------------------------------------------------


def _resource(row: Resource, seen: datetime | None = None, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "owner": row.owner.name if row.owner else None,
        "labels": row.labels,
        "state": row.state,
        "source": row.source,
        "created_at": row.created_at,
        "gone_at": row.gone_at,
        "last_seen": seen,
        "custom": shown(row, fields),
        "fields": {
            each.name: row.attributes[each.name] for each in kinds.fields(row.kind) if each.name in row.attributes
        },
    }


def _relation(row: Relation) -> dict[str, Any]:
    ends = {
        name: {"id": end.pk, "kind": end.kind, "name": end.name}
        for name, end in (("from", row.from_resource), ("to", row.to_resource))
    }
    facts = ("type", "source", "origin", "confidence", "valid_from", "valid_to")
    return {"id": row.pk, **ends, **{name: getattr(row, name) for name in facts}}


def _endpoint(row: Endpoint) -> dict[str, Any]:
    facts = ("purpose", "url", "labels", "interval_seconds", "timeout_seconds", "enabled", "source")
    return {"id": row.pk, **{name: getattr(row, name) for name in facts}}


def _hold(row: Hold) -> dict[str, Any]:
    facts = ("kind", "reason", "opened_by", "opened_at", "until", "lifted_at", "lifted_by")
    resource = {"id": row.resource_id, "kind": row.resource.kind, "name": row.resource.name}
    return {"id": row.pk, "resource": resource, **{name: getattr(row, name) for name in facts}}


def _pointer(actor: Actor, row: Resource) -> dict[str, Any] | None:
    """Where a merged resource lives on, when the actor may know of it."""
    other = merge.successor(row)
    if other.pk == row.pk or not reads.may_see(actor, other.owner_id):
        return None
    return {"id": other.pk, "kind": other.kind, "name": other.name}


def _both_seen(actor: Actor, row: Relation) -> bool:
    return all(reads.may_see(actor, end.owner_id) for end in (row.from_resource, row.to_resource))


def _freshness(found: Freshness) -> dict[str, Any]:
    return {
        "freshness": found.state,
        "age_seconds": found.age_seconds,
        "stale_after_seconds": found.limit_seconds,
    }


def _said(other: words.OtherWord) -> dict[str, Any]:
    facts = ("source", "value", "changed_at", "last_seen")
    return {**{name: getattr(other.said, name) for name in facts}, **_freshness(other.freshness)}


def _detail(actor: Actor, found: reads.Detail) -> dict[str, Any]:
    """All about a resource, without what leads to those that the actor may not see."""
    newest = max((sighting.last_seen for sighting in found.sightings), default=None)
    attributes = [
        {
            "name": word.view.name,
            "value": word.view.value,
            "source": word.view.source,
            "changed_at": word.view.changed_at,
            "last_seen": word.view.last_seen,
            **_freshness(word.freshness),
            "conflicts": [_said(other) for other in word.others],
        }
        for word in words.words_of(found, timezone.now())
    ]
    sightings = [
        {"source": each.source, "last_seen": each.last_seen, "missed": each.missed, "gone_at": each.gone_at}
        for each in found.sightings
    ]
    return {
        **_resource(found.resource, newest),
        "merged_into": _pointer(actor, found.resource),
        "attributes": attributes,
        "keys": found.keys,
        "sightings": sightings,
        "relations": [_relation(row) for row in found.relations if _both_seen(actor, row)],
        "endpoints": [_endpoint(row) for row in found.endpoints],
        "holds": [_hold(row) for row in found.holds],
    }


# --- finding what a request means -------------------------------------------------------------------------------------


def seen_resource(actor: Actor, id_: UUID) -> Resource:
    """The resource, when the actor may know of it."""
    row = reads.visible(actor).select_related("owner").filter(pk=id_).first()
    if row is None:
        raise NotFound(
            "inventory.resource",
            _("There is no resource of this id, or it is not yours to see."),
            field="id",
            value=id_,
            remedy=_("Look it up with GET /api/v1/resources?q=name."),
        )
    return row


# --- resources --------------------------------------------------------------------------------------------------------


@router.get("/resources", response=Page)
def list_resources(request: HttpRequest, wanted: Query[ResourceFilter]) -> dict[str, Any]:
    """List resources by name.

    Filters: kind (a,b), owner, label (repeatable), state, q (part of the name), source, at.<standard field>,
    cf.<custom field>. `fields` holds the values of the kind's standard fields that count.
    """
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    state = None if wanted.state == "all" else wanted.state
    found = reads.find(
        actor, reads.Filter(wanted.kind, wanted.owner, tuple(wanted.label), state, wanted.q, wanted.source)
    )
    found = custom_values.filtered(request, found, KIND)
    found = custom_values.narrowed(request, found, PREFIX, kinds.standard_fields)
    rows = page_of(found, wanted.offset, wanted.limit)
    seen = reads.last_seen(row.pk for row in rows)
    fields = fields_of(KIND)
    return {"items": [_resource(row, seen.get(row.pk), fields) for row in rows], "count": found.count()}


@router.post("/resources", response={201: dict[str, Any]})
def create_resource(request: HttpRequest, body: ResourceIn) -> Status[dict[str, Any]]:
    """Create a resource; what a person states outweighs every source."""
    actor = actor_of(request)
    with transaction.atomic():
        row = actions.create_resource(
            actor=actor,
            kind=body.kind,
            name=body.name,
            owner=team_named(body.owner),
            labels=body.labels,
            attributes=body.attributes,
            keys=tuple(body.keys),
        )
        custom_values.start(actor, row, KIND, body.custom, subkind=row.kind)
    return Status(201, _detail(actor, reads.detail(row)))


@router.get("/resources/{id}", response=dict[str, Any])
def get_resource(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return a resource: attributes each with source and last_seen, relations, endpoints, holds.

    Of relations, and of where a merged one lives on, only what the caller may see.
    """
    actor = actor_of(request)
    return _detail(actor, reads.detail(seen_resource(actor, id)))


@router.patch("/resources/{id}", response=dict[str, Any])
def change_resource(request: HttpRequest, id: UUID, body: ResourcePatch) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Change name, owner, labels, attributes by a person's word; retire or restore with `state`."""
    actor = actor_of(request)
    with transaction.atomic():
        row = _changed(actor, seen_resource(actor, id), body)
    return _detail(actor, reads.detail(row))


def _changed(actor: Actor, row: Resource, body: ResourcePatch) -> Resource:
    """All of it, or nothing."""
    if "owner" in body.model_fields_set or body.name is not None or body.labels:
        clear = "owner" in body.model_fields_set and not body.owner
        row = actions.update_resource(
            actor=actor,
            resource=row,
            name=body.name,
            owner=team_named(body.owner),
            clear_owner=clear,
            labels=body.labels,
        )
    if body.attributes:
        row = actions.set_attributes(actor=actor, resource=row, values=body.attributes)
    if body.state == "tombstone":
        row = actions.retire_resource(actor=actor, resource=row, reason=body.reason)
    elif body.state == "active":
        row = actions.restore_resource(actor=actor, resource=row)
    custom_values.put(actor, row, body.custom)
    return row


@router.post("/resources/{id}/endpoints", response={201: dict[str, Any]})
def register_endpoint(request: HttpRequest, id: UUID, body: EndpointIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Say where a resource can be read; without labels, job is its kind and instance its name."""
    actor = actor_of(request)
    row = seen_resource(actor, id)
    labels = {"job": row.kind, "instance": row.name, **body.labels}
    endpoint = actions.register_endpoint(
        actor=actor,
        resource=row,
        url=body.url,
        labels=labels,
        purpose=body.purpose,
        interval_seconds=body.interval_seconds,
        timeout_seconds=body.timeout_seconds,
    )
    return Status(201, _endpoint(endpoint))


@router.patch("/endpoints/{id}", response=dict[str, Any])
def change_endpoint(request: HttpRequest, id: UUID, body: EndpointPatch) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Switch the reading of an endpoint on or off."""
    actor = actor_of(request)
    row = Endpoint.objects.select_related("resource").filter(pk=id).first()
    if row is None:
        raise NotFound("inventory.endpoint", _("There is no endpoint of this id."), field="id", value=id)
    seen_resource(actor, row.resource_id)
    return _endpoint(actions.set_endpoint_enabled(actor=actor, endpoint=row, enabled=body.enabled))


# --- the graph --------------------------------------------------------------------------------------------------------


@router.get("/resources/{id}/graph", response=dict[str, Any])
def resource_graph(
    request: HttpRequest,
    id: UUID,  # noqa: A002  # the path's own name
    direction: Literal["upstream", "downstream", "both"] = "both",
    depth: int | None = None,
) -> HttpResponse:
    """Return who needs a resource (upstream: its blast radius) and what it needs (downstream), with steps."""
    actor = actor_of(request)
    row = seen_resource(actor, id)
    if depth is not None and depth < 1:
        raise Invalid(
            "inventory.depth", _("A depth is 1 or more."), field="depth", value=depth, remedy=_("Leave it out.")
        )
    graph = load_graph()
    steps: dict[UUID, int] = {row.pk: 0}
    if direction in ("upstream", "both"):
        steps.update({other: -hops for other, hops in graph.upstream(row.pk, depth).items()})
    if direction in ("downstream", "both"):
        for other, hops in graph.downstream(row.pk, depth).items():
            if other not in steps:
                steps[other] = hops
    shown = _visible_nodes(actor, graph, sorted(steps, key=lambda each: abs(steps[each])))
    body = _picture(graph, shown[:MAX_NODES])
    for node in body["nodes"]:
        node["steps"] = steps[node["id"]]
    hidden = len(steps) - len(shown)
    return _sent(_encoded({**body, "resource_id": row.pk, "hidden": hidden, "truncated": len(shown) > MAX_NODES}))


@router.get("/resources/{id}/path", response=dict[str, Any])
def resource_path(request: HttpRequest, id: UUID, to: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return a shortest chain in which each needs the next, from this resource to another, or the other way round."""
    actor = actor_of(request)
    ends = [seen_resource(actor, each).pk for each in (id, to)]
    graph = load_graph()
    found = graph.path(ends[0], ends[1])
    direction = "needs" if found else "is_needed_by"
    found = found or list(reversed(graph.path(ends[1], ends[0]) or []))
    shown = _visible_nodes(actor, graph, found)
    return {
        "path": [_node(node) for node in shown],
        "direction": direction if found else None,
        "distance": len(found) - 1 if found else None,
        "hidden": len(found) - len(shown),
    }


@router.get("/map", response=dict[str, Any])
def service_map(
    request: HttpRequest, kind: str = MAP_KINDS, at: datetime | None = None, owner: str | None = None
) -> HttpResponse:
    """Return the tiered map: callers left, stores right. `kind` is a list (a,b) or "all"; `at` shows a time gone by."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    at = _aware(at)
    graph = load_graph() if at is None else graph_at(at)
    wanted = None if kind == "all" else frozenset(kind.split(","))
    if wanted is not None and kind == MAP_KINDS:
        wanted = kinds.family(wanted)
    team = team_named(owner)
    asked = (wanted, team.pk if team else None, at, reads.seen_teams(actor))

    def work_out() -> bytes:
        ids = [
            node.id
            for node in graph.nodes.values()
            if (wanted is None or node.kind in wanted) and (team is None or node.owner_id == team.pk)
        ]
        shown = _visible_nodes(actor, graph, ids)
        return _encoded({**_picture(graph, shown[:MAX_NODES]), "truncated": len(shown) > MAX_NODES, "at": at})

    return _sent(_maps.of(graph, asked, work_out))


def _encoded(body: dict[str, Any]) -> bytes:
    """JSON: of thousands of relations it takes a twentieth of what the API's own way does."""
    return msgspec.json.encode(body)


def _sent(encoded: bytes) -> HttpResponse:
    return HttpResponse(encoded, content_type="application/json; charset=utf-8")


def _aware(at: datetime | None, field: str = "at") -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise Invalid(
            "inventory.at",
            _("A time needs its zone."),
            field=field,
            value=at.isoformat(),
            remedy=_("Write it like 2026-03-03T08:00:00Z."),
        )
    return at


def _visible_nodes(actor: Actor, graph: Graph, ids: Iterable[UUID]) -> list[Node]:
    nodes = [graph.nodes[id_] for id_ in ids if id_ in graph.nodes]
    return [node for node in nodes if reads.may_see(actor, node.owner_id)]


def _node(node: Node) -> dict[str, Any]:
    return {"id": node.id, "kind": node.kind, "name": node.name}


def _edge(edge: Edge) -> dict[str, Any]:
    dependant, needed = kinds.dependency(edge.type, edge.from_id, edge.to_id)
    return {
        "from": edge.from_id,
        "to": edge.to_id,
        "type": edge.type,
        "dependant": dependant,
        "needed": needed,
        "origin": edge.origin,
        "confidence": edge.confidence,
    }


def _picture(graph: Graph, nodes: list[Node]) -> dict[str, Any]:
    nodes = sorted(nodes, key=lambda node: (node.name, str(node.id)))
    number = {node.id: place for place, node in enumerate(nodes)}  # numbers are compared faster than ids
    edges = [_edge(edge) for edge in graph.edges_among(number)]
    rank = {place: kinds.kind(node.kind).tier for place, node in enumerate(nodes)}
    places = lay_out(
        range(len(nodes)), [(number[edge["dependant"]], number[edge["needed"]]) for edge in edges], rank=rank
    )
    return {
        "nodes": [
            {**_node(nodes[place.node]), "tier": place.tier, "row": place.row, "x": place.x, "y": place.y}
            for place in places
        ],
        "edges": edges,
    }


# --- relations and holds ----------------------------------------------------------------------------------------------


@router.get("/relations", response=Page)
def list_relations(
    request: HttpRequest,
    resource_id: UUID | None = None,
    type: str | None = None,  # noqa: A002  # the query's own name
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List open relations whose both ends the caller may see."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    found = reads.relations(actor, resource_id=resource_id, type_=type)
    return {"items": [_relation(row) for row in found[offset : offset + limit]], "count": found.count()}


@router.post("/relations", response={201: dict[str, Any]})
def relate(request: HttpRequest, body: RelationIn) -> Status[dict[str, Any]]:
    """Open a relation, or return the open one."""
    actor = actor_of(request)
    ends = [seen_resource(actor, each) for each in (body.from_id, body.to_id)]
    row = actions.relate(actor=actor, from_resource=ends[0], to_resource=ends[1], type=body.type)
    return Status(201, _relation(row))


@router.delete("/relations/{id}", response=dict[str, Any])
def unrelate(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Close a relation; its past stays."""
    actor = actor_of(request)
    row = Relation.objects.select_related("from_resource", "to_resource").filter(pk=id).first()
    if row is None:
        raise NotFound("inventory.relation", _("There is no relation of this id."), field="id", value=id)
    for end in (row.from_resource_id, row.to_resource_id):
        seen_resource(actor, end)
    return _relation(actions.unrelate(actor=actor, relation=row))


@router.get("/holds", response=Page)
def list_holds(request: HttpRequest, resource_id: UUID | None = None, kind: str | None = None) -> dict[str, Any]:
    """List the holds in force on what the caller may see."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    found = reads.holds_in_force(actor, resource_id=resource_id, kind=kind)
    return {"items": [_hold(row) for row in found[:500]], "count": found.count()}


@router.post("/holds", response={201: dict[str, Any]})
def place_hold(request: HttpRequest, body: HoldIn) -> Status[dict[str, Any]]:
    """Stop what would be done to a resource, until a time or until lifted."""
    actor = actor_of(request)
    resource = seen_resource(actor, body.resource_id)
    row = actions.place_hold(
        actor=actor, resource=resource, kind=body.kind, reason=body.reason, until=_aware(body.until, "until")
    )
    return Status(201, _hold(row))


@router.post("/holds/{id}/lift", response=dict[str, Any])
def lift_hold(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """End a hold."""
    actor = actor_of(request)
    row = Hold.objects.select_related("resource").filter(pk=id).first()
    if row is None:
        raise NotFound("inventory.hold", _("There is no hold of this id."), field="id", value=id)
    seen_resource(actor, row.resource_id)
    return _hold(actions.lift_hold(actor=actor, hold=row))
