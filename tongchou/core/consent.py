"""When consent is complete: whom a request needs, what was said, what is missing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid

MAX_NEEDS = 10
MAX_COUNT = 10
ROLES = ("approver", "admin")
OWNER = "owner"
EVERY = "*"
ACTIONS: dict[str, str | Promise] = {}  # what consent is asked for, by its name: rooms declare it


def declare(action: str, title: str | Promise) -> str:
    """Make an action known, so that policies can name it and people read what it is; returns its name."""
    ACTIONS[action] = title
    return action


def check_action(action: str) -> None:
    """Raise Invalid unless consent is ever asked for this: a policy about nothing would protect nothing."""
    if action != EVERY and action not in ACTIONS:
        raise Invalid(
            "policy.action",
            _("Consent is never asked for this."),
            field="action",
            value=action,
            remedy=", ".join([*sorted(ACTIONS), EVERY]),
        )


@dataclass(frozen=True, order=True)
class Wanted:
    """What a policy asks for: `who` is "role:approver", "role:admin", "owner", "team:<id>" or "person:<id>"."""

    who: str
    count: int


@dataclass(frozen=True)
class Vote:
    """What `voter` said for `principal` (mostly themselves); `fills`: the needs the principal could fill then."""

    order: int
    voter: UUID
    principal: UUID
    approves: bool
    fills: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What the votes amount to: `missing` persons for each need; rejected by one eligible no."""

    approved: bool
    rejected: bool
    missing: dict[int, int]


def standing(needs: Mapping[int, int], votes: Iterable[Vote], requester: UUID | None) -> Standing:
    """Return where a request stands. `needs`: need -> how many persons.

    A person fills one place of one need, whoever they speak for, and nobody is spoken for twice. Neither a vote of the
    requester nor one for them counts. Which place a person fills is chosen so that as many as possible are filled
    (a matching in a bipartite graph, by augmenting paths), so the order of the votes does not matter.
    """
    counted: dict[UUID, Vote] = {}
    for vote in sorted(votes, key=lambda each: each.order):
        if requester is not None and requester in (vote.voter, vote.principal):
            continue
        counted.setdefault(vote.principal, vote)
    rejected = any(not vote.approves for vote in counted.values())
    could: dict[UUID, set[int]] = {}
    for vote in counted.values():
        if vote.approves:
            could.setdefault(vote.voter, set()).update(vote.fills & needs.keys())
    filled = _match(needs, could)
    missing = {need: count - filled.get(need, 0) for need, count in needs.items()}
    return Standing(not rejected and not any(missing.values()) and bool(needs), rejected, missing)


def _match(needs: Mapping[int, int], could: Mapping[UUID, Collection[int]]) -> dict[int, int]:
    """Return how many places of each need are filled in a largest matching."""
    places: dict[int, list[UUID]] = {need: [] for need in needs}

    def seat(person: UUID, tried: set[int]) -> bool:
        for need in sorted(could[person]):
            if need in tried:
                continue
            tried.add(need)
            if len(places[need]) < needs[need]:
                places[need].append(person)
                return True
            for other in list(places[need]):
                if seat(other, tried):
                    places[need].remove(other)
                    places[need].append(person)
                    return True
        return False

    for person in sorted(could):
        seat(person, set())
    return {need: len(people) for need, people in places.items()}


def fits(action: str, conditions: Mapping[str, Sequence[Any]], *, asked: str, scope: Mapping[str, Any]) -> bool:
    """Tell whether a policy is about a request: its action, and for every condition one of the values in the scope."""
    if action not in ("*", asked):
        return False
    for key, values in conditions.items():
        found = scope.get(key)
        has = {str(each) for each in found} if isinstance(found, list | tuple | set) else {str(found)}
        if key not in scope or not has & {str(each) for each in values}:
            return False
    return True


def combined(policies: Iterable[Iterable[Wanted]]) -> list[Wanted]:
    """Return what several policies ask for together: for each sort of person the largest number. None: one approver."""
    most: dict[str, int] = {}
    for wanted in (each for policy in policies for each in policy):
        most[wanted.who] = max(most.get(wanted.who, 0), wanted.count)
    return [Wanted(who, count) for who, count in sorted(most.items())] or [Wanted("role:approver", 1)]


def read_needs(value: object, field: str = "needs") -> list[Wanted]:
    """Read [{"who": "owner", "count": 1}, ...]; raises Invalid naming the field."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_NEEDS:
        raise _refused(field, value)
    found = [_read_need(each, f"{field}[{n}]") for n, each in enumerate(value)]
    if len({each.who for each in found}) != len(found):
        raise _refused(field, ", ".join(each.who for each in found))
    return found


def _read_need(value: object, field: str) -> Wanted:
    if not isinstance(value, dict) or set(value) - {"who", "count"}:
        raise _refused(field, value)
    who, count = value.get("who"), value.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_COUNT:
        raise _refused(f"{field}.count", count)
    kind, _colon, which = str(who).partition(":")
    if who == OWNER or (kind == "role" and which in ROLES):
        return Wanted(str(who), count)
    if kind == "team" or (kind == "person" and count == 1):
        try:
            return Wanted(f"{kind}:{UUID(which)}", count)
        except ValueError:
            pass
    raise _refused(f"{field}.who", who)


def _refused(field: str, value: object) -> Invalid:
    return Invalid(
        "policy.needs",
        _("This does not say who is needed."),
        field=field,
        value=value,
        remedy=_(
            'Give 1 to %(most)s entries such as {"who": "role:approver", "count": 2}; who is role:approver, '
            "role:admin, owner, team:<id> or person:<id> (count 1), each once."
        )
        % {"most": MAX_NEEDS},
    )
