"""The resources that another tool is told of, with everything it may want to know, in a fixed number of queries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import Invalid
from tongchou.inventory import reads, truth
from tongchou.inventory.models import AttributeValue, Endpoint, Resource, ResourceState, Sighting
from tongchou.inventory.precedence import strength
from tongchou.inventory.reads import EndpointRow
from tongchou.inventory.recorded import given_up_among, weights

MOST = 20_000  # resources in one answer
STATES = ("active", "tombstone", "all")
# Attributes whose name says that they open something never leave, whoever put them into the inventory.
_OPENS = re.compile(
    r"pass(?!ive)|secret|token|credential|private.?key|api.?key|access.?key|ssh.?key(?!s?_?finger)|vault|cookie|auth(?!or)",
    re.IGNORECASE,
)
_MACHINE_PARTS = "interface"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which resources: kinds with commas, labels "name" or "name=value" (all fit), the owner ("": none), a state."""

    kind: str | None = None
    label: tuple[str, ...] = ()
    team: str | None = None
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Given:
    """One resource as other tools are told of it. `attributes`: the strongest source's, nothing that opens a door.

    `services`: names of the services it, or what runs on it, is part of. `parts`: attributes of its interfaces.
    """

    id: UUID
    kind: str
    name: str
    state: str
    owner: str = ""
    site: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    endpoints: tuple[EndpointRow, ...] = ()
    parts: tuple[Mapping[str, Any], ...] = ()


def gather(
    actor: Actor, wanted: Wanted, *, name: str | None = None, ids: Collection[UUID] | None = None
) -> list[Given]:
    """Return what the actor may see of what is wanted, by name. At most eleven queries.

    `name` looks for one resource, `ids` for these. Raises Invalid for a filter that cannot be, or more than MOST
    resources.
    """
    check_anywhere(actor, reads.VIEW)
    found = _found(actor, wanted)
    if name is not None:
        found = found.filter(name=name)
    if ids is not None:
        found = found.filter(pk__in=list(ids))
    rows = list(found[: MOST + 1])
    if len(rows) > MOST:
        raise Invalid(
            "inventory.too_many",
            _("More than %(most)s resources fit.") % {"most": f"{MOST:,}"},
            field="kind",
            remedy=_("Ask for one kind, team or label at a time."),
        )
    keys = found.order_by().values("pk")
    attributes = _attributes(AttributeValue.objects.filter(resource__in=keys))
    endpoints = _endpoints(keys)
    services, parts = _around(actor)
    site = truth.settings_of_now().site_label
    return [
        Given(
            row.pk,
            row.kind,
            row.name,
            row.state,
            row.owner.name if row.owner else "",
            row.labels.get(site, ""),
            without_secrets(dict(sorted(row.labels.items()))),
            without_secrets(attributes.get(row.pk, {})),
            tuple(sorted(services.get(row.pk, ()))),
            tuple(endpoints.get(row.pk, ())),
            tuple(parts.get(row.pk, ())),
        )
        for row in rows
    ]


def _found(actor: Actor, wanted: Wanted) -> QuerySet[Resource]:
    if wanted.state not in STATES:
        raise Invalid(
            "inventory.state",
            _("There is no such state."),
            field="state",
            value=wanted.state,
            remedy=_("Use one of: %(known)s.") % {"known": ", ".join(STATES)},
        )
    for label in wanted.label:
        if not label.partition("=")[0]:
            raise Invalid(
                "inventory.label_filter",
                _("A label is asked for by name, or by name=value."),
                field="label",
                value=label,
                remedy=_("Write it like env=prod."),
            )
    state = None if wanted.state == "all" else wanted.state
    found = reads.find(actor, reads.Filter(wanted.kind or None, wanted.team, wanted.label, state))
    return found.exclude(state=ResourceState.MERGED)


def _attributes(rows: QuerySet[AttributeValue]) -> dict[UUID, dict[str, Any]]:
    """Each resource's attributes as the strongest source says them. Three queries."""
    known = weights()
    gone = given_up_among(Sighting.objects.filter(resource__in=rows.order_by().values("resource_id")))
    best: dict[tuple[UUID, str], tuple[Any, Any]] = {}
    for resource, name, source, value in rows.values_list("resource_id", "name", "source", "value").iterator():
        weight = strength(source, known.about(name, gone.get(resource, ())))
        held = best.get((resource, name))
        if held is None or weight > held[0]:
            best[resource, name] = (weight, value)
    found: dict[UUID, dict[str, Any]] = defaultdict(dict)
    for (resource, name), (_weight, value) in sorted(best.items(), key=lambda each: each[0][1]):
        found[resource][name] = value
    return found


def _endpoints(ids: QuerySet[Any, Any]) -> dict[UUID, list[EndpointRow]]:
    rows = Endpoint.objects.filter(resource__in=ids, purpose="metrics", enabled=True).order_by("url", "id")
    found: dict[UUID, list[EndpointRow]] = defaultdict(list)
    for each in rows:
        row = EndpointRow(each.pk, each.resource_id, each.url, each.labels, each.interval_seconds, each.timeout_seconds)
        found[each.resource_id].append(row)
    return found


def _around(actor: Actor) -> tuple[dict[UUID, set[str]], dict[UUID, list[dict[str, Any]]]]:
    """Return (resource -> services, resource -> attributes of its interfaces) out of visible relations. Two queries.

    A service is what something is part of; a host belongs to the services of what runs on it.
    """
    edges = (
        reads.relations(actor)
        .filter(type__in=("part_of", "runs_on"))
        .order_by()
        .values_list(
            "type",
            "from_resource_id",
            "to_resource_id",
            "from_resource__kind",
            "to_resource__kind",
            "to_resource__name",
        )
    )
    services: dict[UUID, set[str]] = defaultdict(set)
    carried: list[tuple[UUID, UUID]] = []
    wholes: dict[UUID, UUID] = {}
    for type_, from_, to, from_kind, to_kind, to_name in edges:
        if type_ == "runs_on":
            carried.append((from_, to))
        elif to_kind == "service":
            services[from_].add(to_name)
        elif from_kind == _MACHINE_PARTS:
            wholes[from_] = to
    for from_, to in carried:
        if from_ in services:
            services[to] |= services[from_]
    parts: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    if wholes:
        seen = AttributeValue.objects.filter(
            name="addresses", resource__kind=_MACHINE_PARTS, resource__state=ResourceState.ACTIVE
        )
        for part, values in sorted(_attributes(seen).items()):
            if part in wholes:
                parts[wholes[part]].append(values)
    return services, parts


def without_secrets(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes without those whose name, at any depth, says that they open something."""
    return {name: _clean(value) for name, value in attributes.items() if not _OPENS.search(name)}


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_secrets({str(name): each for name, each in value.items()})
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value
