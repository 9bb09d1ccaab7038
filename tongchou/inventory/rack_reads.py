"""Named reads of racks: what is mounted where, how much space and power is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from tongchou.core.access import Actor
from tongchou.inventory import ip_plan, rack_plan, reads
from tongchou.inventory.models import Relation, Resource, ResourceState
from tongchou.inventory.precedence import counting
from tongchou.inventory.rack_plan import Mount
from tongchou.inventory.recorded import precedences

RACK = "rack"
IN_RACK = ("mounted_in", "runs_on", "located_in")  # some sources say one of the latter
HOLDING = (RACK, "chassis")


@dataclass(frozen=True)
class RackView:
    """A rack with what is in it. `seen`: the mounted resources the actor may see; of others only the place is told."""

    row: Resource
    units: int
    descending: bool
    mounts: Sequence[Mount]
    seen: Mapping[UUID, Resource]
    draw_watts: float
    unknown_draw: int  # mounted things of which nobody said what they draw
    capacity_watts: float | None
    site: Resource | None = None

    def resource(self, mount: Mount) -> Resource | None:
        """Return what is mounted, when the actor may see it."""
        return self.seen.get(mount.id) if isinstance(mount.id, UUID) else None

    @property
    def taken(self) -> float:
        """Units that are taken at either face."""
        return rack_plan.units_taken(self.units, self.mounts)

    @property
    def percent(self) -> float:
        """Space taken, in percent."""
        return ip_plan.percent(round(self.taken * rack_plan.HALVES), self.units * rack_plan.HALVES)

    @property
    def power_percent(self) -> float | None:
        """Power drawn of the capacity, in percent; above 100 when it is too much; None without a capacity."""
        return round(100 * self.draw_watts / self.capacity_watts, 1) if self.capacity_watts else None

    @property
    def clashes(self) -> list[tuple[Mount, Mount]]:
        """Pairs that take the same place."""
        return rack_plan.all_clashes(self.mounts)

    @property
    def beyond(self) -> list[Mount]:
        """What does not end within the rack."""
        return [each for each in self.mounts if not rack_plan.inside(self.units, each)]


def number(value: object) -> float | None:
    """Return a number that a source may have written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if -1e9 < found < 1e9 else None


def units_of(rack: Resource) -> int:
    """Return how many units a rack has; 42 when nobody said so."""
    found = number(rack.attributes.get("rack_units")) or number(rack.attributes.get("u_height"))
    return int(found) if found and 1 <= found <= rack_plan.MAX_UNITS else rack_plan.DEFAULT_UNITS


def mount_of(row: Resource, type_: Mapping[str, Any] | None = None) -> Mount:
    """Return a resource as it is mounted; what it does not say itself is that of its device type. One unit at least.

    A height of 0 (a strip beside the units) takes no place.
    """
    said = {**(type_ or {}), **row.attributes}
    height = number(said.get("u_height"))
    position = number(said.get("rack_position"))
    return Mount(
        row.pk,
        row.name,
        position if position is not None and 1 <= position <= rack_plan.MAX_UNITS else None,
        height if height is not None and 0 <= height <= rack_plan.MAX_UNITS else 1.0,
        "rear" if str(said.get("rack_face", "")).lower() == "rear" else "front",
        said.get("full_depth") is not False,
    )


def racks(actor: Actor) -> QuerySet[Resource]:
    """Return the racks the actor may see, by name."""
    return reads.visible(actor).filter(kind=RACK, state=ResourceState.ACTIVE).order_by("name", "id")


def views(actor: Actor, rows: Iterable[Resource]) -> list[RackView]:
    """Return racks with what is in them, in the order given. Six queries, however many there are."""
    listed = list(rows)
    precedence = precedences()
    inside = _inside([row.pk for row in listed], precedence)
    ids = {each.pk for mine in inside.values() for each in mine}
    types = types_of(ids, precedence)
    seen = {row.pk: row for row in reads.visible(actor).filter(pk__in=ids)} if ids else {}
    places = _sites([row.pk for row in listed], precedence)
    return [_view(row, inside.get(row.pk, []), types, seen, places.get(row.pk)) for row in listed]


def view(actor: Actor, rack: Resource) -> RackView:
    """Return one rack with what is in it."""
    return views(actor, [rack])[0]


def _inside(ids: Sequence[UUID], precedence: Mapping[str, int]) -> dict[UUID, list[Resource]]:
    """What is in each rack: by relation; by one of the weaker ones only when it says a position, or is a device.

    A thing is in one rack or chassis at a time: the one that the strongest source names, a person's before all.
    """
    open_ = Relation.objects.filter(type__in=IN_RACK, valid_to__isnull=True, from_resource__state=ResourceState.ACTIVE)
    ties = open_.filter(
        from_resource__in=open_.filter(to_resource__in=ids).values("from_resource_id"),
        to_resource__kind__in=HOLDING,
        to_resource__state=ResourceState.ACTIVE,
    ).filter(Q(type="mounted_in") | ~Q(from_resource__kind__in=("rack", "room", "site", "region")))
    found: dict[UUID, dict[UUID, Resource]] = {id_: {} for id_ in ids}
    listed = ties.select_related("from_resource").order_by("from_resource__name", "from_resource_id")
    for each in counting(listed, precedence, first="mounted_in"):
        if each.to_resource_id in found:
            found[each.to_resource_id][each.from_resource_id] = each.from_resource
    return {id_: list(rows.values()) for id_, rows in found.items()}


def types_of(ids: Iterable[UUID], precedence: Mapping[str, int]) -> dict[UUID, dict[str, Any]]:
    """Return the attributes of the device type of each of these resources that has one. One query."""
    ties = Relation.objects.filter(from_resource__in=list(ids), type="instance_of", valid_to__isnull=True)
    listed = ties.select_related("to_resource").order_by("id")
    return {each.from_resource_id: each.to_resource.attributes for each in counting(listed, precedence)}


def _sites(ids: Sequence[UUID], precedence: Mapping[str, int]) -> dict[UUID, Resource]:
    ties = Relation.objects.filter(
        from_resource__in=ids, type__in=("located_in", "runs_on", "part_of"), valid_to__isnull=True,
        to_resource__kind__in=("site", "room", "region"),
    )  # fmt: skip
    listed = ties.select_related("to_resource").order_by("id")
    return {each.from_resource_id: each.to_resource for each in counting(listed, precedence, first="located_in")}


def _view(
    row: Resource,
    inside: Sequence[Resource],
    types: Mapping[UUID, Mapping[str, Any]],
    seen: Mapping[UUID, Resource],
    site: Resource | None,
) -> RackView:
    mounts, drawn, unknown = [], 0.0, 0
    for each in inside:
        type_ = types.get(each.pk, {})
        mount = mount_of(each, type_)
        mounts.append(mount if each.pk in seen else Mount(each.pk, "", *_place(mount)))
        said = {**type_, **each.attributes}
        watts = number(said.get("power_draw_watts")) or number(said.get("power_max_watts"))
        drawn += watts or 0.0
        unknown += watts is None and mount.height > 0
    mounts.sort(key=lambda one: (one.position or 0.0, one.name, str(one.id)))
    return RackView(
        row,
        units_of(row),
        row.attributes.get("descending_units") is True,
        mounts,
        {each.pk: seen[each.pk] for each in inside if each.pk in seen},
        drawn,
        unknown,
        number(row.attributes.get("power_capacity_watts")),
        site,
    )


def _place(mount: Mount) -> tuple[float | None, float, rack_plan.Face, bool]:
    return mount.position, mount.height, mount.face, mount.full_depth


def mountable(actor: Actor, q: str, *, most: int = 20) -> list[Resource]:
    """Return resources that may be mounted: by part of a name, of the kinds that have a height. One query."""
    found = reads.visible(actor).filter(state=ResourceState.ACTIVE, kind__in=MOUNTABLE)
    if q:
        found = found.filter(name__icontains=q)
    mounted = Relation.objects.filter(type="mounted_in", valid_to__isnull=True).values("from_resource_id")
    return list(found.exclude(pk__in=mounted).order_by("name", "id")[:most])


MOUNTABLE = (
    *("device", "chassis", "storage_array", "switch", "router", "firewall", "access_point"),
    *("pdu", "ups", "host", "load_balancer"),
)
