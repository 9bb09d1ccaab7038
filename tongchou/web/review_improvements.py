"""Review: improvements. What is overdue, what waits for its proof, what came back; and one with its days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core import ledger
from tongchou.core.access import allows
from tongchou.core.models import Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.incidents import actions as incident_actions
from tongchou.incidents import improvements_actions as write
from tongchou.incidents import improvements_check, improvements_dropping, improvements_proving
from tongchou.incidents import postmortem_reads as found
from tongchou.incidents.improvements_draft import Draft
from tongchou.incidents.models import Improvement, ImprovementKind, Postmortem, Priority
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.review_postmortems import may_write
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, icon

SHOWN_DAYS = 35
MOST_PEOPLE = 500


def _title(row: Improvement, _about: Mapping[str, Any]) -> str:
    link = cells.link(reverse("web:improvement", args=[row.number]), f"{row.name} {row.title}")
    return cells.second(link, "" if row.ended else row.check_problem, "s-critical")


def _due(row: Improvement, about: Mapping[str, Any]) -> str:
    late = not row.ended and row.due_on < about["today"]
    mark = (
        format_html(' <span class="chip critical">{}{}</span>', icon("alarm-clock", 13), _("Overdue")) if late else ""
    )
    return format_html('<span class="nowrap">{}{}</span>', row.due_on.isoformat(), mark)


def _state(row: Improvement, _about: Mapping[str, Any]) -> str:
    again: str = ""
    if row.reopened_count and not row.ended:
        who = row.reopened_by.name if row.reopened_by else _("again")
        again = format_html(' <span class="chip warning">{}{}</span>', icon("rotate-ccw", 13), who)
    return format_html("{}{}", chip(row.state, row.get_state_display()), again)


def _incident(row: Improvement, _about: Mapping[str, Any]) -> str:
    incident = row.postmortem.incident
    return cells.link(reverse("web:postmortem", args=[incident.number]), incident.name)


LOOK = register(
    Look(
        "incidents.improvement",
        "web:improvements",
        "title",
        url=lambda row: reverse("web:improvement", args=[row.number]),
        about=lambda _rows: {"today": found.today()},
        cells={
            "title": _title,
            "incident": _incident,
            "owner": lambda row, _about: cells.person(row.owner or row.owner_team),
            "due": _due,
            "status": _state,
            "left": lambda row, _about: render_to_string("review/improvement_proof.html", {"row": row}),
        },
        icon="list-todo",
        empty=gettext_lazy("Nothing stands in this queue"),
        hint=gettext_lazy(
            "An improvement comes out of a postmortem. It is done when its check has stayed green for whole days, and"
            " open again when the incident recurs."
        ),
    )
)


@page("incidents.view")
def improvements(request: PageRequest) -> HttpResponseBase:
    """The board: one queue at a time."""
    counts = found.queue_counts(request.actor, found.today())
    return show(request, LOOK, "review/improvements.html", {"queue_counts": counts})


@page("incidents.view")
def improvement(request: PageRequest, number: int) -> HttpResponse:
    """One improvement: its state, the days of its check, what happened to it."""
    row = found.improvement(request.actor, number=number)
    strip = improvements_proving.strip(row)
    context = {
        "row": row,
        "incident": row.postmortem.incident,
        "days": strip.days[-SHOWN_DAYS:],
        "proof": strip.proof,
        "until": strip.until,
        "zone": improvements_proving.zone().key,
        "lines": entries(ledger.events(about=ref(row), limit=50)),
        "may_write": may_write(request, row.postmortem.incident),
        "today": found.today(),
    }
    return render(request, "review/improvement.html", context)


@page("incidents.respond")
def postmortem_improvement(request: PageRequest, number: int) -> HttpResponse:
    """The form of a new improvement of one postmortem."""
    row = found.of_incident(request.actor, number)
    incident_actions.check_respond(request.actor, row.incident)
    if request.method != "POST":
        fresh = {"kind": "prevent", "priority": "2", "owner": f"user:{request.user.pk}", "green_days": "14"}
        fresh |= {"interval_seconds": "300", "due_on": (found.today() + timedelta(days=14)).isoformat()}
        return _form(request, row, fresh | {"cause": request.GET.get("cause", "")})
    try:
        with transaction.atomic():
            made = write.add(actor=request.actor, postmortem=row, draft=_draft(request.POST))
            field_forms.save(request.actor, made, request.POST, new=True)
    except (Invalid, Conflict) as problem:
        return _form(request, row, request.POST.dict(), problem=problem)
    messages.success(request, _("%(name)s is added.") % {"name": made.name})
    return redirect("web:improvement", number=made.number)


@page("incidents.respond")
def improvement_edit(request: PageRequest, number: int) -> HttpResponse:
    """The form of one that is there."""
    row = found.improvement(request.actor, number=number)
    incident_actions.check_respond(request.actor, row.postmortem.incident)
    if request.method != "POST":
        return _form(request, row.postmortem, _values(row), row=row)
    version = request.POST.get("version", "")
    try:
        told = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        with transaction.atomic():
            write.change(actor=request.actor, improvement=row, version=told, draft=_draft(request.POST))
            row.refresh_from_db()
            field_forms.save(request.actor, row, request.POST)
    except (Invalid, Conflict) as problem:
        row.refresh_from_db()
        return _form(request, row.postmortem, request.POST.dict(), row=row, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:improvement", number=number)


def _values(row: Improvement) -> dict[str, str]:
    owner = f"user:{row.owner_id}" if row.owner_id else f"team:{row.owner_team_id}" if row.owner_team_id else ""
    told = {name: str(getattr(row, name)) for name in write.FIELDS}
    return {**told, "owner": owner, "cause": str(row.cause_id or ""), "resource": str(row.resource_id or "")}


def _draft(form: QueryDict) -> Draft:
    """The form as the action takes it; Invalid for what is no date, number or id."""
    kind, _separator, owner = form.get("owner", "").partition(":")
    due_on = _date(form.get("due_on", ""))
    if due_on is None:
        raise Invalid("improvement.invalid", _("A date is wanted."), field="due_on", value=form.get("due_on", ""))
    return Draft(
        title=form.get("title", ""),
        kind=form.get("kind", ""),
        due_on=due_on,
        priority=form.get("priority", ""),
        details=form.get("details", "").replace("\r\n", "\n"),
        owner=_id(owner, "owner") if kind == "user" else None,
        owner_team=_id(owner, "owner") if kind == "team" else None,
        cause=_id(form.get("cause", ""), "cause"),
        resource=_id(form.get("resource", ""), "resource"),
        check_query=form.get("check_query", ""),
        check_is=form.get("check_is", "") if form.get("check_query", "").strip() else "",
        green_days=_whole(form.get("green_days", ""), "green_days"),
        interval_seconds=_whole(form.get("interval_seconds", ""), "interval_seconds"),
        no_check_reason=form.get("no_check_reason", ""),
    )


def _date(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _id(text: str, field: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("improvement.invalid", _("There is no such thing."), field=field, value=text) from None


def _whole(text: str, field: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise Invalid("improvement.invalid", _("A whole number is wanted."), field=field, value=text)


def _form(
    request: PageRequest,
    postmortem: Postmortem,
    values: dict[str, Any],
    *,
    row: Improvement | None = None,
    problem: Problem | None = None,
) -> HttpResponse:
    people = User.objects.filter(is_active=True, is_service=False).order_by("username")[:MOST_PEOPLE]
    post = request.POST if request.method == "POST" else None
    context = {
        "row": row,
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "incidents.improvement", post=post, problem=problem),
        "incident": postmortem.incident,
        "postmortem": postmortem,
        "values": values,
        "problem": problem,
        "people": [(f"user:{each.pk}", str(each)) for each in people],
        "teams": [(f"team:{each.pk}", each.name) for each in Team.objects.order_by("name")],
        "causes": postmortem.causes.all(),
        "affected": [
            (each["ref"].partition(":")[2], f"{each['name']} ({each['kind']})") for each in postmortem.facts["affected"]
        ],
        "kinds": ImprovementKind.choices,
        "priorities": Priority.choices,
        "intervals": [60, 300, 600, 900, 1800, 3600],
        "may_try": allows(request.actor, "telemetry.view"),
    }
    return render(request, "review/improvement_form.html", context, status=problem.status if problem else 200)


@page("telemetry.view")
def improvement_check(request: PageRequest) -> HttpResponse:
    """What the check being written would have seen in the last seven days; a part of the form."""
    query, is_ = request.GET.get("check_query", "").strip(), request.GET.get("check_is", "").strip()
    context: dict[str, Any] = {}
    if query and allows(request.actor, "telemetry.view"):  # metrics have no owner
        wrong = improvements_check.mistake(query, is_ or "not_empty")
        try:
            if wrong is None:
                now = timezone.now()
                context["days"] = improvements_proving.preview(
                    query=query, is_=is_ or "not_empty", interval=300, now=now
                )
            else:
                context["wrong"] = wrong[1:]
        except Problem as problem:
            context["wrong"] = (problem.detail, problem.remedy or "")
    return render(request, "review/check_preview.html", context)


Act = Callable[[PageRequest, Improvement], str]


def _begin(request: PageRequest, row: Improvement) -> str:
    write.begin(actor=request.actor, improvement=row)
    return _("Work on it has begun.")


def _prove(request: PageRequest, row: Improvement) -> str:
    write.finish_work(actor=request.actor, improvement=row)
    if row.has_check:
        return _("Its check must stay green %(days)s whole days now.") % {"days": row.green_days}
    return _("Another person is asked to agree, under Approvals.")


def _close(request: PageRequest, row: Improvement) -> str:
    improvements_proving.close(actor=request.actor, improvement=row)
    return _("It is done, and proven.")


def _reopen(request: PageRequest, row: Improvement) -> str:
    write.reopen(actor=request.actor, improvement=row, comment=request.POST.get("comment", ""))
    return _("It is open again.")


def _drop(request: PageRequest, row: Improvement) -> str:
    improvements_dropping.drop(actor=request.actor, improvement=row, reason=request.POST.get("reason", ""))
    return _("Another person is asked to agree, under Approvals.")


ACTS: dict[str, Act] = {"begin": _begin, "prove": _prove, "close": _close, "reopen": _reopen, "drop": _drop}


@page("incidents.respond")
@require_POST
def improvement_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Move it on: begin, prove, close, reopen, drop; or remove it."""
    if act not in ACTS and act != "remove":
        raise NotFound("improvement.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = found.improvement(request.actor, number=number)
    if act == "remove":
        incident = row.postmortem.incident.number
        write.remove(actor=request.actor, improvement=row)
        messages.success(request, _("%(name)s is removed.") % {"name": row.name})
        return redirect("web:postmortem", number=incident)
    try:
        messages.success(request, ACTS[act](request, row))
    except Conflict as problem:
        if problem.code != "improvement.unproven":
            raise
        messages.warning(request, f"{problem.detail} {problem.remedy}")
    return redirect("web:improvement", number=number)
