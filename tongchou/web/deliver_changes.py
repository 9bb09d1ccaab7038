"""Deliver: changes. What is planned and under way, one change with all that speaks for and against it, its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import change_states, conflicts, control, control_reads, control_work, covered_runs, risk
from tongchou.changes.draft import Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeKind, ChangeState, Outcome
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere, team_names
from tongchou.core.local_time import to_utc
from tongchou.core.models import User
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory_reads
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource
from tongchou.web import field_forms, run_plans, task_rows
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import Link, resolve
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, when

VIEW, EDIT = control_reads.VIEW, control_reads.EDIT
MOST_PEOPLE = 500
MOST_FELT = 40
WALL = "%Y-%m-%dT%H:%M"
CONFLICTS = {
    "resource": gettext_lazy("the same resource"),
    "related": gettext_lazy("a neighbour of what is touched"),
    "assignee": gettext_lazy("the same assignee"),
    "freeze": gettext_lazy("a freeze"),
    "no_maintenance": gettext_lazy("outside of its maintenance windows"),
    "hold": gettext_lazy("a hold"),
}


def _risk(row: Change, _about: Mapping[str, Any]) -> str:
    return chip(f"risk-{row.risk}", row.get_risk_display()) if row.risk else "–"


LOOK = register(
    Look(
        "changes.change",
        "web:changes",
        "title",
        url=lambda row: reverse("web:change", args=[row.number]),
        cells={
            "number": lambda row, _about: cells.link(reverse("web:change", args=[row.number]), row.name, "nowrap"),
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "risk": _risk,
            "assignee": lambda row, _about: cells.person(row.assignee),
            "starts": lambda row, _about: when(row.starts_at),
            "ends": lambda row, _about: when(row.ends_at),
        },
        icon="git-pull-request-arrow",
        empty=gettext_lazy("No change stands in this queue"),
        hint=gettext_lazy(
            "A change says what is altered, when, how to go back and who agrees. Make one here, from a deviation or a"
            " plan, or by POST /api/v1/changes; what is routine goes into the catalogue and needs no consent each time."
        ),
    )
)


@page(VIEW)
def changes(request: PageRequest) -> HttpResponseBase:
    """The changes: one queue at a time."""
    return show(request, LOOK, "deliver/changes.html", {"may_edit": allows(request.actor, EDIT)})


@page(VIEW)
def change(request: PageRequest, number: int) -> HttpResponse:
    """One change: what it says, what speaks for and against it, what was done. `?part=live` renders the moving part."""
    row = control_reads.get(request.actor, number)
    if request.GET.get("part") == "live":
        return render(request, "deliver/change_live.html", {**_context(request, row), "live": True})
    return render(request, "deliver/change.html", _context(request, row))


def _context(request: PageRequest, row: Change) -> dict[str, Any]:
    graph = load_graph()
    seen, unseen = (_touched(request, row, seen=each) for each in (True, False))
    may_feel = control_reads.felt_by([each.pk for each in (*seen, *unseen)], graph)
    felt = sorted(inventory_reads.visible(request.actor).filter(pk__in=may_feel).values_list("name", flat=True))
    links = resolve([each["ref"] for each in row.conflicts] + [each for each in (row.origin, row.because) if each])
    standing = control_reads.standing(row)
    return {
        "row": row,
        "ref": ref(row),
        "risk_word": f"risk-{row.risk}",
        "touched": seen,
        "unseen": len(unseen),
        "felt": felt[:MOST_FELT],
        "felt_more": max(0, len(felt) - MOST_FELT),
        "tasks": [
            {"task": each, "params": covered_runs.readable(each.params)}
            for each in row.tasks.select_related("procedure", "run")
        ],
        "may_plan": row.state not in change_states.OVER and allows_anywhere(request.actor, "runbooks.request"),
        "covered": covered_runs.keys_of(row),
        "steps": [
            {"state": each, "word": each.label, "passed": change_states.passed(row.kind, row.state, each)}
            for each in change_states.way(row.kind)
        ],
        "reasons": [{"points": each["points"], "text": risk.in_words(each)} for each in row.risk_reasons],
        "points": sum(each["points"] for each in row.risk_reasons),
        "answers": [
            (each.text, each.answers[row.answers[each.name]][0]) for each in risk.QUESTIONS if each.name in row.answers
        ],
        "conflicts": _collisions(request, row, links),
        "conflicts_more": max(0, len(row.conflicts) - conflicts.MOST_SHOWN),
        "origin": links.get(row.origin),
        "because": links.get(row.because),
        "agreed": standing.agreed,
        "ran_out": standing.ran_out,
        "content_hash": standing.content_hash,
        "missing": [field_word(each) for each in control.lacks(row)] if row.state in ("new", "assess") else [],
        "refusals": control_work.refusals_now(row, standing),
        "lines": entries(ledger.events(about=ref(row), limit=100)),
        "may_edit": allows(request.actor, EDIT, team=row.team_id),
        "outcomes": Outcome.choices,
        "may_break": row.kind == ChangeKind.EMERGENCY and row.state in ("new", "authorize", "scheduled"),
        "editable": row.state in change_states.EDITABLE,
        "over": row.state in change_states.OVER,
    }


@page("runbooks.request")
def change_run(request: PageRequest, number: int, task: str) -> HttpResponse:
    """What the run of a task (`task`: its position) or of the way back (`back`) would do now; and was that agreed on?

    `?part=plan` renders the plan alone. Alters nothing; asks the metrics.
    """
    row = control_reads.get(request.actor, number)
    found = covered_runs.planned(row, task, request.actor)
    if found is None:
        raise NotFound("change.run", _("The change has no such run."), remedy=_("Open the change."))
    plan = run_plans.context(found.prepared) if found.prepared else {}
    context = {**plan, "row": row, "same": found.same, "problem": found.problem}
    part = request.GET.get("part") == "plan"
    return render(request, "deliver/change_run_plan.html" if part else "deliver/change_run.html", context)


def _collisions(request: PageRequest, row: Change, links: Mapping[str, Link]) -> list[dict[str, Any]]:
    """What it collides with. Of a hold or a window of what the reader may not see nothing is named."""
    shown, known = row.conflicts[: conflicts.MOST_SHOWN], control_reads.accepted(row)
    naming = {
        each["ref"]: each["resources"] for each in shown if each["kind"] in (conflicts.HOLD, conflicts.NO_MAINTENANCE)
    }
    ids = {one for found in naming.values() for one in found}
    seen = {
        str(each) for each in inventory_reads.visible(request.actor).filter(pk__in=ids).values_list("pk", flat=True)
    }
    unnamed = Link("", _("what you may not see"), "", "", "")
    hidden = {about for about, found in naming.items() if not set(found) <= seen}
    return [
        {
            "kind": CONFLICTS.get(each["kind"], each["kind"]),
            "link": unnamed if each["ref"] in hidden else links.get(each["ref"]),
            "name": "" if each["ref"] in hidden else each["name"],
            "new": bool(known) and (each["kind"], each["ref"]) not in known,
            "starts_at": datetime.fromisoformat(each["starts_at"]),
            "ends_at": datetime.fromisoformat(each["ends_at"]),
        }
        for each in shown
    ]


def collision_in_words(line: str) -> str:
    """Return a collision as the scope of an approval keeps it ("freeze: sale") in the language spoken now."""
    kind, _colon, name = line.partition(": ")
    return ": ".join(filter(None, [str(CONFLICTS.get(kind, kind)), name]))


FIELD_WORDS = {
    "resources": gettext_lazy("what it touches"),
    "starts_at": gettext_lazy("its window"),
    "backout": gettext_lazy("the way back"),
    "verification": gettext_lazy("how it is verified"),
    "conflicts_accepted": gettext_lazy("why it may be done in spite of its collisions"),
}


def field_word(name: str) -> str:
    """Return what people call a field that is missing; an open question reads as the question."""
    question = next((each for each in risk.QUESTIONS if name == f"answers.{each.name}"), None)
    return str(question.text if question else FIELD_WORDS.get(name, name))


# --- the form -------------------------------------------------------------------------------------------------------


@page(EDIT)
def change_new(request: PageRequest) -> HttpResponse:
    """The form of a new change; `?resource=`, `?template=`, `?because=`, `?kind=` fill it in."""
    if request.method != "POST":
        return _form(request, None, _fresh(request))
    try:
        with transaction.atomic():
            made = control.create(actor=request.actor, draft=_draft(request))
            field_forms.save(request.actor, made, request.POST, new=True)
    except (Invalid, Conflict) as problem:
        return _form(request, None, request.POST.dict(), problem)
    messages.success(
        request, _("%(name)s is there. Work out its risk next, then ask for consent.") % {"name": made.name}
    )
    return redirect("web:change", number=made.number)


@page(EDIT)
def change_edit(request: PageRequest, number: int) -> HttpResponse:
    """The form of one that is there. What was agreed on is not, when its content differs afterwards."""
    row = control_reads.get(request.actor, number)
    control.check_edit(request.actor, row)
    if request.method != "POST":
        return _form(request, row, _values(request, row))
    try:
        with transaction.atomic():
            before = row.state
            unseen = [each.pk for each in _touched(request, row, seen=False)]
            row = control.edit(actor=request.actor, change=row, draft=_draft(request, unseen))
            field_forms.save(request.actor, row, request.POST)
    except (Invalid, Conflict) as problem:
        return _form(request, row, request.POST.dict(), problem)
    if row.state != before:
        messages.warning(request, _("Saved. It says something else now, so consent has to be asked for again."))
    else:
        messages.success(request, _("Saved."))
    return redirect("web:change", number=number)


def _fresh(request: PageRequest) -> dict[str, Any]:
    given = {name: request.GET.get(name, "") for name in ("resource", "template", "because", "kind", "title")}
    found = None
    if given["resource"]:
        found = inventory_reads.visible(request.actor).filter(name=given["resource"]).first()
    kind = given["kind"] if given["kind"] in ChangeKind.values else "standard" if given["template"] else "normal"
    return {
        "kind": kind,
        "title": given["title"][:200],
        "template": given["template"],
        "because": given["because"],
        "resources": f"{found.kind}/{found.name}" if found else "",
        "assignee": request.user.get_username(),
        "quiet": "on",
        "exclude_slo": "on",
    }


def _touched(request: PageRequest, row: Change, *, seen: bool) -> list[Resource]:
    """What it touches that the person may see, or the rest, which stays as it is."""
    found = [each.resource for each in row.touched.select_related("resource").order_by("resource__name")]
    return [each for each in found if inventory_reads.may_see(request.actor, each.owner_id) == seen]


def _values(request: PageRequest, row: Change) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in ("title", "kind", "description", "environment", "backout")}
    return {
        **told,
        "verification": row.verification,
        "because": row.because,
        "template": row.template.name if row.template else "",
        "team": row.team.name if row.team else "",
        "assignee": row.assignee.username if row.assignee else "",
        "backout_procedure": row.backout_procedure.name if row.backout_procedure else "",
        "starts_at": timezone.localtime(row.starts_at).strftime(WALL) if row.starts_at else "",
        "ends_at": timezone.localtime(row.ends_at).strftime(WALL) if row.ends_at else "",
        "resources": "\n".join(f"{each.kind}/{each.name}" for each in _touched(request, row, seen=True)),
        "quiet": "on" if row.quiet else "",
        "exclude_slo": "on" if row.exclude_slo else "",
        **{f"answer-{name}": answer for name, answer in row.answers.items()},
    }


def _draft(request: PageRequest, unseen: Sequence[UUID] = ()) -> Draft:
    """The form as the action takes it; Invalid for what is no time, resource or task. `unseen` is touched, too."""
    form = request.POST
    text = {
        name: form.get(name, "").replace("\r\n", "\n").strip()
        for name in ("title", "kind", "description", "environment", "assignee", "backout", "verification", "because")
    }
    standard = text["kind"] == ChangeKind.STANDARD
    return Draft(
        **text,
        template=form.get("template", "") if standard else "",
        team=control_reads.team_called(form.get("team", "").strip()),
        starts_at=_time(form, "starts_at"),
        ends_at=_time(form, "ends_at"),
        resources=[*unseen, *(each.pk for each in _resources(request, form.get("resources", "")))],
        tasks=[] if standard else task_rows.drafts(form),
        backout_procedure="" if standard else form.get("backout_procedure", "").strip(),
        quiet="quiet" in form,
        exclude_slo="exclude_slo" in form,
        answers={each.name: form[f"answer-{each.name}"] for each in risk.QUESTIONS if form.get(f"answer-{each.name}")},
    )


def _time(form: QueryDict, name: str) -> datetime | None:
    """A wall time in the zone of the person."""
    value = form.get(name, "").strip()
    if not value:
        return None
    try:
        wall = datetime.strptime(value[:16], WALL)  # noqa: DTZ007  # a wall time has no zone
    except ValueError:
        raise Invalid(
            "change.field",
            _("This is no time."),
            field=name,
            value=value[:40],
            remedy=_("Write e.g. 2026-03-01T22:00."),
        ) from None
    zone: Any = timezone.get_current_timezone()
    return to_utc(wall, zone)


def _resources(request: PageRequest, text: str) -> list[Resource]:
    """One in a line: kind/name, or a name that is there once."""
    found = []
    for line in dict.fromkeys(each.strip() for each in text.splitlines()):
        if not line:
            continue
        here = inventory_reads.called(request.actor, line)
        if len(here) != 1:
            raise Invalid(
                "change.field",
                _("There is no such resource.") if not here else _("There are several of this name."),
                field="resources",
                value=line[:120],
                remedy=_("Write one in a line, as kind/name."),
            )
        found += here
    return found


def _tasks(row: Change) -> list[TaskDraft]:
    """The tasks of a change as they were written."""
    return [
        TaskDraft(each.title, each.procedure.name if each.procedure else "", each.params, tuple(each.targets))
        for each in row.tasks.select_related("procedure")
    ]


def _form(
    request: PageRequest, row: Change | None, values: dict[str, Any], problem: Problem | None = None
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    people = User.objects.filter(is_active=True, is_service=False).order_by("username")[:MOST_PEOPLE]
    rows = task_rows.posted(post) if post is not None else task_rows.of_tasks(_tasks(row) if row else [])
    context = {
        **task_rows.context(rows, problem),
        "row": row,
        "values": values,
        "problem": problem,
        "kinds": ChangeKind.choices,
        "templates": list(control_reads.templates(request.actor)),
        "teams": team_names(request.actor),
        "people": [each.username for each in people],
        "questions": [
            {
                "name": each.name,
                "text": each.text,
                "given": values.get(f"answer-{each.name}", ""),
                "answers": [(name, words) for name, (words, _points) in each.answers.items()],
            }
            for each in risk.QUESTIONS
        ],
        "zone": timezone.get_current_timezone_name(),
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "changes.change", post=post, problem=problem),
    }
    return render(request, "deliver/change_form.html", context, status=problem.status if problem else 200)


# --- what its buttons do --------------------------------------------------------------------------------------------

Act = Callable[[PageRequest, Change], str]


def _assess(request: PageRequest, row: Change) -> str:
    row = control.assess(actor=request.actor, change=row)
    return _("Its risk is %(risk)s.") % {"risk": row.get_risk_display()}


def _accept(request: PageRequest, row: Change) -> str:
    control.accept_conflicts(actor=request.actor, change=row, reason=request.POST.get("reason", ""))
    return _("Noted; approvers see it.")


def _ask(request: PageRequest, row: Change) -> str:
    row = control.ask(actor=request.actor, change=row)
    if row.state == ChangeState.SCHEDULED:
        return _("It is scheduled: the catalogue's entry was agreed on before.")
    return _("Consent is asked for, under Approvals.")


def _cancel(request: PageRequest, row: Change) -> str:
    control.cancel(actor=request.actor, change=row, reason=request.POST.get("reason", ""))
    return _("It is withdrawn.")


def _begin(request: PageRequest, row: Change) -> str:
    control_work.begin(actor=request.actor, change=row, broke_glass=request.POST.get("reason", ""))
    return _("The work has begun.")


def _finish(request: PageRequest, row: Change) -> str:
    control_work.finish(actor=request.actor, change=row, backed_out="backed_out" in request.POST)
    return _("The work is over; what still fires pages now. Review it next.")


def _close(request: PageRequest, row: Change) -> str:
    outcome, review = request.POST.get("outcome", ""), request.POST.get("review", "")
    control_work.close(actor=request.actor, change=row, outcome=outcome, review=review)
    return _("It is closed.")


def _back_out(request: PageRequest, row: Change) -> str:
    control_work.back_out(actor=request.actor, change=row)
    return _("The run of its way back is requested.")


def _position(request: PageRequest) -> int:
    text = request.POST.get("position", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _task_done(request: PageRequest, row: Change) -> str:
    state, note = request.POST.get("state", "done"), request.POST.get("note", "")
    control_work.do_task(actor=request.actor, change=row, position=_position(request), state=state, note=note)
    return _("Noted.")


def _task_run(request: PageRequest, row: Change) -> str:
    control_work.run_task(actor=request.actor, change=row, position=_position(request))
    return _("The run is requested.")


ACTS: dict[str, Act] = {
    "assess": _assess,
    "accept": _accept,
    "ask": _ask,
    "cancel": _cancel,
    "begin": _begin,
    "finish": _finish,
    "close": _close,
    "back-out": _back_out,
    "task-done": _task_done,
    "task-run": _task_run,
}


@page(EDIT)
@require_POST
def change_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Move a change on. What is refused is told on its page, with every reason."""
    if act not in ACTS:
        raise NotFound("change.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = control_reads.get(request.actor, number)
    try:
        messages.success(request, ACTS[act](request, row))
    except (Conflict, Invalid) as problem:
        detail = problem.detail
        if problem.code == "change.incomplete":
            detail = _("This is missing: %(names)s.") % {"names": ", ".join(map(field_word, problem.extra["missing"]))}
        messages.error(request, " ".join(str(each) for each in (detail, problem.remedy) if each))
    return redirect("web:change", number=number)
