"""Named reads of the IP plan: its spaces, a prefix with what is used and free in it, what is wrong, where one lies."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from tongchou.core.access import Actor
from tongchou.inventory import ip_index, ip_plan, kinds, reads, stamps
from tongchou.inventory.address_names import bare
from tongchou.inventory.ip_plan import Net, Node, Space
from tongchou.inventory.models import AttributeValue, Relation, Resource, ResourceState, Stamp
from tongchou.inventory.models_ip import AddressEntry, Use
from tongchou.inventory.precedence import counting
from tongchou.inventory.recorded import chunks, precedences

MOST_TOLD = 200  # duplicates, and addresses outside, of one answer
PLANNED = (Use.ADDRESS, Use.SHARED)
PLACES = ("site", "region", "room")
SpaceKey = tuple[str, int]  # vrf, family


@dataclass(frozen=True)
class Plan:
    """Every space, and which resources each prefix is (more than one: it is stated twice). Never changes once made."""

    spaces: Mapping[SpaceKey, Space] = field(default_factory=dict)
    of: Mapping[tuple[str, Net], Sequence[tuple[UUID, bool]]] = field(default_factory=dict)  # resource, pool
    where: Mapping[UUID, tuple[str, Net]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)  # troubles of everything by sort, once somebody asked

    def pool(self, vrf: str, net: Net) -> bool:
        """Tell whether all addresses of a prefix may be used."""
        return any(pool for _id, pool in self.of.get((vrf, net), ()))


_cache: dict[UUID, Plan] = {}  # at most one: the newest token's
_cache_lock = threading.Lock()


def load_plan() -> Plan:
    """Return the plan as it is. One query when no prefix or address changed since the last call here, else a few."""
    # the token is read before the rows: a change in between costs one load more, and is never missed
    token = stamps.current(Stamp.ADDRESSES)
    if token is None:
        return Plan()
    if (cached := _cache.get(token)) is not None:
        return cached
    plan = _load()
    with _cache_lock:
        _cache.clear()
        _cache[token] = plan
    return plan


def _load() -> Plan:
    nets: dict[SpaceKey, list[Net]] = {}
    of: dict[tuple[str, Net], list[tuple[UUID, bool]]] = {}
    where: dict[UUID, tuple[str, Net]] = {}
    prefixes = AddressEntry.objects.filter(use=Use.PREFIX).order_by("resource_id", "id")
    for id_, vrf, family, start, length, pool in prefixes.values_list(
        "resource_id", "vrf", "family", "start", "length", "pool"
    ):
        net = Net(family, int(start, 16), length)
        nets.setdefault((vrf, family), []).append(net)
        of.setdefault((vrf, net), []).append((id_, pool))
        where.setdefault(id_, (vrf, net))
    taken = AddressEntry.objects.exclude(use=Use.PREFIX)
    keys = {*nets, *taken.order_by().values_list("vrf", "family").distinct()}
    spaces = {}
    for vrf, family in sorted(keys):
        starts = taken.filter(vrf=vrf, family=family).values_list("start", flat=True)
        spaces[vrf, family] = Space(nets.get((vrf, family), ()), [int(each, 16) for each in starts])
    return Plan(spaces, of, where)


# --- taken, straight from the database: for writes --------------------------------------------------------------------


def taken_in(vrf: str, net: Net) -> Iterator[ip_plan.Span]:
    """Give what is taken in a prefix, in order, as the database has it now: prefixes inside, and other addresses.

    Lazy: one query for the prefixes, and one for each stretch between them that is read.
    """
    within = AddressEntry.objects.filter(vrf=vrf, family=net.family)
    inside = _between(within.filter(use=Use.PREFIX, length__gt=net.length), net.span)
    rows = inside.order_by("start", "length").values_list("start", "length")
    nets = (Net(net.family, int(start, 16), length) for start, length in rows)
    at, addresses = net.start, within.exclude(use=Use.PREFIX)
    for each in nets:
        if each.start < at:  # in one that was given, or the same again
            continue
        yield from _singly(addresses, (at, each.start - 1))
        yield each.span
        at = each.end + 1
    yield from _singly(addresses, (at, net.end))


def _between(rows: QuerySet[AddressEntry], span: ip_plan.Span) -> QuerySet[AddressEntry]:
    return rows.filter(start__gte=ip_plan.key(span[0]), start__lte=ip_plan.key(span[1]))


def _singly(rows: QuerySet[AddressEntry], span: ip_plan.Span) -> Iterator[ip_plan.Span]:
    if span[0] <= span[1]:
        for start in _between(rows, span).order_by("start").values_list("start", flat=True).iterator(chunk_size=1000):
            yield int(start, 16), int(start, 16)


# --- a prefix ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrefixView:
    """A prefix with its figures. `resources`: more than one where it is stated twice; only those the actor may see.

    `used` and `usable` count all there is, whoever owns it: what is taken is taken.
    """

    vrf: str
    net: Net
    pool: bool
    depth: int
    children: int
    used: int
    usable: int
    resources: Sequence[Resource] = ()

    @property
    def row(self) -> Resource | None:
        """The resource it is."""
        return self.resources[0] if self.resources else None

    @property
    def twice(self) -> bool:
        """Whether several plan it. A subnet of a cloud is what became of a plan; and networks there may be alike."""
        return sum(row.kind == ip_index.PREFIX for row in self.resources) > 1

    @property
    def percent(self) -> float:
        """Used of usable."""
        return ip_plan.percent(self.used, self.usable)

    @property
    def free(self) -> int:
        """How many usable addresses are not taken."""
        return self.usable - self.used

    @property
    def cidr(self) -> str:
        """The prefix as people write it."""
        return str(self.net)

    def attribute(self, name: str) -> str:
        """Return an attribute of the prefix as text."""
        value = self.row.attributes.get(name) if self.row else None
        return "" if value is None else str(value)

    @property
    def status_title(self) -> str:
        """Its status as people read it."""
        value, field_ = self.attribute("prefix_status"), kinds.field_named("prefix_status")
        return next((each.title for each in (field_.choices if field_ else ()) if each.value == value), value)

    @property
    def role(self) -> str:
        """What it is for."""
        return self.attribute("role")

    @property
    def description(self) -> str:
        """What people say about it."""
        return self.attribute("description")


def views(actor: Actor, plan: Plan, wanted: Iterable[tuple[str, Node]]) -> list[PrefixView]:
    """Return prefixes of a plan with their figures, in the order given. One query; those unseen are left out."""
    listed = list(wanted)
    ids = {id_ for vrf, node in listed for id_, _pool in plan.of[vrf, node.net]}
    rows = {row.pk: row for row in reads.visible(actor).select_related("owner").filter(pk__in=ids)} if ids else {}
    found = []
    for vrf, node in listed:
        mine = [rows[id_] for id_, _pool in plan.of[vrf, node.net] if id_ in rows]
        if mine:
            mine.sort(key=lambda row: row.kind != ip_index.PREFIX)  # the plan before what became of it
            found.append(_view(plan, vrf, node, mine))
    return found


def _view(plan: Plan, vrf: str, node: Node, rows: Sequence[Resource]) -> PrefixView:
    pool, space = plan.pool(vrf, node.net), plan.spaces[vrf, node.net.family]
    return PrefixView(
        vrf,
        node.net,
        pool,
        node.depth,
        len(node.children),
        space.used(node, pool=pool),
        ip_plan.usable_count(node.net, pool=pool),
        rows,
    )


def node_of(plan: Plan, prefix: Resource) -> tuple[str, Node] | None:
    """Return where a prefix is in the plan: (vrf, node); None when what it states is no prefix, or it is gone."""
    found = plan.where.get(prefix.pk)
    if found is None:
        return None
    vrf, net = found
    return vrf, plan.spaces[vrf, net.family].nodes[net]


@dataclass(frozen=True)
class TreeFilter:
    """Which prefixes a page shows. `vrf` None: of every VRF; `within`: those inside this one."""

    vrf: str | None = None
    family: int | None = None
    site: str = ""
    vlan: int | None = None
    q: str = ""
    within: Resource | None = None

    @property
    def narrow(self) -> bool:
        """Whether single prefixes are chosen, so that no tree is left."""
        return bool(self.site or self.vlan is not None or self.q)


def tree(actor: Actor, plan: Plan, wanted: TreeFilter) -> list[tuple[str, Node]]:
    """Return the prefixes that fit, each before those inside it. A few queries with a filter by place or text."""
    ids = _chosen(actor, wanted) if wanted.narrow else None
    found = []
    around = plan.where.get(wanted.within.pk) if wanted.within is not None else None
    for (vrf, family), space in plan.spaces.items():
        if (wanted.vrf is not None and vrf != wanted.vrf) or (wanted.family and family != wanted.family):
            continue
        if wanted.within is not None and (around is None or around[0] != vrf or around[1].family != family):
            continue
        for node in space.walk():
            if around is not None and (node.net == around[1] or not around[1].contains(node.net)):
                continue
            if ids is None or any(id_ in ids for id_, _pool in plan.of[vrf, node.net]):
                found.append((vrf, node))
    return found


def _chosen(actor: Actor, wanted: TreeFilter) -> set[UUID]:
    """The prefixes that fit by place, VLAN and text."""
    rows = prefixes(actor)
    if wanted.site:
        rows = rows.filter(Q(pk__in=_placed(wanted.site)) | Q(attributes__site=wanted.site))
    if wanted.vlan is not None:
        rows = rows.filter(Q(pk__in=_of_vlans(wanted.vlan)) | Q(attributes__vlan=wanted.vlan))
    if wanted.q:
        rows = rows.filter(
            Q(name__icontains=wanted.q)
            | Q(attributes__role__icontains=wanted.q)
            | Q(attributes__description__icontains=wanted.q)
        )
    return set(rows.values_list("pk", flat=True))


def _placed(site: str) -> list[UUID]:
    """What is related to a place of this name, as the strongest source has it."""
    open_ = Relation.objects.filter(
        valid_to__isnull=True, from_resource__kind__in=ip_index.PREFIX_KINDS, to_resource__kind__in=PLACES
    )
    near = open_.filter(to_resource__name=site).values("from_resource_id")
    ties = counting(open_.filter(from_resource__in=near).select_related("to_resource"), precedences())
    return [each.from_resource_id for each in ties if each.to_resource.name == site]


def _of_vlans(vid: int) -> QuerySet[Relation, UUID]:
    vlans = Resource.objects.filter(kind="vlan", state=ResourceState.ACTIVE, attributes__vid=vid)
    return Relation.objects.filter(valid_to__isnull=True, to_resource__in=vlans).values_list(
        "from_resource_id", flat=True
    )


def prefixes(actor: Actor) -> QuerySet[Resource]:
    """Return the prefixes the actor may see, subnets of clouds among them."""
    return reads.visible(actor).filter(kind__in=ip_index.PREFIX_KINDS, state=ResourceState.ACTIVE)


def entries_in(actor: Actor, vrf: str, net: Net) -> QuerySet[AddressEntry]:
    """Return the addresses in a prefix, with those of prefixes inside it, in order; what is unseen is out."""
    found = AddressEntry.objects.filter(
        vrf=vrf, family=net.family, start__gte=ip_plan.key(net.start), start__lte=ip_plan.key(net.end)
    ).exclude(use=Use.PREFIX)
    return _seen_by(actor, found).order_by("start", "use", "id").select_related("resource", "resource__owner")


def _seen_by(actor: Actor, rows: QuerySet[AddressEntry]) -> QuerySet[AddressEntry]:
    return rows if reads.may_see(actor, None) else rows.filter(resource__in=reads.visible(actor))


# --- where an address or prefix lies ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Where an address or prefix lies in one VRF: the prefixes around it, and the resources that are it or have it."""

    vrf: str
    net: Net
    chain: Sequence[PrefixView]
    entries: Sequence[AddressEntry]


def locate(actor: Actor, plan: Plan, text: str) -> list[Found] | None:
    """Return where an address or prefix in whatever notation lies, a line for each VRF that knows it; None: it is none.

    Without a length it is an address. Three queries.
    """
    parsed = ip_plan.parse(text)
    if parsed is None:
        return None
    net, number = parsed
    whole = ip_plan.BITS[net.family]
    if "/" in text and number != net.start:  # "10.0.0.5/24": an address and what it lies in
        net = Net(net.family, number, whole)
    rows = _seen_by(actor, AddressEntry.objects.filter(family=net.family, start=ip_plan.key(net.start)))
    entries: dict[str, list[AddressEntry]] = {}
    for row in rows.filter(length=net.length).select_related("resource", "resource__owner").order_by("use", "id"):
        entries.setdefault(row.vrf, []).append(row)
    nodes = {vrf: space.chain(net) for (vrf, family), space in plan.spaces.items() if family == net.family}
    listed = [(vrf, node) for vrf, chain in nodes.items() for node in chain]
    seen = {(each.vrf, each.net): each for each in views(actor, plan, listed)}
    found = []
    for vrf in sorted({*nodes, *entries}):
        chain = [seen[vrf, node.net] for node in nodes.get(vrf, ()) if (vrf, node.net) in seen]
        if chain or entries.get(vrf):
            found.append(Found(vrf, net, chain, entries.get(vrf, ())))
    return found


# --- what is wrong ----------------------------------------------------------------------------------------------------


SORTS = ("duplicate_prefix", "duplicate_address", "outside", "unplanned")


@dataclass(frozen=True)
class Trouble:
    """Something about the plan that a person should look at, and the resources concerned."""

    sort: str  # one of SORTS
    vrf: str
    text: str
    resources: Sequence[Resource]


def troubles(actor: Actor, plan: Plan, *, most: int = MOST_TOLD) -> list[Trouble]:
    """Return prefixes and addresses stated twice in a VRF, planned addresses in no prefix, and reported unplanned ones.

    At most `most` of each; only what the actor may see. Two queries each.
    """
    planned = AddressEntry.objects.filter(use=Use.PREFIX, resource__kind=ip_index.PREFIX)
    twice = _twice(actor, "duplicate_prefix", planned, most)
    twice += _twice(actor, "duplicate_address", AddressEntry.objects.filter(use=Use.ADDRESS), most)
    return twice + _outside(actor, plan, most) + unplanned(actor, most=most)


def trouble_counts(actor: Actor, plan: Plan) -> dict[str, int]:
    """Return how many troubles of each sort the actor may see, at most MOST_TOLD each; none are left out."""
    sees_all = reads.may_see(actor, None)
    if sees_all and plan.counted:
        return plan.counted
    found = dict.fromkeys(SORTS, 0)
    for each in troubles(actor, plan):
        found[each.sort] += 1
    if sees_all:
        plan.counted.update(found)
    return found


def _twice(actor: Actor, sort: str, rows: QuerySet[AddressEntry], most: int) -> list[Trouble]:
    fields = ("vrf", "family", "start", "length")
    groups = rows.order_by().values(*fields).annotate(count=Count("id")).filter(count__gt=1).order_by(*fields)
    keys = [tuple(each[name] for name in fields) for each in groups[:most]]
    found = rows.filter(start__in={key[2] for key in keys})
    by_key: dict[tuple[object, ...], list[Resource]] = {}
    for row in _seen_by(actor, found).select_related("resource", "resource__owner").order_by("id"):
        by_key.setdefault(tuple(getattr(row, name) for name in fields), []).append(row.resource)
    return [
        Trouble(sort, str(key[0]), _text(int(key[1]), str(key[2]), int(key[3])), by_key[key])
        for key in keys
        if by_key.get(key)
    ]


def _text(family: int, start: str, length: int) -> str:
    net = Net(family, int(start, 16), length)
    return ip_plan.address_text(family, net.start) if length == ip_plan.BITS[family] else str(net)


def entry_text(row: AddressEntry) -> str:
    """Return what an entry is as people write it."""
    return _text(row.family, row.start, row.length)


def _outside(actor: Actor, plan: Plan, most: int) -> list[Trouble]:
    found: list[Trouble] = []
    for (vrf, family), space in plan.spaces.items():
        starts = [ip_plan.key(each) for each in space.outside()[: most * 10]]
        rows = AddressEntry.objects.filter(vrf=vrf, family=family, start__in=starts, use__in=PLANNED)
        rows = _seen_by(actor, rows).select_related("resource", "resource__owner").order_by("start", "id")
        found += [Trouble("outside", vrf, entry_text(row), [row.resource]) for row in rows[:most]]
    return found[:most]


def unplanned(actor: Actor, *, most: int = MOST_TOLD) -> list[Trouble]:
    """Return addresses that things report and nobody planned."""
    planned = AddressEntry.objects.filter(
        vrf=OuterRef("vrf"), family=OuterRef("family"), start=OuterRef("start"), use__in=PLANNED
    )
    rows = AddressEntry.objects.filter(~Exists(planned), use=Use.SEEN)
    rows = _seen_by(actor, rows).select_related("resource", "resource__owner").order_by("vrf", "family", "start", "id")
    return [Trouble("unplanned", row.vrf, entry_text(row), [row.resource]) for row in rows[:most]]


# --- VLANs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VlanView:
    """A VLAN, its group, and the prefixes related to it."""

    row: Resource
    vid: int | None
    group: str
    prefixes: Sequence[Resource]
    twice: bool  # another one of its group has the same number


def vlans(actor: Actor) -> list[VlanView]:
    """Return the VLANs the actor may see, by group and number. Three queries."""
    rows = list(reads.visible(actor).filter(kind="vlan", state=ResourceState.ACTIVE).select_related("owner"))
    related: dict[UUID, list[Resource]] = {}
    ties = Relation.objects.filter(valid_to__isnull=True, to_resource__in=[row.pk for row in rows])
    ties = ties.filter(from_resource__kind="prefix", from_resource__in=prefixes(actor))
    for each in ties.select_related("from_resource").order_by("from_resource__name"):
        mine = related.setdefault(each.to_resource_id, [])
        if each.from_resource not in mine:
            mine.append(each.from_resource)
    facts = [(row, _vid(row), str(row.attributes.get("group") or "")) for row in rows]
    by_number: dict[tuple[str, int], int] = {}
    by_vid: dict[int, list[UUID]] = {}
    for row, vid, group in facts:
        if vid is not None:
            by_number[group, vid] = by_number.get((group, vid), 0) + 1
            by_vid.setdefault(vid, []).append(row.pk)
    _by_number(actor, by_vid, related)
    found = [
        VlanView(row, vid, group, related.get(row.pk, ()), vid is not None and by_number[group, vid] > 1)
        for row, vid, group in facts
    ]
    return sorted(found, key=lambda each: (each.group, each.vid or 0, each.row.name))


def _vid(row: Resource) -> int | None:
    vid = row.attributes.get("vid")
    return vid if isinstance(vid, int) and not isinstance(vid, bool) else None


def _by_number(actor: Actor, by_vid: Mapping[int, Sequence[UUID]], related: dict[UUID, list[Resource]]) -> None:
    """Add prefixes that name a VLAN by its number only, where one VLAN has it."""
    for prefix in prefixes(actor).filter(attributes__vlan__isnull=False).order_by("name"):
        ids = by_vid.get(prefix.attributes.get("vlan", -1), ())
        if len(ids) == 1 and prefix not in related.setdefault(ids[0], []):
            related[ids[0]].append(prefix)


def stated_by_others(addresses: Sequence[str], sources: Collection[str]) -> set[str]:
    """Return those of the addresses that somebody but these sources says a thing has. Two queries for each 5,000."""
    numbers = {str(ip_plan.address_text(net.family, at)): ip_plan.key(at) for net, at in _parsed(addresses)}
    found: set[str] = set()
    for part in chunks(numbers.values()):
        having = (
            AddressEntry.objects.filter(start__in=part).exclude(use=Use.PREFIX).values_list("resource_id", flat=True)
        )
        said = AttributeValue.objects.filter(resource_id__in=list(having), name__in=ip_index.SEEN)
        for value in said.exclude(source__in=list(sources)).values_list("value", flat=True):
            listed = map(bare, value if isinstance(value, list) else [value])
            found.update(ip_plan.address_text(net.family, at) for net, at in _parsed(listed))
    return found & numbers.keys()


def _parsed(said: Iterable[object]) -> Iterator[tuple[Net, int]]:
    return filter(None, map(ip_plan.parse, said))
