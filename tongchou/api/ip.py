"""The IP plan: prefixes with what is used and free in them, the next free address or prefix, and what is wrong."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.inventory import seen_resource
from tongchou.api.paging import MAX_OFFSET, Offset, page_of
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import Invalid, NotFound
from tongchou.inventory import ip_actions, ip_plan, ip_reads
from tongchou.inventory.ip_index import PREFIX_KINDS
from tongchou.inventory.ip_plan import Node
from tongchou.inventory.ip_reads import Plan, PrefixView
from tongchou.inventory.models import Resource
from tongchou.inventory.models_ip import AddressEntry

router = Router(tags=["ip plan"])
VIEW = "inventory.view"
MOST_FREE = 1000


class PrefixFilter(Schema):
    """Which prefixes. `vrf` "" is the global table; `site` is a name, `vlan` a number, `q` part of name or role."""

    vrf: str | None = Field(default=None, max_length=120)
    family: Literal["4", "6"] | None = None
    site: str = Field(default="", max_length=253)
    vlan: int | None = Field(default=None, ge=1, le=4094)
    q: str = Field(default="", max_length=200)
    within: UUID | None = None
    limit: int = Field(default=100, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET)


class AddressIn(Body):
    """What the address is for; without `address` the next free one is taken."""

    address: str = Field(default="", max_length=80)
    dns_name: str = Field(default="", max_length=253)
    description: str = Field(default="", max_length=1000)
    status: Literal["active", "reserved", "dhcp", "slaac", "deprecated"] = "active"
    assigned_to: UUID | None = None


class PrefixIn(Body):
    """How long a prefix is wanted, or which one."""

    length: int | None = Field(default=None, ge=0, le=128)
    prefix: str = Field(default="", max_length=80)
    role: str = Field(default="", max_length=120)
    description: str = Field(default="", max_length=1000)
    status: Literal["container", "active", "reserved", "deprecated"] = "active"


class ReleaseIn(Body):
    """Why it is given back."""

    reason: str = Field(default="", max_length=500)


# --- rendering --------------------------------------------------------------------------------------------------------


def _short(row: Resource) -> dict[str, Any]:
    return {"id": row.pk, "kind": row.kind, "name": row.name}


def _prefix(each: PrefixView) -> dict[str, Any]:
    """Figures that may exceed what a JSON number holds exactly (IPv6) are text."""
    return {
        "id": each.row.pk if each.row else None,
        "prefix": each.cidr,
        "vrf": each.vrf,
        "family": each.net.family,
        "depth": each.depth,
        "children": each.children,
        "used": str(each.used),
        "usable": str(each.usable),
        "free": str(each.free),
        "used_percent": each.percent,
        "is_pool": each.pool,
        "status": each.attribute("prefix_status"),
        "role": each.attribute("role"),
        "description": each.attribute("description"),
        "stated_by": [_short(row) for row in each.resources],
    }


def _entry(row: AddressEntry) -> dict[str, Any]:
    return {"address": ip_reads.entry_text(row), "use": row.use, "vrf": row.vrf, "resource": _short(row.resource)}


# --- finding what a request means -------------------------------------------------------------------------------------


def _seen_prefix(actor: Actor, id_: UUID) -> Resource:
    row = seen_resource(actor, id_)
    if row.kind not in PREFIX_KINDS:
        raise NotFound(
            "ip.prefix_unknown",
            _("There is no prefix of this id."),
            field="id",
            value=id_,
            remedy=_("Look it up with GET /api/v1/ip/prefixes."),
        )
    return row


def _placed(plan: Plan, row: Resource) -> tuple[str, Node]:
    found = ip_reads.node_of(plan, row)
    if found is None:
        raise NotFound(
            "ip.no_prefix",
            _("This is no prefix in force."),
            field="id",
            value=row.name,
            remedy=_("Choose an active resource of the kind prefix whose attribute prefix is like 10.0.0.0/24."),
        )
    return found


# --- reads ------------------------------------------------------------------------------------------------------------


@router.get("/ip/prefixes", response=Page)
def list_prefixes(request: HttpRequest, wanted: Query[PrefixFilter]) -> dict[str, Any]:
    """List prefixes in the order of their addresses, each before those inside it (`depth`), with what is used."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    plan = ip_reads.load_plan()
    within = _seen_prefix(actor, wanted.within) if wanted.within else None
    family = int(wanted.family) if wanted.family else None
    chosen = ip_reads.TreeFilter(wanted.vrf, family, wanted.site, wanted.vlan, wanted.q, within)
    found = ip_reads.tree(actor, plan, chosen)
    rows = ip_reads.views(actor, plan, found[wanted.offset : wanted.offset + wanted.limit])
    return {"items": [_prefix(each) for each in rows], "count": len(found)}


@router.get("/ip/prefixes/{id}", response=dict[str, Any])
def get_prefix(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return a prefix: the prefixes around it, those directly inside, and what is free as the fewest prefixes."""
    actor = actor_of(request)
    row = _seen_prefix(actor, id)
    plan = ip_reads.load_plan()
    vrf, node = _placed(plan, row)
    space = plan.spaces[vrf, node.net.family]
    around = [(vrf, each) for each in space.chain(node.net)[:-1]]
    inside = [(vrf, each) for each in node.children]
    (view,) = ip_reads.views(actor, plan, [(vrf, node)])
    first, last = ip_plan.usable(node.net, pool=view.pool)
    free = ip_plan.free_prefixes(node.net, space.taken(node), most=MOST_FREE)
    return {
        **_prefix(view),
        "first_usable": ip_plan.address_text(node.net.family, first),
        "last_usable": ip_plan.address_text(node.net.family, last),
        "chain": [_prefix(each) for each in ip_reads.views(actor, plan, around)],
        "prefixes": [_prefix(each) for each in ip_reads.views(actor, plan, inside)],
        "free_prefixes": [str(each) for each in free],
        "free_prefixes_truncated": len(free) == MOST_FREE,
    }


@router.get("/ip/prefixes/{id}/addresses", response=Page)
def list_addresses(
    request: HttpRequest,
    id: UUID,  # noqa: A002  # the path's own name
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List the addresses in a prefix, in order: planned ones (address, shared), and those that things report (seen)."""
    actor = actor_of(request)
    vrf, node = _placed(ip_reads.load_plan(), _seen_prefix(actor, id))
    found = ip_reads.entries_in(actor, vrf, node.net)
    return {"items": [_entry(row) for row in page_of(found, max(offset, 0), limit)], "count": found.count()}


@router.get("/ip/prefixes/{id}/next-free", response=dict[str, Any])
def next_free(request: HttpRequest, id: UUID, length: int | None = None) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return the next free address, or with `length` the next free prefix of that length. Nothing is taken."""
    row = _seen_prefix(actor_of(request), id)
    if length is not None:
        return {"prefix": ip_actions.next_free_prefix(row, length)}
    return {"address": ip_actions.next_address(row)}


@router.get("/ip/find", response=dict[str, Any])
def find_address(request: HttpRequest, q: Annotated[str, Query(min_length=1, max_length=80)]) -> dict[str, Any]:
    """Return where an address or prefix in any notation lies: for each VRF the prefixes around it, and whose it is."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    found = ip_reads.locate(actor, ip_reads.load_plan(), q)
    if found is None:
        raise Invalid(
            "ip.notation",
            _("This is no address and no prefix."),
            field="q",
            value=q,
            remedy=_("Write it like 10.0.0.5, 10.0.0.0/24, 10.0.0.0/255.255.255.0 or 2001:db8::/32."),
        )
    items = [
        {
            "vrf": each.vrf,
            "address": str(each.net),
            "chain": [_prefix(one) for one in each.chain],
            "resources": [_entry(row) for row in each.entries],
        }
        for each in found
    ]
    return {"items": items, "count": len(items)}


@router.get("/ip/troubles", response=Page)
def list_troubles(request: HttpRequest) -> dict[str, Any]:
    """List what is wrong: stated twice in a VRF, addresses outside any prefix, reported ones that nobody planned."""
    actor = actor_of(request)
    check_anywhere(actor, VIEW)
    found = ip_reads.troubles(actor, ip_reads.load_plan())
    items = [
        {
            "trouble": each.sort,
            "vrf": each.vrf,
            "address": each.text,
            "resources": [_short(row) for row in each.resources],
        }
        for each in found
    ]
    return {"items": items, "count": len(items)}


# --- writes -----------------------------------------------------------------------------------------------------------


@router.post("/ip/prefixes/{id}/addresses", response={201: dict[str, Any]})
def take_address(request: HttpRequest, id: UUID, body: AddressIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Take the next free address of a prefix, or the one named. Two at once never get the same."""
    actor = actor_of(request)
    row = _seen_prefix(actor, id)
    made = ip_actions.allocate_address(
        actor=actor,
        prefix=row,
        address=body.address.strip(),
        values={"dns_name": body.dns_name, "description": body.description, "address_status": body.status},
        assigned_to=seen_resource(actor, body.assigned_to) if body.assigned_to else None,
    )
    return Status(201, {**_short(made), "address": made.attributes["address"], "prefix_id": row.pk})


@router.post("/ip/prefixes/{id}/prefixes", response={201: dict[str, Any]})
def take_prefix(request: HttpRequest, id: UUID, body: PrefixIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Take the next free prefix of a length inside this one, or the one named. Two at once never get the same."""
    actor = actor_of(request)
    row = _seen_prefix(actor, id)
    made = ip_actions.allocate_prefix(
        actor=actor,
        prefix=row,
        length=body.length,
        cidr=body.prefix.strip(),
        values={"role": body.role, "description": body.description, "prefix_status": body.status},
    )
    return Status(201, {**_short(made), "prefix": made.attributes["prefix"], "within_id": row.pk})


@router.post("/ip/{id}/release", response=dict[str, Any])
def release(request: HttpRequest, id: UUID, body: ReleaseIn) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Give an address or a prefix back; taken again, it is the same resource with its history."""
    actor = actor_of(request)
    row = ip_actions.release(actor=actor, resource=seen_resource(actor, id), reason=body.reason)
    return {**_short(row), "state": row.state}
