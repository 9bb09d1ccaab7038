"""Operate: procedures, the dry run that shows exactly what would happen, requests, and runs watched live."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import is_ref, ref
from tongchou.incidents import reads as incident_reads
from tongchou.incidents.models import Incident
from tongchou.runbooks import actions, procedure, reads
from tongchou.runbooks.definition import Definition
from tongchou.runbooks.models import Procedure, Run, RunState, RunStep
from tongchou.runbooks.prepare import definition_of, execution, prepare
from tongchou.runbooks.reasons import say
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import localized, resolve
from tongchou.web.review import entries
from tongchou.web.visibility import readable, visible_refs

PAGE = 50
EXPIRY_SECONDS = (900, 3600, 14_400, 86_400)
EXAMPLE = """name: check-targets
title: {en: See which targets answer, zh: 查看哪些采集目标可达}
grade: read
steps:
  - name: targets
    read: {query: "count by (job) (up == 1)", is: not_empty}
"""
FINISHED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


@page("runbooks.view")
def procedures(request: PageRequest) -> HttpResponse:
    """The procedures there are."""
    state = "retired" if request.GET.get("state") == "retired" else "active"
    word = request.GET.get("q", "").strip()[:100]
    rows = Procedure.objects.filter(state=state).order_by("name")
    shown = [
        {"row": row, "title": localized(row.title, row.name)}
        for row in rows
        if not word or word.lower() in f"{row.name} {row.title}".lower()
    ]
    context = {
        "rows": shown,
        "state": state,
        "q": word,
        "execution": execution(),
        "may_edit": allows(request.actor, "runbooks.edit"),
        "may_settings": allows(request.actor, "settings.edit"),
    }
    return render(request, "operate/procedures.html", context)


def _get(name: str) -> Procedure:
    row = Procedure.objects.filter(name=name).first()
    if row is None:
        raise NotFound("procedure.unknown", _("There is no such procedure."), remedy=_("Open the list of procedures."))
    return row


def _parameters(definition: Definition, given: QueryDict) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "title": localized(dict(each.title), name),
            "type": each.type,
            "required": each.required,
            "choices": each.choices,
            "value": given.get(f"param-{name}", "" if each.default is None else each.default),
            "field": f"param-{name}",
        }
        for name, each in definition.parameters.items()
    ]


def _given(request: PageRequest, definition: Definition) -> tuple[dict[str, Any], list[str]]:
    """Return parameters (typed by the procedure's own check; numbers are read here) and target names of the form."""
    form = request.POST if request.method == "POST" else request.GET
    params: dict[str, Any] = {}
    for name, each in definition.parameters.items():
        text = form.get(f"param-{name}", "").strip()
        if each.type == "boolean":
            params[name] = text in ("true", "on", "1")
        elif text:
            params[name] = _number(text) if each.type in ("integer", "number") else text
    targets = [part.strip() for part in form.get("targets", "").replace("\n", ",").split(",") if part.strip()]
    return params, targets


def _number(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _incident(request: PageRequest, form: QueryDict) -> Incident | None:
    number = form.get("incident", "")
    ok = number.isascii() and number.isdigit() and len(number) < 10
    if not ok or not allows_anywhere(request.actor, "incidents.view"):
        return None
    return incident_reads.visible(request.actor).filter(number=int(number)).first()


@page("runbooks.view")
def procedure_detail(request: PageRequest, name: str) -> HttpResponse:
    """A procedure: its steps in words, its text, its runs, and the form that asks for one."""
    row = _get(name)
    definition = definition_of(row.text)
    _params, targets = _given(request, definition)
    context = {
        "row": row,
        "ref": ref(row),
        "title": localized(row.title, row.name),
        "description": localized(dict(definition.description)),
        "definition": definition,
        "steps": [{"step": each, "question": localized(each.body.get("question", ""))} for each in definition.steps],
        "checks": [
            {"query": each.query, "condition": each.condition.text, "says": localized(dict(each.says))}
            for each in definition.preconditions
        ],
        "parameters": _parameters(definition, request.GET),
        "targets": ", ".join(targets),
        "incident": _incident(request, request.GET),
        "versions": row.versions.order_by("-number")[:10],
        "runs": reads.runs(request.actor, procedure=row.name)[:10],
        "execution": execution(),
        "expiries": EXPIRY_SECONDS,
        "may_request": allows_anywhere(request.actor, "runbooks.request"),
        "may_edit": allows(request.actor, "runbooks.edit"),
    }
    return render(request, "operate/procedure.html", context)


@page("runbooks.request")
@require_POST
def procedure_plan(request: PageRequest, name: str) -> HttpResponse:
    """The dry run: every resolved step, every precondition as it is now, every reason against. Alters nothing."""
    row = _get(name)
    params, targets = _given(request, definition_of(row.text))
    incident = _incident(request, request.POST)
    try:
        found = prepare(row, params=params, target_names=targets, incident_number=incident.number if incident else None)
    except Invalid as problem:
        return render(request, "operate/plan.html", {"problem": problem}, status=200)
    context = {
        "plan": found.plan,
        "refusals": [str(reason) for reason in found.plan.refusals],
        "checks": [
            {
                "query": each.query,
                "condition": each.condition,
                "says": localized(dict(each.says)),
                "target": each.target_name,
            }
            for each in found.plan.checks
        ],
        "steps": [{"step": step, "question": localized(step.input.get("question", ""))} for step in found.plan.steps],
        "targets": found.targets,
    }
    return render(request, "operate/plan.html", context)


@page("runbooks.request")
@require_POST
def procedure_run(request: PageRequest, name: str) -> HttpResponse:
    """Ask for a run; one that alters anything waits for somebody else's approval."""
    row = _get(name)
    params, targets = _given(request, definition_of(row.text))
    incident = _incident(request, request.POST)
    expiry = request.POST.get("expires", "3600")
    run = actions.request_run(
        actor=request.actor,
        procedure=row,
        params=params,
        targets=targets,
        about_ref=ref(incident) if incident else "",
        incident_number=incident.number if incident else None,
        reason=request.POST.get("reason", "").strip(),
        expires_in_seconds=int(expiry) if expiry.isdigit() and len(expiry) < 8 else 3600,
    )
    messages.success(request, _("The run is requested."))
    return redirect("web:run", run_id=run.pk)


@page("runbooks.view")
def procedure_edit(request: PageRequest, name: str = "") -> HttpResponse:
    """Write or change a procedure; every mistake is shown at its line."""
    row = _get(name) if name else None
    context: dict[str, Any] = {
        "row": row,
        "text": row.text if row else EXAMPLE,
        "may_edit": allows(request.actor, "runbooks.edit"),
    }
    if request.method != "POST":
        return render(request, "operate/procedure_edit.html", context)
    if "retire" in request.POST and row:
        actions.retire_procedure(actor=request.actor, procedure=row)
        messages.success(request, _("The procedure is retired. Its runs stay in the ledger."))
        return redirect("web:procedures")
    text = request.POST.get("text", "").replace("\r\n", "\n")
    definition, defects = procedure.examine(text)
    if definition is None:
        bad = {each.line for each in defects}
        lines = [{"n": n, "text": line, "bad": n in bad} for n, line in enumerate(text.split("\n"), start=1)]
        return render(
            request,
            "operate/procedure_edit.html",
            context | {"text": text, "defects": defects, "lines": lines},
            status=422,
        )
    try:
        saved = actions.put_procedure(actor=request.actor, name=definition.name, text=text)
    except (Invalid, Conflict) as problem:
        return render(
            request, "operate/procedure_edit.html", context | {"text": text, "problem": problem}, status=problem.status
        )
    messages.success(request, _("Saved as version %(number)s.") % {"number": saved.version_number})
    return redirect("web:procedure", name=saved.name)


@page("runbooks.view")
def runs(request: PageRequest) -> HttpResponse:
    """Runs: those under way first, then the newest."""
    state = request.GET.get("state", "")
    rows = reads.runs(request.actor)
    if state == "open":
        rows = rows.exclude(state__in=FINISHED)
    elif state in RunState.values:
        rows = rows.filter(state=state)
    shown = list(rows[:PAGE])
    context = {
        "rows": [
            {
                "row": row,
                "title": localized(row.procedure.title, row.procedure.name),
                "targets": [t.get("name", "") for t in row.targets],
            }
            for row in shown
        ],
        "state": state,
        "open": reads.runs(request.actor).exclude(state__in=FINISHED).count(),
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/runs_live.html" if part else "operate/runs.html", context)


def _step(step: RunStep) -> dict[str, Any]:
    return {
        "step": step,
        "reason": say(step.reason),
        "question": localized(step.input.get("question", "")) if isinstance(step.input, dict) else "",
        "answers": actions.possible_answers(step),
        "shown_input": {key: value for key, value in step.input.items() if key != "question"},
    }


def _get_run(request: PageRequest, run_id: UUID) -> Run:
    row = (
        reads.runs(request.actor)
        .select_related("procedure", "version", "approval", "requested_by")
        .filter(pk=run_id)
        .first()
    )
    if row is None:
        raise NotFound("run.unknown", _("There is no such run."), remedy=_("Open the list of runs."))
    return row


@page("runbooks.view")
def run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """One run, live: every step with its state and output, what it waits for, who may go on."""
    row = _get_run(request, run_id)
    steps = [_step(step) for step in row.steps.order_by("position")]
    done = sum(1 for each in steps if each["step"].state in ("succeeded", "skipped"))
    known = is_ref(row.about_ref) and visible_refs(request.actor, {row.about_ref})
    about = resolve([row.about_ref])[row.about_ref] if known else None
    target_links = resolve(target["ref"] for target in row.targets if target.get("ref"))
    approval = row.approval
    context = {
        "run": row,
        "ref": ref(row),
        "title": localized(row.procedure.title, row.procedure.name),
        "steps": steps,
        "done": done,
        "outcome": say(row.outcome),
        "about": about,
        "targets": [
            {"name": target.get("name", ""), "link": target_links.get(target.get("ref", ""))} for target in row.targets
        ],
        "entries": entries(readable(request.actor, ledger.events(about=ref(row), limit=60))),
        "finished": row.state in FINISHED,
        "params": sorted(row.params.items()),
        "approval": approval,
        "own": row.requested_by_id is not None and row.requested_by_id == request.actor.user_id,
        "may_answer": allows_anywhere(request.actor, "runbooks.answer"),
        "may_cancel": allows_anywhere(request.actor, "runbooks.request"),
        "may_decide": allows(request.actor, "approvals.decide"),
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/run_live.html" if part else "operate/run.html", context)


@page("runbooks.view")
@require_POST
def run_act(request: PageRequest, run_id: UUID, act: str) -> HttpResponse:
    """Cancel, answer or retry."""
    row = _get_run(request, run_id)
    comment = request.POST.get("comment", "").strip()
    if act == "cancel":
        actions.cancel(actor=request.actor, run=row, comment=comment)
        messages.success(request, _("The run is cancelled."))
    elif act == "retry":
        actions.retry(actor=request.actor, run=row)
        messages.success(request, _("The run goes on from the step that failed."))
    elif act == "answer":
        position = request.POST.get("position", "")
        answer = request.POST.get("answer", "")
        if not position.isdigit() or answer not in ("continue", "stop", "done", "repeat"):
            raise Invalid("run.answer", _("This is not one of the possible answers."), field="answer", value=answer)
        actions.answer(actor=request.actor, run=row, position=int(position), answer=answer, comment=comment)  # type: ignore[arg-type]  # one of the four, checked above
        messages.success(request, _("Answered."))
    else:
        raise NotFound("run.act", _("There is no such action."), remedy=_("Use the buttons on the page of the run."))
    return redirect("web:run", run_id=row.pk)
