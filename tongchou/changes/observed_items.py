"""What sources saw modified becomes items to explain, adopt or revert: once each, whatever is read twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from tongchou.changes import drift, drift_actions, drift_explained, observed_facts, observed_fold, observed_reading
from tongchou.changes.drift import Found
from tongchou.changes.drift_actions import Origin
from tongchou.changes.models_drift import Drift, DriftIgnore, DriftSource, DriftState, DriftWhat
from tongchou.changes.models_observed import ObservedPlace, ObservedStanding
from tongchou.changes.observed_fold import Standing
from tongchou.changes.observed_reading import Look, Modification
from tongchou.changes.observed_settings import MOST
from tongchou.changes.quiet import KEEPER
from tongchou.core import ledger, settings_store
from tongchou.core.models import Segment
from tongchou.core.refs import ref

TURN = 50  # looks of sources taken in one turn
PER_RESOURCE = 20  # new items of one resource and look; the rest is one item
MOST_RESOURCES = 500  # of an item of many that are kept by name: as many as a change may touch
MOST_LINES, MOST_VALUES = 200, 5


def read_on() -> int:
    """Take the looks that were sealed since the last turn; return how many. One commit each: a crash repeats one."""
    _begin()
    taken = 0
    while taken < TURN and _take_one():
        taken += 1
    return taken


def _begin() -> None:
    """Where nothing was read yet, what was seen until now is how it is."""
    if not ObservedPlace.objects.filter(pk=ObservedPlace.ONLY).exists():
        month, position = _head()
        ObservedPlace.objects.get_or_create(pk=ObservedPlace.ONLY, defaults={"month": month, "position": position})


def _head() -> tuple[str, int]:
    newest = Segment.objects.order_by("-month").first()
    return (newest.month, newest.count - 1) if newest else ("", -1)


def _take_one() -> bool:
    """Take the next look, and move the place behind it in the same commit."""
    with transaction.atomic():
        place = ObservedPlace.objects.select_for_update().get(pk=ObservedPlace.ONLY)
        head = _head()  # before the search: what is sealed meanwhile is not passed over
        seal = observed_reading.next_synced(place)
        if seal is None:
            if (place.month, place.position) < head:
                place.month, place.position = head
                place.save(update_fields=["month", "position"])
            return False
        look = observed_reading.look_of(seal.event, observed_reading.wanted())
        if look is not None and look.modifications:
            note(look)
        place.month, place.position = seal.segment.month, seal.position
        place.save(update_fields=["month", "position"])
    return True


@dataclass(slots=True)
class _Known:
    """What is known of what a look saw, locked."""

    rows: dict[str, Drift]
    standings: dict[UUID, ObservedStanding]


def note(look: Look) -> None:
    """Write down what a look saw modified, inside the caller's transaction. Idempotent, in any order of looks.

    Events drift.opened, drift.explained and drift.cleared about the resource, at transitions only. A fixed number of
    queries for each 500 modifications.
    """
    known = _known(look)
    since = look.at - timedelta(seconds=look.source.interval_seconds)
    near = {each.owner for each in look.modifications} | {each.resource for each in look.modifications}
    changes = drift_explained.change_between(near, since, look.at)
    explained = [_explained(each, changes) for each in look.modifications]
    singles, crowds = _divide(explained, known, int(settings_store.get(MOST)))
    writing = _Writing(look, known, list(DriftIgnore.objects.all()[: drift_actions.MAX_RULES]))
    for key, several in singles.items():
        writing.single(key, several)
    for crowd in crowds:
        writing.crowd(crowd)
    writing.write()


def key_of(modification: Modification) -> str:
    """The identity of the item of a modification: whoever sees it, it is one."""
    return drift.key_of("observed", str(modification.owner), modification.ident)


def _explained(each: Modification, changes: Mapping[UUID, str]) -> Modification:
    change = changes.get(each.owner) or changes.get(each.resource, "")
    return replace(each, seen=replace(each.seen, change=change))


def _known(look: Look) -> _Known:
    keys = list(dict.fromkeys(map(key_of, look.modifications)))
    locked = Drift.objects.select_for_update(of=("self",)).select_related("resource")
    rows = {row.key: row for at in range(0, len(keys), 500) for row in locked.filter(key__in=keys[at : at + 500])}
    ids = [row.pk for row in rows.values()]
    standings = {
        row.pk: row
        for at in range(0, len(ids), 500)
        for row in ObservedStanding.objects.filter(pk__in=ids[at : at + 500])
    }
    return _Known(rows, standings)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Many modifications that are told of once: of many resources, or of one resource too many."""

    several: Sequence[Modification]
    name: str
    resource: UUID | None = None


def _divide(
    found: Sequence[Modification], known: _Known, most: int
) -> tuple[dict[str, list[Modification]], list[_Crowd]]:
    """Part what gets an item of its own from what is told once. What has an item goes on with it."""
    singles: dict[str, list[Modification]] = {}
    fresh: dict[str, list[Modification]] = {}
    for each in found:
        key = key_of(each)
        if key in known.rows:
            singles.setdefault(key, []).append(each)
        elif each.new or key in fresh:
            fresh.setdefault(key, []).append(each)
    alike: dict[tuple[str, str, str], list[str]] = {}
    for key, several in fresh.items():
        first = several[0]
        sort = "" if first.what == DriftWhat.LISTENER else first.ident
        alike.setdefault((first.what, sort, first.seen.change), []).append(key)
    crowds: list[_Crowd] = []
    per_resource: Counter[UUID] = Counter()
    beyond: dict[tuple[UUID, str, str], list[str]] = {}
    for (what, name, change), keys in alike.items():
        if len({fresh[key][0].owner for key in keys}) > most:
            several = [one for key in keys for one in fresh[key]]
            at = {one.resource for one in several}
            crowds.append(_Crowd(several, name or what, at.pop() if len(at) == 1 else None))
            continue
        for key in keys:
            resource = fresh[key][0].resource
            per_resource[resource] += 1
            if per_resource[resource] > PER_RESOURCE:
                beyond.setdefault((resource, what, change), []).append(key)
            else:
                singles[key] = fresh[key]
    for (resource, what, _change), keys in beyond.items():
        crowds.append(_Crowd([one for key in keys for one in fresh[key]], what, resource))
    return singles, crowds


class _Writing:
    """Gathers rows and events of one look, and writes them in few statements."""

    def __init__(self, look: Look, known: _Known, rules: Sequence[DriftIgnore]) -> None:
        self._look, self._known, self._rules = look, known, rules
        self._fresh: list[Drift] = []
        self._kept: list[Drift] = []
        self._standings: list[ObservedStanding] = []
        self._moved: list[tuple[str, Drift]] = []

    def single(self, key: str, several: Sequence[Modification]) -> None:
        """Go on with the item of one thing, or begin it."""
        row = self._known.rows.get(key)
        kept = self._known.standings.get(row.pk) if row is not None else None
        before = _standing(kept)
        if row is not None and row.state == DriftState.ADOPT and _newest(several) > before.last_event:
            before = observed_fold.adopted(before)
        now = observed_fold.fold(before, [each.seen for each in several])
        if now == before:
            return
        last = max(several, key=lambda each: each.seen.event)
        expected = _expected(before, several) if now.explained else now.base
        differs = not observed_facts.same(last.ident, expected, now.last)
        if last.what == DriftWhat.LISTENER and last.ident == observed_reading.LISTENER and not now.last:
            differs = False  # that nobody listens any more is nothing to explain
        if row is None and not differs:
            return
        path = row.path if row is not None else last.path
        parts = observed_facts.parts_that_differ(expected, now.last) if last.what == DriftWhat.SCHEMA else ""
        found = Found(self._name(last.resource), path, expected, now.last, parts, last.resource).bounded()
        change = last.seen.change or next((e.seen.change for e in reversed(several) if e.seen.change), "")
        row = self._moves(row, key, found, last, differs=differs, change=change if now.explained else "")
        self._standings.append(_kept(row, now))

    def crowd(self, crowd: _Crowd) -> None:
        """Tell once of what was seen of many. Keyed by the look, so that reading it again makes no second one."""
        first = crowd.several[0]
        resources = list(dict.fromkeys(each.resource for each in crowd.several))
        mark = f"{self._look.event} {self._look.at.isoformat()} {crowd.resource or ''}"
        key = drift.key_of("observed crowd", mark, f"{first.what} {crowd.name} {first.seen.change}")
        if Drift.objects.filter(key=key).exists():
            return
        one = self._look.resources.get(crowd.resource) if crowd.resource is not None else None
        subject = one.name if one is not None else self._look.source.name
        lines = [f"{self._name(each.resource)} {each.path}: {_pair(each)}" for each in crowd.several[:MOST_LINES]]
        if len(crowd.several) > MOST_LINES:
            lines.append(f"+ {len(crowd.several) - MOST_LINES}")
        before = _summed(Counter(each.seen.before for each in crowd.several))
        after = _summed(Counter(each.seen.after for each in crowd.several))
        found = Found(subject, crowd.name, before, after, "\n".join(lines), crowd.resource).bounded()
        last = replace(first, resource=crowd.resource) if crowd.resource is not None else first
        row = self._moves(None, key, found, last, differs=True, change=first.seen.change)
        row.touched = len(resources) if crowd.resource is None else len(crowd.several)
        if crowd.resource is None:
            row.resource = None
        self._standings.append(ObservedStanding(drift=row, resources=[str(e) for e in resources[:MOST_RESOURCES]]))

    def _moves(
        self, row: Drift | None, key: str, found: Found, last: Modification, *, differs: bool, change: str
    ) -> Drift:
        origin = Origin(DriftSource.OBSERVED, ref(self._look.source), self._look.source.name, last.what)
        resource = self._look.resources.get(last.resource)
        state = row.state if row is not None else ""
        if row is None:
            row = drift_actions.new_row(key, origin, found)
            self._fresh.append(row)
        else:
            self._kept.append(row)
        if differs:
            rule = drift.fitting(
                self._rules, kind=origin.kind, source_ref=origin.ref,
                names=[found.subject, *([resource.name] if resource else [])], path=found.path, at=self._look.at,
            )  # fmt: skip
            item = drift.seen(
                drift_actions.item_of(row) if state else None, found, drift.Look(self._look.at),
                rule=rule and rule.pk, change=change,
            )  # fmt: skip
            row.source_ref = origin.ref
            drift_actions.take_item(row, item, found, origin, resource)
            verb = drift_actions.VERBS.get(row.state, "") if row.state != state else ""
        else:
            told = row.opened_at is not None or row.change_ref
            verb = "drift.cleared" if state != DriftState.CLEARED and told else ""
            drift_actions.clear_row(row, self._look.at)
        self._moved += [(verb, row)] if verb else []
        return row

    def _name(self, resource: UUID) -> str:
        row = self._look.resources.get(resource)
        return row.name if row is not None else str(resource)

    def write(self) -> None:
        """Write all of it."""
        Drift.objects.bulk_create(self._fresh, batch_size=200)
        fields = [*drift_actions.SAVED, "source_ref", "touched"]
        Drift.objects.bulk_update(self._kept, fields, batch_size=100)
        ObservedStanding.objects.bulk_create(
            self._standings, batch_size=200, update_conflicts=True, unique_fields=["drift"],
            update_fields=["floor", "base_event", "base", "last_event", "last"],
        )  # fmt: skip
        entries = [drift_actions.entry_of(verb, row) for verb, row in self._moved]
        ledger.record_many(actor=KEEPER, entries=entries)


def _standing(kept: ObservedStanding | None) -> Standing:
    if kept is None:
        return Standing()
    return Standing(kept.floor, kept.base_event, kept.base, kept.last_event, kept.last)


def _kept(row: Drift, now: Standing) -> ObservedStanding:
    return ObservedStanding(
        drift=row, floor=now.floor, base_event=now.base_event, base=now.base, last_event=now.last_event, last=now.last
    )


def _newest(several: Sequence[Modification]) -> int:
    return max(each.seen.event for each in several)


def _expected(before: Standing, several: Sequence[Modification]) -> str:
    """What was expected before a change explained it: what its explanation is compared with."""
    if before.base_event:
        return before.base
    return min((each.seen for each in several), key=lambda seen: seen.event).before


def _pair(each: Modification) -> str:
    return f"{each.seen.before or '-'} → {each.seen.after or '-'}"


def _summed(values: Counter[str]) -> str:
    """The commonest values with how many have them."""
    found = [f"{value or '-'} ({count})" for value, count in values.most_common(MOST_VALUES)]
    return "; ".join([*found, *(["…"] if len(values) > MOST_VALUES else [])])
