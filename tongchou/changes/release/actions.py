"""What people do to a release: make it, have it agreed on, start, pause, go on, go back, leave it, withdraw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import control, covered_runs, gate_reads
from tongchou.changes.change_content import Bound
from tongchou.changes.draft import Draft
from tongchou.changes.gate import DENY, in_words
from tongchou.changes.models import DeploymentStatus
from tongchou.changes.models_control import Change
from tongchou.changes.models_release import (
    Artefact,
    Environment,
    PieceState,
    Release,
    ReleaseBatch,
    ReleaseItem,
    ReleaseState,
)
from tongchou.changes.quiet import KEEPER
from tongchou.changes.release import consent, machine, reads, record, watch
from tongchou.changes.release.content import MAX_ITEMS, Composed, Wanted, compose, facts_of
from tongchou.changes.release.draft import wrong
from tongchou.changes.release.reads import EDIT
from tongchou.changes.release.words import sentence
from tongchou.changes.requirement_actions import next_number
from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.core.settings_store import get as setting
from tongchou.runbooks import actions as runs
from tongchou.runbooks.machine import ACTIVE
from tongchou.runbooks.models import Run, RunState

S = ReleaseState
CONSENT_WITHIN = timedelta(days=7)
ENABLED = "execution.enabled"


def create(
    *,
    actor: Actor,
    environment: Environment,
    artefacts: Sequence[Artefact],
    title: str = "",
    together: bool = True,
    skip_promotion: str = "",
) -> Release:
    """Plan a release of these versions, in this order, into an environment. Event release.created.

    Every run it will request is planned now. Conflict `release.problems` with every reason in `problems`: a version
    that is withdrawn or has not passed the environment before (unless `skip_promotion` says why), no rollout, no
    targets, what a run refuses.
    """
    if not 1 <= len(artefacts) <= MAX_ITEMS:
        raise wrong("items", len(artefacts), _("From 1 to %(n)s services.") % {"n": MAX_ITEMS})
    if len({each.service_id for each in artefacts}) != len(artefacts):
        raise wrong("items", None, _("A service is in a release once."))
    for each in artefacts:
        check(actor, EDIT, team=each.service.owner_id)
    wanted, problems = _wanted(environment, artefacts, skip_promotion)
    _raise(problems)
    skip_promotion = skip_promotion.strip()[:500]
    composed = compose(
        actor=actor, environment=environment, wanted=wanted, together=together, skip_promotion=skip_promotion
    )
    _raise(composed.problems)
    names = ", ".join(f"{each.service.name} {each.version}" for each in artefacts)
    with transaction.atomic():
        row = Release.objects.create(
            number=next_number(Release),
            title=(title.strip() or names)[:200],
            environment=environment,
            together=together,
            skip_promotion=skip_promotion,
            content=composed.content,
            content_hash=composed.sha256,
            requested_by_id=actor.user_id,
            requested_by_name=actor.name,
        )
        _write_items(row, wanted, composed)
        tell(actor, row, "release.created", {"content_hash": row.content_hash, "skipped": row.skip_promotion})
    return row


def _wanted(
    environment: Environment, artefacts: Sequence[Artefact], skip: str
) -> tuple[list[Wanted], list[dict[str, Any]]]:
    out: list[Wanted] = []
    problems: list[dict[str, Any]] = []
    if environment.retired_at is not None:
        raise wrong("environment", environment.name, _("This environment is out of use."))
    now = timezone.now()
    rows = reads.joined_rollouts().filter(environment=environment, retired_at__isnull=True)
    by_service = {each.service_id: each for each in rows.filter(service__in=[each.service_id for each in artefacts])}
    for artefact in artefacts:
        name = artefact.service.name
        rollout = by_service.get(artefact.service_id)
        if rollout is None:
            problems.append({"service": name, "code": "no_rollout", "params": {"environment": environment.name}})
            continue
        if artefact.withdrawn_at is not None:
            params = {"version": artefact.version, "reason": artefact.withdrawn_reason}
            problems.append({"service": name, "code": "withdrawn", "params": params})
        passed = reads.promoted(artefact, environment, now)
        if passed.code and not skip.strip():
            problems.append(reads.not_passed(artefact, passed))
        last = reads.installed(artefact.service, environment)
        out.append(Wanted(artefact, rollout, last.version if last else ""))
    return out, problems


def _raise(problems: Sequence[Mapping[str, Any]]) -> None:
    if problems:
        first = problems[0]
        raise Conflict(
            "release.problems",
            sentence(first),
            field="items",
            value=first["service"],
            remedy=_("Every reason is in problems."),
            extra={"problems": [{**each, "detail": sentence(each)} for each in problems]},
        )


def _write_items(row: Release, wanted: Sequence[Wanted], composed: Composed) -> None:
    for position, (each, batches) in enumerate(zip(wanted, composed.batches, strict=True), start=1):
        item = ReleaseItem.objects.create(
            release=row,
            position=position,
            service=each.artefact.service,
            artefact=each.artefact,
            rollout=each.rollout,
            previous_version=each.previous_version,
        )
        ReleaseBatch.objects.bulk_create(
            ReleaseBatch(item=item, number=number, targets=batch) for number, batch in enumerate(batches, start=1)
        )


def replan(*, actor: Actor, release: Release) -> Release:
    """Plan a release that has not begun anew, as everything is now. What was agreed on differs: it is asked anew."""
    check_edit(actor, release)
    old = reads.items(release)
    wanted, problems = _wanted(release.environment, [each.artefact for each in old], release.skip_promotion)
    _raise(problems)
    composed = compose(
        actor=actor,
        environment=release.environment,
        wanted=wanted,
        together=release.together,
        skip_promotion=release.skip_promotion,
    )
    _raise(composed.problems)
    with transaction.atomic():
        row = locked(release)
        if row.state not in machine.OPEN:
            raise wrong_state(row)
        if composed.sha256 == row.content_hash:
            return row
        was, row.content, row.content_hash = row.content_hash, composed.content, composed.sha256
        row.items.all().delete()
        _write_items(row, wanted, composed)
        _drop_request(row)
        row.state = S.DRAFT if row.change is None else S.READY  # a change asks for consent itself
        row.save(update_fields=["content", "content_hash", "state", "approval"])
        if row.change is not None:
            control.bind(actor=actor, change=row.change, bound=[_bound(row)])
        tell(actor, row, "release.planned", {"hash": [was, row.content_hash]})
    return row


# --- consent --------------------------------------------------------------------------------------------------------


def ask(*, actor: Actor, release: Release, reason: str = "") -> Release:
    """Have a release agreed on as it is planned; ready at once where consent stands. Event release.asked."""
    check_edit(actor, release)
    with transaction.atomic():
        row = locked(release)
        if row.state != S.DRAFT:
            raise wrong_state(row)
        if row.change is not None:
            raise Conflict(
                "release.by_change",
                _("%(name)s says who agrees to this release.") % {"name": row.change.name},
                field="change",
                remedy=_("Ask for consent to the change."),
            )
        if consent.given(row, timezone.now())[0] is not None:
            _ready(actor, row, "standing")
            return row
        owners = {each.service.owner_id for each in row.items.select_related("service") if each.service.owner_id}
        row.approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=consent.ACTION,
            content_hash=row.content_hash,
            scope=consent.scope_of(row),
            reason=(reason.strip() or str(row))[:2000],
            expires_at=timezone.now() + CONSENT_WITHIN,
            about=refs_of(row),
            owners=owners | covered_runs.owners_of_release(row),
            parts=covered_runs.parts_of_release(row),
        )
        row.state = S.AUTHORIZE
        row.save(update_fields=["approval", "state"])
        tell(actor, row, "release.asked", {"content_hash": row.content_hash})
    return row


def _ready(actor: Actor, row: Release, how: str) -> None:
    row.state = S.READY
    row.save(update_fields=["state"])
    tell(actor, row, "release.ready", {"content_hash": row.content_hash, "how": how})


def decided(*, approval: Approval) -> None:
    """Follow what became of a request: ready when approved, else a draft again. Idempotent."""
    found = Release.objects.filter(approval=approval).first() if approval.action == consent.ACTION else None
    if found is None:
        return
    with transaction.atomic():
        row = locked(found)
        if row.state != S.AUTHORIZE or row.approval_id != approval.pk or approval.state == ApprovalState.PENDING:
            return
        if approval.state == ApprovalState.APPROVED and approval.content_hash == row.content_hash:
            _ready(KEEPER, row, approval.decided_by_name)
            return
        row.state = S.DRAFT
        row.save(update_fields=["state"])
        payload = {"how": approval.state, "by": approval.decided_by_name, "comment": approval.comment}
        tell(KEEPER, row, "release.refused", payload)


def make_change(*, actor: Actor, release: Release) -> Change:
    """Make the change that carries a release out, bound to its content; asked again, the same. Event change.created."""
    check_edit(actor, release)
    if release.change is not None:
        return release.change
    if release.state not in machine.OPEN:
        raise wrong_state(release)
    own = ref(release)
    rows = reads.items(release)
    lines = [f"{each.service.name} {each.previous_version or '?'} → {each.artefact.version}" for each in rows]
    draft = Draft(
        title=f"{release.name} {release.title}"[:200],
        description="\n".join(lines),
        team=rows[0].service.owner_id if rows else None,
        environment=release.environment.name,
        resources=[each.service_id for each in rows],
        backout=str(_("The release goes back by itself, batch by batch.")),
        verification=str(_("Every batch is watched; the release ends as succeeded.")),
    )
    with transaction.atomic():
        row = locked(release)
        if row.change is not None:
            return row.change
        if row.state not in machine.OPEN:
            raise wrong_state(row)
        bound = [_bound(row)]
        change = control.create(actor=actor, draft=draft, origin=own, origin_key=own, bound=bound)
        _drop_request(row)
        row.change, row.state = change, S.READY
        row.save(update_fields=["change", "state", "approval"])
    release.refresh_from_db()
    return change


def _bound(row: Release) -> Bound:
    return Bound("release", ref(row), row.content_hash)


def _drop_request(row: Release) -> None:
    if row.approval is not None and row.approval.state == ApprovalState.PENDING:
        approvals.cancel(actor=KEEPER, approval=row.approval, comment="the release was planned anew")
    row.approval = None


# --- under way ------------------------------------------------------------------------------------------------------


def refusals(release: Release) -> list[dict[str, Any]]:
    """Return why a release may not begin now as [{code, text}]; empty when it may. Asks the metrics, writes nothing."""
    now = timezone.now()
    found: list[dict[str, Any]] = []
    if release.state != S.READY:
        found.append({"code": "state", "text": str(release.get_state_display())})
    if not setting(ENABLED):
        found.append(
            {"code": "execution_off", "text": str(_("Execution is switched off (setting execution.enabled)."))}
        )
    given, why = consent.given(release, now)
    if given is None:
        found.append({"code": "not_agreed", "text": why})
    for item in reads.items(release):
        if item.artefact.withdrawn_at is not None:
            params = {"version": item.artefact.version, "reason": item.artefact.withdrawn_reason}
            line = {"service": item.service.name, "code": "withdrawn", "params": params}
            found.append({"code": "withdrawn", "text": sentence(line)})
        planned = reads.since_planned(release, item, now)
        found += [{"code": each["code"], "text": sentence(each)} for each in planned]
        found += [{"code": "gate", "text": text} for text in gate_says(item)]
        name = release.environment.name
        seen = watch.look(item.rollout.checks, facts_of(item.artefact, name, item.previous_version))
        verdict, reason = watch.verdict_of(seen)
        if verdict == "no":  # what is broken already cannot tell whether the release broke it
            found.append({"code": "check_no", "text": sentence({**reason, "service": item.service.name})})
    return found


def gate_says(item: ReleaseItem) -> list[str]:
    """Return what the gate has against a deployment of this service now, in the language spoken now."""
    now = timezone.now()
    verdict = gate_reads.decided(item.service, item.release.environment.name, now)
    if verdict.allowed:
        return []
    return [in_words(each.as_json()) for each in verdict.reasons if each.weight == DENY]


def start(*, actor: Actor, release: Release) -> Release:
    """Begin a release: agreed on, let through by the gate, its checks not failing already. Event release.started.

    Conflict `release.not_now` with every reason in `refusals`.
    """
    check_edit(actor, release)
    found = refusals(release)
    if found:
        raise Conflict(
            "release.not_now",
            found[0]["text"],
            field="state",
            value=release.state,
            remedy=_("Every reason is in refusals."),
            extra={"refusals": found},
        )
    with transaction.atomic():
        row = locked(release)
        if row.state != S.READY or row.content_hash != release.content_hash:
            raise wrong_state(row)
        Environment.objects.select_for_update().get(pk=row.environment_id)  # two that begin at once see each other
        if row.environment.releases.filter(
            state__in=(*machine.MOVING, S.PAUSED), items__service__in=row.items.values("service")
        ).exists():
            raise Conflict(
                "release.busy",
                _("Another release of one of these services into this environment is under way."),
                remedy=_("Wait for it, or take it back."),
            )
        row.state, row.started_at, row.started_by_name = S.RUNNING, timezone.now(), actor.name
        row.save(update_fields=["state", "started_at", "started_by_name"])
        tell(actor, row, "release.started", {"content_hash": row.content_hash})
    return row


def pause(*, actor: Actor, release: Release) -> Release:
    """Hold a release: the run under way is brought to its end, no other begins. Event release.paused."""
    check_edit(actor, release)
    with transaction.atomic():
        row = locked(release)
        if row.state != S.RUNNING:
            raise wrong_state(row)
        move(actor, row, S.PAUSED, {"code": "by_person", "params": {"by": actor.name}})
    return row


def resume(*, actor: Actor, release: Release) -> Release:
    """Go on: what failed is tried again, what was watched is watched anew. Event release.resumed.

    One that was paused in the middle of its way back goes on with that.
    """
    check_edit(actor, release)
    with transaction.atomic():
        row = locked(release)
        if row.state != S.PAUSED:
            raise wrong_state(row)
        batches = ReleaseBatch.objects.filter(item__release=row)
        if batches.filter(state__in=(PieceState.ROLLING_BACK, PieceState.ROLLED_BACK, PieceState.LEFT)).exists():
            move(actor, row, S.ROLLING_BACK, row.outcome, verb="release.resumed")
            return row
        batches.filter(state=PieceState.FAILED).update(
            state=PieceState.WAITING, reason={}, checks=[], bakes_since=None, finished_at=None
        )
        batches.filter(state=PieceState.BAKING).update(bakes_since=timezone.now(), checks=[], reason={})
        row.items.filter(state=PieceState.FAILED).update(state=PieceState.RUNNING, finished_at=None)
        if row.outcome.get("code") == "confirm":
            row.confirmed = int(row.outcome.get("params", {}).get("item", 0))
            row.save(update_fields=["confirmed"])
        move(actor, row, S.RUNNING, {}, verb="release.resumed")
    return row


def roll_back(*, actor: Actor, release: Release, reason: str) -> Release:
    """Take back what was touched, the last first. Event release.rolling_back. Conflict where there is no way back."""
    check_edit(actor, release)
    if not reason.strip():
        raise wrong("reason", "", _("Say why."), _("A sentence for who reads it later."))
    with transaction.atomic():
        row = locked(release)
        if row.state not in (S.RUNNING, S.PAUSED):
            raise wrong_state(row)
        go_back(actor, row, {"code": "by_person", "params": {"by": actor.name, "comment": reason.strip()[:500]}})
    return row


def go_back(actor: Actor, row: Release, why: Mapping[str, Any]) -> None:
    """Turn a release round, with its row locked: runs of batches under way are stopped before their next step."""
    lacking = [each.service.name for each in to_go_back(row) if not has_way_back(row, each)]
    if lacking:
        raise Conflict(
            "release.no_way_back",
            _("Nobody knows what %(service)s was before, and no procedure takes it back.")
            % {"service": ", ".join(lacking)},
            remedy=_("Leave it as it is and release a version that works."),
        )
    move(actor, row, S.ROLLING_BACK, why)
    for each in ReleaseBatch.objects.filter(item__release=row, state=PieceState.RUNNING).select_related("run"):
        if each.run is not None and each.run.state in (*ACTIVE, RunState.QUEUED):
            cancel_run(each.run)


def to_go_back(row: Release) -> list[ReleaseItem]:
    """Return the services of which something was touched and would be taken back."""
    touched = list(row.items.filter(batches__state__in=machine.TOUCHED).select_related("service").distinct())
    return touched if row.together else [each for each in touched if each.state != PieceState.DONE]


def has_way_back(row: Release, item: ReleaseItem) -> bool:
    """Tell whether each batch of a service was planned with a run that takes it back."""
    items = row.content.get("items", [])
    return all(each["rollback"] for each in items[item.position - 1]["batches"]) if items else False


def cancel_run(run: Run) -> None:
    """Stop a run before its next step; one that has ended meanwhile is left alone."""
    try:
        with transaction.atomic():
            runs.cancel(actor=KEEPER, run=run, comment="the release goes back")
    except Conflict:
        return


def leave(*, actor: Actor, release: Release, reason: str) -> Release:
    """End a release that is paused and leave everything as it is. Event release.failed."""
    check_edit(actor, release)
    if not reason.strip():
        raise wrong("reason", "", _("Say why."), _("A sentence for who reads it later."))
    with transaction.atomic():
        row = locked(release)
        if row.state != S.PAUSED:
            raise wrong_state(row)
        batches = ReleaseBatch.objects.filter(item__release=row)
        active = (*ACTIVE, RunState.QUEUED)
        forward = Q(state=PieceState.RUNNING, run__state__in=active)
        if batches.filter(forward | Q(state=PieceState.ROLLING_BACK, rollback_run__state__in=active)).exists():
            raise Conflict(
                "release.run_active",
                _("A run is still under way."),
                remedy=_("Wait for it, or cancel it on its page."),
            )
        now = timezone.now()
        halfway = (PieceState.RUNNING, PieceState.BAKING, PieceState.FAILED, PieceState.ROLLING_BACK)
        batches.filter(state__in=halfway).update(state=PieceState.LEFT, finished_at=now)
        batches.filter(state=PieceState.WAITING).update(state=PieceState.SKIPPED)
        for item in reads.items(row):
            if item.state in halfway:
                _leave_item(row, item)
        row.items.filter(state=PieceState.WAITING).update(state=PieceState.SKIPPED)
        move(actor, row, S.FAILED, {"code": "left", "params": {"by": actor.name, "comment": reason.strip()[:500]}})
    return row


def _leave_item(row: Release, item: ReleaseItem) -> None:
    """Say of a service what it is now: one that was taken back wholly is what it was before."""
    states = {each.state for each in reads.batches_of(item)}
    back = PieceState.ROLLED_BACK in states and not states & {PieceState.LEFT, PieceState.DONE}
    state = PieceState.ROLLED_BACK if back else PieceState.LEFT
    row.items.filter(pk=item.pk).update(state=state, finished_at=timezone.now())
    if item.deployment_id is not None:
        record.ended(row, item, DeploymentStatus.FAILED)
    if back and item.previous_version:
        record.went_back(row, item)


def cancel(*, actor: Actor, release: Release, reason: str) -> Release:
    """Withdraw a release that has not begun. Event release.cancelled."""
    check_edit(actor, release)
    if not reason.strip():
        raise wrong("reason", "", _("Say why."), _("A sentence for who reads it later."))
    with transaction.atomic():
        row = locked(release)
        if row.state not in machine.OPEN:
            raise wrong_state(row)
        _drop_request(row)
        row.save(update_fields=["approval"])
        row.items.update(state=PieceState.SKIPPED)
        ReleaseBatch.objects.filter(item__release=row).update(state=PieceState.SKIPPED)
        move(actor, row, S.CANCELLED, {"code": "by_person", "params": {"by": actor.name, "comment": reason[:500]}})
    return row


# --- what they share ------------------------------------------------------------------------------------------------


def check_edit(actor: Actor, release: Release) -> None:
    """Raise AccessDenied unless the actor may change each service of the release."""
    for owner in set(release.items.values_list("service__owner_id", flat=True)):
        check(actor, EDIT, team=owner)


def locked(release: Release) -> Release:
    """Return the release as it is, with its row locked until the commit."""
    Release.objects.select_for_update().get(pk=release.pk)
    return fresh(release.pk)


def fresh(release_id: UUID) -> Release:
    """Return the release as it is, with what consent to it hangs on."""
    joined = ("environment", "approval", "change", "change__approval", "change__template")
    return Release.objects.select_related(*joined).get(pk=release_id)


def refs_of(row: Release) -> list[str]:
    """Return what an event of a release is about: its services, and its change."""
    found = [f"inventory.resource:{each}" for each in row.items.values_list("service_id", flat=True)]
    return found + ([f"changes.change:{row.change_id}"] if row.change_id else [])


def tell(actor: Actor, row: Release, verb: str, payload: Mapping[str, Any], about: Sequence[str] = ()) -> None:
    """Record an event of a release in the caller's transaction."""
    named = {"name": row.name, "title": row.title, "environment": row.environment.name, **payload}
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[*refs_of(row), *about],
        payload=named,
        correlation_id=ref(row)[:80],
    )


def move(actor: Actor, row: Release, state: ReleaseState, why: Mapping[str, Any], *, verb: str = "") -> None:
    """Bring a locked release into a state, with the reason; RuntimeError for a way there is not."""
    if state not in machine.WAYS.get(row.state, frozenset()):
        raise RuntimeError(f"{row.name} does not go from {row.state} to {state}")
    row.state, row.outcome = state, dict(why)
    if state in machine.ENDED:
        row.finished_at = timezone.now()
    row.save(update_fields=["state", "outcome", "finished_at"])
    tell(actor, row, verb or f"release.{state}", {"why": dict(why)})


def wrong_state(row: Release) -> Conflict:
    """Return the refusal of what cannot be done in this state."""
    return Conflict(
        "release.state",
        _("The release is %(state)s; this cannot be done now.") % {"state": row.get_state_display()},
        field="state",
        value=row.state,
        remedy=_("Reload the page."),
    )
