"""Plan: the form of an option, its structure tried out and proposed by the inventory, and the choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import availability, decision_actions, option_actions, outline, stated
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_requirements import Option, Requirement
from tongchou.changes.option_draft import FIGURES, Draft
from tongchou.core import nouns
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import is_ref, is_uuid
from tongchou.inventory import kinds
from tongchou.inventory import reads as inventory
from tongchou.web.gate import PageRequest, page
from tongchou.web.plan_requirements import uuid_of, whole
from tongchou.web.row_grids import Col, field_words, grid, sent, wrong_input
from tongchou.web.structure_svg import picture

EDIT = reads.EDIT
ROLES = (
    ("single", gettext_lazy("single")),
    ("active", gettext_lazy("active")),
    ("standby", gettext_lazy("standby")),
    ("n_plus_1", "N+1"),
    ("k_of_n", gettext_lazy("k of n")),
    ("quorum", gettext_lazy("quorum")),
    ("replica", gettext_lazy("replica")),
)
SCALE = tuple((str(n), str(n)) for n in range(1, 6))


def _kinds() -> list[tuple[str, Any]]:
    return [("", "–"), *sorted((each.name, each.title) for each in kinds.every(retired=False))]


RESOURCES = (
    Col("name", gettext_lazy("Name"), "w-mid"),
    Col("kind", gettext_lazy("Kind"), "w-mid", choices=_kinds),
    Col("count", pgettext_lazy("quantity", "Number"), number=True, hint="1"),
    Col("role", gettext_lazy("Role"), choices=lambda: ROLES),
    Col("existing", gettext_lazy("Existing one"), "w-mid", hint="host/web-1"),
)
CHANGES = (
    Col("title", gettext_lazy("Change"), "w-mid"),
    Col("what", gettext_lazy("What is done"), "w-wide"),
    Col("order", gettext_lazy("Order"), number=True),
)
RISKS = (
    Col("risk", gettext_lazy("Risk"), "w-wide"),
    Col("likelihood", gettext_lazy("Likelihood"), choices=lambda: SCALE),
    Col("impact", gettext_lazy("Impact"), choices=lambda: SCALE),
    Col("mitigation", gettext_lazy("What is done about it"), "w-wide"),
)
GRIDS = {"resources": RESOURCES, "changes": CHANGES, "risks": RISKS}
TITLES = {
    "capex": (gettext_lazy("Purchase"), ""),
    "opex_monthly": (gettext_lazy("Running costs a month"), ""),
    "energy_kwh_monthly": (gettext_lazy("Energy a month"), "kWh"),
    "co2e_kg_monthly": (gettext_lazy("CO2e a month"), "kg"),
    "lead_days": (gettext_lazy("Lead time"), gettext_lazy("days")),
}


@page(EDIT)
def requirement_option_new(request: PageRequest, number: int) -> HttpResponse:
    """The form of a new option."""
    row = reads.requirement(request.actor, number=number)
    nouns.check_change(request.actor, row)
    return _edit(request, row, None)


@page(EDIT)
def requirement_option(request: PageRequest, option_id: UUID) -> HttpResponse:
    """The form of an option that is there."""
    option = reads.option(request.actor, option_id)
    nouns.check_change(request.actor, option.requirement)
    return _edit(request, option.requirement, option)


def _edit(request: PageRequest, row: Requirement, option: Option | None) -> HttpResponse:
    """Save it, or show what its structure comes to, or a proposal out of the inventory."""
    if request.method != "POST":
        return _form(request, row, option, _values(option))
    values: dict[str, Any] = request.POST.dict()
    do = request.POST.get("do", "save")
    try:
        if do == "propose":
            values["structure"] = _proposed(request)
            return _form(request, row, option, values, trial=True)
        draft = _draft(request)
        if do == "try":
            outline.read(draft.structure)
            return _form(request, row, option, values, trial=True)
        if option is None:
            option_actions.add(actor=request.actor, requirement=row, draft=draft)
        else:
            version = whole(request.POST.get("version", ""))
            option_actions.change(actor=request.actor, option=option, version=version, draft=draft)
    except (Invalid, Conflict) as problem:
        return _form(request, row, option, values, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:requirement", number=row.number)


def _proposed(request: PageRequest) -> str:
    """An outline out of what a resource needs; says what was left out."""
    wanted = uuid_of(request.POST.get("resource", ""), "resource")
    if wanted is None:
        raise Invalid("design.invalid", _("A resource is wanted."), field="resource", remedy=_("Choose a service."))
    found = reads.proposal(request.actor, nouns.row(request.actor, f"inventory.resource:{wanted}"))
    if found.left_out:
        told = _("%(n)s resources it needs are not in the proposal: hidden, too far, or part of what was measured.")
        messages.warning(request, told % {"n": found.left_out})
    return outline.write(found.node)


def _values(option: Option | None) -> dict[str, Any]:
    if option is None:
        return {"currency": "CNY"}
    said = {name: stated.plain(getattr(option, name)) for name in FIGURES if name != "lead_days"}
    said |= {f"source_{name}": text for name, text in option.sources.items()}
    lead = "" if option.lead_days is None else str(option.lead_days)
    plain = {name: getattr(option, name) for name in ("name", "summary", "structure", "currency")}
    return {**said, **plain, "lead_days": lead, "currency": option.currency or "CNY"}


def _draft(request: PageRequest) -> Draft:
    form: QueryDict = request.POST
    return Draft(
        **{name: form.get(name, "") for name in ("name", "summary", "structure", "currency", *FIGURES)},
        sources={name: form.get(f"source_{name}", "") for name in FIGURES},
        resources=[_meant(request, row, n) for n, row in enumerate(sent(form, "resources", RESOURCES))],
        changes=sent(form, "changes", CHANGES),
        risks=sent(form, "risks", RISKS),
    )


def _meant(request: PageRequest, row: dict[str, Any], number: int) -> dict[str, Any]:
    """A row of the form with the id of the existing resource it means by kind/name; its name and kind are told, too."""
    text = str(row["existing"])
    if not text or is_ref(text) or is_uuid(text):
        return row
    here = inventory.called(request.actor, text)
    if len(here) != 1:
        raise Invalid(
            "option.field",
            _("There are several of this name.") if here else _("There is no such resource."),
            field=f"resources[{number}].existing",
            value=text[:120],
            remedy=_("Write kind/name, as the list of resources shows them; or its id."),
        )
    return {
        **row,
        "existing": str(here[0].pk),
        "name": row["name"] or here[0].name,
        "kind": row["kind"] or here[0].kind,
    }


def _named(request: PageRequest, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of an option as a person writes them: kind/name instead of the id, where that means one."""
    wanted = [each["existing"] for each in rows if each["existing"]]
    seen = {str(each.pk): f"{each.kind}/{each.name}" for each in inventory.visible(request.actor).filter(pk__in=wanted)}
    once = {pk: text for pk, text in seen.items() if len(inventory.called(request.actor, text)) == 1}
    return [{**each, "existing": once.get(each["existing"], each["existing"])} for each in rows]


def _titles() -> dict[str, Any]:
    """What the fields of a draft are called on the page."""
    words: dict[str, Any] = {name: title for name, (title, _unit) in TITLES.items()}
    source = _("Source")
    words |= {f"sources.{name}": f"{title}: {source}" for name, (title, _unit) in TITLES.items()}
    words |= {"resources": _("Resources"), "changes": _("Changes"), "risks": _("Risks"), "resource": _("Service")}
    return {**words, "name": _("Name"), "summary": _("Summary"), "structure": _("Outline"), "currency": _("Currency")}


def _form(
    request: PageRequest,
    row: Requirement,
    option: Option | None,
    values: Mapping[str, Any],
    *,
    problem: Problem | None = None,
    trial: bool = False,
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    node = outline.read(str(values.get("structure", ""))) if trial or problem is None else None
    found = availability.answer(node) if node is not None else None
    figures = [
        (name, title, unit, values.get(name, ""), values.get(f"source_{name}", ""), f"sources.{name}")
        for name, (title, unit) in TITLES.items()
    ]
    services = inventory.visible(request.actor).filter(kind="service", state="active").order_by("name")[:500]
    context = {
        "row": row,
        "option": option,
        "values": values,
        "problem": problem,
        "problem_field": field_words(problem.field, _titles(), GRIDS) if problem else "",
        "wrong": wrong_input(problem.field) if problem else "",
        "figures": figures,
        "picture": picture(node, found.weakest[0].name if found and found.weakest else "") if node else None,
        "label": _("Structure"),
        "answer": {**asdict(found), "minutes": found.minutes} if found else None,
        "services": [(str(each.pk), each.name) for each in services],
        "resources": grid(
            "resources",
            _("Resources"),
            _("New ones by name and kind; existing ones as kind/name in the last column, which is enough."),
            RESOURCES,
            sent(post, "resources", RESOURCES) if post else _named(request, option.resources) if option else [],
        ),
        "changes": grid(
            "changes",
            _("Changes"),
            _("What is done, in this order, once it is chosen."),
            CHANGES,
            sent(post, "changes", CHANGES) if post else option.changes if option else [],
        ),
        "risks": grid(
            "risks",
            _("Risks"),
            _("Likelihood and impact from 1 (low) to 5 (high)."),
            RISKS,
            sent(post, "risks", RISKS) if post else option.risks if option else [],
        ),
    }
    return render(request, "plan/requirement_option.html", context, status=problem.status if problem else 200)


@page(EDIT)
@require_POST
def requirement_option_act(request: PageRequest, option_id: UUID, act: str) -> HttpResponse:
    """Choose it, or take it away."""
    option = reads.option(request.actor, option_id)
    number = option.requirement.number
    if act == "remove":
        option_actions.remove(actor=request.actor, option=option)
        messages.success(request, _("%(name)s is removed.") % {"name": option.name})
        return redirect("web:requirement", number=number)
    if act != "choose":
        raise NotFound("requirement.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    texts = {name: request.POST.get(name, "") for name in ("title", "decision", "consequences")}
    made = decision_actions.choose(actor=request.actor, option=option, **texts)
    messages.success(
        request, _("%(option)s is chosen; %(name)s says why.") % {"option": option.name, "name": made.name}
    )
    return redirect("web:requirement", number=number)
