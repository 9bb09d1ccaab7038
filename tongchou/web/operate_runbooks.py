"""Operate: procedures, the dry run that shows exactly what would happen, requests, and runs watched live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core import approvals as consent
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import is_ref, ref
from tongchou.incidents import reads as incident_reads
from tongchou.incidents.models import Incident
from tongchou.runbooks import actions, history, procedure, reads, transcript
from tongchou.runbooks.definition import Definition, Step
from tongchou.runbooks.layout import batch_numbers, flow_json
from tongchou.runbooks.models import Procedure, Run, RunState, RunStep
from tongchou.runbooks.parameters import Parameter
from tongchou.runbooks.prepare import definition_of, execution, prepare
from tongchou.runbooks.reasons import say
from tongchou.web import run_plans
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import localized, resolve
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import ago, between, chip, listed, when
from tongchou.web.visibility import readable, visible_refs

EXPIRY_SECONDS = (900, 3600, 14_400, 86_400)
EXAMPLE = """name: check-targets
title: {en: See which targets answer, zh: 查看哪些采集目标可达}
grade: read
steps:
  - name: targets
    read: {query: "count by (job) (up == 1)", is: not_empty}
"""
FINISHED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
UNDER_WAY = [each for each in RunState if each not in FINISHED]


def _matches(row: Procedure, _about: Mapping[str, Any]) -> str:
    return cells.labels({name: listed(values) for match in row.matches for name, values in match.items()})


def _changed(row: Procedure, _about: Mapping[str, Any]) -> str:
    return format_html("{} {}", row.updated_by_name, ago(row.updated_at))


PROCEDURES = register(
    Look(
        "runbooks.procedure",
        "web:procedures",
        "title",
        url=lambda row: reverse("web:procedure", args=[row.name]),
        cells={
            "grade": lambda row, _about: chip(row.grade, row.get_grade_display()),
            "fits": _matches,
            "changed": _changed,
        },
        icon="book-open-check",
        empty=gettext_lazy("No procedure yet"),
        hint=gettext_lazy(
            "A procedure is a few steps in YAML: read a metric, ask a person, call a control address, wait until a"
            " query is true. It is offered in incidents whose alerts it matches."
        ),
    )
)


@page("runbooks.view")
def procedures(request: PageRequest) -> HttpResponseBase:
    """The procedures there are."""
    more = {
        "execution": execution(),
        "may_edit": allows(request.actor, "runbooks.edit"),
        "may_settings": allows(request.actor, "settings.edit"),
    }
    return show(request, PROCEDURES, "operate/procedures.html", more)


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
            "value": given.get(f"param-{name}", _shown_default(each.default)),
            "field": f"param-{name}",
            "least": each.least,
            "most": each.most,
            "limits": _limits(each),
            "pattern": each.pattern,
            "kind": each.kind,
            "unit": each.unit,
        }
        for name, each in definition.parameters.items()
    ]


def _shown_default(default: Any) -> Any:
    if default is None:
        return ""
    return "\n".join(default) if isinstance(default, list) else default


def _limits(each: Parameter) -> str:
    """The bounds of a number, of a duration (in seconds) or of how many items a list has."""
    if each.least is None and each.most is None:
        return ""
    unit = " s" if each.type == "duration" else f" {each.unit}" if each.unit else ""
    least = "" if each.least is None else f"{each.least:g}"
    return f"{least}…{'' if each.most is None else f'{each.most:g}'}{unit}"


def _given(request: PageRequest, definition: Definition) -> tuple[dict[str, Any], list[str]]:
    """Return parameters (typed by the procedure's own check; numbers are read here) and target names of the form."""
    form = request.POST if request.method == "POST" else request.GET
    params: dict[str, Any] = {}
    for name, each in definition.parameters.items():
        text = form.get(f"param-{name}", "").strip()
        if each.type == "boolean":
            params[name] = text in ("true", "on", "1")
        elif text and each.type == "list":
            params[name] = [line.strip() for line in text.splitlines() if line.strip()]
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


def _flat(steps: Iterable[Step], depth: int = 0, branch: str = "", *, answers: bool = False) -> list[dict[str, Any]]:
    """The steps of a text with all that stands in them, each with how deep it stands and why it is there."""
    out: list[dict[str, Any]] = []
    for step in steps:
        question = localized(step.body.get("question", ""))
        here = {"step": step, "question": question, "depth": depth, "branch": branch, "answers_failure": answers}
        out.append({**here, "flow": flow_json(step.flow)})
        for name, inner in step.branches.items():
            out += _flat(inner, depth + 1, name)
        out += _flat(step.rescue, depth + 1, answers=True)
    return out


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
        "steps": _flat(definition.steps),
        "checks": [
            {"query": each.query, "condition": each.condition.text, "says": localized(dict(each.says))}
            for each in definition.preconditions
        ],
        "parameters": _parameters(definition, request.GET),
        "targets": ", ".join(targets),
        "incident": _incident(request, request.GET),
        **_history(request, row.name),
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
        number = incident.number if incident else None
        found = prepare(row, actor=request.actor, params=params, target_names=targets, incident_number=number)
    except Invalid as problem:
        return render(request, "operate/plan.html", {"problem": problem}, status=200)
    return render(request, "operate/plan.html", run_plans.context(found))


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


def _incident_link(row: Run, _about: Mapping[str, Any]) -> str:
    if not row.incident_number:
        return cells.NOTHING
    return cells.link(reverse("web:incident", args=[row.incident_number]), f"INC-{row.incident_number}")


RUNS = register(
    Look(
        "runbooks.run",
        "web:runs",
        "procedure",
        url=lambda row: reverse("web:run", args=[row.pk]),
        cells={
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "procedure": lambda row, _about: cells.link(
                reverse("web:run", args=[row.pk]), localized(row.procedure.title, row.procedure.name)
            ),
            "grade": lambda row, _about: chip(row.grade, row.get_grade_display()),
            "incident": _incident_link,
            "asked": lambda row, _about: when(row.created_at),
            "took": lambda row, _about: between(row.started_at, row.finished_at),
        },
        icon="square-play",
        empty=gettext_lazy("No run here"),
        hint=gettext_lazy("Open a procedure and ask for a run; it can be watched here step by step."),
    )
)


@page("runbooks.view")
def runs(request: PageRequest) -> HttpResponseBase:
    """Runs, the newest first."""
    open_ = reads.runs(request.actor).filter(state__in=UNDER_WAY).count()
    return show(request, RUNS, "operate/runs.html", {"queue_counts": {"open": open_}})


def _history(request: PageRequest, name: str) -> dict[str, Any]:
    found = history.of(request.actor, name)
    failing = [each for each in found.steps if each.failed][:10]
    return {
        "history": found,
        "rate": None if found.success_rate is None else f"{found.success_rate * 100:.0f}",
        "failing": [{"name": each.name, "failed": each.failed, "all": each.done + each.failed} for each in failing],
    }


def _step(step: RunStep, depth: int) -> dict[str, Any]:
    return {
        "step": step,
        "depth": depth,
        "answers_failure": step.answers_failure,
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


def _mark_batches(row: Run, steps: list[dict[str, Any]]) -> None:
    """Say with the first step of each batch which one begins, and of what, where there are several."""
    if len(row.targets) < 2:
        return
    numbers = batch_numbers(definition_of(row.version.text), len(row.targets))
    of = {str(target.get("ref", "")): number for target, number in zip(row.targets, numbers, strict=True)}
    before = 0
    for each in steps:
        number = of.get(each["step"].target, 0) if each["depth"] == 0 else 0
        if number > before:
            names = [
                str(target.get("name", "")) for target, its in zip(row.targets, numbers, strict=True) if its == number
            ]
            each["batch"] = {"number": number, "of": numbers[-1], "names": names}
            before = number


@page("runbooks.view")
def run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """One run, live: every step with its state and output, what it waits for, who may go on."""
    row = _get_run(request, run_id)
    rows = list(row.steps.order_by("position"))
    steps = [
        _step(step, depth) for step, depth in zip(rows, run_plans.depths(each.parent for each in rows), strict=True)
    ]
    _mark_batches(row, steps)
    done = sum(1 for each in steps if each["step"].state in ("succeeded", "skipped"))
    known = is_ref(row.about_ref) and visible_refs(request.actor, {row.about_ref})
    about = resolve([row.about_ref])[row.about_ref] if known else None
    target_links = resolve(target["ref"] for target in row.targets if target.get("ref"))
    approval = row.approval
    held, holder = reads.lock_holder(request.actor, row)
    context = {
        "run": row,
        "held": held,
        "holder": holder,
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
        "asks_again": row.state == RunState.FAILED and not actions.goes_on_at_once(row),
        "may_answer": allows_anywhere(request.actor, "runbooks.answer"),
        "may_cancel": allows_anywhere(request.actor, "runbooks.request"),
        "may_decide": approval is not None and bool(consent.could_fill(request.actor, approval)),
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
    elif act == "pause":
        actions.pause(actor=request.actor, run=row)
        messages.success(request, _("The run is paused before its next step."))
    elif act == "resume":
        actions.resume(actor=request.actor, run=row)
        messages.success(request, _("The run goes on."))
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


@page("runbooks.view")
def run_transcript(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Download everything that was asked, shown, answered, approved and done (`format` = text | json)."""
    row = _get_run(request, run_id)
    found = transcript.of(row)
    if request.GET.get("format") == "json":
        text, kind, end = json.dumps(found, ensure_ascii=False, indent=1), "application/json", "json"
    else:
        text, kind, end = transcript.as_text(found), "text/plain; charset=utf-8", "txt"
    name = f"{row.procedure.name}-{row.pk}.{end}"
    return HttpResponse(text, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@page("runbooks.view")
@require_POST
def execution_switch(request: PageRequest) -> HttpResponse:
    """Stop everything, or lift the stop (`do` = stop | lift); the action checks who may."""
    reason = request.POST.get("reason", "").strip()
    if request.POST.get("do") == "lift":
        actions.lift_stop(actor=request.actor, reason=reason)
        messages.success(request, _("The emergency stop is lifted."))
    else:
        actions.stop_execution(actor=request.actor, reason=reason)
        messages.success(request, _("Everything is stopped."))
    return redirect("web:runs")
