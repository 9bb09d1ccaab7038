"""Applying: exactly the plan file that was approved, once, by one job; what was cut off is known to be so."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_change, iac_files, iac_journal, iac_planning, iac_states, iac_tools
from tongchou.changes.iac_journal import ACTION, ACTOR, scope_of
from tongchou.changes.iac_scrub import Scrub
from tongchou.changes.iac_sensitive import telling, values_of
from tongchou.changes.models_iac import Plan, PlanState, Verdict, Workspace
from tongchou.changes.ports import Applied, Tool, Where
from tongchou.core import approvals, clock, consent, jobs, settings_store
from tongchou.core.access import Actor, check, system
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.models_consent import ApprovalPolicy
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.core.refs import ref
from tongchou.inventory import sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import SourceConfig

EDIT = "changes.edit"
JOB = "changes.apply"
KEEP_HOURS = "iac.plan_hours"
AGAIN_SECONDS = 20.0
MIN_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS = 60, 7 * 86_400
MAX_REASON = 2000


def _locked(plan: Plan) -> Plan:
    return Plan.objects.select_related("workspace", "approval").select_for_update(of=("self",)).get(pk=plan.pk)


def _not_ready(plan: Plan) -> Conflict:
    return Conflict(
        "plan.state",
        _("This plan cannot be applied: %(state)s.") % {"state": plan.get_state_display()},
        remedy=_("Make a new plan."),
    )


def overridden(plan: Plan) -> bool:
    """Whether an approval policy says who may let a denied plan through: one whose conditions name the verdict."""
    scope = scope_of(plan)
    return any(
        "verdict" in each.conditions and consent.fits(each.action, each.conditions, asked=ACTION, scope=scope)
        for each in ApprovalPolicy.objects.filter(enabled=True, action__in=("*", ACTION))
    )


def check_verdict(plan: Plan) -> None:
    """Raise Conflict for a plan that policy denies, unless approval policies say who may override it."""
    if plan.verdict == Verdict.DENY and not overridden(plan):
        raise Conflict(
            "plan.denied",
            _("Policy denies this plan."),
            remedy=_("Change the configuration, or ask for an approval policy with the condition verdict: deny."),
        )


def ask_approval(*, actor: Actor, plan: Plan, reason: str = "", expires_in_seconds: int = 86_400) -> Approval:
    """Ask that exactly this plan file may be applied. Refused while it waits already, and for a denied plan."""
    check(actor, EDIT, team=plan.workspace.owner_id)
    if not MIN_EXPIRY_SECONDS <= expires_in_seconds <= MAX_EXPIRY_SECONDS:
        raise Invalid(
            "approval.expiry",
            _("A request waits from one minute to seven days."),
            field="expires_in_seconds",
            value=expires_in_seconds,
        )
    with transaction.atomic():
        row = _locked(plan)
        if row.state != PlanState.READY:
            raise _not_ready(row)
        check_verdict(row)
        standing = row.approval
        if (
            standing is not None
            and standing.expires_at > timezone.now()
            and standing.state
            in (
                ApprovalState.PENDING,
                ApprovalState.APPROVED,
            )
        ):
            raise Conflict("plan.asked", _("Approval was asked for already."), remedy=_("See the request."))
        owner = row.workspace.owner_id
        approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=ACTION,
            content_hash=row.sha256,
            scope=scope_of(row),
            reason=reason.strip()[:MAX_REASON],
            expires_at=timezone.now() + timedelta(seconds=expires_in_seconds),
            about=[ref(row.workspace)],
            owners=[owner] if owner else [],
        )
        Plan.objects.filter(pk=row.pk).update(approval=approval)
    plan.refresh_from_db()
    return approval


def approval_of(plan: Plan) -> Approval | None:
    """The approval that covers exactly this file and scope now."""
    return approvals.valid(subject=ref(plan), action=ACTION, content_hash=plan.sha256, scope=scope_of(plan))


def apply_plan(*, actor: Actor, plan: Plan) -> Plan:
    """Begin to apply an approved plan. Events plan.applying, then plan.applied or what else became of it.

    Refused for a file that is not the approved one, without a valid approval, while another one is under way. A plan is
    applied once: there is no way back to ready.
    """
    check(actor, EDIT, team=plan.workspace.owner_id)
    iac_tools.check_execution()
    iac_tools.tool_for(plan.workspace.program)
    content = iac_files.content(plan.pk)
    with transaction.atomic():
        row = _locked(plan)
        if row.state != PlanState.READY:
            raise _not_ready(row)
        _check_appliable(row, content)
        now = clock.now()
        fields: dict[str, Any] = {"claimed_by": "", "seen_at": now, "apply_started_at": now, "stopped_by_name": ""}
        fields |= {"applied_by_id": actor.user_id, "applied_by_name": actor.name, "output": ""}
        try:
            with transaction.atomic():
                iac_journal.move(row, PlanState.APPLYING, **fields)
        except IntegrityError:
            raise Conflict(
                "plan.under_way",
                _("Another plan of this workspace is under way."),
                remedy=_("Wait until it has ended."),
            ) from None
        iac_journal.tell(actor, row, "plan.applying")
        jobs.enqueue(JOB, {"plan": str(row.pk)})
    plan.refresh_from_db()
    return row


def _check_appliable(row: Plan, content: bytes | None) -> None:
    check_verdict(row)
    iac_change.check_change(row)
    if approval_of(row) is None:
        raise Conflict(
            "plan.unapproved",
            _("No valid approval covers exactly this plan."),
            remedy=_("Ask for approval; one that has expired is asked for again."),
        )
    if content is None:
        raise Conflict("plan.file", _("The plan file is not on this host."), remedy=_("Make a new plan."))
    if iac_files.digest(content) != row.sha256:
        raise Conflict(
            "plan.altered", _("The plan file is not the one that was planned."), remedy=_("Make a new plan.")
        )


def do_apply(plan_id: UUID) -> None:
    """Apply a plan that was begun. The claim is taken once: whoever finds it taken looks whether it still lives."""
    ticket, now = uuid.uuid4().hex, clock.now()
    rows = Plan.objects.filter(pk=plan_id, state=PlanState.APPLYING)
    if not rows.filter(claimed_by="").update(claimed_by=ticket, seen_at=now):
        _look_after(plan_id)
        return
    plan = Plan.objects.select_related("workspace", "approval").get(pk=plan_id)
    try:
        iac_tools.check_execution()
        tool, where = iac_tools.tool_for(plan.workspace.program), iac_tools.where(plan.workspace)
        content = iac_files.content(plan.pk)
        _check_appliable(plan, content)
        values = _check_fresh(plan, tool, where, content or b"")
    except Problem as problem:
        _leave(plan, ticket, problem)
        return
    scrub = Scrub(values | telling(where.environment.values()))
    said: list[str] = []

    def say(lines: Sequence[str]) -> None:
        said.extend(scrub.said(lines))
        output = "\n".join(said)[-iac_journal.MAX_OUTPUT :]
        Plan.objects.filter(pk=plan.pk, claimed_by=ticket).update(output=output, seen_at=clock.now())

    applied = tool.apply(where, content or b"", iac_planning.heartbeat(plan, ticket, say))
    scrub = Scrub(values | telling(where.environment.values()) | applied.hidden)
    _finish(plan, ticket, applied, "\n".join(scrub.said(applied.said))[-iac_journal.MAX_OUTPUT :])
    if plan.workspace.state_source:
        hand_over(plan.workspace, tool.pull(where))


def _check_fresh(plan: Plan, tool: Tool, where: Where, content: bytes) -> frozenset[str]:
    """Refuse a plan of a state that is another one by now; return what is sensitive in it."""
    state = tool.state(where)
    if state is None:
        raise Conflict("plan.state_unread", _("The state cannot be read."), remedy=_("See that its backend answers."))
    if (state.lineage, state.serial) != (plan.lineage, plan.serial):
        raise Conflict("plan.stale", _("The state has changed since this was planned."), remedy=_("Make a new plan."))
    document = tool.document(where, content)
    if document is None:
        raise Conflict("plan.unreadable", _("The plan file cannot be read."), remedy=_("Make a new plan."))
    return values_of(document)


def _leave(plan: Plan, ticket: str, problem: Problem) -> None:
    """Nothing was done: the plan is of no use any more."""
    with transaction.atomic():
        outcome = {"code": problem.code}
        fields = {"outcome": outcome, "apply_finished_at": clock.now(), "output": str(problem.detail)}
        if iac_journal.move(plan, PlanState.OUTDATED, ticket=ticket, **fields):
            iac_journal.tell(ACTOR, plan, "plan.outdated", {"why": problem.code})
            transaction.on_commit(lambda: iac_files.remove(plan.pk))


def _finish(plan: Plan, ticket: str, applied: Applied, output: str) -> None:
    """Write down how it ended; also when others took it for dead meanwhile."""
    done = applied.outcome == "applied"
    now = clock.now()
    with transaction.atomic():
        plan.refresh_from_db()
        fields = {"outcome": {"code": applied.outcome}, "output": output, "apply_finished_at": now}
        if not iac_journal.move(plan, PlanState.APPLIED if done else PlanState.APPLY_FAILED, ticket=ticket, **fields):
            return
        told = {"lineage": applied.state.lineage, "serial": applied.state.serial} if applied.state.lineage else {}
        if told:
            Workspace.objects.filter(pk=plan.workspace_id).update(**told)
        iac_journal.tell(
            ACTOR, plan, "plan.applied" if done else "plan.apply_failed", {"applied_by": plan.applied_by_name}
        )
        iac_journal.outdate(ACTOR, plan.workspace, "state_changed")
        transaction.on_commit(lambda: iac_files.remove(plan.pk))


def hand_over(workspace: Workspace, state: bytes) -> None:
    """Give a state to the inventory's source; what is wrong with it stands on the source's page."""
    source = SourceConfig.objects.filter(name=workspace.state_source).first()
    if source is None or not state:
        return
    try:
        sources.run_source(actor=system("terraform"), source=source, document=Document("terraform.tfstate", state))
    except Problem:  # written on the source, with its remedy
        return


def stop_apply(*, actor: Actor, plan: Plan) -> None:
    """Ask what is under way to end in good order: it finishes what it is at, writes the state. Event plan.stopped."""
    check(actor, EDIT, team=plan.workspace.owner_id)
    with transaction.atomic():
        rows = Plan.objects.filter(pk=plan.pk, state__in=iac_states.UNDER_WAY, stopped_by_name="")
        if not rows.update(stopped_by_name=actor.name):
            raise Conflict("plan.not_running", _("It is not under way."), remedy=_("Open the page again."))
        iac_journal.tell(actor, plan, "plan.stopped")
    plan.refresh_from_db()


def discard_plan(*, actor: Actor, plan: Plan) -> None:
    """Let a plan go that waits or could be applied; its file and open request go too. Event plan.discarded."""
    check(actor, EDIT, team=plan.workspace.owner_id)
    with transaction.atomic():
        row = _locked(plan)
        if row.state not in (PlanState.QUEUED, PlanState.READY):
            raise Conflict("plan.state", _("Only a plan that waits can be discarded."), remedy=_("Leave it."))
        if iac_journal.move(row, PlanState.DISCARDED, finished_at=clock.now()):
            iac_journal.drop_request(row.approval)
            iac_journal.tell(actor, row, "plan.discarded")
            transaction.on_commit(lambda: iac_files.remove(row.pk))
    plan.refresh_from_db()


def _look_after(plan_id: UUID) -> None:
    """The job came back: the process that had it died, or takes longer than its claim is respected."""
    plan = Plan.objects.select_related("workspace").filter(pk=plan_id, state=PlanState.APPLYING).first()
    if plan is None:
        return
    now = clock.now()
    if plan.seen_at is not None and now - plan.seen_at < timedelta(seconds=AGAIN_SECONDS):
        jobs.enqueue(JOB, {"plan": str(plan_id)}, run_at=now + timedelta(seconds=AGAIN_SECONDS))
    else:
        _interrupt(plan)


def _interrupt(plan: Plan) -> None:
    """Nobody is at it any more: say so, which frees the lock. What was done before is for a person to see."""
    to, verb, at = PlanState.INTERRUPTED, "plan.interrupted", "apply_finished_at"
    if plan.state == PlanState.RUNNING:  # planning alters nothing
        to, verb, at = PlanState.FAILED, "plan.failed", "finished_at"
    with transaction.atomic():
        fields: dict[str, Any] = {"outcome": {"code": "interrupted"}, at: clock.now()}
        if iac_journal.move(plan, to, ticket=plan.claimed_by, **fields):
            iac_journal.tell(ACTOR, plan, verb, {"why": "interrupted"})
            transaction.on_commit(lambda: iac_files.remove(plan.pk))


def sweep() -> None:
    """Find what nobody is at any more; let go of plans nobody applied in time, and of files that belong to none."""
    now = clock.now()
    for plan in Plan.objects.select_related("workspace").filter(state__in=iac_states.UNDER_WAY):
        if iac_states.silent(plan.seen_at, now, claimed=bool(plan.claimed_by)):
            _interrupt(plan)
    iac_journal.expire(now - timedelta(hours=settings_store.get(KEEP_HOURS)))
    iac_files.sweep(
        Plan.objects.filter(state__in=(PlanState.READY, *iac_states.UNDER_WAY)).values_list("pk", flat=True)
    )
