"""Plans: asked for by people and by schedules, made by a job, redacted before anything of them is written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_checkers, iac_drifting, iac_files, iac_journal, iac_plan, iac_policy, iac_tools
from tongchou.changes.iac_scrub import Scrub
from tongchou.changes.iac_sensitive import telling
from tongchou.changes.models_iac import Plan, PlanKind, PlanState, Workspace
from tongchou.changes.ports import Hear, Mode, Planned, Tool, Where
from tongchou.core import clock, jobs
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, Problem

EDIT = "changes.edit"
JOB = "changes.plan"
AGAIN_SECONDS = 5.0  # while another plan of the workspace is under way
HEARD_SECONDS = 2.0
MAX_REASON = 2000
MODES: tuple[str, ...] = get_args(Mode)


def request_plan(*, actor: Actor, workspace: Workspace, kind: str = "plan", reason: str = "") -> Plan:
    """Ask for a plan; one of the kind that waits already is returned. Event plan.requested, unless a schedule asks."""
    check(actor, EDIT, team=workspace.owner_id)
    if kind not in MODES:
        raise Invalid(
            "plan.kind", _("A plan is one of: %(kinds)s.") % {"kinds": ", ".join(MODES)}, field="kind", value=kind
        )
    if not workspace.enabled:
        raise Conflict("workspace.off", _("This workspace is switched off."), remedy=_("Switch it on in its settings."))
    iac_tools.check_execution()
    iac_tools.tool_for(workspace.program)
    with transaction.atomic():
        row = Workspace.objects.select_for_update().get(pk=workspace.pk)
        waiting = Plan.objects.filter(workspace=row, kind=kind, state=PlanState.QUEUED).first()
        if waiting is not None:
            return waiting
        row.plan_count += 1
        row.save(update_fields=["plan_count"])
        plan = Plan.objects.create(
            workspace=row,
            number=row.plan_count,
            kind=kind,
            reason=reason.strip()[:MAX_REASON],
            requested_by_id=actor.user_id,
            requested_by_name=actor.name,
        )
        if actor.kind != "system":
            iac_journal.tell(actor, plan, "plan.requested", {"reason": plan.reason})
        jobs.enqueue(JOB, {"plan": str(plan.pk)})
    return plan


def heartbeat(plan: Plan, ticket: str, say: Callable[[Sequence[str]], None]) -> Hear:
    """Say every two seconds that somebody is at the plan, and pass on what is heard; False once it is to stop."""
    last = clock.now() - timedelta(seconds=HEARD_SECONDS)

    def hear(lines: Sequence[str]) -> bool:
        nonlocal last
        if lines:
            say(lines)
        now = clock.now()
        if (now - last).total_seconds() >= HEARD_SECONDS:
            last = now
            Plan.objects.filter(pk=plan.pk, claimed_by=ticket).update(seen_at=now)
        return not Plan.objects.filter(pk=plan.pk).exclude(stopped_by_name="").exists()

    return hear


def do_plan(plan_id: UUID) -> None:
    """Make a plan that waits. Another one of its workspace goes first; one that was cut off is noticed by the sweep."""
    plan = Plan.objects.select_related("workspace").filter(pk=plan_id).first()
    if plan is None or plan.state != PlanState.QUEUED:
        return
    ticket, now = uuid.uuid4().hex, clock.now()
    try:
        with transaction.atomic():
            won = iac_journal.move(plan, PlanState.RUNNING, claimed_by=ticket, seen_at=now, started_at=now)
    except IntegrityError:  # the database lets one be under way
        jobs.enqueue(JOB, {"plan": str(plan_id)}, run_at=now + timedelta(seconds=AGAIN_SECONDS))
        return
    if won:
        _run(plan, ticket)


def _run(plan: Plan, ticket: str) -> None:
    workspace = plan.workspace
    try:
        iac_tools.check_execution()
        tool, where = iac_tools.tool_for(workspace.program), iac_tools.where(workspace)
    except Problem as problem:
        _fail(plan, ticket, "refused", f"{problem.detail} {problem.remedy or ''}".strip())
        return
    keep = iac_files.place(plan.pk)
    planned = tool.plan(where, _mode(plan.kind), keep, heartbeat(plan, ticket, lambda _lines: None))
    secret = telling(where.environment.values())
    if planned.outcome in ("failed", "timeout"):
        scrub = Scrub(secret | planned.hidden)
        _fail(plan, ticket, planned.outcome, "\n".join(scrub.said(planned.said)))
        return
    try:
        summary = iac_plan.read(planned.document, secret)
    except Invalid as problem:
        iac_files.remove(plan.pk)
        _fail(plan, ticket, "unreadable", f"{problem.detail} {problem.remedy or ''}".strip())
        return
    _finish(plan, ticket, planned, summary, tool, where)


def _mode(kind: str) -> Mode:
    return "drift" if kind == PlanKind.DRIFT else "destroy" if kind == PlanKind.DESTROY else "plan"


def _fail(plan: Plan, ticket: str, code: str, output: str) -> None:
    iac_files.remove(plan.pk)
    with transaction.atomic():
        before = Plan.objects.filter(workspace=plan.workspace, kind=plan.kind, finished_at__isnull=False)
        failing = before.order_by("-finished_at").values_list("state", flat=True).first() == PlanState.FAILED
        fields = {"outcome": {"code": code}, "output": output[-iac_journal.MAX_OUTPUT :], "finished_at": clock.now()}
        won = iac_journal.move(plan, PlanState.FAILED, ticket=ticket, **fields)
        if won and (plan.requested_by_id is not None or not failing):  # a schedule tells of the first time
            iac_journal.tell(iac_journal.ACTOR, plan, "plan.failed", {"why": code})


def _finish(plan: Plan, ticket: str, planned: Planned, summary: iac_plan.Summary, tool: Tool, where: Where) -> None:
    workspace, drifts = plan.workspace, plan.kind == PlanKind.DRIFT
    something = planned.outcome == "changes"
    content = iac_files.content(plan.pk) if something else None
    if not something:
        iac_files.remove(plan.pk)
    verdict, findings = ("", []) if drifts else iac_policy.judge(summary.found, summary.counts, workspace.policy)
    if workspace.run_checker and something and not drifts:
        findings += iac_checkers.findings(planned.document)
        verdict = iac_policy.worst(findings)
    scrub = Scrub(summary.values | planned.hidden)
    fields: dict[str, Any] = {
        "sha256": iac_files.digest(content) if content is not None else "",
        "format_version": summary.format_version,
        "summary": summary.found,
        "counts": summary.counts,
        "verdict": verdict,
        "findings": scrub([each.as_json() for each in findings]),
        "lineage": planned.state.lineage,
        "serial": planned.state.serial,
        "output": "\n".join(scrub.said(planned.said))[-iac_journal.MAX_OUTPUT :],
        "finished_at": clock.now(),
    }
    with transaction.atomic():
        if not iac_journal.move(plan, PlanState.READY if something else PlanState.EMPTY, ticket=ticket, **fields):
            transaction.on_commit(lambda: iac_files.remove(plan.pk))
            return
        iac_journal.outdate(iac_journal.ACTOR, workspace, "newer", but=plan.pk, kind=plan.kind)
        held = _count(planned.document)
        told = {"lineage": planned.state.lineage, "serial": planned.state.serial, "resources": held}
        Workspace.objects.filter(pk=workspace.pk).update(**told)
        if drifts:
            iac_drifting.write_down(plan)
        elif something:
            iac_journal.tell(iac_journal.ACTOR, plan, "plan.ready", {"verdict": verdict})


def _count(document: Any) -> int | None:
    """How many resources the state held when the plan was made."""
    prior = document.get("prior_state") if isinstance(document, dict) else None
    values = prior.get("values") if isinstance(prior, dict) else None
    root = values.get("root_module") if isinstance(values, dict) else None
    return _held(root) if isinstance(root, dict) else 0


def _held(module: dict[str, Any]) -> int:
    own = sum(1 for each in module.get("resources") or () if each.get("mode") != "data")
    return own + sum(_held(each) for each in module.get("child_modules") or ())


def schedule_due() -> int:
    """Ask for the plans and drift checks whose time has come; while execution is off, nothing. Return how many."""
    try:
        iac_tools.check_execution()
    except Conflict:
        return 0
    now, count = timezone.now(), 0
    for at, interval, kind in (
        ("next_plan_at", "plan_interval_seconds", "plan"),
        ("next_drift_at", "drift_interval_seconds", "drift"),
    ):
        due = Workspace.objects.filter(**{"enabled": True, f"{at}__lte": now, f"{interval}__gt": 0})
        for row in due.order_by(at)[:100]:
            was, next_at = getattr(row, at), now + timedelta(seconds=getattr(row, interval))
            if not Workspace.objects.filter(**{"pk": row.pk, at: was}).update(**{at: next_at}):
                continue  # another process was first
            try:
                request_plan(actor=iac_journal.ACTOR, workspace=row, kind=kind, reason=_now("By schedule"))
            except Problem:  # its program is gone: the page says so, and the next turn asks again
                continue
            count += 1
    return count
