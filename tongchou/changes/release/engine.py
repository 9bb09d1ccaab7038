"""What a release does by itself, step by step. Every step is one commit with a guard: called twice, it is done once.

Whoever is killed leaves the release between two steps; the next one who looks goes on from there. A run is requested
in the commit that writes it into its batch, so there is never one that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tongchou.changes.models import DeploymentStatus
from tongchou.changes.models_release import OnFailure, PieceState, Release, ReleaseBatch, ReleaseItem, ReleaseState
from tongchou.changes.release import actions, consent, content, machine, reads, record, watch
from tongchou.changes.release.machine import Batch, Item, RunIs, Step, View
from tongchou.changes.release.record import EXECUTOR
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.runbooks import consented, doing
from tongchou.runbooks.models import Run, RunState, StepState

S, P = ReleaseState, PieceState
MOST_STEPS = 1000  # of one call; there are never so many without a wait between
LATE_SECONDS = 5.0  # after its own limit a step whose result nobody wrote died with its process
RUN_GOOD = timedelta(hours=24)  # so long the consent of one run lasts
_RUN: dict[str, RunIs] = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "failed",
}


class Moved(Exception):  # no error: somebody else was faster
    """The release is not where it was looked at."""


def due() -> list[UUID]:
    """Return the releases that move by themselves. One query."""
    return list(Release.objects.filter(state__in=machine.MOVING).order_by("number").values_list("pk", flat=True))


def advance(release_id: UUID) -> int:
    """Bring a release as far as it goes now; returns how many steps were done. Blocks while metrics are asked."""
    for done in range(MOST_STEPS):
        release = actions.fresh(release_id)
        if release.state not in machine.MOVING:
            return done
        items = reads.items(release)
        step = machine.decide(_view(release, items))
        if step.kind == "wait":
            return done
        try:
            _do(release, items, step)
        except Moved:
            continue
    return MOST_STEPS


# --- looking --------------------------------------------------------------------------------------------------------


def _view(release: Release, items: list[ReleaseItem]) -> View:
    return View(
        state=release.state,
        confirmed=release.confirmed,
        together=release.together,
        items=[
            Item(
                position=item.position,
                state=item.state,
                confirm_after=_said(release, item)["confirm_after"],
                batches=[_batch(release, item, each) for each in reads.batches_of(item)],
            )
            for item in items
        ],
    )


def _said(release: Release, item: ReleaseItem) -> Mapping[str, Any]:
    """The rollout as it was agreed on, not as it may be now."""
    said: Mapping[str, Any] = release.content["items"][item.position - 1]["rollout"]
    return said


def _batch(release: Release, item: ReleaseItem, row: ReleaseBatch) -> Batch:
    """A batch as it stands; the checks are asked only of the one that is being done or watched."""
    plain = Batch(row.number, row.state, _run(row.run), _run(row.rollback_run), why=row.reason)
    if release.state != S.RUNNING or row.state not in (P.RUNNING, P.BAKING):
        return plain
    said = _said(release, item)
    baking = row.state == P.BAKING
    if not said["checks"] or (not baking and not any(each.get("always") for each in said["checks"])):
        return Batch(plain.number, plain.state, plain.run, plain.back, baked=_baked(row, said))
    facts = content.facts_of(item.artefact, release.environment.name, item.previous_version)
    found = watch.look(said["checks"], facts)
    if found != row.checks:
        ReleaseBatch.objects.filter(pk=row.pk, state=row.state).update(checks=found)
    verdict, why = watch.verdict_of(found, only_always=not baking)
    if not baking and verdict == "unknown":
        verdict, why = "yes", {}
    return Batch(plain.number, plain.state, plain.run, plain.back, _baked(row, said), verdict, why)


def _baked(row: ReleaseBatch, said: Mapping[str, Any]) -> bool:
    since = row.bakes_since
    return since is not None and timezone.now() >= since + timedelta(seconds=said["bake_seconds"])


def _run(run: Run | None) -> RunIs:
    """How a run stands. One that was cancelled in the middle of a step is under way until that step has ended."""
    if run is None:
        return ""
    found = _RUN.get(run.state, "active")
    if run.state == RunState.CANCELLED:
        now = timezone.now()
        for step in run.steps.filter(state=StepState.STARTED):
            longest = timedelta(seconds=doing.longest_seconds(step) + LATE_SECONDS)
            if step.started_at is not None and now < step.started_at + longest:
                return "active"
    return found


# --- doing ----------------------------------------------------------------------------------------------------------


def _do(release: Release, items: list[ReleaseItem], step: Step) -> None:
    item = next((each for each in items if each.position == step.item), None)
    batch = next((each for each in reads.batches_of(item) if each.number == step.batch), None) if item else None
    if item is not None and batch is not None:
        if step.kind in ("begin", "begin_back"):
            _begin(release, item, batch, back=step.kind == "begin_back")
            return
        _of_batch(release, item, batch, step)
    elif item is not None:
        _item_done(release, item)
    elif step.kind == "succeed":
        with transaction.atomic():
            row = _still(release)
            actions.move(EXECUTOR, row, S.SUCCEEDED, {})
    else:
        _end_back(release)


def _still(release: Release) -> Release:
    """The release, locked, if it is in the state it was looked at; else Moved."""
    row = actions.locked(release)
    if row.state != release.state:
        raise Moved
    return row


def _begin(release: Release, item: ReleaseItem, batch: ReleaseBatch, *, back: bool) -> None:
    """Request the run of a batch, or of the one that takes it back."""
    now = timezone.now()
    given, why = consent.given(release, now, item)
    if back and given is None:  # what was agreed on when it began includes the way back
        given = consent.Given(release.approval, release.name)
    if given is None:
        _stop(release, batch, {"code": "not_agreed", "params": {"why": why}})
        return
    if not back and (against := actions.gate_says(item)):
        _stop(release, batch, {"code": "gate", "params": {"why": against[0]}})
        return
    params, agreed = content.agreed(release, item.position, batch.number, back=back)
    procedure = content.procedure_of(release, item, back=back)

    def bind(run: Run) -> None:
        _still(release)
        if not back:
            record.began(release, item)
        values: dict[str, Any] = (
            {"state": P.ROLLING_BACK, "rollback_run": run}
            if back
            else {"state": P.RUNNING, "run": run, "attempt": batch.attempt + 1, "started_at": now, "reason": {}}
        )
        if not ReleaseBatch.objects.filter(pk=batch.pk, state=batch.state).update(**values):
            raise Moved
        item_state = P.ROLLING_BACK if back else P.RUNNING
        ReleaseItem.objects.filter(pk=item.pk).exclude(state=item_state).update(state=item_state)
        told = {"service": item.service.name, "version": item.artefact.version, "batch": batch.number}
        verb = "release.batch_going_back" if back else "release.batch_began"
        actions.tell(EXECUTOR, release, verb, told, about=[ref(run)])

    try:
        consented.request(
            actor=EXECUTOR,
            procedure=procedure,
            params=params,
            targets=[each["ref"] for each in batch.targets],
            about_ref=ref(release),
            reason=f"{release.name} {item.service.name} {item.artefact.version} {batch.number}",
            agreed_hash=agreed,
            consent=given.by,
            because=given.because,
            good_until=now + RUN_GOOD,
            bind=bind,
        )
    except Problem as problem:
        why_not = {"code": "run_refused", "params": {"why": str(problem.detail)[:500]}}
        if back and not content.passes(problem):
            _of_batch(release, item, batch, Step("left", item.position, batch.number, why_not))
        else:
            _stop(release, batch, why_not)


def _stop(release: Release, batch: ReleaseBatch, why: Mapping[str, Any]) -> None:
    """Pause: a person has to look. Not when somebody else has begun the batch meanwhile, which may be why it failed."""
    with transaction.atomic():
        row = _still(release)
        if not ReleaseBatch.objects.filter(pk=batch.pk, state=batch.state).exists():
            raise Moved
        actions.move(EXECUTOR, row, S.PAUSED, why)


_BATCH = {
    "bake": (P.RUNNING, P.BAKING),
    "done": (P.BAKING, P.DONE),
    "batch_back": (P.ROLLING_BACK, P.ROLLED_BACK),
}


def _of_batch(release: Release, item: ReleaseItem, batch: ReleaseBatch, step: Step) -> None:
    now = timezone.now()
    told = {"service": item.service.name, "version": item.artefact.version, "batch": batch.number}
    with transaction.atomic():
        row = _still(release)
        mine = ReleaseBatch.objects.filter(pk=batch.pk, state=batch.state)
        if step.kind in ("confirm", "ask"):
            why = {"code": "confirm", "params": {"item": item.position}} if step.kind == "confirm" else dict(step.why)
            actions.move(EXECUTOR, row, S.PAUSED, why)
            return
        if step.kind == "fail":
            if not mine.update(state=P.FAILED, reason=dict(step.why), finished_at=now):
                raise Moved
            actions.tell(EXECUTOR, row, "release.batch_failed", {**told, "why": dict(step.why)})
            _failed(row, item, batch, step.why)
            return
        if step.kind == "left":
            if not mine.update(state=P.LEFT, reason=dict(step.why), finished_at=now):
                raise Moved
            actions.tell(EXECUTOR, row, "release.batch_left", {**told, "why": dict(step.why)})
            return
        _from, to = _BATCH[step.kind]
        values: dict[str, Any] = {"bakes_since": now} if step.kind == "bake" else {"finished_at": now}
        if not mine.update(state=to, **values):
            raise Moved
        if step.kind != "bake":
            verb = "release.batch_done" if step.kind == "done" else "release.batch_rolled_back"
            actions.tell(EXECUTOR, row, verb, told)


def _failed(row: Release, item: ReleaseItem, batch: ReleaseBatch, why: Mapping[str, Any]) -> None:
    """Turn round, or pause where that is wanted or there is no way back."""
    now = timezone.now()
    ReleaseItem.objects.filter(pk=item.pk).update(state=P.FAILED, finished_at=now)
    item.state = P.FAILED
    run = batch.run
    if run is not None and _run(run) == "active":
        actions.cancel_run(run)
    lacking = [each.service.name for each in actions.to_go_back(row) if not actions.has_way_back(row, each)]
    if _said(row, item)["on_failure"] == OnFailure.PAUSE:
        actions.move(EXECUTOR, row, S.PAUSED, why)
    elif lacking:
        actions.move(EXECUTOR, row, S.PAUSED, {"code": "no_way_back", "params": {"service": ", ".join(lacking)}})
    else:
        actions.go_back(EXECUTOR, row, why)


def _item_done(release: Release, item: ReleaseItem) -> None:
    with transaction.atomic():
        row = _still(release)
        if (
            not ReleaseItem.objects.filter(pk=item.pk)
            .exclude(state=P.DONE)
            .update(state=P.DONE, finished_at=timezone.now())
        ):
            raise Moved
        record.ended(row, item, DeploymentStatus.SUCCEEDED)
        told = {"service": item.service.name, "version": item.artefact.version}
        actions.tell(EXECUTOR, row, "release.item_done", told)


def _end_back(release: Release) -> None:
    """Everything that could be taken back is: say of each service what it is now, and end."""
    now = timezone.now()
    with transaction.atomic():
        row = _still(release)
        left = False
        for item in reads.items(row):
            states = {each.state for each in reads.batches_of(item)}
            if P.LEFT in states:
                state, left = P.LEFT, True
            elif P.ROLLED_BACK in states:
                state = P.ROLLED_BACK
            elif item.state == P.DONE:
                continue
            else:
                state = P.SKIPPED
            ReleaseItem.objects.filter(pk=item.pk).update(state=state, finished_at=now)
            ReleaseBatch.objects.filter(item=item, state=P.WAITING).update(state=P.SKIPPED)
            if state != P.SKIPPED:
                record.ended(row, item, DeploymentStatus.FAILED)
            if state == P.ROLLED_BACK and item.previous_version:
                record.went_back(row, item)
        actions.move(EXECUTOR, row, S.FAILED if left else S.ROLLED_BACK, row.outcome)
