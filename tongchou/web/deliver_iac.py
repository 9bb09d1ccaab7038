"""Deliver: workspaces of Terraform and OpenTofu, their plans as lines, approval, and apply watched live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import (
    iac_applying,
    iac_change,
    iac_lines,
    iac_planning,
    iac_policy,
    iac_reads,
    iac_states,
    iac_tools,
)
from tongchou.changes.iac_tables import counted
from tongchou.changes.models_drift import Drift, DriftState
from tongchou.changes.models_iac import Plan, PlanState, Verdict, Workspace
from tongchou.core import approvals as consent
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Conflict, NotFound, Problem, Unavailable
from tongchou.core.refs import ref
from tongchou.web.deliver_drift import state_chip as drift_chip
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, when
from tongchou.web.visibility import readable

VIEW, EDIT, MANAGE = "changes.view", "changes.edit", "changes.manage"
SHOWN = 20
TONES = {
    PlanState.QUEUED: "queued",
    PlanState.RUNNING: "running",
    PlanState.READY: "warning",
    PlanState.EMPTY: "ok",
    PlanState.FAILED: "failed",
    PlanState.OUTDATED: "expired",
    PlanState.DISCARDED: "cancelled",
    PlanState.APPLYING: "running",
    PlanState.APPLIED: "succeeded",
    PlanState.APPLY_FAILED: "failed",
    PlanState.INTERRUPTED: "uncertain",
}
VERDICTS = {Verdict.PASS: "ok", Verdict.WARN: "warning", Verdict.DENY: "critical"}


def state_chip(row: Plan) -> str:
    """Its state as colour, shape and word."""
    return chip(TONES[PlanState(row.state)], row.get_state_display())


def verdict_chip(row: Plan) -> str:
    """What policy says to it; nothing of what policy does not look at."""
    return chip(VERDICTS[Verdict(row.verdict)], row.get_verdict_display()) if row.verdict else ""


def _beside(rows: Sequence[Any]) -> dict[str, Any]:
    """The newest plan of each workspace, and how much drift is unexplained. Two queries."""
    numbers = {row.pk: row.plan_count for row in rows}
    newest = Plan.objects.filter(workspace__in=numbers).order_by("-number").defer("output", "summary", "findings")
    last: dict[Any, Plan] = {}
    for plan in newest.filter(number__in=set(numbers.values())):
        if numbers[plan.workspace_id] == plan.number:
            last[plan.workspace_id] = plan
    refs = {ref(row): row.pk for row in rows}
    drift: dict[Any, int] = {}
    open_ = Drift.objects.filter(source_ref__in=list(refs), state=DriftState.OPEN)
    for found in open_.order_by().values_list("source_ref", flat=True):
        drift[refs[found]] = drift.get(refs[found], 0) + 1
    return {"last": last, "drift": drift}


def _name(row: Workspace, about: Mapping[str, Any]) -> str:
    link = cells.link(reverse("web:workspace", args=[row.name]), row.name)
    last = about["last"].get(row.pk)
    marks = "" if row.enabled else chip("disabled", _("Switched off"))
    said = format_html("{} {} {}", state_chip(last), counted(last.counts), marks) if last else marks
    return format_html("{}<div>{}</div>", link, said)


def _checked(row: Workspace, about: Mapping[str, Any]) -> str:
    count = about["drift"].get(row.pk, 0)
    mark = chip("warning", _("%(n)s unexplained") % {"n": count}) if count else ""
    return format_html("{} {}", when(row.drift_checked_at) if row.drift_checked_at else cells.NOTHING, mark)


LOOK = register(
    Look(
        "changes.workspace",
        "web:workspaces",
        "name",
        url=lambda row: reverse("web:workspace", args=[row.name]),
        about=_beside,
        cells={"name": _name, "checked": _checked},
        icon="blocks",
        empty=gettext_lazy("No workspace yet"),
        hint=gettext_lazy(
            "A workspace is a folder with a configuration of Terraform or OpenTofu on this server. It is planned here,"
            " approved as it was planned, applied, and checked for drift on a schedule."
        ),
    )
)
PLANS = register(
    Look(
        "changes.plan",
        "web:workspace-plans",
        "number",
        url=lambda row: reverse("web:workspace-plan", args=[row.pk]),
        cells={
            "workspace": lambda row, _about: cells.link(
                reverse("web:workspace", args=[row.workspace.name]), row.workspace.name
            ),
            "number": lambda row, _about: cells.link(reverse("web:workspace-plan", args=[row.pk]), f"#{row.number}"),
            "status": lambda row, _about: state_chip(row),
            "verdict": lambda row, _about: verdict_chip(row) or cells.NOTHING,
            "asked": lambda row, _about: when(row.created_at),
        },
        icon="file-diff",
        empty=gettext_lazy("No plan here"),
        hint=gettext_lazy("Open a workspace and ask for a plan."),
    )
)


def hindrance() -> str:
    """Why nothing can be planned or applied now; "" when nothing hinders."""
    try:
        iac_tools.check_execution()
    except Conflict as problem:
        return f"{problem.detail} {problem.remedy or ''}"
    return ""


@page(VIEW)
def workspaces(request: PageRequest) -> HttpResponseBase:
    """The workspaces, each with its newest plan and its drift."""
    more = {"may_manage": allows_anywhere(request.actor, MANAGE), "hindrance": hindrance()}
    return show(request, LOOK, "deliver/workspaces.html", more)


@page(VIEW)
def workspace_plans(request: PageRequest) -> HttpResponseBase:
    """The plans of all workspaces."""
    return show(request, PLANS, "deliver/workspace_plans.html")


def _missing(row: Workspace) -> str:
    try:
        iac_tools.tool_for(row.program)
    except Unavailable as problem:
        return str(problem.detail)
    return ""


@page(VIEW)
def workspace(request: PageRequest, name: str) -> HttpResponse:
    """One workspace: its newest plan, what drifted, its history."""
    row = iac_reads.workspace(request.actor, name)
    plans = list(iac_reads.plans(request.actor, workspace=name).defer("output", "summary")[:SHOWN])
    drift = list(iac_reads.drift_of(row).defer("diff")[:200])
    check = next((each for each in plans if each.kind == "drift" and each.state == PlanState.READY), None)
    context = {
        "row": row,
        "ref": ref(row),
        "plans": [{"row": each, "chip": state_chip(each), "counts": counted(each.counts)} for each in plans],
        "busy": any(each.state in iac_states.OPEN for each in plans),
        "drift": [{"row": each, "chip": drift_chip(each)} for each in drift],
        "check": check,
        "lines": entries(readable(request.actor, ledger.events(about=ref(row), limit=40))),
        "may_edit": allows(request.actor, EDIT, team=row.owner_id),
        "may_manage": allows(request.actor, MANAGE, team=row.owner_id),
        "hindrance": hindrance() or _missing(row),
        "rules": [{"rule": each, "says": iac_policy.says(each["rule"])} for each in row.policy],
    }
    live = request.GET.get("part") == "live"
    return render(request, "deliver/workspace_live.html" if live else "deliver/workspace.html", context)


@page(EDIT)
@require_POST
def workspace_plan_ask(request: PageRequest, name: str) -> HttpResponse:
    """Ask for a plan of the kind `kind`."""
    row = iac_reads.workspace(request.actor, name)
    kind, reason = request.POST.get("kind", "plan"), request.POST.get("reason", "")
    try:
        plan = iac_planning.request_plan(actor=request.actor, workspace=row, kind=kind, reason=reason)
    except (Conflict, Unavailable) as problem:
        messages.warning(request, f"{problem.detail} {problem.remedy or ''}")
        return redirect("web:workspace", name=name)
    return redirect("web:workspace-plan", plan_id=plan.pk)


@page(VIEW)
def workspace_plan(request: PageRequest, plan_id: UUID) -> HttpResponse:
    """One plan: what it would change, what policy says, its approval, and apply with its output."""
    row = iac_reads.plan(request.actor, plan_id)
    live = request.GET.get("part") == "live"
    return render(request, "deliver/plan_live.html" if live else "deliver/plan.html", _plan(request, row))


def _plan(request: PageRequest, row: Plan, problem: Problem | None = None) -> dict[str, Any]:
    approval = row.approval
    ready = row.state == PlanState.READY
    may_edit = allows(request.actor, EDIT, team=row.workspace.owner_id)
    consented = ready and iac_applying.approval_of(row) is not None
    asked = approval is not None and approval in consent.pending() if ready and approval else False
    findings = [{**each, "says": iac_policy.says(each["rule"])} for each in row.findings]
    return {
        "plan": row,
        "ref": ref(row),
        "workspace": row.workspace,
        "chip": state_chip(row),
        "verdict": verdict_chip(row),
        "findings": findings,
        "denied": ready and row.verdict == Verdict.DENY and not iac_applying.overridden(row),
        "diff": iac_lines.lines(row.summary) if row.summary else [],
        "counts": _counts(row),
        "approval": approval,
        "consented": consented,
        "asked": asked,
        "change": resolve([ref(row.change)])[ref(row.change)] if row.change else None,
        "moving": row.state in iac_states.OPEN,
        "under_way": row.state in iac_states.UNDER_WAY,
        "may_edit": may_edit,
        "hindrance": hindrance() if ready else "",
        "outcome": outcome_words(row),
        "problem": problem,
    }


def _counts(row: Plan) -> list[tuple[str, str, int]]:
    words = (
        ("create", "+", _("created")),
        ("update", "~", _("altered")),
        ("replace", "-/+", _("replaced")),
        ("delete", "-", _("destroyed")),
        ("forget", ".", _("forgotten")),
        ("outputs", "=", _("outputs")),
        ("drift", "≠", _("drifted")),
    )
    return [(sign, word, row.counts[key]) for key, sign, word in words if row.counts.get(key)]


def outcome_words(row: Plan) -> str:
    """Why a plan is where it is, as a sentence."""
    texts = {
        "newer": _("A newer plan took its place."),
        "expired": _("Nobody applied it in time."),
        "workspace_changed": _("The workspace was changed since."),
        "state_changed": _("Another plan was applied since."),
        "plan.stale": _("The state has changed since this was planned."),
        "plan.altered": _("The plan file is not the one that was planned."),
        "plan.unapproved": _("Its approval was over before it began."),
        "restored": _("A backup was restored: plan files are in none."),
        "timeout": _("Its time was over; it was ended in good order."),
        "stopped": _("It was stopped and ended in good order; what was done stays done."),
        "interrupted": _("It was cut off, because the platform ended. Look at what was done: a new plan shows it."),
        "unreadable": _("What the program wrote could not be read."),
    }
    return texts.get(str(row.outcome.get("code", "")), "")


def _ask(request: PageRequest, row: Plan) -> str:
    iac_applying.ask_approval(actor=request.actor, plan=row, reason=request.POST.get("reason", ""))
    return _("Approval is asked for; another person decides, under Approvals.")


def _apply(request: PageRequest, row: Plan) -> str:
    iac_applying.apply_plan(actor=request.actor, plan=row)
    return _("It is being applied.")


def _stop(request: PageRequest, row: Plan) -> str:
    iac_applying.stop_apply(actor=request.actor, plan=row)
    return _("It ends in good order.")


def _discard(request: PageRequest, row: Plan) -> str:
    iac_applying.discard_plan(actor=request.actor, plan=row)
    return _("The plan is discarded.")


def _change(request: PageRequest, row: Plan) -> str:
    change = iac_change.make_change(actor=request.actor, plan=row)
    return _("CHG-%(number)s carries it out: it can be applied while that is being implemented.") % {
        "number": change.number
    }


ACTS = {"ask": _ask, "change": _change, "apply": _apply, "stop": _stop, "discard": _discard}


@page(EDIT)
@require_POST
def workspace_plan_act(request: PageRequest, plan_id: UUID, act: str) -> HttpResponse:
    """Ask for approval, apply, stop or discard."""
    if act not in ACTS:
        raise NotFound("plan.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = iac_reads.plan(request.actor, plan_id)
    try:
        messages.success(request, ACTS[act](request, row))
    except (Conflict, Unavailable) as problem:
        row = iac_reads.plan(request.actor, plan_id)
        return render(request, "deliver/plan.html", _plan(request, row, problem), status=problem.status)
    return redirect("web:workspace-plan", plan_id=plan_id)
