"""The runs that consent to a change covers: planned when it is asked for, begun without another one if the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from tongchou.changes import control_reads
from tongchou.changes.models_control import Change, ChangeKind, ChangeTask, ChangeTemplate
from tongchou.changes.models_release import Release, ReleaseBatch
from tongchou.core import approvals
from tongchou.core.access import Actor, check
from tongchou.core.consent import OWNER
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import parse, ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runs
from tongchou.runbooks import consented, targets
from tongchou.runbooks.definition import Definition
from tongchou.runbooks.mask import mask
from tongchou.runbooks.models import Grade, Procedure, Run
from tongchou.runbooks.prepare import Prepared, definition_of, prepare
from tongchou.runbooks.reasons import PASSING

MOST_NAMED = 10
LONGEST_VALUE = 200  # characters of a parameter in what an approver reads; the page of the change has all of it
COMES_TO_ITS_END = timedelta(hours=1)  # so long after the window a run that began in it may go on: half done is worse
PLAN_SECONDS = 15.0  # whoever asks for consent waits so long; metrics that answer slowly leave the rest uncovered
Part = tuple[str, dict[str, Any]]
BACK = "back"  # the key of the way back; a task's is its position


@dataclass(slots=True)
class Covered:
    """Key -> hash of what the run will do; `parts`: what policies of approval may ask about each run.

    `owners`: the teams that own what is run on. `lines`: each run as an approver reads it.
    """

    hashes: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    owners: set[UUID] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, list[str]]:
        """Return what the scope says of the runs: {} when there are none."""
        return _covers(self.lines)


@dataclass(frozen=True, slots=True)
class Planned:
    """A run of a change, planned now. `same`: as it was when consent was asked for; None: that consent is not for it.

    `problem`: why it cannot be planned, then there is no `prepared`.
    """

    prepared: Prepared | None
    same: bool | None
    problem: Invalid | None = None


Wanted = tuple[str, Procedure, Mapping[str, Any], Sequence[str]]


def keys_of(row: Change) -> frozenset[str]:
    """Return the keys of the runs that consent covers, as people are told: none where the glass was broken."""
    return frozenset() if row.broke_glass else frozenset(row.covered_runs)


def _touched(row: Change) -> list[str]:
    """What a change touches, which its runs go to where they name no targets of their own.

    By name, so that everybody knows which one goes first; as refs, for a host and a service may share a name.
    """
    touched = row.touched.select_related("resource").order_by("resource__name", "resource__kind", "resource_id")
    return [ref(each.resource) for each in touched]


def plan(row: Change, actor: Actor) -> Covered:
    """Plan what a change will run, as it would be requested now. Blocks for as long as metrics are asked.

    Left out are runs that ask for their own consent all the same: those that cannot be planned yet (a target that the
    actor does not see, a parameter that does not fit, no time left), those that show what they would change before
    they are agreed on, and those for which consent now cannot count (see `_cannot_count`). Of a standard change all are
    left out unless its entry of the catalogue covers them.
    """
    out = Covered()
    for release in _releases(row):
        parts = parts_of_release(release)
        out.parts += parts
        out.lines += [_line(scope) for _action, scope in parts]
        out.owners |= owners_of_release(release)
    if row.kind == ChangeKind.STANDARD and not (row.template and row.template.covers_runs):
        return out
    touched, until = _touched(row), time.monotonic() + PLAN_SECONDS
    for key, procedure, params, named in _wanted(row):
        if procedure.state != "active" or procedure.grade == Grade.READ:
            continue
        if time.monotonic() > until:
            break
        try:
            prepared = prepare(
                procedure, actor=actor, params=params, target_names=named or touched, incident_number=None
            )
        except Invalid:
            continue
        if runs.shows_first(prepared) or any(each.code not in PASSING for each in prepared.plan.refusals):
            continue
        part = consented.part(procedure, [each.name for each in prepared.targets])
        owners = {each.owner_id for each in prepared.resources if each.owner_id is not None}
        if _cannot_count(row, part, owners):
            continue
        out.hashes[key] = consented.hash_of(prepared)
        out.parts.append(part)
        out.lines.append(_line(part[1], prepared.definition, prepared.plan.params))
        out.owners |= owners
    return out


def _wanted(row: Change) -> list[Wanted]:
    """The runs of a change by key, as they were written."""
    tasks = ChangeTask.objects.filter(change=row, procedure__isnull=False).select_related("procedure")
    listed: list[Wanted] = [
        (str(each.position), each.procedure, each.params, each.targets)
        for each in tasks.order_by("position")
        if each.procedure is not None
    ]
    return [*listed, (BACK, row.backout_procedure, {}, [])] if row.backout_procedure is not None else listed


def planned(row: Change, key: str, actor: Actor) -> Planned | None:
    """Plan one run of a change as this actor would request it now, to be read; None where the key names none.

    Blocks for as long as metrics are asked.
    """
    found = next((each for each in _wanted(row) if each[0] == key), None)
    if found is None:
        return None
    _key, procedure, params, named = found
    agreed = keys_of(row) & {key}
    try:
        prepared = prepare(
            procedure, actor=actor, params=params, target_names=named or _touched(row), incident_number=None
        )
    except Invalid as problem:
        return Planned(None, False if agreed else None, problem)
    return Planned(prepared, consented.hash_of(prepared) == row.covered_runs[key] if agreed else None)


def _cannot_count(row: Change, part: Part, owners: set[UUID]) -> bool:
    """Tell whether consent that is asked for now cannot count for a run, so that it has to ask for its own.

    Consent to an entry of the catalogue was given without the targets: whom policies want because of these, and who
    owns them, was not asked. Else a policy may say that consent lasts less long than until the window ends.
    """
    wanted, within = approvals.asked_of(*part)
    if row.template is not None:
        action, scope = part
        if (wanted, within) != approvals.asked_of(action, {**scope, "targets": []}):
            return True
        asked = owners_asked(row.template)  # an approver was, in place of none; and is, for what nobody owns
        return any(each.who == OWNER for each in wanted) and not (owners <= asked if owners else not asked)
    return within is not None and row.ends_at is not None and timezone.now() + timedelta(seconds=within) < row.ends_at


def owners_asked(entry: ChangeTemplate) -> set[UUID]:
    """The teams that consented to an entry as owners. Its own may be another by now: it is no part of what it says."""
    given = _of_entry(entry)
    needs = approvals.needs_of(given).filter(owner=True, team__isnull=False) if given is not None else []
    return {each.team_id for each in needs if each.team_id is not None}


def _of_entry(entry: ChangeTemplate) -> Approval | None:
    """The consent that was given to an entry as it was agreed on; another may have been asked for since."""
    given = Approval.objects.filter(subject=ref(entry), content_hash=entry.approved_hash)
    return given.filter(state=ApprovalState.APPROVED).order_by("-decided_at").first()


def _covers(lines: Iterable[str]) -> dict[str, list[str]]:
    found = list(dict.fromkeys(lines))
    return {"covers": found} if found else {}


def _line(
    scope: Mapping[str, Any], definition: Definition | None = None, params: Mapping[str, Any] | None = None
) -> str:
    """A run as an approver reads it: `drain: web-1, web-2 (how=at once)`, with the parameters that are no defaults."""
    names = scope["targets"]
    more = [f"+{len(names) - MOST_NAMED}"] if len(names) > MOST_NAMED else []
    line = ": ".join(filter(None, [scope["procedure"], ", ".join([*names[:MOST_NAMED], *more])]))
    said = _said(definition, params or {}) if definition is not None else ""
    return f"{line} ({said})" if said else line


def _said(definition: Definition, params: Mapping[str, Any]) -> str:
    """The parameters that differ from their defaults, in the order of the procedure; no value of what is a secret."""
    takes = definition.parameters
    differing = {name: params[name] for name in takes if name in params and params[name] != takes[name].default}
    texts = readable(differing).items()
    return ", ".join(
        f"{name}={text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + '…'}" for name, text in texts
    )


def readable(params: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as texts, without the values of those whose names tell of a secret."""
    texts = {
        name: each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for name, each in params.items()
    }
    found: dict[str, str] = mask(texts, ())
    return found


def _releases(row: Change) -> list[Release]:
    """The releases that the change carries out."""
    bound = {each["ref"] for each in row.bound}
    return [each for each in row.releases.order_by("number") if ref(each) in bound]


def owners_of_release(release: Release) -> set[UUID]:
    """Return the teams that own what a release runs on."""
    batches = ReleaseBatch.objects.filter(item__release=release).values_list("targets", flat=True)
    ids = {parse(each["ref"]).id for targets in batches for each in targets}
    return set(Resource.objects.filter(pk__in=ids, owner__isnull=False).values_list("owner_id", flat=True))


def parts_of_release(release: Release) -> list[Part]:
    """Return what policies may ask about each run of a release, there and back: consent to it covers them all."""
    out = []
    rows = release.items.select_related("rollout__procedure", "rollout__rollback_procedure")
    for item in rows.prefetch_related("batches").order_by("position"):
        names = [each["name"] for batch in item.batches.all() for each in batch.targets]
        procedures = {item.rollout.procedure, item.rollout.rollback_procedure or item.rollout.procedure}
        named = sorted(procedures, key=lambda each: each.name)
        out += [consented.part(each, names) for each in named if each.grade != Grade.READ]
    return out


def parts_of(row: ChangeTemplate) -> list[Part]:
    """Return what policies may ask about the runs that an entry of the catalogue covers; their targets come later."""
    if not row.covers_runs:
        return []
    names = {each.get("procedure", "") for each in row.tasks}
    found = list(Procedure.objects.filter(name__in=names).exclude(grade=Grade.READ).order_by("name"))
    if row.backout_procedure is not None and row.backout_procedure.grade != Grade.READ:
        found.append(row.backout_procedure)
    return [consented.part(each, []) for each in found]


def shown_of(row: ChangeTemplate) -> dict[str, list[str]]:
    """Return what the scope says of the runs that an entry of the catalogue covers: {} when it covers none."""
    if not row.covers_runs:
        return {}
    named = Procedure.objects.filter(name__in={each.get("procedure", "") for each in row.tasks})
    found = {each.name: each for each in named.exclude(grade=Grade.READ)}
    lines = [
        _line({"procedure": each["procedure"], "targets": each.get("targets") or []}, *_entry(found, each))
        for each in row.tasks
        if each.get("procedure") in found
    ]
    if row.backout_procedure is not None and row.backout_procedure.grade != Grade.READ:
        lines.append(row.backout_procedure.name)
    return _covers(lines)


def _entry(found: Mapping[str, Procedure], task: Mapping[str, Any]) -> tuple[Definition, Mapping[str, Any]]:
    return definition_of(found[task["procedure"]].text), task.get("params") or {}


def request_task(actor: Actor, row: Change, task: ChangeTask, procedure: Procedure) -> Run:
    """Request the run of a task: at once if consent covers exactly that, else the run asks for its own."""
    return _request(actor, row, str(task.position), procedure, task.params, task.targets, task.title)


def request_back(actor: Actor, row: Change, procedure: Procedure) -> Run:
    """Request the run of the way back, as that of a task."""
    return _request(actor, row, BACK, procedure, {}, [], row.title)


def _request(
    actor: Actor,
    row: Change,
    key: str,
    procedure: Procedure,
    params: Mapping[str, Any],
    named: Sequence[str],
    title: str,
) -> Run:
    reason, names = f"{row.name} {title}", list(named) or _touched(row)
    agreed = row.covered_runs.get(key, "")
    consent = _consent(row, key) if agreed else None
    if consent is not None and row.ends_at is not None:
        ends_at = row.ends_at if row.template else min(row.ends_at, consent.expires_at)
        for resource in targets.find(names, actor):
            check(actor, "runbooks.request", team=resource.owner_id)
        try:
            return consented.request(
                actor=actor,
                procedure=procedure,
                params=params,
                targets=names,
                about_ref=ref(row),
                reason=reason,
                agreed_hash=agreed,
                consent=consent,
                because=f"{row.name} {row.title}",
                good_until=max(ends_at, timezone.now()) + COMES_TO_ITS_END,
                bind=lambda _run: None,
            )
        except Conflict as problem:
            if problem.code != "run.content_changed":
                raise
    return runs.request_run(
        actor=actor, procedure=procedure, params=params, targets=names, about_ref=ref(row), reason=reason
    )


def _consent(row: Change, key: str) -> Approval | None:
    """The consent to exactly what the change says now, in its window; none of an emergency that broke the glass.

    The way back is not asked for again when the window is over: nobody should wait for a signature to get out.
    """
    now = timezone.now()
    if row.starts_at is None or row.ends_at is None or row.broke_glass:
        return None
    if key == BACK:
        agreed = control_reads.was_agreed(row)
    else:
        agreed = row.starts_at <= now < row.ends_at and control_reads.is_agreed(row)
    if not agreed:
        return None
    if row.kind != ChangeKind.STANDARD or row.template is None:
        return row.approval
    return _of_entry(row.template)
