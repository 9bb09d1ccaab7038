"""Deliver: releases. Which version is where, the releases there are, one of them batch by batch, live, its buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes.models_release import Consent, Release, ReleaseItem, ReleaseState
from tongchou.changes.release import actions, consent, machine, reads, words
from tongchou.core import ledger
from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory_reads
from tongchou.inventory.models import Resource
from tongchou.web import release_grid
from tongchou.web.gate import PageRequest, page
from tongchou.web.release_picture import back_words, resume_words, state_words, steps, trains
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import between, chip, when
from tongchou.web.verbs_releases import RELEASES
from tongchou.web.visibility import readable

VIEW, EDIT = reads.VIEW, reads.EDIT
S = ReleaseState
EVENTS = 100
TOLD = (  # in the history of a release; each step of its runs is on the page of the run
    *(verb for verb in RELEASES if verb not in ("approval.derived", "approval.ended")),
    *(f"approval.{each}" for each in ("requested", "approved", "rejected", "expired", "cancelled")),
    *(f"change.{each}" for each in ("created", "asked", "scheduled", "began", "broke_glass", "finished", "cancelled")),
    "run.failed",
    "run.cancelled",
)
OF_SERVICE = 5


def _took(row: Release, _about: Mapping[str, Any]) -> str:
    return between(row.started_at, row.finished_at) if row.started_at else cells.NOTHING


LOOK = register(
    Look(
        "changes.release",
        "web:releases",
        "title",
        url=lambda row: reverse("web:release", args=[row.number]),
        cells={
            "number": lambda row, _about: cells.link(reverse("web:release", args=[row.number]), row.name, "nowrap"),
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "environment": lambda row, _about: format_html('<span class="nowrap">{}</span>', row.environment.name),
            "started": lambda row, _about: when(row.started_at),
            "finished": lambda row, _about: when(row.finished_at),
        },
        icon="package-check",
        empty=gettext_lazy("No release stands in this queue"),
        hint=gettext_lazy(
            "A release takes versions of services into an environment in batches, watches each batch, and goes back by"
            " itself when a check says no."
        ),
    )
)


@page(VIEW)
def releases(request: PageRequest) -> HttpResponseBase:
    """The releases, one queue at a time, below the grid of which version is where."""
    partial = bool(request.htmx) or "format" in request.GET or request.GET.get("part") == "live"
    more: dict[str, Any] = {"live": True} if partial else {"live": True, **_above(request)}
    return show(request, LOOK, "deliver/releases.html", more)


def _above(request: PageRequest) -> dict[str, Any]:
    """The grid, and what is yet to be set up before there can be a release."""
    environments = list(reads.environments(request.actor))
    grid = release_grid.where(request.actor, environments)
    known = any(row.newest for row in grid["rows"]) or (
        not grid["rows"] and reads.artefacts(request.actor).order_by().exists()
    )
    return {
        "grid": grid,
        "steps": [
            (bool(environments), "web:release-environments", _("Name the environments a version passes")),
            (bool(grid["rows"]), "web:release-rollouts", _("Say how each service is rolled out in them")),
            (known, "web:release-versions", _("Tell of versions: by hand, from a pipeline, or with each deployment")),
        ],
        "set_up": bool(environments and grid["rows"] and known),
        "may_edit": allows_anywhere(request.actor, EDIT),
    }


@page(VIEW)
def release_where(request: PageRequest) -> HttpResponse:
    """Which version is where, all services; `?part=live` renders the grid alone, as the list of releases shows it."""
    environments = list(reads.environments(request.actor))
    live = request.GET.get("part") == "live"
    search = request.GET.get("q", "").strip()
    most = release_grid.SHOWN if live and not request.GET.get("all") else release_grid.MOST
    grid = release_grid.where(request.actor, environments, search=search, most=most)
    template = "deliver/release_grid.html" if live else "deliver/release_where.html"
    return render(request, template, {"grid": grid, "search": search, "all": most == release_grid.MOST})


@page(VIEW)
def release(request: PageRequest, number: int) -> HttpResponse:
    """One release. `?part=live` renders the moving part, `?part=before` what speaks against beginning now."""
    row = reads.get(request.actor, number)
    part = request.GET.get("part")
    if part == "before":
        refusals = actions.refusals(row) if row.state == S.READY else []
        return render(request, "deliver/release_before.html", {"row": row, "refusals": refusals})
    template = "deliver/release_live.html" if part == "live" else "deliver/release.html"
    return render(request, template, _context(request, row))


def _context(request: PageRequest, row: Release, problem: Problem | None = None) -> dict[str, Any]:
    items = reads.items(row)
    found = trains(row, items, timezone.now())
    back, lacking = back_words(row, found)
    standing = row.environment.consent == Consent.STANDING and row.state == S.DRAFT and row.change is None
    return {
        "row": row,
        "ref": ref(row),
        "trains": found,
        "several": len(found) > 1,
        "steps": steps(row.state),
        "says": state_words(row),
        "why": words.sentence(row.outcome),
        "confirming": row.outcome.get("code") == "confirm",
        "standing": standing and all(consent.stands(row, each) for each in items),
        "resume_words": resume_words(row, found),
        "back_count": back,
        "lacking": lacking,
        "open": row.state in machine.OPEN,
        "moving": row.state in machine.MOVING,
        "over": row.state in machine.ENDED,
        "lines": entries(readable(request.actor, ledger.events(about=ref(row), verbs=TOLD, limit=EVENTS))),
        "may_edit": may_edit(request.actor, items),
        "problem": problem,
        "problems": told(problem),
    }


def may_edit(actor: Actor, items: list[ReleaseItem]) -> bool:
    """Whether an actor may change every service of a release. No query."""
    return all(allows(actor, EDIT, team=each.service.owner_id) for each in items)


def told(problem: Problem | None) -> list[str]:
    """Return every reason of a refusal in words: what lies in its `problems` or `refusals`."""
    if problem is None:
        return []
    listed = [each["detail"] for each in problem.extra.get("problems", [])]
    return listed or [each["text"] for each in problem.extra.get("refusals", [])]


# --- what its buttons do --------------------------------------------------------------------------------------------

Act = Callable[[PageRequest, Release], str]


def _reason(request: PageRequest) -> str:
    return request.POST.get("reason", "").replace("\r\n", "\n")


def _ask(request: PageRequest, row: Release) -> str:
    row = actions.ask(actor=request.actor, release=row, reason=_reason(request))
    if row.state == S.READY:
        return _("It may begin: how it is rolled out was agreed on before.")
    return _("Consent is asked for; another person decides, under Approvals.")


def _change(request: PageRequest, row: Release) -> str:
    change = actions.make_change(actor=request.actor, release=row)
    return _("%(name)s carries it out: it can be started while that is being implemented.") % {"name": change.name}


def _replan(request: PageRequest, row: Release) -> str:
    before = row.content_hash
    row = actions.replan(actor=request.actor, release=row)
    if row.content_hash == before:
        return _("Nothing differs: it stays as it was planned.")
    return _("It is planned as everything is now. Consent has to be asked for again.")


def _start(request: PageRequest, row: Release) -> str:
    actions.start(actor=request.actor, release=row)
    return _("It has begun.")


def _pause(request: PageRequest, row: Release) -> str:
    actions.pause(actor=request.actor, release=row)
    return _("It is paused: the run under way is brought to its end, no other begins.")


def _resume(request: PageRequest, row: Release) -> str:
    actions.resume(actor=request.actor, release=row)
    return _("It goes on.")


def _roll_back(request: PageRequest, row: Release) -> str:
    actions.roll_back(actor=request.actor, release=row, reason=_reason(request))
    return _("It goes back, the last batch first.")


def _leave(request: PageRequest, row: Release) -> str:
    actions.leave(actor=request.actor, release=row, reason=_reason(request))
    return _("It is over; everything stays as it is now.")


def _cancel(request: PageRequest, row: Release) -> str:
    actions.cancel(actor=request.actor, release=row, reason=_reason(request))
    return _("It is withdrawn.")


ACTS: dict[str, Act] = {
    "ask": _ask,
    "change": _change,
    "replan": _replan,
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "roll-back": _roll_back,
    "leave": _leave,
    "cancel": _cancel,
}


@page(EDIT)
@require_POST
def release_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Move a release on. What is refused is told on its page, with every reason."""
    if act not in ACTS:
        raise NotFound("release.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = reads.get(request.actor, number)
    try:
        messages.success(request, ACTS[act](request, row))
    except (Conflict, Invalid) as problem:
        row = reads.get(request.actor, number)
        return render(request, "deliver/release.html", _context(request, row, problem), status=problem.status)
    return redirect("web:release", number=number)


# --- on the page of a service ---------------------------------------------------------------------------------------


def of_service(actor: Actor, service: Resource) -> dict[str, Any] | None:
    """Return where the versions of a service are and its last releases, for its page; None where there are none."""
    if not allows(actor, VIEW, team=service.owner_id) or not inventory_reads.may_see(actor, service.owner_id):
        return None
    rows = list(reads.rollouts(actor).filter(service=service).defer(*release_grid.TEXTS))
    last = ReleaseItem.objects.filter(service=service).select_related("release", "release__environment", "artefact")
    found = list(last.defer("release__content").order_by("-release__number")[:OF_SERVICE])
    if not rows and not found:
        return None
    lines = release_grid.of_rollouts(actor, rows)
    return {"row": lines[0] if lines else None, "releases": found}
