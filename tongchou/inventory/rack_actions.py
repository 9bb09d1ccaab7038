"""Mounts things in racks and takes them out: where they fit, and nowhere else."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import actions, rack_plan, rack_reads
from tongchou.inventory.actions import EDIT
from tongchou.inventory.apply import take_turn
from tongchou.inventory.models import Relation, Resource, ResourceState
from tongchou.inventory.precedence import MANUAL
from tongchou.inventory.rack_plan import Face, Mount
from tongchou.inventory.recorded import precedences


def mount(
    *,
    actor: Actor,
    resource: Resource,
    rack: Resource,
    position: float | None = None,
    face: Face = "front",
    height: float | None = None,
    full_depth: bool | None = None,
) -> Resource:
    """Mount a resource in a rack at `position` (its lowest unit), or at the lowest that is free; return it.

    By a person's word: attributes rack_position and rack_face, u_height and full_depth where given, and the relation
    mounted_in; one that a person stated with another rack ends. Events resource.changed, relation.added, .removed.
    Conflict when it does not fit there, or nowhere. The inventory's turn is held, so two never get one place.
    """
    for each in (resource, rack):
        check(actor, EDIT, team=each.owner_id)
    _check(resource, rack, position, face, height)
    with transaction.atomic():
        take_turn()
        row = Resource.objects.get(pk=resource.pk)
        view = rack_reads.view(actor, Resource.objects.get(pk=rack.pk))
        said = rack_reads.mount_of(row, rack_reads.types_of([row.pk], precedences()).get(row.pk))
        wanted = Mount(
            row.pk,
            row.name,
            position,
            said.height if height is None else height,
            face,
            said.full_depth if full_depth is None else full_depth,
        )
        at = _position(view, wanted)
        values: dict[str, Any] = {"rack_position": at, "rack_face": face}
        values |= {"u_height": height} if height is not None else {}
        values |= {"full_depth": full_depth} if full_depth is not None else {}
        _end(actor, row, keep=rack)
        row = actions.set_attributes(actor=actor, resource=row, values=values)
        actions.relate(actor=actor, from_resource=row, to_resource=rack, type="mounted_in")
    return row


def unmount(*, actor: Actor, resource: Resource) -> Resource:
    """Take a resource out of the rack in which a person mounted it; what sources say stays. No-op when in none."""
    check(actor, EDIT, team=resource.owner_id)
    with transaction.atomic():
        take_turn()
        _end(actor, resource, keep=None)
        return actions.set_attributes(actor=actor, resource=resource, values={"rack_position": None, "rack_face": None})


def _end(actor: Actor, row: Resource, *, keep: Resource | None) -> None:
    """Close what people stated about where it is mounted, but for `keep`."""
    said = Relation.objects.filter(from_resource=row, type="mounted_in", source=MANUAL, valid_to__isnull=True)
    for each in said.select_related("from_resource", "to_resource"):
        if keep is None or each.to_resource_id != keep.pk:
            actions.unrelate(actor=actor, relation=each)


def _check(resource: Resource, rack: Resource, position: float | None, face: str, height: float | None) -> None:
    if rack.kind != rack_reads.RACK or rack.state != ResourceState.ACTIVE:
        raise Invalid(
            "rack.no_rack",
            _("This is no rack in force."),
            field="rack",
            value=rack.name,
            remedy=_("Choose an active resource of the kind rack."),
        )
    if resource.pk == rack.pk or resource.state != ResourceState.ACTIVE:
        raise Invalid(
            "rack.what",
            _("Only another, active resource can be mounted."),
            field="resource",
            value=resource.name,
            remedy=_("Choose a device."),
        )
    for name, value, least in (("position", position, 1.0), ("height", height, 0.0)):
        if value is not None and not (least <= value <= rack_plan.MAX_UNITS and rack_plan.is_place(value)):
            raise Invalid(
                "rack.units",
                _("A number of units from %(least)s to %(most)s, in whole or half units.")
                % {"least": f"{least:g}", "most": rack_plan.MAX_UNITS},
                field=name,
                value=value,
                remedy=_("Leave it empty, or choose one in that range."),
            )
    if face not in rack_plan.FACES:
        raise Invalid(
            "rack.face",
            _("The face is front or rear."),
            field="face",
            value=face[:40],
            remedy=_("Choose one of the two."),
        )


def _position(view: rack_reads.RackView, wanted: Mount) -> float:
    """Where it goes: where it was asked to, when it fits, else the lowest that is free."""
    if wanted.position is None:
        found = rack_plan.next_position(view.units, view.mounts, wanted)
        if found is None:
            raise Conflict(
                "rack.full",
                _("No %(height)s free units in a row are left in %(rack)s.")
                % {"height": f"{wanted.height:g}", "rack": view.row.name},
                field="rack",
                value=view.row.name,
                remedy=_("Take something out, or choose another rack."),
            )
        return found
    free = rack_plan.positions(view.units, view.mounts, wanted)
    places = ", ".join(f"{each:g}" for each in free[:8]) or "-"
    if not rack_plan.inside(view.units, wanted):
        raise Conflict(
            "rack.beyond",
            _("It would end above unit %(units)s, where the rack ends.") % {"units": view.units},
            field="position",
            value=wanted.position,
            remedy=_("Free positions for it: %(places)s.") % {"places": places},
        )
    others = rack_plan.clashes(wanted, view.mounts)
    if others:
        raise Conflict(
            "rack.clash",
            _("The place is taken by %(others)s.") % {"others": ", ".join(each.name or "?" for each in others)},
            field="position",
            value=wanted.position,
            remedy=_("Free positions for it: %(places)s.") % {"places": places},
        )
    return wanted.position
