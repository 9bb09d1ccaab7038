"""Design: scorecards. The list, one with who wins and how firmly, its form."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import requirement_reads as reads
from tongchou.changes import scorecard_actions as write
from tongchou.changes.models_requirements import Scorecard
from tongchou.changes.scorecard import Interval, Result, normalised
from tongchou.core import ledger, nouns
from tongchou.core.access import check_anywhere
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.core.refs import ref
from tongchou.web import field_forms
from tongchou.web.design_decisions import requirement_cell
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan_requirements import may_add, teams_for, uuid_of, whole
from tongchou.web.review import entries
from tongchou.web.row_grids import Col, grid, sent
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register

VIEW, EDIT = reads.VIEW, reads.EDIT
CRITERIA = (
    Col("name", gettext_lazy("Criterion"), "w-wide"),
    Col("weight", gettext_lazy("Weight"), number=True, hint="3"),
)

LOOK = register(
    Look(
        "changes.scorecard",
        "web:scorecards",
        "title",
        url=lambda row: reverse("web:scorecard", args=[row.number]),
        cells={
            "title": lambda row, _about: cells.link(reverse("web:scorecard", args=[row.number]), str(row)),
            "requirement": requirement_cell,
        },
        icon="scale",
        empty=gettext_lazy("No scorecard in this list"),
        hint=gettext_lazy("Compare technologies by criteria with weights; it says how firm the winner stands."),
    )
)


@page(VIEW)
def scorecards(request: PageRequest) -> HttpResponseBase:
    """The list."""
    return show(request, LOOK, "design/scorecards.html", {"may_add": may_add(request)})


@page(VIEW)
def scorecard(request: PageRequest, number: int) -> HttpResponse:
    """One comparison: the matrix, the sums, how far each weight may move."""
    row = reads.scorecard(request.actor, number=number)
    result = write.weighed(row)
    shares = normalised([Fraction(each["weight"]) for each in row.criteria])
    matrix = [
        (each, share, [row.scores.get(name, {}).get(each["name"], {}) for name in row.candidates])
        for each, share in zip(row.criteria, shares, strict=True)
    ]
    most = max((float(each.high or each.weight * 2 or 1) for each in result.intervals), default=1.0)
    context = {
        "row": row,
        "matrix": matrix,
        "sums": [_sum(result, name) for name in row.candidates],
        "result": result,
        "winners": ", ".join(result.winners),
        "bars": [_bar(each, most) for each in result.intervals],
        "may_write": nouns.may_change(request.actor, row),
        "lines": entries(ledger.events(about=ref(row), limit=30)),
    }
    return render(request, "design/scorecard.html", context)


def _sum(result: Result, name: str) -> tuple[str, str, bool]:
    """The weighted sum and the mean of a candidate, as texts; "" while scores are missing."""
    total, mean = result.totals.get(name), result.means.get(name)
    if total is None or mean is None:
        return "", "", False
    return f"{float(total):.6g}", f"{float(mean):.2f}", name in result.winners


def _bar(each: Interval, most: float) -> dict[str, Any]:
    """The interval in percent of the widest one; a weight that may grow without end reaches the end."""
    low, now = float(each.low) / most * 100, float(each.weight) / most * 100
    high = 100.0 if each.high is None else float(each.high) / most * 100
    said = {
        "criterion": each.criterion,
        "low": f"{float(each.low):.4g}",
        "high": "" if each.high is None else f"{float(each.high):.4g}",
        "weight": f"{float(each.weight):.4g}",
        "rivals": ", ".join(filter(None, (each.low_rival, each.high_rival))),
    }
    return {**said, "left": round(low, 1), "width": round(max(0.0, high - low), 1), "at": round(min(now, 99.0), 1)}


@page(EDIT)
def scorecard_new(request: PageRequest) -> HttpResponse:
    """The form of a new one; scores are given once it has criteria and candidates."""
    check_anywhere(request.actor, EDIT)
    if request.method != "POST":
        return _form(request, {"requirement": request.GET.get("requirement", "")})
    try:
        with transaction.atomic():
            made = write.add(actor=request.actor, draft=_draft(request.POST, None))
            field_forms.save(request.actor, made, request.POST, new=True)
    except (Invalid, Conflict) as problem:
        return _form(request, request.POST.dict(), problem=problem)
    messages.success(request, _("%(name)s is written down; now the scores.") % {"name": made.name})
    return redirect("web:scorecard-edit", number=made.number)


@page(EDIT)
def scorecard_edit(request: PageRequest, number: int) -> HttpResponse:
    """The form of one that is there, with the scores."""
    row = reads.scorecard(request.actor, number=number)
    nouns.check_change(request.actor, row)
    if request.method != "POST":
        said = {"title": row.title, "purpose": row.purpose, "candidates": "\n".join(row.candidates)}
        said |= {name: str(getattr(row, f"{name}_id") or "") for name in ("requirement", "owner_team")}
        return _form(request, said, row=row)
    try:
        with transaction.atomic():
            version = whole(request.POST.get("version", ""))
            write.change(actor=request.actor, card=row, version=version, draft=_draft(request.POST, row))
            row.refresh_from_db()
            field_forms.save(request.actor, row, request.POST)
    except (Invalid, Conflict) as problem:
        row.refresh_from_db()
        return _form(request, request.POST.dict(), row=row, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:scorecard", number=number)


def _draft(form: QueryDict, row: Scorecard | None) -> write.Draft:
    criteria = sent(form, "criteria", CRITERIA)
    candidates = [each.strip() for each in form.get("candidates", "").splitlines() if each.strip()]
    links = {name: uuid_of(form.get(name, ""), name) for name in ("requirement", "owner_team")}
    return write.Draft(
        title=form.get("title", ""),
        purpose=form.get("purpose", ""),
        criteria=criteria,
        candidates=candidates,
        scores=_scores(form, row, {each["name"] for each in criteria}, set(candidates)),
        **links,
    )


def _scores(
    form: QueryDict, row: Scorecard | None, criteria: set[str], candidates: set[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The cells of the matrix, by the criteria and candidates it was drawn with; those that are gone are left out."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for c, criterion in enumerate(row.criteria if row else []):
        for k, candidate in enumerate(row.candidates if row else []):
            if criterion["name"] in criteria and candidate in candidates:
                cell = {"score": form.get(f"score-{c}-{k}", ""), "note": form.get(f"note-{c}-{k}", "")}
                found.setdefault(candidate, {})[criterion["name"]] = cell
    return found


def _form(
    request: PageRequest, values: Mapping[str, Any], *, row: Scorecard | None = None, problem: Problem | None = None
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    context = {
        "row": row,
        "values": values,
        "problem": problem,
        "teams": teams_for(request),
        "requirements": [(str(each.pk), str(each)) for each in reads.requirements(request.actor)[:300]],
        "criteria": grid(
            "criteria",
            _("Criteria"),
            _("A weight is any number from 0 on; what counts is how they compare."),
            CRITERIA,
            sent(post, "criteria", CRITERIA) if post else row.criteria if row else [],
        ),
        "matrix": _matrix(row, post) if row else [],
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "changes.scorecard", post=post, problem=problem),
    }
    return render(request, "design/scorecard_form.html", context, status=problem.status if problem else 200)


def _matrix(row: Scorecard, post: QueryDict | None) -> list[tuple[str, list[dict[str, str]]]]:
    drawn = []
    for c, criterion in enumerate(row.criteria):
        line = []
        for k, candidate in enumerate(row.candidates):
            cell = row.scores.get(candidate, {}).get(criterion["name"], {})
            said = {name: post.get(f"{name}-{c}-{k}", "") if post else cell.get(name, "") for name in ("score", "note")}
            line.append({**said, "at": f"{c}-{k}", "candidate": candidate})
        drawn.append((criterion["name"], line))
    return drawn


@page(EDIT)
@require_POST
def scorecard_remove(request: PageRequest, number: int) -> HttpResponse:
    """Take it away; the ledger keeps what it was."""
    row = reads.scorecard(request.actor, number=number)
    write.remove(actor=request.actor, card=row)
    messages.success(request, _("%(name)s is removed.") % {"name": row.name})
    return redirect("web:scorecards")
