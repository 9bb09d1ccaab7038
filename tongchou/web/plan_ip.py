"""Plan: the IP plan as a tree with what is used, one prefix with what is free in it, where an address lies, VLANs."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.inventory import ip_actions, ip_plan, ip_reads
from tongchou.inventory.ip_index import PREFIX_KINDS
from tongchou.inventory.ip_plan import Node
from tongchou.inventory.ip_reads import Plan, PrefixView, TreeFilter
from tongchou.inventory.models import Resource
from tongchou.inventory.models_ip import AddressEntry
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan import posted_id, resource_of

Gap = tuple[Node, int, int]  # what no prefix inside this one covers, first and last

PAGE = 200  # prefixes on a page
ADDRESSES = 256  # addresses on a page of a prefix
MOST_GAPS = 6  # stretches between prefixes that are shown for one prefix
MOST_FREE = 40
MAP_CELLS = 256  # the largest prefix that is drawn address by address
TROUBLES = {
    "duplicate_prefix": (gettext_lazy("Prefix stated twice"), "critical"),
    "duplicate_address": (gettext_lazy("Address given twice"), "critical"),
    "outside": (gettext_lazy("In no prefix"), "warning"),
    "unplanned": (gettext_lazy("Reported, not planned"), "warning"),
}


@dataclass(frozen=True)
class Line:
    """A line of the tree: a prefix, or (without `view`) a stretch of one that no prefix inside it covers."""

    depth: int
    view: PrefixView | None = None
    text: str = ""
    within: UUID | None = None

    @property
    def indent(self) -> str:
        """How far it stands in, as CSS."""
        return f"{min(self.depth, 12) * 18}px"

    @property
    def tone(self) -> str:
        """How full it is, as a word of the palette."""
        if self.view is None:
            return ""
        return "critical" if self.view.percent >= 95 else "warning" if self.view.percent >= 80 else ""


# --- the tree ---------------------------------------------------------------------------------------------------------


def _wanted(request: PageRequest) -> TreeFilter:
    query = request.GET
    vlan, family = query.get("vlan", ""), query.get("family", "")
    return TreeFilter(
        query.get("vrf") if "vrf" in query and query.get("vrf") != "*" else None,
        int(family) if family in ("4", "6") else None,
        query.get("site", "").strip()[:253],
        int(vlan) if vlan.isascii() and vlan.isdigit() and len(vlan) <= 4 else None,
        query.get("q", "").strip()[:200],
    )


def _before(node: Node) -> Iterator[Gap]:
    """The stretch between a prefix and the one before it, inside the one around both."""
    if node.parent is not None:
        around = node.parent.children
        place = bisect_left(around, node.net, key=lambda each: each.net)
        first = around[place - 1].net.end + 1 if place else node.parent.net.start
        if first < node.net.start:
            yield node.parent, first, node.net.start - 1


def _after(node: Node) -> Iterator[Gap]:
    """The rest of each prefix whose last one this is."""
    at = node
    while not node.children and at.parent is not None and at.parent.children[-1] is at:
        if at.net.end < at.parent.net.end:
            yield at.parent, at.net.end + 1, at.parent.net.end
        at = at.parent


def _lines(actor: Actor, plan: Plan, shown: Sequence[tuple[str, Node]], *, gaps: bool) -> Iterator[Line]:
    """A page of the tree, and between its prefixes the stretches that none covers. Two queries at most."""
    rows = {(view.vrf, view.net): view for view in ip_reads.views(actor, plan, shown)}
    free = [(vrf, node, list(_before(node)), list(_after(node))) for vrf, node in shown] if gaps else []
    around = {(vrf, parent.net): parent for vrf, _n, *both in free for found in both for parent, _f, _l in found}
    missing = [(key[0], parent) for key, parent in around.items() if key not in rows]
    rows_around = rows | {(view.vrf, view.net): view for view in ip_reads.views(actor, plan, missing)}
    told: Counter[tuple[str, ip_plan.Net]] = Counter()

    def stretches(vrf: str, found: Sequence[Gap]) -> Iterator[Line]:
        for parent, first, last in found:
            view = rows_around.get((vrf, parent.net))
            told[vrf, parent.net] += 1
            if view is not None and view.row is not None and told[vrf, parent.net] <= MOST_GAPS:
                ends = (ip_plan.address_text(parent.net.family, each) for each in (first, last))
                yield Line(view.depth + 1, None, " – ".join(ends), view.row.pk)

    for vrf, node, before, after in free or [(vrf, node, [], []) for vrf, node in shown]:
        yield from stretches(vrf, before)
        if (vrf, node.net) in rows:
            yield Line(node.depth, rows[vrf, node.net])
        yield from stretches(vrf, after)


@page("inventory.view")
def ip(request: PageRequest) -> HttpResponse:
    """The plan: prefixes as a tree with what is used and free; an address typed leads to its place."""
    wanted = _wanted(request)
    if wanted.q and ip_plan.parse(wanted.q) is not None:
        return redirect(f"{reverse('web:ip-find')}?{urlencode({'q': wanted.q})}")
    plan = ip_reads.load_plan()
    found = ip_reads.tree(request.actor, plan, wanted)
    shown = Paginator(found, PAGE).get_page(request.GET.get("page"))
    troubles = ip_reads.trouble_counts(request.actor, plan)
    context = {
        "lines": list(_lines(request.actor, plan, list(shown.object_list), gaps=not wanted.narrow)),
        "wanted": wanted,
        "vrf": "*" if wanted.vrf is None else wanted.vrf,
        "vrfs": sorted({vrf for vrf, _family in plan.spaces if vrf}),
        "count": len(found),
        "page": shown,
        "troubles": [
            {"sort": sort, "title": title, "count": troubles[sort]} for sort, (title, _tone) in TROUBLES.items()
        ],
        "filtered": wanted.narrow or wanted.vrf is not None or wanted.family is not None,
        "may_edit": allows_anywhere(request.actor, "inventory.edit"),
        "most_told": ip_reads.MOST_TOLD,
    }
    return render(request, "plan/ip.html", context)


@page("inventory.view")
def ip_troubles(request: PageRequest) -> HttpResponse:
    """What is wrong with the plan."""
    found = ip_reads.troubles(request.actor, ip_reads.load_plan())
    sort = request.GET.get("sort", "")
    rows = [
        {"trouble": each, "title": TROUBLES[each.sort][0], "tone": TROUBLES[each.sort][1]}
        for each in found
        if not sort or each.sort == sort
    ]
    return render(
        request, "plan/ip_troubles.html", {"rows": rows, "sorts": TROUBLES, "sort": sort, "most": ip_reads.MOST_TOLD}
    )


@page("inventory.view")
def ip_find(request: PageRequest) -> HttpResponse:
    """Where an address or prefix in any notation lies."""
    q = request.GET.get("q", "").strip()[:80]
    found = ip_reads.locate(request.actor, ip_reads.load_plan(), q) if q else None
    return render(request, "plan/ip_find.html", {"q": q, "found": found, "unread": bool(q) and found is None})


# --- one prefix -------------------------------------------------------------------------------------------------------


def _prefix(request: PageRequest, prefix_id: UUID) -> Resource:
    row = resource_of(request, prefix_id)
    if row.kind not in PREFIX_KINDS:
        raise NotFound(
            "ip.prefix_unknown",
            _("There is no prefix of this id."),
            field="id",
            remedy=_("Choose one on the page of the IP plan."),
        )
    return row


def _cells(plan: Plan, vrf: str, node: Node, entries: Sequence[AddressEntry], *, pool: bool) -> list[dict[str, str]]:
    """One for each address of a small prefix: what it is, for the picture."""
    if node.net.size > MAP_CELLS:
        return []
    first, last = ip_plan.usable(node.net, pool=pool)
    names = {int(row.start, 16): row for row in reversed(entries)}
    taken = set(plan.spaces[vrf, node.net.family].between(node.net.span))
    cells = []
    for number in range(node.net.start, node.net.end + 1):
        text = ip_plan.address_text(node.net.family, number)
        if number in names:
            state, text = str(names[number].use), f"{text} {names[number].resource.name}"
        elif number in taken:
            state = "address"
        elif any(child.net.start <= number <= child.net.end for child in node.children):
            state = "inside"
        else:
            state = "free" if first <= number <= last else "kept"
        cells.append({"state": state, "text": text})
    return cells


@page("inventory.view")
def ip_prefix(request: PageRequest, prefix_id: UUID) -> HttpResponse:
    """One prefix: what lies around and in it, what is free; POST takes the next free, or gives back (`do`)."""
    row = _prefix(request, prefix_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            return _done(request, row)
        except (Invalid, Conflict) as refused:
            problem = refused
    plan = ip_reads.load_plan()
    placed = ip_reads.node_of(plan, row)
    if placed is None:  # gone, or it states no prefix: its own page tells which
        return redirect("web:resource", resource_id=row.pk)
    vrf, node = placed
    space = plan.spaces[vrf, node.net.family]
    (view,) = ip_reads.views(request.actor, plan, [(vrf, node)])
    found = ip_reads.entries_in(request.actor, vrf, node.net)
    entries = list(found[:ADDRESSES])
    bits = ip_plan.BITS[node.net.family]
    first, last = ip_plan.usable(node.net, pool=view.pool)
    # what holds prefixes is free for prefixes, else for things
    within = None if node.children else (first, last)
    free = ip_plan.free_prefixes(node.net, space.taken(node), within=within, most=MOST_FREE)
    cells = _cells(plan, vrf, node, entries, pool=view.pool)
    context: dict[str, Any] = {
        "row": row,
        "view": view,
        "line": Line(0, view),
        "first": ip_plan.address_text(node.net.family, first),
        "last": ip_plan.address_text(node.net.family, last),
        "chain": ip_reads.views(request.actor, plan, [(vrf, each) for each in space.chain(node.net)[:-1]]),
        "inside": [
            Line(0, each) for each in ip_reads.views(request.actor, plan, [(vrf, each) for each in node.children])
        ],
        "free": [{"cidr": str(each), "size": each.size} for each in free],
        "free_cut": len(free) == MOST_FREE,
        "next_address": _next_address(node, space, pool=view.pool),
        "entries": [
            {"row": each, "text": ip_reads.entry_text(each), "use": each.get_use_display()} for each in entries
        ],
        "entry_count": found.count(),
        "cells": cells,
        "lengths": range(node.net.length + 1, bits + 1),
        "length": min(bits, max(node.net.length + 1, 24 if node.net.family == 4 else 64)),
        "may_edit": allows(request.actor, "inventory.edit", team=row.owner_id),
        "problem": problem,
        "typed": request.POST,
    }
    return render(request, "plan/ip_prefix.html", context, status=problem.status if problem else 200)


def _next_address(node: Node, space: ip_plan.Space, *, pool: bool) -> str:
    found = ip_plan.next_address(node.net, space.taken(node), pool=pool)
    return "" if found is None else ip_plan.address_text(node.net.family, found)


def _done(request: PageRequest, row: Resource) -> HttpResponse:
    post, actor = request.POST, request.actor
    match post.get("do", ""):
        case "address":
            made = ip_actions.allocate_address(
                actor=actor,
                prefix=row,
                address=post.get("address", "").strip(),
                values={
                    "dns_name": post.get("dns_name", "").strip(),
                    "description": post.get("description", "").strip(),
                },
            )
            messages.success(request, _("%(name)s is yours.") % {"name": made.name})
        case "prefix":
            length = post.get("length", "")
            made = ip_actions.allocate_prefix(
                actor=actor,
                prefix=row,
                length=int(length) if length.isascii() and length.isdigit() and len(length) < 4 else None,
                values={"role": post.get("role", "").strip(), "description": post.get("description", "").strip()},
            )
            messages.success(request, _("%(name)s is yours.") % {"name": made.name})
        case "release":
            given = resource_of(request, posted_id(request, "address_id", "ip.id"))
            ip_actions.release(actor=actor, resource=given, reason=post.get("reason", ""))
            messages.success(request, _("%(name)s is given back.") % {"name": given.name})
        case _:
            raise NotFound("ip.act", _("There is no such act."), field="do", remedy=_("Reload the page."))
    return redirect("web:ip-prefix", prefix_id=row.pk)


@page("inventory.view")
def vlans(request: PageRequest) -> HttpResponse:
    """The VLANs by group, with their prefixes."""
    groups: dict[str, list[ip_reads.VlanView]] = {}
    for each in ip_reads.vlans(request.actor):
        groups.setdefault(each.group, []).append(each)
    context = {"groups": list(groups.items()), "may_edit": allows_anywhere(request.actor, "inventory.edit")}
    return render(request, "plan/vlans.html", context)
