"""Decides whether an alert group belongs to an incident that is already open, and says why.

Pure. Two groups belong together when they are about the same resource, or one is about something that the other needs
within a few hops, and they began close in time. Sharing a healthy dependency is not enough: everything shares a host.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tongchou.incidents.suspects import Value

Hops = Callable[[UUID, UUID], int | None]


@dataclass(frozen=True, slots=True)
class JoinPolicy:
    """`window`: groups begin at most so far apart. `span`: how long after its start an incident takes groups."""

    window: timedelta = timedelta(minutes=15)
    span: timedelta = timedelta(minutes=60)
    max_hops: int = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A group of an open incident: when it began and what it is about."""

    started_at: datetime
    resources: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that may take another group; `number` orders them, the older wins a tie."""

    id: UUID
    number: int
    started_at: datetime
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """The incident to join, with a code of `reasons.JOIN_TEXTS` and its facts."""

    incident: UUID
    code: str
    params: Mapping[str, Value]
    hops: int
    apart: timedelta


def find(
    group: Member, incidents: Iterable[OpenIncident], hops: Hops, policy: JoinPolicy, names: Mapping[UUID, str]
) -> Join | None:
    """The best incident for a group, or None when it opens its own.

    `hops(a, b)` is the number of steps from a to b which a depends on, None when it does not. Nearest first, then
    closest in time, then the oldest incident. A group about no known resource never joins: time alone proves nothing.
    """
    found = []
    for incident in incidents:
        if abs(group.started_at - incident.started_at) > policy.span:
            continue
        for member in incident.members:
            join = _join(group, incident, member, hops, policy, names)
            if join is not None:
                found.append((join.hops, join.apart, incident.number, sorted(join.params.items(), key=str), join))
    return min(found, key=lambda entry: entry[:4])[4] if found else None


def _join(
    group: Member, incident: OpenIncident, member: Member, hops: Hops, policy: JoinPolicy, names: Mapping[UUID, str]
) -> Join | None:
    apart = abs(group.started_at - member.started_at)
    if apart > policy.window:
        return None
    minutes = round(apart.total_seconds() / 60)
    shared = sorted(names.get(resource, str(resource)) for resource in group.resources & member.resources)
    if shared:
        return Join(incident.id, "shared_resource", {"name": shared[0], "minutes": minutes}, 0, apart)
    pairs = [
        (a, b) for mine in group.resources for theirs in member.resources for a, b in ((mine, theirs), (theirs, mine))
    ]
    near = [(steps, names.get(a, str(a)), names.get(b, str(b))) for a, b in pairs if (steps := hops(a, b)) is not None]
    if not near or min(near)[0] > policy.max_hops:
        return None
    steps, from_name, to_name = min(near)
    params: dict[str, Value] = {"from_name": from_name, "to_name": to_name, "hops": steps, "minutes": minutes}
    return Join(incident.id, "needs", params, steps, apart)
