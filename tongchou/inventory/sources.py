"""Configures and runs sources: look at the world, compare, write; a look that fails touches nothing known."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Mapping, Sized
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Invalid, NotFound, Problem, Unavailable
from tongchou.core.refs import ref
from tongchou.core.registry import implementations
from tongchou.inventory import checks, documents, kinds, precedence, standard
from tongchou.inventory.apply import bump, current_stamp, take_turn, write, write_sightings
from tongchou.inventory.documents import Document
from tongchou.inventory.models import Endpoint, Relation, Sighting, SourceConfig
from tongchou.inventory.observation import Observation
from tongchou.inventory.plan import PART, Plan
from tongchou.inventory.ports import DocumentSource, Source
from tongchou.inventory.reconcile import Policy, reconcile
from tongchou.inventory.recorded import load_recorded
from tongchou.inventory.refresh import report_collisions
from tongchou.inventory.runs import note_failure, note_look
from tongchou.inventory.uses import forget_uses, note_uses

log = logging.getLogger(__name__)

MANAGE = "inventory.manage_sources"
LEAST_INTERVAL_SECONDS = 5.0
MOST_INTERVAL_SECONDS = 7 * 86_400.0
SYNC_JOB = "inventory.sync"
DERIVE_JOB = "inventory.derive"
POLICY = ("precedence", "attribute_precedence", "missing_after", "grace_seconds", "declares")
MOST_PRECEDENCE = precedence.MANUAL_PRECEDENCE - 1
TRIES = 3
MAX_NOTES = 40
# what the code of a source may raise on a world it did not expect; anything worse is the job's to show
FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

# per source of this process: what was seen, the stamp then, and the plan, when all was in order
_settled: dict[UUID, tuple[bytes, UUID | None, Plan]] = {}


class OvertakenError(Exception):
    """Somebody wrote between a comparison and its write: compare anew."""


def source_kinds() -> dict[str, Source]:
    """Return every sort of source the integrations bring, by kind."""
    found = implementations(Source)  # type: ignore[type-abstract]  # a Protocol is what is asked for
    return {each.kind: each for each in found}


def source_of(kind: str) -> Source:
    """Return the source of a kind; raises Invalid that lists the known ones."""
    known = source_kinds()
    if kind not in known:
        raise Invalid(
            "inventory.source_kind",
            _("There is no source of this kind."),
            field="kind",
            value=kind,
            remedy=_("Use one of: %(known)s.") % {"known": ", ".join(sorted(known)) or "-"},
        )
    return known[kind]


def get_source(name: str) -> SourceConfig:
    """Return the configured source of this name; raises NotFound."""
    row = SourceConfig.objects.filter(name=name).first()
    if row is None:
        raise NotFound("inventory.source", _("There is no source of this name."), field="name", value=name)
    return row


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller may say about a source; None keeps what is there, or takes the default of the kind."""

    kind: str | None = None
    settings: Mapping[str, Any] | None = None
    interval_seconds: float | None = None
    enabled: bool | None = None
    precedence: int | None = None
    attribute_precedence: Mapping[str, int] | None = None
    missing_after: int | None = None
    grace_seconds: float | None = None
    declares: bool | None = None


def configure_source(*, actor: Actor, name: str, wanted: Wanted) -> SourceConfig:
    """Create or change a source; the first sync follows at once. Events source.added, source.configured.

    Raises Invalid for an unknown kind, a change of kind, or settings that will not do.
    """
    check(actor, MANAGE)
    name = checks.name(name)
    if name == precedence.MANUAL or "/" in name or len(name) > 120:
        raise Invalid(
            "inventory.source_name",
            _("A source's name has at most 120 characters, no /, and is not %(manual)r.")
            % {"manual": precedence.MANUAL},
            field="name",
            value=name,
            remedy=_("Choose another name."),
        )
    with transaction.atomic():
        take_turn()
        row = SourceConfig.objects.select_for_update().filter(name=name).first()
        created = row is None
        source = source_of(wanted.kind or (row.kind if row else ""))
        if row is None:
            row = SourceConfig(
                name=name, kind=source.kind, precedence=source.precedence, interval_seconds=source.interval_seconds
            )
            row.declares = bool(getattr(source, "declares", False))
        elif row.kind != source.kind:
            raise Invalid(
                "inventory.source_kind",
                _("A source keeps its kind."),
                field="kind",
                value=wanted.kind,
                remedy=_("Make a new source, then delete this one."),
            )
        before = None if created else _configuration(row)
        _take(row, source, wanted)
        if before == _configuration(row):
            return row
        row.save()
        bump(graph=False)  # precedence may decide otherwise now
        _tell(actor, row, before)
        if row.enabled and not waits(row):
            jobs.enqueue(SYNC_JOB, {"source": name}, unique_key=f"{SYNC_JOB}:{name}")
    return row


def _tell(actor: Actor, row: SourceConfig, before: Mapping[str, Any] | None) -> None:
    """Record what was configured, and have the attributes derived anew where the source weighs otherwise now."""
    now = _configuration(row)
    payload = {"name": row.name, "kind": row.kind, "interval_seconds": row.interval_seconds, "enabled": row.enabled}
    if before is None:
        ledger.record(actor=actor, verb="source.added", subject=ref(row), payload=payload)
        return
    changes = {name: [before[name], now[name]] for name in POLICY if before[name] != now[name]}
    if changes:
        payload["changes"] = changes
    ledger.record(actor=actor, verb="source.configured", subject=ref(row), payload=payload)
    if changes.keys() & {"precedence", "attribute_precedence"}:
        jobs.enqueue(DERIVE_JOB, {"source": row.name}, unique_key=f"{DERIVE_JOB}:{row.name}")


def _configuration(row: SourceConfig) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("settings", "interval_seconds", "enabled", *POLICY)}


def _take(row: SourceConfig, source: Source, wanted: Wanted) -> None:
    row.settings = source.validate(wanted.settings if wanted.settings is not None else row.settings)
    if wanted.interval_seconds is not None:
        row.interval_seconds = wanted.interval_seconds
    checks.seconds(
        row.interval_seconds, field="interval_seconds", least=LEAST_INTERVAL_SECONDS, most=MOST_INTERVAL_SECONDS
    )
    if wanted.enabled is not None:
        row.enabled = wanted.enabled
    if wanted.declares is not None:
        row.declares = wanted.declares
    if wanted.precedence is not None:
        row.precedence = checks.whole(wanted.precedence, field="precedence", least=1, most=MOST_PRECEDENCE)
    if wanted.attribute_precedence is not None:
        row.attribute_precedence = checks.attribute_precedence(wanted.attribute_precedence, most=MOST_PRECEDENCE)
    if wanted.missing_after is not None:
        row.missing_after = checks.whole(wanted.missing_after, field="missing_after", least=1, most=1000)
    if wanted.grace_seconds is not None:
        row.grace_seconds = checks.seconds(wanted.grace_seconds, field="grace_seconds", least=0, most=366 * 86_400)


def delete_source(*, actor: Actor, source: SourceConfig) -> None:
    """Delete a source and let go of what it alone upheld: endpoints, relations, resources (as tombstones).

    What it said about resources that others see stays, with the weakest weight. Event source.removed. To keep
    everything as it is, disable the source instead.
    """
    check(actor, MANAGE)
    now = timezone.now()
    with transaction.atomic():
        take_turn()
        row = SourceConfig.objects.select_for_update().get(pk=source.pk)
        plan = Plan(row.name)
        sightings = Sighting.objects.filter(source=row.name, gone_at__isnull=True)
        mine = list(sightings.values_list("resource_id", flat=True))
        others = Sighting.objects.filter(gone_at__isnull=True).exclude(source=row.name)
        upheld = set(others.filter(resource__in=sightings.values("resource_id")).values_list("resource_id", flat=True))
        plan.gone = [id_ for id_ in mine if id_ not in upheld]
        entries = write(plan, now)
        sightings.update(gone_at=now)
        Relation.objects.filter(source=row.name, valid_to__isnull=True).update(valid_to=now)
        forget_uses(source=seen_by(row.name), now=now)
        Endpoint.objects.filter(source=row.name).delete()
        ledger.record_many(actor=actor, entries=entries)
        payload = {"name": row.name, "kind": row.kind, "gone": len(plan.gone)}
        ledger.record(actor=actor, verb="source.removed", subject=ref(row), payload=payload)
        row.delete()
        bump()
        jobs.enqueue(DERIVE_JOB, {"source": row.name}, unique_key=f"{DERIVE_JOB}:{row.name}")  # its weight is the least


def waits(config: SourceConfig) -> bool:
    """Tell whether a source has nothing to look at by itself: it waits for files to be handed over."""
    return isinstance(source_kinds().get(config.kind), DocumentSource) and documents.waits(config.settings)


def look(config: SourceConfig) -> Observation:
    """Fetch once and check all of it; raises Problem. Touches the world, so never call it inside a transaction."""
    source = source_of(config.kind)
    return _seen(config, lambda settings: source.fetch(settings, source=config.name), source)


def read_document(config: SourceConfig, document: Document) -> Observation:
    """Return what a file handed to a source says, all of it checked; raises Problem. The file is not kept."""
    source = source_of(config.kind)
    if not isinstance(source, DocumentSource):
        raise Invalid(
            "source.no_documents",
            _("This source reads no files."),
            field="file",
            value=config.kind,
            remedy=_("Hand files to sources of one of these kinds: %(known)s.")
            % {"known": ", ".join(sorted(k for k, each in source_kinds().items() if isinstance(each, DocumentSource)))},
        )
    if len(document.body) > documents.MAX_BYTES:
        raise documents.too_large(documents.MAX_BYTES)
    return _seen(config, lambda settings: source.read(settings, document, source=config.name), source)


def _seen(config: SourceConfig, see: Callable[[dict[str, Any]], Observation], source: Source) -> Observation:
    try:
        return _as_named_now(checks.observation(see(source.validate(config.settings))))
    except FAULTS as error:
        log.exception("source %s failed", config.name)
        raise Unavailable(
            "inventory.source_fault",
            _("The source broke while it looked: %(error)s") % {"error": f"{type(error).__name__}: {error}"},
            remedy=_("This is a fault of the integration, not of the settings: report it with the log of this moment."),
        ) from error


def _as_named_now(seen: Observation) -> Observation:
    """The same with the names that renamed kinds have now: sources keep the words they were taught."""
    renamed = {name: now for name in {each.kind for each in seen.resources} if (now := kinds.current(name)) != name}
    if not renamed:
        return seen
    resources = (replace(each, kind=renamed.get(each.kind, each.kind)) for each in seen.resources)
    return replace(seen, resources=tuple(resources))


def dry_run(*, actor: Actor, source: SourceConfig, document: Document | None = None) -> Plan:
    """Return what a sync would do now, without doing it; with `document`, what that file would do."""
    check(actor, MANAGE)
    return _plan(source, look(source) if document is None else read_document(source, document))


def _plan(config: SourceConfig, observation: Observation) -> Plan:
    policy = Policy(config.missing_after, config.grace_seconds)
    recorded = load_recorded(config.name, observation)
    plan = reconcile(observation, recorded, now=timezone.now(), policy=policy, new_id=uuid4)
    plan.conflicts += standard.notes(observation, recorded, plan)
    return plan


def apply_sync(*, actor: Actor, source: SourceConfig, observation: Observation) -> Plan:
    """Make the inventory agree with what a source saw; return what was done.

    The comparison runs outside any transaction, so that nobody waits for it; a write in between makes it start anew,
    the last time inside the transaction. A big plan is written in parts of plan.PART things: each commit is true, and
    what a stop leaves is found by the next sync. Events per resource and relation, and source.synced at the end.
    """
    check(actor, MANAGE)
    uses, observation = observation.uses, replace(observation, uses=None)
    plan = _apply(actor, source, observation)
    if uses is not None:
        note_uses(actor=actor, source=seen_by(source.name), uses=uses, now=timezone.now())
    return plan


def seen_by(source: str) -> str:
    """Return in whose name relations stand that a source saw in use: a sync closes its own, these fade instead."""
    return f"{source[:110]}/seen"


def _apply(actor: Actor, source: SourceConfig, observation: Observation) -> Plan:
    digest = hashlib.blake2b(repr(observation).encode(), digest_size=16).digest()
    for _try in range(TRIES - 1):
        try:
            return _compare_and_write(actor, source, observation, digest)
        except OvertakenError:
            continue
    with transaction.atomic():
        take_turn()
        return _compare_and_write(actor, source, observation, digest)


def _compare_and_write(actor: Actor, source: SourceConfig, observation: Observation, digest: bytes) -> Plan:
    stamp = current_stamp()
    settled = _settled.get(source.pk)
    same = settled is not None and settled[:2] == (digest, stamp)  # then a comparison would say "nothing" again
    plan = settled[2] if settled is not None and same else _plan(source, observation)
    now = timezone.now()
    new = {each.id for each in plan.created}
    things: tuple[Sized, ...] = (
        plan.created,
        plan.changed,
        plan.relations_added,
        plan.relations_weighed,
        plan.endpoints_set,
    )
    big = sum(map(len, things)) > PART
    for part in plan.parts(PART) if big else ():
        with transaction.atomic():
            stamp = _write(actor, part, now, new, stamp)
    with transaction.atomic():
        rest = Plan(plan.source, gone=plan.gone) if big else plan
        stamp = _write(actor, rest, now, new, stamp)
        _finish(actor, source, plan, now)
    quiet = not (plan.changes_something or plan.unseen or plan.deferred or plan.warnings or plan.sightings_new)
    if quiet:
        _settled[source.pk] = (digest, stamp, plan)
    else:
        _settled.pop(source.pk, None)
    return plan


def _write(actor: Actor, part: Plan, now: datetime, new: Collection[UUID], stamp: UUID | None) -> UUID | None:
    """Write one part if nobody wrote since `stamp`; return the stamp afterwards."""
    if take_turn() != stamp:
        raise OvertakenError
    if not part.changes_something:
        return stamp
    ledger.record_many(actor=actor, entries=write(part, now, new=new))
    return bump(graph=part.changes_graph)


def _finish(actor: Actor, source: SourceConfig, plan: Plan, now: datetime) -> None:
    config = SourceConfig.objects.select_for_update().get(pk=source.pk)
    if plan.changes_something:
        payload = {"name": config.name, **plan.counts()}
        ledger.record(actor=actor, verb="source.synced", subject=ref(config), payload=payload)
    write_sightings(plan, now)
    if plan.collisions or any(each.get("code") == "identity" for each in config.last_result.get("notes", ())):
        report_collisions(config.name, plan.collisions, now)
    if config.last_error:
        ledger.record(actor=actor, verb="source.recovered", subject=ref(config), payload={"name": config.name})
    notes = [note.as_dict() for note in (*plan.warnings, *plan.conflicts)][:MAX_NOTES]
    result = {**plan.counts(), "notes": notes, "deferred_list": plan.deferred[:MAX_NOTES]}
    SourceConfig.objects.filter(pk=config.pk).update(
        last_run_at=now, last_success_at=now, last_error="", last_remedy="", last_result=result
    )
    note_look(actor=actor, source=config, plan=plan, notes=notes, now=now)


def run_source(*, actor: Actor, source: SourceConfig, document: Document | None = None) -> Plan:
    """Look, or read the file handed over, and apply.

    A failed look is written on the source (event source.failed on the transition) and raised. One that waits for files
    has nothing to look at: to be asked is refused, and no failure.
    """
    check(actor, MANAGE)
    try:
        observation = look(source) if document is None else read_document(source, document)
    except Problem as problem:
        if document is None and waits(source):
            raise
        _note_failure(actor, source, str(problem), str(problem.remedy or ""))
        raise
    return apply_sync(actor=actor, source=source, observation=observation)


def _note_failure(actor: Actor, source: SourceConfig, error: str, remedy: str) -> None:
    with transaction.atomic():
        row = SourceConfig.objects.select_for_update().filter(pk=source.pk).first()
        if row is None:
            return
        first = not row.last_error
        row.last_run_at, row.last_error, row.last_remedy = timezone.now(), error[:2000], remedy[:2000]
        row.save(update_fields=["last_run_at", "last_error", "last_remedy"])
        note_failure(actor=actor, source=row, error=error, remedy=remedy, now=row.last_run_at)
        if first:
            payload = {"name": row.name, "error": row.last_error, "remedy": row.last_remedy}
            ledger.record(actor=actor, verb="source.failed", subject=ref(row), payload=payload)
