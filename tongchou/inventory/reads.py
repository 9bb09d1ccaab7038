"""Named reads of the inventory: lists, one resource in detail, endpoints to scrape, resources that labels mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from tongchou.core.access import Actor, allows, visible_teams
from tongchou.inventory.holds import in_force
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Hold,
    Identity,
    Relation,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
)
from tongchou.inventory.observation import service_key
from tongchou.inventory.precedence import Weights, strength
from tongchou.inventory.reconcile import canonical
from tongchou.inventory.recorded import weights


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint to read. `labels` go onto every series, with `job` and `instance` among them."""

    id: UUID
    resource_id: UUID
    url: str
    labels: dict[str, str]
    interval_seconds: float
    timeout_seconds: float


def metric_endpoints() -> list[EndpointRow]:
    """Return every enabled metrics endpoint of an active resource. One query."""
    rows = Endpoint.objects.filter(enabled=True, purpose="metrics", resource__state=ResourceState.ACTIVE).order_by("id")
    fields = ("id", "resource_id", "url", "labels", "interval_seconds", "timeout_seconds")
    return [EndpointRow(*row) for row in rows.values_list(*fields)]


def resources_for_labels(labels: Mapping[str, str]) -> list[Resource]:
    """Return the active resources a series or alert with these labels is about, the most specific first. <= 3 queries.

    `job` and `instance` name an endpoint, hence its resource and the services it is part of; else `service` names a
    service; else `host` (or the host part of `instance`) names a host. Empty when nothing is known.
    """
    instance, job = labels.get("instance", ""), labels.get("job", "")
    if instance:
        found = Resource.objects.filter(endpoints__instance=instance, state=ResourceState.ACTIVE)
        rows = list((found.filter(endpoints__job=job) if job else found).order_by("name", "id").distinct())
        if rows:
            services = Resource.objects.filter(
                relations_in__from_resource__in=[row.pk for row in rows],
                relations_in__type="part_of",
                relations_in__valid_to__isnull=True,
                kind="service",
                state=ResourceState.ACTIVE,
            )
            known = {row.pk for row in rows}
            return rows + [row for row in services.order_by("name", "id").distinct() if row.pk not in known]
    if service := labels.get("service", ""):
        active = Resource.objects.filter(state=ResourceState.ACTIVE, kind="service")
        rows = list(active.filter(Q(identities__key=service_key(service)) | Q(name=service)).order_by("id").distinct())
        if rows:
            return rows
    host = labels.get("host") or instance.rpartition(":")[0]
    if host:
        return list(Resource.objects.filter(state=ResourceState.ACTIVE, kind="host", name=host).order_by("id"))
    return []


def without_resource(targets: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of (job, instance) that are no endpoint of an active resource. One query for each 500."""
    left = set(targets)
    instances = sorted({instance for _job, instance in left})
    for start in range(0, len(instances), 500):
        known = Endpoint.objects.filter(
            instance__in=instances[start : start + 500], resource__state=ResourceState.ACTIVE
        )
        left -= set(known.values_list("job", "instance"))
    return left


# --- lists ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows. `label` is "name" or "name=value"; `q` is part of a name; owner "" means "no owner"."""

    kind: str | None = None
    owner: str | None = None
    label: tuple[str, ...] = ()
    state: str | None = ResourceState.ACTIVE
    q: str | None = None
    source: str | None = None


VIEW = "inventory.view"
FEW = 2000


def may_see(actor: Actor, owner_id: UUID | None) -> bool:
    """Tell whether the actor may see what this team (None: no team) owns. No query."""
    return allows(actor, VIEW, team=owner_id)


def seen_teams(actor: Actor) -> tuple[UUID, ...] | None:
    """Return the teams of whose resources the actor may see, in order; None: all resources. No query."""
    if allows(actor, VIEW):
        return None
    return tuple(sorted(team for team in visible_teams(actor) or () if allows(actor, VIEW, team=team)))


def visible(actor: Actor) -> QuerySet[Resource]:
    """Return the resources the actor may see: all, or what their teams own."""
    teams = seen_teams(actor)
    return Resource.objects.all() if teams is None else Resource.objects.filter(owner_id__in=teams)


def called(actor: Actor, text: str) -> list[Resource]:
    """Return the visible ones a person means by `kind/name`, or by a name alone; two when it may be several."""
    kind, slash, name = text.partition("/")
    wanted = Q(name=text) | Q(kind=kind, name=name) if slash else Q(name=text)
    return list(visible(actor).filter(wanted).order_by("kind", "id")[:2])


def having(rows: QuerySet[ResourceLabel] | QuerySet[Sighting]) -> Q | Exists:
    """The condition that a resource is in `rows`, in the form that is fast for few and for many. One small query.

    Few are best looked up first; with many, a page fills soon by walking the list in its order.
    """
    if rows[: FEW + 1].count() <= FEW:
        return Q(pk__in=rows.values("resource_id"))
    return Exists(rows.filter(resource_id=OuterRef("pk")))


def find(actor: Actor, wanted: Filter) -> QuerySet[Resource]:
    """Return the visible resources that fit, by name; slice it. One query for a page, one for its count.

    A label or a source costs one small query more, at once.
    """
    found = visible(actor).order_by("name", "id").select_related("owner")
    if wanted.state:
        found = found.filter(state=wanted.state)
    if wanted.kind:
        found = found.filter(kind__in=wanted.kind.split(","))
    if wanted.owner is not None:
        found = found.filter(owner__name=wanted.owner) if wanted.owner else found.filter(owner__isnull=True)
    for label in wanted.label:
        name, has_value, value = label.partition("=")
        rows = ResourceLabel.objects.filter(name=name, **({"value": value} if has_value else {}))
        found = found.filter(having(rows))
    if wanted.q:
        found = found.filter(name__icontains=wanted.q.strip())
    if wanted.source:
        seen = Sighting.objects.filter(source=wanted.source, gone_at__isnull=True)
        found = found.filter(having(seen))
    return found


def last_seen(ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """Return when each resource was last seen by any source. One query."""
    newest: dict[UUID, datetime] = {}
    for id_, at in Sighting.objects.filter(resource_id__in=list(ids)).values_list("resource_id", "last_seen"):
        if id_ not in newest or at > newest[id_]:
            newest[id_] = at
    return newest


def kinds_in_use(actor: Actor) -> list[str]:
    """Return the kinds of visible active resources. One query."""
    active = visible(actor).filter(state=ResourceState.ACTIVE)
    return list(active.order_by("kind").values_list("kind", flat=True).distinct())


def counts_by_kind(actor: Actor) -> dict[str, int]:
    """Return how many visible active resources there are of each kind. One query, over an index alone."""
    active = visible(actor).filter(state=ResourceState.ACTIVE).order_by()
    return dict(active.values_list("kind").annotate(n=Count("pk")).values_list("kind", "n"))


# --- one resource -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says about an attribute."""

    source: str
    value: Any
    changed_at: datetime
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class AttributeView:
    """An attribute as it counts: the strongest source's value, how fresh it is, and who says otherwise."""

    name: str
    value: Any
    source: str
    changed_at: datetime
    last_seen: datetime | None
    conflicts: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """All that is recorded about one resource."""

    resource: Resource
    attributes: Sequence[AttributeView]
    keys: Sequence[str]
    sightings: Sequence[Sighting]
    relations: Sequence[Relation]
    endpoints: Sequence[Endpoint]
    holds: Sequence[Hold] = field(default_factory=tuple)


def detail(resource: Resource) -> Detail:
    """Return one resource with everything about it. Seven queries, however much there is."""
    sightings = list(Sighting.objects.filter(resource=resource).order_by("source"))
    values = list(AttributeValue.objects.filter(resource=resource).order_by("name", "source"))
    relations = Relation.objects.filter(Q(from_resource=resource) | Q(to_resource=resource), valid_to__isnull=True)
    return Detail(
        resource,
        attribute_views(values, sightings, weights()),
        list(Identity.objects.filter(resource=resource).order_by("key").values_list("key", flat=True)),
        sightings,
        list(relations.select_related("from_resource", "to_resource").order_by("type", "valid_from", "id")),
        list(Endpoint.objects.filter(resource=resource).order_by("purpose", "url")),
        list(active_holds([resource.pk])),
    )


def attribute_views(
    values: Iterable[AttributeValue], sightings: Collection[Sighting], weight: Weights
) -> list[AttributeView]:
    """Return each attribute as its strongest source says it, by name; pure over its arguments."""
    seen = {sighting.source: sighting.last_seen for sighting in sightings}
    gone = [source for _at, source in sorted((each.gone_at, each.source) for each in sightings if each.gone_at)]
    by_name: dict[str, list[AttributeValue]] = {}
    for value in values:
        by_name.setdefault(value.name, []).append(value)
    views = []
    for name, rows in sorted(by_name.items()):
        of = weight.about(name, gone)
        best, *rest = sorted(rows, key=lambda row: strength(row.source, of), reverse=True)
        differing = tuple(
            Said(row.source, row.value, row.changed_at, seen.get(row.source))
            for row in rest
            if canonical(row.value) != canonical(best.value)
        )
        views.append(AttributeView(name, best.value, best.source, best.changed_at, seen.get(best.source), differing))
    return views


def attributes_of(resource: Resource) -> dict[str, Any]:
    """Return the effective attributes: name -> value. Three queries."""
    rows = AttributeValue.objects.filter(resource=resource)
    gone = list(Sighting.objects.filter(resource=resource, gone_at__isnull=False))
    return {view.name: view.value for view in attribute_views(rows, gone, weights())}


def active_holds(resources: Iterable[UUID], *, kind: str | None = None, at: datetime | None = None) -> QuerySet[Hold]:
    """Return the holds in force on any of the resources: not lifted, not past their end."""
    found = Hold.objects.filter(in_force(at or timezone.now()), resource_id__in=list(resources))
    if kind is not None:
        found = found.filter(kind=kind)
    return found.select_related("resource").order_by("opened_at", "id")


def held_resources() -> set[UUID]:
    """Return every resource with a hold in force. One query."""
    return set(Hold.objects.filter(in_force(timezone.now())).values_list("resource_id", flat=True))


def holds_in_force(actor: Actor, *, resource_id: UUID | None = None, kind: str | None = None) -> QuerySet[Hold]:
    """Return the holds in force on visible resources, oldest first."""
    found = Hold.objects.filter(in_force(timezone.now()), resource__in=visible(actor))
    if resource_id is not None:
        found = found.filter(resource_id=resource_id)
    if kind is not None:
        found = found.filter(kind=kind)
    return found.select_related("resource").order_by("opened_at", "id")


def relations(actor: Actor, *, resource_id: UUID | None = None, type_: str | None = None) -> QuerySet[Relation]:
    """Return open relations whose both ends are visible; slice it."""
    found = Relation.objects.filter(valid_to__isnull=True)
    if not allows(actor, VIEW):
        seen = visible(actor)
        found = found.filter(from_resource__in=seen, to_resource__in=seen)
    if resource_id is not None:
        found = found.filter(Q(from_resource=resource_id) | Q(to_resource=resource_id))
    if type_ is not None:
        found = found.filter(type=type_)
    return found.select_related("from_resource", "to_resource").order_by("type", "id")
