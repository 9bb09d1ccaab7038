"""Design: decision records. The list, one record, its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import decision_actions as write
from tongchou.changes import requirement_reads as reads
from tongchou.changes.availability import downtime_minutes
from tongchou.changes.models_requirements import Decision
from tongchou.core import ledger, nouns
from tongchou.core.access import check_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan_requirements import may_add, teams_for, uuid_of, whole
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip

VIEW, EDIT = reads.VIEW, reads.EDIT
MOST = 300


def requirement_cell(row: Any, _about: Mapping[str, Any]) -> str:
    """The requirement that a record or a scorecard is of, as a cell of a list."""
    if row.requirement is None:
        return "–"
    return cells.link(reverse("web:requirement", args=[row.requirement.number]), row.requirement.name)


LOOK = register(
    Look(
        "changes.decision",
        "web:decisions",
        "title",
        url=lambda row: reverse("web:decision", args=[row.number]),
        cells={
            "title": lambda row, _about: cells.link(reverse("web:decision", args=[row.number]), str(row)),
            "status": lambda row, _about: chip(row.status, row.get_status_display()),
            "requirement": requirement_cell,
        },
        icon="book-marked",
        empty=gettext_lazy("No decision record in this list"),
        hint=gettext_lazy("Choosing an option of a requirement writes one; others are proposed by hand."),
    )
)


@page(VIEW)
def decisions(request: PageRequest) -> HttpResponseBase:
    """The list."""
    return show(request, LOOK, "design/decisions.html", {"may_add": may_add(request)})


@page(VIEW)
def decision(request: PageRequest, number: int) -> HttpResponse:
    """One record."""
    row = reads.decision(request.actor, number=number)
    considered = [
        {**each, "minutes": None if each["availability"] is None else downtime_minutes(each["availability"])}
        for each in row.considered
    ]
    context = {
        "row": row,
        "considered": considered,
        "chosen": row.option.name if row.option else "",
        "later": [each for each in row.superseded_by.all() if each.status != "proposed"],
        "may_write": nouns.may_change(request.actor, row),
        "lines": entries(ledger.events(about=ref(row), limit=50)),
    }
    return render(request, "design/decision.html", context)


@page(EDIT)
def decision_new(request: PageRequest) -> HttpResponse:
    """The form of a new record."""
    check_anywhere(request.actor, EDIT)
    if request.method != "POST":
        return _form(
            request,
            {"requirement": request.GET.get("requirement", ""), "supersedes": request.GET.get("supersedes", "")},
        )
    try:
        with transaction.atomic():
            made = write.propose(actor=request.actor, draft=_draft(request.POST))
            field_forms.save(request.actor, made, request.POST, new=True)
    except (Invalid, Conflict) as problem:
        return _form(request, request.POST.dict(), problem=problem)
    messages.success(request, _("%(name)s is written down.") % {"name": made.name})
    return redirect("web:decision", number=made.number)


@page(EDIT)
def decision_edit(request: PageRequest, number: int) -> HttpResponse:
    """The form of one that is there."""
    row = reads.decision(request.actor, number=number)
    nouns.check_change(request.actor, row)
    if request.method != "POST":
        said = {name: getattr(row, name) for name in write.TEXTS}
        said |= {name: str(getattr(row, f"{name}_id") or "") for name in ("requirement", "owner_team", "supersedes")}
        return _form(request, said, row=row)
    try:
        with transaction.atomic():
            version = whole(request.POST.get("version", ""))
            write.change(actor=request.actor, decision=row, version=version, draft=_draft(request.POST))
            row.refresh_from_db()
            field_forms.save(request.actor, row, request.POST)
    except (Invalid, Conflict) as problem:
        row.refresh_from_db()
        return _form(request, request.POST.dict(), row=row, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:decision", number=number)


def _draft(form: QueryDict) -> write.Draft:
    return write.Draft(
        title=form.get("title", ""),
        context=form.get("context", ""),
        decision=form.get("decision", ""),
        consequences=form.get("consequences", ""),
        requirement=uuid_of(form.get("requirement", ""), "requirement"),
        owner_team=uuid_of(form.get("owner_team", ""), "owner_team"),
        supersedes=uuid_of(form.get("supersedes", ""), "supersedes"),
    )


def _form(
    request: PageRequest, values: Mapping[str, Any], *, row: Decision | None = None, problem: Problem | None = None
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    context = {
        "row": row,
        "values": values,
        "problem": problem,
        "teams": teams_for(request),
        "requirements": [(str(each.pk), str(each)) for each in reads.requirements(request.actor)[:MOST]],
        "accepted": [
            (str(each.pk), str(each)) for each in reads.decisions(request.actor).filter(status="accepted")[:MOST]
        ],
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "changes.decision", post=post, problem=problem),
    }
    return render(request, "design/decision_form.html", context, status=problem.status if problem else 200)


Act = Callable[[PageRequest, Decision], str]


def _accept(request: PageRequest, row: Decision) -> str:
    write.accept(actor=request.actor, decision=row)
    return _("It holds now.")


def _deprecate(request: PageRequest, row: Decision) -> str:
    write.deprecate(actor=request.actor, decision=row, note=request.POST.get("note", ""))
    return _("It no longer holds.")


ACTS: dict[str, Act] = {"accept": _accept, "deprecate": _deprecate}


@page(EDIT)
@require_POST
def decision_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Accept it, or say that it no longer holds."""
    if act not in ACTS:
        raise NotFound("decision.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = reads.decision(request.actor, number=number)
    try:
        messages.success(request, ACTS[act](request, row))
    except Invalid as problem:
        messages.warning(request, f"{problem.detail} {problem.remedy or ''}")
    return redirect("web:decision", number=number)
