"""Deliver: the calendar of changes as a picture, and the catalogue of standard changes."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import catalogue_actions, conflicts, control_reads
from tongchou.changes.draft import TaskDraft
from tongchou.changes.models_control import Change, ChangeTemplate
from tongchou.core.access import allows, team_names
from tongchou.core.local_time import to_utc
from tongchou.core.models_calendars import WindowKind
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.spans import Span
from tongchou.inventory.graph import load_graph
from tongchou.web import task_rows
from tongchou.web.gate import PageRequest, page

VIEW, EDIT = control_reads.VIEW, control_reads.EDIT
LENGTHS = (7, 14, 31)
MOST_ROWS = 200
ROOMY = 6.0  # percent of the picture that a word needs


# --- the calendar ---------------------------------------------------------------------------------------------------


@page(VIEW)
def change_calendar(request: PageRequest) -> HttpResponse:
    """The changes of some days, one a line, with freezes and maintenance; `?from=` a day, `?days=` 7, 14 or 31."""
    zone: Any = timezone.get_current_timezone()
    first = _day(request.GET.get("from", "")) or timezone.localdate()
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(each) for each in LENGTHS} else 14
    starts = [to_utc(datetime.combine(first + timedelta(days=n), time()), zone) for n in range(days + 1)]
    span = Span(starts[0], starts[-1])
    seen = control_reads.find(request.actor, since=span.start, until=span.end).exclude(state="cancelled")
    rows = list(seen.order_by("starts_at", "number").prefetch_related("touched")[: MOST_ROWS + 1])
    clashing = _clashing(rows[:MOST_ROWS])
    freezes = control_reads.openings(control_reads.windows_of(WindowKind.FREEZE), span)
    maintenance = control_reads.openings(control_reads.windows_of(WindowKind.MAINTENANCE), span)
    now = timezone.now()
    context = {
        "first": first,
        "last": first + timedelta(days=days - 1),
        "days": days,
        "lengths": LENGTHS,
        "before": first - timedelta(days=days),
        "after": first + timedelta(days=days),
        "marks": [{"at": _share(at, span), "day": first + timedelta(days=n)} for n, at in enumerate(starts[:-1])],
        "rows": [
            {
                "row": each,
                "clash": each.pk in clashing,
                **_bar(Span(each.starts_at, each.ends_at), span),
            }
            for each in rows[:MOST_ROWS]
            if each.starts_at and each.ends_at
        ],
        "more": len(rows) > MOST_ROWS,
        "windows": _windows(freezes, "freeze", span) + _windows(maintenance, "maintenance", span),
        "now": _share(now, span) if span.holds(now) else None,
        "may_edit": allows(request.actor, EDIT),
    }
    return render(request, "deliver/change_calendar.html", context)


def _day(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and 2000 <= found.year <= 2100 else None


def _clashing(rows: list[Change]) -> set[Any]:
    """Ids of changes that collide with another of those shown."""
    graph = load_graph()
    plans = [plan for each in rows if (plan := control_reads.plan_of(each, graph)) is not None]
    names = {plan.name: plan.id for plan in plans}
    return {each for earlier, found in conflicts.all_pairs(plans) for each in (earlier.id, names[found.name])}


def _share(at: datetime, span: Span) -> str:
    """Where a moment lies in the picture, in percent."""
    part = (at - span.start).total_seconds() / span.seconds
    return f"{min(max(part, 0.0), 1.0) * 100:.3f}"


def _bar(each: Span, span: Span) -> dict[str, Any]:
    left, right = float(_share(each.start, span)), float(_share(each.end, span))
    return {"left": f"{left:.3f}", "width": f"{right - left:.3f}", "roomy": right - left > ROOMY}


def _windows(found: list[conflicts.Opening], kind: str, span: Span) -> list[dict[str, Any]]:
    """One line a window, with a bar for each occurrence."""
    lines: dict[str, dict[str, Any]] = {}
    for each in found:
        line = lines.setdefault(each.ref, {"name": each.name, "kind": kind, "ref": each.ref, "bars": []})
        line["bars"].append({**_bar(each.span, span), "starts_at": each.span.start, "ends_at": each.span.end})
    return list(lines.values())


# --- the catalogue --------------------------------------------------------------------------------------------------


@page(VIEW)
def change_catalogue(request: PageRequest) -> HttpResponse:
    """The standard changes, and whether each reads as it was agreed on."""
    rows = [
        {"row": each, "agreed": control_reads.template_agreed(each)}
        for each in control_reads.templates(request.actor, retired="retired" in request.GET)
    ]
    context = {"rows": rows, "may_edit": allows(request.actor, EDIT), "retired": "retired" in request.GET}
    return render(request, "deliver/change_catalogue.html", context)


@page(EDIT)
def change_entry(request: PageRequest, name: str = "") -> HttpResponse:
    """The form of an entry of the catalogue."""
    row = control_reads.template(request.actor, name) if name else None
    problem: Problem | None = None
    values = _values(row)
    rows = task_rows.of_tasks(_tasks(row) if row else [])
    if request.method == "POST":
        values, rows = request.POST.dict(), task_rows.posted(request.POST)
        try:
            _save(request, row)
        except (Invalid, Conflict) as refused:
            problem = refused
        else:
            messages.success(request, _("Saved. It can be used once it is agreed on."))
            return redirect("web:change-catalogue")
    context = {
        "row": row,
        "values": values,
        "problem": problem,
        "teams": team_names(request.actor),
        **task_rows.context(rows, problem),
    }
    return render(request, "deliver/change_entry.html", context, status=problem.status if problem else 200)


def _values(row: ChangeTemplate | None) -> dict[str, Any]:
    if row is None:
        return {"max_resources": "10", "max_minutes": "240", "covers_runs": "on"}
    return {
        **{name: getattr(row, name) for name in ("title", "description", "backout", "verification")},
        "max_resources": str(row.max_resources),
        "max_minutes": str(row.max_minutes),
        "kinds": ", ".join(row.kinds),
        "covers_runs": row.covers_runs,
        "team": row.team.name if row.team else "",
        "backout_procedure": row.backout_procedure.name if row.backout_procedure else "",
    }


def _tasks(row: ChangeTemplate) -> list[TaskDraft]:
    """The tasks of an entry as they were written; older ones may lack a key."""
    return [
        TaskDraft(each["title"], each.get("procedure", ""), each.get("params") or {}, tuple(each.get("targets") or ()))
        for each in row.tasks
    ]


def _save(request: PageRequest, row: ChangeTemplate | None) -> ChangeTemplate:
    form = request.POST
    text = {
        name: form.get(name, "").replace("\r\n", "\n").strip()
        for name in ("title", "description", "backout", "verification", "backout_procedure")
    }
    name = row.name if row else slugify(form.get("name", "") or text["title"])[:63]
    if not name:
        raise Invalid(
            "change.field",
            _("An entry needs a name."),
            field="name",
            value="",
            remedy=_("Latin letters, digits and -."),
        )
    if row is None and ChangeTemplate.objects.filter(name=name).exists():
        raise Invalid("change.field", _("There is one of this name."), field="name", value=name)
    kinds = [each.strip() for each in form.get("kinds", "").replace("，", ",").split(",") if each.strip()]
    return catalogue_actions.put_template(
        actor=request.actor,
        name=name,
        team=control_reads.team_called(form.get("team", "").strip()),
        kinds=kinds,
        max_resources=_whole(form.get("max_resources", ""), "max_resources"),
        max_minutes=_whole(form.get("max_minutes", ""), "max_minutes"),
        tasks=task_rows.drafts(form),
        covers_runs="covers_runs" in form,
        **text,
    )


def _whole(text: str, field: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 8:
        return int(text)
    raise Invalid("change.field", _("A whole number is wanted."), field=field, value=text[:20])


@page(EDIT)
@require_POST
def change_entry_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Ask for consent to an entry (`ask`), or take it out of the catalogue (`retire`)."""
    row = control_reads.template(request.actor, name)
    if act == "ask":
        try:
            catalogue_actions.ask_template(actor=request.actor, template=row)
        except Conflict as problem:
            messages.error(request, str(problem.detail))
        else:
            messages.success(request, _("Consent is asked for, under Approvals."))
    elif act == "retire":
        catalogue_actions.retire_template(actor=request.actor, template=row)
        messages.success(request, _("It is out of the catalogue; save it again to bring it back."))
    else:
        raise NotFound("change.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    return redirect("web:change-catalogue")
