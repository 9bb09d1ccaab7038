"""Takes addresses and prefixes from the plan and gives them back: two who ask at once never get the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import actions, ip_plan, ip_reads
from tongchou.inventory.actions import EDIT
from tongchou.inventory.apply import take_turn
from tongchou.inventory.ip_index import ADDRESS, PREFIX
from tongchou.inventory.ip_plan import Net, Span
from tongchou.inventory.models import Resource, ResourceState
from tongchou.inventory.models_ip import AddressEntry, Use

KEPT = ("address", "prefix", "vrf")  # what it is, whoever has it


def allocate_address(
    *,
    actor: Actor,
    prefix: Resource,
    address: str = "",
    values: Mapping[str, Any] | None = None,
    assigned_to: Resource | None = None,
) -> Resource:
    """Take the next free address of a prefix, or `address`, and return its resource. Event resource.created.

    `values`: its other attributes (dns_name, description, ...). The inventory's turn is held from the look to the
    write, so that nobody else takes the same. An address of a prefix inside this one is taken from that one.
    Conflict when nothing is free, or `address` is taken; a released one comes back as the same resource, without what
    people said of whoever had it.
    """
    check(actor, EDIT, team=prefix.owner_id)
    if assigned_to is not None:
        check(actor, EDIT, team=assigned_to.owner_id)
    with transaction.atomic():
        take_turn()
        row = Resource.objects.select_related("owner").get(pk=prefix.pk)
        vrf, net, pool = _net_of(row)
        number = _named(vrf, net, address) if address else _next(vrf, net, pool=pool)
        said = {name: value for name, value in (values or {}).items() if value not in (None, "")}
        text = f"{ip_plan.address_text(net.family, number)}/{net.length}"
        key = f"ip:{vrf or 'global'}:{ip_plan.address_text(net.family, number)}"
        _forget_former(actor, key)
        made = actions.create_resource(
            actor=actor,
            kind=ADDRESS,
            name=text,
            owner=row.owner,
            attributes={"address_status": "active", **said, "address": text, **({"vrf": vrf} if vrf else {})},
            keys=(key,),
        )
        if assigned_to is not None:
            actions.relate(actor=actor, from_resource=made, to_resource=assigned_to, type="assigned_to")
    return made


def allocate_prefix(
    *,
    actor: Actor,
    prefix: Resource,
    length: int | None = None,
    cidr: str = "",
    values: Mapping[str, Any] | None = None,
) -> Resource:
    """Take the next free prefix of a length inside `prefix`, or `cidr`, and return it. Event resource.created.

    Free is one in which no prefix and no address lies. Conflict when there is none, or `cidr` is not free.
    """
    check(actor, EDIT, team=prefix.owner_id)
    with transaction.atomic():
        take_turn()
        row = Resource.objects.select_related("owner").get(pk=prefix.pk)
        vrf, net, _pool = _net_of(row)
        found = _named_prefix(vrf, net, cidr) if cidr else next_prefix(vrf, net, length)
        said = {name: value for name, value in (values or {}).items() if value not in (None, "")}
        key = f"prefix:{vrf or 'global'}:{found}"
        _forget_former(actor, key)
        return actions.create_resource(
            actor=actor,
            kind=PREFIX,
            name=str(found),
            owner=row.owner,
            attributes={"prefix_status": "active", **said, "prefix": str(found), **({"vrf": vrf} if vrf else {})},
            keys=(key,),
        )


def release(*, actor: Actor, resource: Resource, reason: str = "") -> Resource:
    """Give an address or a prefix back. Event resource.gone; no-op when it is gone. What lies in a prefix stays.

    What people said of its use ends with it: whoever gets it next begins anew.
    """
    if resource.kind not in (ADDRESS, PREFIX):
        raise Invalid(
            "ip.not_of_plan",
            _("Only an IP address or a prefix can be given back."),
            field="id",
            value=resource.name,
            remedy=_("Choose an address on the page of its prefix."),
        )
    with transaction.atomic():
        if resource.state == ResourceState.ACTIVE:
            actions.forget_word(actor=actor, resource=resource, keep=KEPT)
        return actions.retire_resource(actor=actor, resource=resource, reason=reason)


def _forget_former(actor: Actor, key: str) -> None:
    """End what people said of a gone one that comes back by this key: it may have gone otherwise than by `release`."""
    gone = Resource.objects.filter(identities__key=key, state=ResourceState.TOMBSTONE).first()
    if gone is not None:
        actions.forget_word(actor=actor, resource=gone, keep=KEPT)


def next_prefix(vrf: str, net: Net, length: int | None) -> Net:
    """Return the lowest free prefix of a length as the database has it now. Invalid for the length, else Conflict."""
    bits = ip_plan.BITS[net.family]
    if length is None or not net.length < length <= bits:
        raise Invalid(
            "ip.length",
            _("The length of a prefix inside %(net)s is %(least)s to %(most)s.")
            % {"net": net, "least": min(net.length + 1, bits), "most": bits},
            field="length",
            value=length,
            remedy=_("Choose a length in that range."),
        )
    found = ip_plan.next_prefix(net, length, ip_reads.taken_in(vrf, net))
    if found is None:
        raise Conflict(
            "ip.no_free_prefix",
            _("No free /%(length)s is left in %(net)s.") % {"length": length, "net": net},
            field="length",
            value=length,
            remedy=_("Ask for a smaller one, or choose another prefix."),
        )
    return found


def next_address(prefix: Resource) -> str:
    """Return the address that `allocate_address` would take now. Conflict when nothing is free."""
    vrf, net, pool = _net_of(prefix)
    return ip_plan.address_text(net.family, _next(vrf, net, pool=pool))


def next_free_prefix(prefix: Resource, length: int) -> str:
    """Return the prefix that `allocate_prefix` would take now. Invalid for the length, Conflict when there is none."""
    vrf, net, _pool = _net_of(prefix)
    return str(next_prefix(vrf, net, length))


def _net_of(prefix: Resource) -> tuple[str, Net, bool]:
    """The VRF, the network, and whether it is a pool, as the index has it now."""
    entry = AddressEntry.objects.filter(resource=prefix, use=Use.PREFIX).order_by("id").first()
    if entry is None or prefix.state != ResourceState.ACTIVE:
        raise Conflict(
            "ip.no_prefix",
            _("This is no prefix in force."),
            field="id",
            value=prefix.name,
            remedy=_("Choose an active resource of the kind prefix whose attribute prefix is like 10.0.0.0/24."),
        )
    return entry.vrf, Net(entry.family, int(entry.start, 16), entry.length), entry.pool


def _next(vrf: str, net: Net, *, pool: bool) -> int:
    number = ip_plan.next_address(net, ip_reads.taken_in(vrf, net), pool=pool)
    if number is None:
        raise Conflict(
            "ip.prefix_full",
            _("No free address is left in %(net)s.") % {"net": net},
            field="id",
            value=str(net),
            remedy=_("Give an address back, or take one from another prefix."),
        )
    return number


def _is_free(span: Span, vrf: str, net: Net) -> bool:
    """Whether nothing of a span of a prefix is taken. What lies behind it is not read."""
    return next(ip_plan.gaps(span, ip_reads.taken_in(vrf, net)), None) == span


def _named(vrf: str, net: Net, text: str) -> int:
    """The number of an address that a person chose, when it is free."""
    parsed = ip_plan.parse(text)
    number = parsed[1] if parsed else -1
    if parsed is None or parsed[0].family != net.family or not net.start <= number <= net.end:
        raise Invalid(
            "ip.address",
            _("This is no address in %(net)s.") % {"net": net},
            field="address",
            value=text[:80],
            remedy=_("Leave it empty for the next free one."),
        )
    if not _is_free((number, number), vrf, net):
        raise Conflict(
            "ip.taken",
            _("This address is taken, or lies in a prefix inside this one."),
            field="address",
            value=text[:80],
            remedy=_("Leave it empty for the next free one."),
        )
    return number


def _named_prefix(vrf: str, net: Net, text: str) -> Net:
    """The prefix that a person chose, when nothing lies in it."""
    parsed = ip_plan.parse(text)
    if (
        parsed is None
        or "/" not in text
        or parsed[0].start != parsed[1]
        or not net.contains(parsed[0])
        or parsed[0] == net
    ):
        raise Invalid(
            "ip.prefix",
            _("This is no prefix inside %(net)s.") % {"net": net},
            field="prefix",
            value=text[:80],
            remedy=_("Write it like %(like)s, without host bits, or ask for a length only.") % {"like": net},
        )
    found = parsed[0]
    if not _is_free(found.span, vrf, net):
        raise Conflict(
            "ip.taken_prefix",
            _("Something lies in %(net)s already.") % {"net": found},
            field="prefix",
            value=text[:80],
            remedy=_("Ask for a length only: the next free one is taken."),
        )
    return found
