"""Deliver: drift. What was modified and nobody explained, deciding about one difference, the rules that ignore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from tongchou.changes import drift_actions as write
from tongchou.changes import drift_reads as found
from tongchou.changes.models_drift import Drift, DriftSource, DriftState, DriftWhat
from tongchou.core import ledger
from tongchou.core.access import allows
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.core.refs import ref
from tongchou.inventory.bulk import day
from tongchou.inventory.kinds import field_named
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, clip, nbytes

TONES = {
    DriftState.WATCHED: "info",
    DriftState.OPEN: "warning",
    DriftState.WITH_CHANGE: "maintenance",
    DriftState.ADOPT: "info",
    DriftState.REVERT: "info",
    DriftState.IGNORED: "unknown",
    DriftState.CLEARED: "ok",
}
SHORT = 60
NOTHING: dict[str, str | Promise] = {
    DriftWhat.LISTENER: gettext_lazy("nobody listened"),
    DriftWhat.SCHEMA: gettext_lazy("no such table"),
}


def _mono(text: str) -> str:
    return format_html('<span class="mono wrap-any">{}</span>', text) if text else cells.NOTHING


def state_chip(row: Drift) -> str:
    """Its state as colour, shape and word."""
    adopted = row.state == DriftState.ADOPT and row.source_kind == DriftSource.OBSERVED
    return chip(TONES[DriftState(row.state)], _("Adopted") if adopted else row.get_state_display())


def told(row: Drift) -> str:
    """What an observation is about, in words beside its path; "" where the path says it."""
    if row.touched > 1 and row.resource is None:
        return ngettext("%(n)s resource in one look", "%(n)s resources in one look", row.touched) % {"n": row.touched}
    if row.touched > 1:
        return ngettext("%(n)s modification in one look", "%(n)s modifications in one look", row.touched) % {
            "n": row.touched
        }
    fact = field_named(row.path) if row.what == DriftWhat.FACT else None
    return str(fact.title) if fact is not None else row.get_what_display()


def in_words(row: Drift, value: str) -> str:
    """A value as people read it: bytes with their unit, and what nothing means."""
    if not value:
        return str(NOTHING.get(row.what, ""))
    fact = field_named(row.path) if row.what == DriftWhat.FACT else None
    if fact is not None and fact.unit == "B" and value.isdecimal():
        return nbytes(float(value))
    return f"{value} {fact.unit}" if fact is not None and fact.unit and value.isdecimal() else value


def _path(row: Drift) -> str:
    path = _mono(clip(row.path, SHORT * 2))
    words = told(row)
    return cells.second(path, words) if words else path


def _value(row: Drift, value: str) -> str:
    return _mono(clip(in_words(row, value), SHORT))


def _resource(row: Drift, _about: Mapping[str, Any]) -> str:
    name = row.resource.name if row.resource is not None else row.subject
    link = cells.link(reverse("web:drift-item", args=[row.pk]), name)
    return link if row.resource is not None else cells.second(link, _("not in the inventory"))


LOOK = register(
    Look(
        "changes.drift",
        "web:drift",
        "resource",
        url=lambda row: reverse("web:drift-item", args=[row.pk]),
        cells={
            "resource": _resource,
            "path": lambda row, _about: _path(row),
            "expected": lambda row, _about: _value(row, row.expected),
            "observed": lambda row, _about: _value(row, row.observed),
            "status": lambda row, _about: state_chip(row),
        },
        icon="git-compare",
        empty=gettext_lazy("Nothing differs"),
        hint=gettext_lazy(
            "Checks of workspaces, playbook projects and baselines on a schedule bring here what differs from them,"
            " once it was seen often enough in a row. Sources of the inventory bring what they"
            " see modified under no change."
        ),
    )
)


@page(found.VIEW)
def drift(request: PageRequest) -> HttpResponseBase:
    """The queue of unexplained modifications, and the other states."""
    return show(request, LOOK, "deliver/drift.html", {"rule_count": len(_rules(request))})


def _rules(request: PageRequest) -> list[Any]:
    return found.rules(request.actor) if allows(request.actor, found.VIEW) else []


@page(found.VIEW)
def drift_item(request: PageRequest, drift_id: UUID) -> HttpResponse:
    """One difference; POST decides about it."""
    row = found.item(request.actor, drift_id)
    if request.method != "POST":
        return render(request, "deliver/drift_item.html", _context(request, row))
    decision, until = request.POST.get("do", ""), request.POST.get("until", "").strip()
    try:
        row = write.decide(
            actor=request.actor,
            drift_id=row.pk,
            decision=decision,
            reason=request.POST.get("reason", ""),
            until=day(until) if until else None,
        )
    except (Invalid, Conflict) as problem:
        return render(request, "deliver/drift_item.html", _context(request, row, problem), status=problem.status)
    messages.success(request, _("Noted: %(state)s.") % {"state": row.get_state_display()})
    return redirect("web:drift-item", drift_id=row.pk)


def _context(request: PageRequest, row: Drift, problem: Problem | None = None) -> dict[str, Any]:
    links = resolve([row.source_ref, *([row.change_ref] if row.change_ref else [])])
    return {
        "row": row,
        "name": row.resource.name if row.resource is not None else row.subject,
        "chip": state_chip(row),
        "told": told(row),
        "expected": in_words(row, row.expected),
        "observed": in_words(row, row.observed),
        "is_observed": row.source_kind == DriftSource.OBSERVED,
        "source": links[row.source_ref],
        "change": links.get(row.change_ref),
        "may_decide": allows(request.actor, write.EDIT, team=row.resource.owner_id if row.resource else None),
        "lines": entries(ledger.events(about=ref(row), limit=50)),
        "today": timezone.localdate().isoformat(),
        "problem": problem,
    }


@page(found.VIEW)
def drift_rules(request: PageRequest) -> HttpResponse:
    """The rules that ignore; POST adds one, or removes the one named."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            _put(request)
            messages.success(request, _("The rule holds from the next look on."))
            return redirect("web:drift-rules")
        except (Invalid, Conflict) as refused:
            problem = refused
    context = {
        "rows": _rules(request),
        "may_edit": allows(request.actor, write.EDIT),
        "kinds": DriftSource.choices,
        "today": timezone.localdate().isoformat(),
        "values": request.POST.dict()
        or {"resource": request.GET.get("resource", ""), "path": request.GET.get("path", "")},
        "problem": problem,
    }
    return render(request, "deliver/drift_rules.html", context, status=problem.status if problem else 200)


def _put(request: PageRequest) -> None:
    post = request.POST
    until = post.get("until", "").strip()
    write.put_ignore(
        actor=request.actor,
        rule=write.Rule(
            reason=post.get("reason", ""),
            source_kind=post.get("source_kind", ""),
            resource=post.get("resource", ""),
            path=post.get("path", ""),
            until=day(until) if until else None,
        ),
    )


@page(write.EDIT)
@require_POST
def drift_rule_remove(request: PageRequest, rule_id: UUID) -> HttpResponse:
    """Remove one rule."""
    write.remove_ignore(actor=request.actor, rule_id=rule_id)
    messages.success(request, _("The rule is removed; what it ignored is open again."))
    return redirect("web:drift-rules")
