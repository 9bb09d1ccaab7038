"""Plan: requirements. The list; one with its review, its options side by side, its decisions; and its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext as translated  # texts that are values, not words of the code
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_POST

from tongchou.changes import chosen_changes, outline, requirement_draft, stated
from tongchou.changes import requirement_actions as write
from tongchou.changes import requirement_reads as reads
from tongchou.changes.availability import downtime_minutes
from tongchou.changes.change_states import OVER
from tongchou.changes.models_control import Change
from tongchou.changes.models_requirements import OPEN_TO_EDIT, DataClass, Option, Requirement
from tongchou.core import ledger, nouns
from tongchou.core.access import allows, check_anywhere
from tongchou.core.models import Event, Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory
from tongchou.inventory.models import Resource
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.row_grids import Col, field_words, grid, sent, wrong_input
from tongchou.web.structure_svg import picture
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, icon

VIEW, EDIT = reads.VIEW, reads.EDIT
MOST_PEOPLE = 500
MOST_CHANGES = 10
CHANGE_STATIONS = ("created", "asked", "scheduled", "refused", "cancelled", "began", "late", "finished", "closed")
CHANGE_WAY = tuple(f"change.{each}" for each in CHANGE_STATIONS)
LOAD = (
    Col("metric", gettext_lazy("Metric"), "w-mid", hint="orders"),
    Col("unit", gettext_lazy("Unit"), hint="/s"),
    Col("value", gettext_lazy("Value"), number=True),
    Col("baseline", gettext_lazy("Baseline"), number=True),
    Col("uplift_percent", gettext_lazy("Uplift in percent"), number=True),
)
FIELDS = ("title", "need", "budget", "currency", "budget_months", "slo_percent", "rto_minutes", "rpo_minutes")


def _title(row: Requirement, _about: Mapping[str, Any]) -> str:
    return cells.link(reverse("web:requirement", args=[row.number]), f"{row.name} {row.title}")


def _wanted(row: Requirement, about: Mapping[str, Any]) -> str:
    if row.wanted_on is None:
        return "–"
    late = row.state in reads.LATE_STATES and row.wanted_on < about["today"]
    mark = (
        format_html(' <span class="chip critical">{}{}</span>', icon("alarm-clock", 13), _("Overdue")) if late else ""
    )
    return format_html('<span class="nowrap">{}{}</span>', row.wanted_on.isoformat(), mark)


LOOK = register(
    Look(
        "changes.requirement",
        "web:requirements",
        "title",
        url=lambda row: reverse("web:requirement", args=[row.number]),
        about=lambda _rows: {"today": timezone.localdate()},
        cells={
            "title": _title,
            "wanted": _wanted,
            "owner": lambda row, _about: cells.person(row.owner or row.owner_team),
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
        },
        icon="clipboard-list",
        empty=gettext_lazy("No requirement in this list"),
        hint=gettext_lazy("Write down what is wanted, why, until when and for how much; then it goes to review."),
    )
)


@page(VIEW)
def requirements(request: PageRequest) -> HttpResponseBase:
    """The list."""
    return show(request, LOOK, "plan/requirements.html", {"may_add": may_add(request)})


def may_add(request: PageRequest) -> bool:
    """Whether the person may write anything of this sort, for somebody."""
    return allows(request.actor, EDIT) or any(
        allows(request.actor, EDIT, team=each) for each in request.actor.team_roles
    )


@page(VIEW)
def requirement(request: PageRequest, number: int) -> HttpResponse:
    """One requirement, from the need to the decision. `?part=news&state=` loads it anew once it is in another state."""
    row = reads.requirement(request.actor, number=number)
    if request.GET.get("part") == "news":
        return HttpResponse(status=204, headers={} if request.GET.get("state") == row.state else {"HX-Refresh": "true"})
    now = reads.content_hash(row)
    services, hidden = reads.services_seen(request.actor, row)
    people = list(reads.participants(row))
    compared = reads.compared(row)
    named = [thing["existing"] for each in compared for thing in each.option.resources if thing["existing"]]
    there = {str(each.pk): each for each in inventory.visible(request.actor).filter(pk__in=named)}
    may_write = nouns.may_change(request.actor, row)
    editable = may_write and row.state in OPEN_TO_EDIT
    checklist = [
        {**each, "said": translated(each["text"]), "current": requirement_draft.answered(each, now)}
        for each in row.checklist
    ]
    changes = list(chosen_changes.of_requirement(request.actor, row))
    context = {
        "row": row,
        "ref": ref(row),
        "may_write": may_write,
        "editable": editable,
        "open_states": OPEN_TO_EDIT,
        "note_dialogs": _note_dialogs(),
        "services": services,
        "hidden": hidden,
        "checklist": checklist,
        "left": sum(not each["current"] for each in checklist),
        "participants": [(each, each.about_hash == now) for each in people],
        "asked": any(each.user_id == request.user.pk for each in people),
        "compared": [_column(each, there) for each in compared],
        "figure_rows": _figures(row, compared),
        "pictures": [found for each in compared if (found := _picture(each.option))],
        "decisions": list(reads.decisions(request.actor).filter(requirement=row)),
        "changes": changes,
        "under_way": [each for each in changes if each.state not in OVER],
        "scorecards": list(reads.scorecards(request.actor).filter(requirement=row)),
        "lines": entries(_way(row, changes)),
        "budget": stated.plain(row.budget),
        "slo": stated.plain(row.slo_percent),
        "people": _people() if editable else [],
        "today": timezone.localdate(),
    }
    return render(request, "plan/requirement.html", context)


def _way(row: Requirement, changes: Sequence[Change]) -> list[Event]:
    """What happened to it, and how the changes went that were made for it; the newest first."""
    events = list(ledger.events(about=ref(row), limit=60))
    for each in changes[:MOST_CHANGES]:
        events += ledger.events(about=ref(each), verbs=CHANGE_WAY, limit=20)
    return sorted({each.pk: each for each in events}.values(), key=lambda each: (each.at, each.pk), reverse=True)[:60]


def _note_dialogs() -> list[tuple[str, str, str, str]]:
    """The acts that want words: name, title, label, button."""
    return [
        ("withdraw", _("Withdraw it"), _("Why it is not wanted any more"), _("Withdraw")),
        (
            "reopen",
            _("Take it up again"),
            _("Why; it is a draft again, to be reviewed and accepted anew"),
            _("Take up"),
        ),
        ("done", _("It is done"), _("What was built, and what was left out"), _("Done")),
    ]


def _column(each: reads.Compared, there: Mapping[str, Resource]) -> dict[str, Any]:
    """An option as a column of the table; `there`: the existing resources the person may see, by id."""
    share = each.option.availability
    return {
        "option": each.option,
        "verdicts": each.verdicts,
        "meets": each.meets,
        "chosen": each.chosen,
        "things": [(thing, there.get(thing["existing"])) for thing in each.option.resources],
        "percent": None if share is None else f"{share * 100:.4f} %",
        "minutes": None if share is None else downtime_minutes(share),
        "weakest": each.option.computed.get("weakest", [])[:3],
    }


def _figures(row: Requirement, compared: list[reads.Compared]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The rows of what was stated: title, and for each option the value with its unit and its source."""
    titles = {
        "capex": (_("Purchase"), ""),
        "opex_monthly": (_("Running costs a month"), ""),
        "energy_kwh_monthly": (_("Energy a month"), "kWh"),
        "co2e_kg_monthly": (_("CO2e a month"), "kg"),
        "lead_days": (_("Lead time"), _("days")),
    }
    drawn = []
    for name, (title, unit) in titles.items():
        cells_ = []
        for each in compared:
            value = getattr(each.option, name)
            said = "" if value is None else f"{value:,f}" if name != "lead_days" else str(value)
            said = said.rstrip("0").rstrip(".") if "." in said else said
            cells_.append((f"{said} {unit or each.option.currency}" if said else "", each.option.sources.get(name, "")))
        drawn.append((title, cells_))
    months = _("Purchase and %(n)s months of running") % {"n": row.budget_months}
    costs = [("" if each.cost is None else f"{each.cost:,.2f} {each.option.currency}", "") for each in compared]
    return [*drawn[:2], (months, costs), *drawn[2:]]


def _picture(row: Option) -> tuple[Option, Any, str] | None:
    node = outline.read(row.structure)
    if node is None:
        return None
    weak = row.computed.get("weakest", [])
    label = _("Structure of %(name)s") % {"name": row.name}
    return row, picture(node, weak[0]["name"] if weak else ""), label


def _people() -> list[tuple[str, str]]:
    rows = User.objects.filter(is_active=True, is_service=False).order_by("username")[:MOST_PEOPLE]
    return [(each.username, str(each)) for each in rows]


# --- the form -------------------------------------------------------------------------------------------------------


@page(EDIT)
def requirement_new(request: PageRequest) -> HttpResponse:
    """The form of a new one."""
    check_anywhere(request.actor, EDIT)
    if request.method != "POST":
        return _form(request, {"owner": request.user.username, "budget_months": "12"})
    try:
        with transaction.atomic():
            made = write.add(actor=request.actor, draft=_draft(request, request.POST))
            field_forms.save(request.actor, made, request.POST, new=True)
    except (Invalid, Conflict) as problem:
        return _form(request, request.POST.dict(), problem=problem)
    messages.success(request, _("%(name)s is written down.") % {"name": made.name})
    return redirect("web:requirement", number=made.number)


@page(EDIT)
def requirement_edit(request: PageRequest, number: int) -> HttpResponse:
    """The form of one that is there."""
    row = reads.requirement(request.actor, number=number)
    nouns.check_change(request.actor, row)
    if request.method != "POST":
        return _form(request, _values(row), row=row)
    was = row.state
    try:
        with transaction.atomic():
            write.change(
                actor=request.actor,
                requirement=row,
                version=whole(request.POST.get("version", "")),
                draft=_draft(request, request.POST, kept=row),
            )
            row.refresh_from_db()
            field_forms.save(request.actor, row, request.POST)
    except (Invalid, Conflict) as problem:
        row.refresh_from_db()
        return _form(request, request.POST.dict(), row=row, problem=problem)
    if was == "accepted" and row.state == "in_review":
        messages.warning(request, _("Saved. It says something else than what was accepted, so it is in review again."))
    else:
        messages.success(request, _("Saved."))
    return redirect("web:requirement", number=number)


def whole(text: str) -> int:
    """A version as a form brings it; 0 of anything else, which no row has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _values(row: Requirement) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in FIELDS}
    plain |= {name: stated.plain(getattr(row, name)) for name in ("budget", "slo_percent")}
    return {
        **{name: "" if value is None else str(value) for name, value in plain.items()},
        "drivers": "\n".join(row.drivers),
        "wanted_on": row.wanted_on.isoformat() if row.wanted_on else "",
        "owner": row.owner.username if row.owner else "",
        "owner_team": str(row.owner_team_id or ""),
        "data_class": row.data_class,
        "mlps_level": str(row.mlps_level or ""),
    }


def _draft(request: PageRequest, form: QueryDict, kept: Requirement | None = None) -> requirement_draft.Draft:
    owner = form.get("owner", "").strip()
    person = User.objects.filter(username=owner, is_active=True).first() if owner else None
    if owner and person is None:
        raise Invalid("design.unknown", _("There is no such person."), field="owner", value=owner[:150])
    return requirement_draft.Draft(
        **{name: form.get(name, "") for name in FIELDS},
        drivers=form.get("drivers", "").splitlines(),
        wanted_on=_day(form.get("wanted_on", "")),
        owner=person.pk if person else None,
        owner_team=uuid_of(form.get("owner_team", ""), "owner_team"),
        load=sent(form, "load", LOAD),
        services=[*_services(form), *_hidden(request, kept)],
        data_class=form.get("data_class", ""),
        mlps_level=form.get("mlps_level", ""),
    )


def _services(form: QueryDict) -> list[UUID]:
    found = [uuid_of(each, "services") for each in form.getlist("services")]
    return [each for each in found if each is not None]


def _hidden(request: PageRequest, row: Requirement | None) -> list[UUID]:
    """What it concerns that the person may not see, and so did not choose away."""
    if row is None:
        return []
    seen = {each.pk for each in reads.services_seen(request.actor, row)[0]}
    return [each for each in row.services.values_list("pk", flat=True) if each not in seen]


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        found = parse_date(text.strip())
    except ValueError:
        found = None
    if found is None:
        raise Invalid("design.invalid", _("A date is wanted."), field="wanted_on", value=text[:40])
    return found


def uuid_of(text: str, field: str) -> UUID | None:
    """An id as a form brings it; Invalid for what is none."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("design.invalid", _("There is no such thing."), field=field, value=text[:80]) from None


def teams_for(request: PageRequest) -> list[tuple[str, str]]:
    """The teams a person may give something to."""
    return [
        (str(each.pk), each.name) for each in Team.objects.order_by("name") if allows(request.actor, EDIT, team=each)
    ]


def _titles() -> dict[str, str]:
    """What the fields of a draft are called on the page."""
    return {
        "title": _("Title"),
        "need": _("Business need"),
        "drivers": _("Drivers"),
        "wanted_on": _("Wanted by"),
        "owner": pgettext("requirement", "Owner"),
        "owner_team": _("Team"),
        "services": _("Services"),
        "load": _("Expected load"),
        "budget": _("Budget"),
        "currency": _("Currency"),
        "budget_months": _("Months of running in the budget"),
        "slo_percent": _("Availability wanted"),
        "rto_minutes": "RTO",
        "rpo_minutes": "RPO",
        "data_class": _("Class of data"),
        "mlps_level": _("MLPS level"),
    }


def _form(
    request: PageRequest, values: Mapping[str, Any], *, row: Requirement | None = None, problem: Problem | None = None
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    chosen = set(post.getlist("services")) if post else {str(each.pk) for each in row.services.all()} if row else set()
    seen = inventory.visible(request.actor).filter(kind="service", state="active").order_by("name")[:MOST_PEOPLE]
    context = {
        "row": row,
        "values": values,
        "problem": problem,
        "problem_field": field_words(problem.field, _titles(), {"load": LOAD}) if problem else "",
        "wrong": wrong_input(problem.field) if problem else "",
        "people": _people(),
        "teams": teams_for(request),
        "services": [(str(each.pk), each.name, str(each.pk) in chosen) for each in seen],
        "classes": DataClass.choices,
        "levels": ["1", "2", "3", "4", "5"],
        "load": grid(
            "load",
            _("Expected load"),
            _("A value, or a baseline and an uplift in percent out of which it follows."),
            LOAD,
            sent(post, "load", LOAD) if post else row.load if row else [],
        ),
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "changes.requirement", post=post, problem=problem),
    }
    return render(request, "plan/requirement_form.html", context, status=problem.status if problem else 200)


# --- its acts -------------------------------------------------------------------------------------------------------

Act = Callable[[PageRequest, Requirement], str]


def _submit(request: PageRequest, row: Requirement) -> str:
    write.submit(actor=request.actor, requirement=row)
    return _("Its review has begun.")


def _answer(request: PageRequest, row: Requirement) -> str:
    answers = [
        {"answer": request.POST.get(f"answer-{n}", ""), "note": request.POST.get(f"note-{n}", "")}
        for n in range(len(row.checklist))
    ]
    write.answer(actor=request.actor, requirement=row, answers=answers)
    return _("Saved.")


def _ask(request: PageRequest, row: Requirement) -> str:
    name = request.POST.get("user", "").strip()
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise Invalid("design.unknown", _("There is no such person."), field="user", value=name[:150])
    write.ask(actor=request.actor, requirement=row, users=[user])
    return _("%(name)s was asked.") % {"name": user}


def _say(request: PageRequest, row: Requirement) -> str:
    answer, comment = request.POST.get("answer", ""), request.POST.get("comment", "")
    write.say(actor=request.actor, requirement=row, answer=answer, comment=comment)
    return _("Saved.")


def _request(request: PageRequest, row: Requirement) -> str:
    write.request_acceptance(actor=request.actor, requirement=row)
    return _("Others are asked to accept it, under Approvals.")


def _withdraw(request: PageRequest, row: Requirement) -> str:
    write.withdraw(actor=request.actor, requirement=row, note=request.POST.get("note", ""))
    return _("It is withdrawn.")


def _reopen(request: PageRequest, row: Requirement) -> str:
    write.reopen(actor=request.actor, requirement=row, note=request.POST.get("note", ""))
    return _("It is a draft again.")


def _finish(request: PageRequest, row: Requirement) -> str:
    write.finish(actor=request.actor, requirement=row, note=request.POST.get("note", ""))
    return _("It is done.")


ACTS: dict[str, Act] = {
    "submit": _submit,
    "answer": _answer,
    "ask": _ask,
    "say": _say,
    "request-acceptance": _request,
    "withdraw": _withdraw,
    "reopen": _reopen,
    "done": _finish,
}


@page(VIEW)
@require_POST
def requirement_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Move it on; who was asked says what they think. What a form lacks is told on the requirement's page."""
    if act not in ACTS and act != "remove":
        raise NotFound("requirement.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = reads.requirement(request.actor, number=number)
    if act == "remove":
        write.remove(actor=request.actor, requirement=row)
        messages.success(request, _("%(name)s is removed.") % {"name": row.name})
        return redirect("web:requirements")
    try:
        messages.success(request, ACTS[act](request, row))
    except Invalid as problem:
        messages.warning(request, f"{problem.detail} {problem.remedy or ''}")
    except Conflict as problem:
        if problem.code not in ("requirement.unanswered", "requirement.under_way"):
            raise
        messages.warning(request, f"{problem.detail} {problem.remedy}")
    return redirect("web:requirement", number=number)
