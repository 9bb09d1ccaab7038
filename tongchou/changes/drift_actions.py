"""Every write about drift: what a look saw, what a person decided, which rules ignore."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import drift, drift_explained, drift_return
from tongchou.changes.drift import Found, Item, Look
from tongchou.changes.models_drift import Drift, DriftIgnore, DriftSource, DriftState
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

EDIT = "changes.edit"
MAX_FOUND = 2_000  # differences of one look; a host that differs in more is another host
MAX_IGNORED = timedelta(days=366)
MAX_RULES = 500
DECISIONS = (DriftState.OPEN, DriftState.ADOPT, DriftState.REVERT, DriftState.IGNORED)
VERBS: dict[str, str] = {DriftState.OPEN: "drift.opened", DriftState.WITH_CHANGE: "drift.explained"}
SAVED = (
    "state", "consecutive", "returned", "first_seen_at", "last_seen_at", "opened_at", "cleared_at", "expected",
    "observed", "diff", "ignored_by", "change_ref", "resource", "source_name", "reason", "until", "decided_by_name",
    "decided_at",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Who says what should be: the Ref of a workspace, project or baseline, and its name for people.

    `what`: the sort of an observation.
    """

    kind: DriftSource
    ref: str
    name: str
    what: str = ""


@dataclass(frozen=True)
class Tally:
    """What a look came to. `left_out`: differences beyond MAX_FOUND, which were not kept."""

    differing: int = 0
    opened: int = 0
    explained: int = 0
    cleared: int = 0
    left_out: int = 0


def observe(
    *, actor: Actor, origin: Origin, found: Iterable[Found], looked: Collection[str] | None, look: Look
) -> Tally:
    """Write down what one look of an origin saw; what it looked at and did not see is gone.

    `looked`: the subjects that answered; None: everything of this origin. A subject that did not answer keeps what is
    known of it: no answer is no proof. Masked and bounded texts only: they are shown to everybody who may see the
    resource. Events drift.opened, drift.explained, drift.cleared about the resource, at transitions only.
    """
    check(actor, EDIT)
    every = {drift.key_of(origin.ref, each.subject, each.path): each for each in map(Found.bounded, found)}
    kept = dict(list(every.items())[:MAX_FOUND])
    with transaction.atomic():
        rows = {row.key: row for row in _rows(origin, kept, looked)}
        resources = _resources(kept.values(), rows.values())
        changes = drift_explained.change_of([pk for pk in resources if pk is not None], look.at)
        rules = list(DriftIgnore.objects.all()[:MAX_RULES])
        moved: list[tuple[str, Drift]] = []
        fresh: list[Drift] = []
        for key, each in kept.items():
            resource = resources.get(cast("UUID | None", each.resource_id))
            row, before = rows.get(key), rows[key].state if key in rows else ""
            names, change = _names(each, resource), changes.get(resource.pk, "") if resource else ""
            rule = drift.fitting(
                rules, kind=origin.kind, source_ref=origin.ref, names=names, path=each.path, at=look.at
            )
            item = drift.seen(item_of(row) if row else None, each, look, rule=rule and rule.pk, change=change)
            if row is None:
                row = new_row(key, origin, each)
                fresh.append(row)
            take_item(row, item, each, origin, resource)
            moved += [(VERBS[row.state], row)] if row.state != before and row.state in VERBS else []
        gone = [row for key, row in rows.items() if key not in every and row.state != DriftState.CLEARED]
        for row in gone:
            moved += [("drift.cleared", row)] if row.opened_at is not None or row.change_ref else []
            clear_row(row, look.at)
        Drift.objects.bulk_create(fresh, batch_size=200)
        Drift.objects.bulk_update(list(rows.values()), list(SAVED), batch_size=100)
        ledger.record_many(actor=actor, entries=[entry_of(verb, row) for verb, row in moved])
    verbs = [verb for verb, _row in moved]
    opened, explained = verbs.count("drift.opened"), verbs.count("drift.explained")
    return Tally(len(kept), opened, explained, len(gone), len(every) - len(kept))


def _rows(origin: Origin, kept: Mapping[str, Found], looked: Collection[str] | None) -> list[Drift]:
    """What is known and this look speaks of, locked: all that still differs of what was looked at, and what it saw."""
    locked = Drift.objects.select_for_update(of=("self",)).select_related("resource")
    there = locked.filter(source_ref=origin.ref).exclude(state=DriftState.CLEARED)
    live = [row for row in there if looked is None or row.subject in looked]
    known = {row.key for row in live}
    return [*live, *_in_parts(locked, [key for key in kept if key not in known])]


def _in_parts(rows: QuerySet[Drift], keys: Sequence[str]) -> list[Drift]:
    return [row for at in range(0, len(keys), 500) for row in rows.filter(key__in=keys[at : at + 500])]


def _resources(found: Iterable[Found], rows: Iterable[Drift]) -> dict[UUID | None, Resource]:
    wanted = {cast("UUID", each.resource_id) for each in found if each.resource_id is not None}
    known: dict[UUID | None, Resource] = {row.resource.pk: row.resource for row in rows if row.resource is not None}
    missing = [pk for pk in wanted if pk not in known]
    for at in range(0, len(missing), 500):
        known |= {row.pk: row for row in Resource.objects.filter(pk__in=missing[at : at + 500])}
    return known


def _names(found: Found, resource: Resource | None) -> list[str]:
    return [found.subject, *([resource.name] if resource is not None else [])]


def new_row(key: str, origin: Origin, found: Found) -> Drift:
    """Return an item that was never seen, unsaved."""
    return Drift(
        key=key, source_kind=origin.kind, what=origin.what, source_ref=origin.ref, subject=found.subject,
        path=found.path, state=DriftState.CLEARED, consecutive=0,
    )  # fmt: skip


def item_of(row: Drift) -> Item:
    """Return where an item stands, as drift.py decides about it."""
    return Item(
        cast("drift.State", row.state),
        row.consecutive,
        row.returned,
        row.first_seen_at,
        row.last_seen_at,
        row.expected,
        row.observed,
        row.until,
        row.ignored_by_id,
        row.change_ref,
    )


def take_item(row: Drift, item: Item, found: Found, origin: Origin, resource: Resource | None) -> None:
    """Write on a row, unsaved, where it stands after a look that saw it."""
    decided = row.state in drift.DECIDED and item.state == row.state and row.ignored_by_id == item.by_rule
    row.state, row.consecutive, row.returned = item.state, item.consecutive, item.returned
    row.first_seen_at, row.last_seen_at = item.first_seen, item.last_seen
    row.expected, row.observed, row.diff = item.expected, item.observed, found.diff
    row.until, row.change_ref, row.source_name = item.until, item.change, origin.name[:253]
    row.ignored_by_id = cast("UUID | None", item.by_rule)
    row.resource, row.cleared_at = resource or row.resource, None
    if item.state == "open":
        row.opened_at = row.opened_at or item.last_seen
    if item.consecutive == 1:
        row.opened_at = item.last_seen if item.state == "open" else None
    if not decided:
        row.reason, row.decided_by_name, row.decided_at = "", "", None


def clear_row(row: Drift, at: datetime) -> None:
    """Write on a row, unsaved, that a look at its resource did not see it."""
    item = drift.missed(item_of(row))
    row.state, row.consecutive, row.cleared_at = item.state, item.consecutive, at
    row.until, row.ignored_by = None, None


def entry_of(verb: str, row: Drift, **more: Any) -> ledger.Entry:
    """Return the event of a transition of an item."""
    about = [f"inventory.resource:{row.resource_id}"] if row.resource_id else []
    about += [row.change_ref] if row.change_ref else []
    payload = {
        "name": row.resource.name if row.resource is not None else row.subject,
        "path": row.path,
        "source": row.source_name,
        "source_kind": row.source_kind,
        "consecutive": row.consecutive,
        "returned": row.returned,
        **more,
    }
    return ledger.Entry(verb, ref(row), (*about, row.source_ref), payload)


def may_decide(actor: Actor, row: Drift) -> None:
    """Raise AccessDenied unless the actor may decide about the difference: an operator of its resource's team."""
    check(actor, EDIT, team=row.resource.owner_id if row.resource is not None else None)


def decide(*, actor: Actor, drift_id: UUID, decision: str, reason: str = "", until: datetime | None = None) -> Drift:
    """Decide about a difference: adopt it, revert it, ignore it (until a moment at most a year away), or open it again.

    It holds until something else is observed. Whether it was adopted or reverted the next look tells: then it is gone.
    What was only observed is adopted at once, as what is expected from now on; to revert it a change is opened.
    Event drift.decided about the resource.
    """
    with transaction.atomic():
        found = Drift.objects.select_for_update(of=("self",)).select_related("resource").filter(pk=drift_id)
        row = found.first()
        if row is None:
            raise NotFound("drift.unknown", _("There is no such difference."), field="id", value=str(drift_id))
        may_decide(actor, row)
        _check_decision(row, decision, reason, until)
        before = row.state
        row.state, row.reason, row.until = decision, reason.strip()[:500], until
        row.ignored_by, row.change_ref = None, ""
        if decision == DriftState.REVERT and row.source_kind == DriftSource.OBSERVED:
            row.change_ref = ref(drift_return.open_change(actor=actor, row=row))
        row.decided_by_name, row.decided_at = actor.name[:150], timezone.now()
        if decision == DriftState.OPEN:
            row.opened_at = row.opened_at or row.decided_at
        row.save(update_fields=list(SAVED))
        told = {"old": before, "new": decision, "reason": row.reason}
        ledger.record_many(actor=actor, entries=[entry_of("drift.decided", row, **told)])
    return row


def _check_decision(row: Drift, decision: str, reason: str, until: datetime | None) -> None:
    if decision not in DECISIONS:
        raise Invalid(
            "drift.decision", _("There is no such decision."), field="decision", value=decision,
            remedy=_("Choose among: %(names)s.") % {"names": ", ".join(each.value for each in DECISIONS)},
        )  # fmt: skip
    if row.state == DriftState.CLEARED:
        raise Conflict(
            "drift.gone", _("The last look did not see this difference any more."),
            remedy=_("It comes back by itself when a look sees it again."),
        )  # fmt: skip
    if decision == DriftState.IGNORED and row.ignored_by_id is not None:
        raise Conflict(
            "drift.by_rule", _("A rule ignores this difference already."), remedy=_("Remove or change that rule.")
        )
    if decision != DriftState.OPEN and not reason.strip():
        raise Invalid(
            "drift.reason", _("A decision needs a reason."), field="reason", remedy=_("Say why, for who comes next.")
        )
    if until is not None and decision != DriftState.IGNORED:
        raise Invalid("drift.until", _("Only what is ignored has an end."), field="until", value=until.isoformat())
    if until is not None:
        _check_until(until)


def _check_until(until: datetime) -> None:
    now = timezone.now()
    if not now < until <= now + MAX_IGNORED:
        raise Invalid(
            "drift.until",
            _("A difference is ignored until a day in the future, at most a year away."),
            field="until",
            value=until.isoformat(),
            remedy=_("Choose another day, or none: then until something else is observed."),
        )


@dataclass(frozen=True)
class Rule:
    """What a new rule says; see models_drift.DriftIgnore."""

    reason: str
    source_kind: str = ""
    source_ref: str = ""
    resource: str = ""
    path: str = ""
    until: datetime | None = None


def put_ignore(*, actor: Actor, rule: Rule) -> DriftIgnore:
    """Ignore from the next look on what fits a rule. It reaches over teams, so it wants a global role.

    Event drift_ignore.added.
    """
    check(actor, EDIT)
    if not rule.reason.strip():
        raise Invalid(
            "drift.reason", _("A rule needs a reason."), field="reason", remedy=_("Say why, for who comes next.")
        )
    if not (rule.resource.strip() or rule.path.strip()):
        raise Invalid(
            "drift.pattern", _("A rule names a resource, a path, or both."), field="path",
            remedy=_("Write a pattern such as web-* or /etc/motd."),
        )  # fmt: skip
    if rule.source_kind not in ("", *DriftSource.values):
        raise Invalid("drift.source", _("There is no such source."), field="source_kind", value=rule.source_kind)
    if rule.until is not None:
        _check_until(rule.until)
    if DriftIgnore.objects.count() >= MAX_RULES:
        raise Conflict(
            "drift.rules", _("There are %(most)s rules already.") % {"most": MAX_RULES},
            remedy=_("Remove those that are over."),
        )  # fmt: skip
    with transaction.atomic():
        row = DriftIgnore.objects.create(
            source_kind=rule.source_kind,
            source_ref=rule.source_ref.strip()[:140],
            resource=rule.resource.strip()[:253],
            path=rule.path.strip()[:500],
            reason=rule.reason.strip()[:500],
            until=rule.until,
            created_by_name=actor.name[:150],
        )
        _told_rule(actor, "drift_ignore.added", row)
    return row


def remove_ignore(*, actor: Actor, rule_id: UUID) -> None:
    """Remove a rule: what it ignored is open again at the next look that sees it. Event drift_ignore.removed."""
    check(actor, EDIT)
    with transaction.atomic():
        row = DriftIgnore.objects.select_for_update().filter(pk=rule_id).first()
        if row is None:
            raise NotFound("drift.rule", _("There is no such rule."), field="id", value=str(rule_id))
        items = Drift.objects.filter(ignored_by=row, state=DriftState.IGNORED)
        items.update(state=DriftState.OPEN, ignored_by=None, opened_at=timezone.now())
        _told_rule(actor, "drift_ignore.removed", row)
        row.delete()


def _told_rule(actor: Actor, verb: str, row: DriftIgnore) -> None:
    facts = ("source_kind", "source_ref", "resource", "path", "reason")
    payload = {**{name: getattr(row, name) for name in facts}, "until": row.until.isoformat() if row.until else None}
    ledger.record(actor=actor, verb=verb, subject=ref(row), payload={**payload, "name": str(row)})
