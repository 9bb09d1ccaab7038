"""Deliver: how services are rolled out in environments. The list, one of them with its consent, and its form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import yaml
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.alerting.slo.reads import objectives
from tongchou.changes.models_release import Consent, OnFailure, Rollout
from tongchou.changes.release import reads, setup
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.models import ApprovalState
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory import kinds
from tongchou.runbooks.models import Procedure
from tongchou.web.deliver_versions import service_called, services_offered
from tongchou.web.gate import PageRequest, page
from tongchou.web.release_grid import TEXTS
from tongchou.web.review import entries
from tongchou.web.rollout_form import FROM_WORDS, check_rows, draft_of, field_of, meanings, preview, values_of
from tongchou.web.visibility import readable

SHOWN = 300
EVENTS = 40


def consent_of(row: Rollout) -> tuple[str, str, str]:
    """Return how consent to the way a service is rolled out stands: status word, text, what it means."""
    if row.environment.consent == Consent.EACH:
        return "unknown", _("each release asks"), _("In this environment each release is agreed on by itself.")
    if reads.stands(row):
        return "approved", _("agreed"), _("Releases rolled out exactly like this need nobody.")
    asked = row.approval
    if asked is not None and asked.state == ApprovalState.PENDING and asked.content_hash == reads.hash_of_rollout(row):
        return "pending", _("asked"), _("Another person decides, under Approvals.")
    if row.approved_hash:
        return "warning", _("changed since"), _("It says something else than what was agreed on.")
    return "warning", _("not agreed"), _("Nobody agreed to it yet: a release has to ask.")


def _shown(row: Rollout) -> dict[str, Any]:
    return {
        "row": row,
        "consent": consent_of(row),
        "batches": " → ".join(str(each) for each in row.batches),
        "targets": FROM_WORDS.get(row.targets.get("from", ""), ""),
    }


@page(reads.VIEW)
def release_rollouts(request: PageRequest) -> HttpResponse:
    """The rollouts, by service and the order of environments; `?q=` and `?environment=` narrow it."""
    rows: QuerySet[Rollout] = reads.rollouts(request.actor)
    search, environment = request.GET.get("q", "").strip()[:200], request.GET.get("environment", "")
    if search:
        rows = rows.filter(service__name__icontains=search)
    if environment:
        rows = rows.filter(environment__name=environment)
    listed = list(rows.defer(*TEXTS)[: SHOWN + 1])
    context = {
        "rows": [_shown(each) for each in listed[:SHOWN]],
        "more": len(listed) > SHOWN,
        "search": search,
        "environment": environment,
        "environments": list(reads.environments(request.actor)),
        "may_edit": allows_anywhere(request.actor, reads.EDIT),
    }
    return render(request, "deliver/release_rollouts.html", context)


@page(reads.VIEW)
def release_rollout(request: PageRequest, rollout_id: UUID) -> HttpResponse:
    """One rollout: what it says, who agreed to it, what became of it."""
    return render(request, "deliver/release_rollout.html", _context(request, reads.rollout(request.actor, rollout_id)))


def _context(request: PageRequest, row: Rollout, problem: Problem | None = None) -> dict[str, Any]:
    found = preview(request.actor, row)
    return {
        **_shown(row),
        "ref": ref(row),
        "params": _yaml(row.params),
        "rollback_params": _yaml(row.rollback_params),
        "labels": row.targets.get("labels", {}),
        "preview": found,
        "standing": row.environment.consent == Consent.STANDING,
        "may_ask": consent_of(row)[0] == "warning",
        "lines": entries(readable(request.actor, ledger.events(about=ref(row), limit=EVENTS))),
        "may_edit": allows(request.actor, reads.EDIT, team=row.service.owner_id),
        "problem": problem,
    }


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False) if value else ""


@page(reads.EDIT)
@require_POST
def release_rollout_act(request: PageRequest, rollout_id: UUID, act: str) -> HttpResponse:
    """Ask for standing consent, or take it out of use."""
    row = reads.rollout(request.actor, rollout_id)
    if act not in ("ask", "retire"):
        raise NotFound("release.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    try:
        if act == "ask":
            setup.ask_standing(actor=request.actor, rollout=row)
            messages.success(request, _("Consent is asked for; another person decides, under Approvals."))
            return redirect("web:release-rollout", rollout_id=row.pk)
        setup.retire_rollout(actor=request.actor, rollout=row)
    except (Conflict, Invalid) as problem:
        return render(request, "deliver/release_rollout.html", _context(request, row, problem), status=problem.status)
    messages.success(request, _("It is out of use: nothing is released by it any more."))
    return redirect("web:release-rollouts")


# --- the form -------------------------------------------------------------------------------------------------------


@page(reads.EDIT)
def release_rollout_edit(request: PageRequest, rollout_id: UUID | None = None) -> HttpResponse:
    """The form of a rollout; without an id of a new one, `?service=` and `?environment=` fill it in."""
    row = reads.rollout(request.actor, rollout_id) if rollout_id is not None else None
    if row is not None and not allows(request.actor, reads.EDIT, team=row.service.owner_id):
        raise NotFound("release.rollout", _("There is no such rollout."), field="id", value=str(rollout_id))
    problem: Problem | None = None
    if request.method == "POST":
        try:
            saved = _save(request, row)
        except (Invalid, Conflict) as refused:
            problem = refused
        else:
            messages.success(request, _("Saved. Releases that are planned from now on go this way."))
            return redirect("web:release-rollout", rollout_id=saved.pk)
    post = request.POST if request.method == "POST" else None
    values = values_of(row, request.GET) if post is None else post.dict()
    checks, wrong_check = check_rows(row, post, problem)
    context = {
        "row": row,
        "values": values,
        "checks": checks,
        "wrong_check": wrong_check,
        "at": field_of(problem),
        "problem": problem,
        "services": services_offered(request.actor) if row is None else [],
        "environments": list(reads.environments(request.actor)),
        "procedures": list(Procedure.objects.filter(state="active").order_by("name").values_list("name", flat=True)),
        "objectives": list(objectives().values_list("name", flat=True)[:SHOWN]),
        "sources": list(FROM_WORDS.items()),
        "kinds": [(each.name, each.title) for each in kinds.every(retired=False)],
        "on_failures": OnFailure.choices,
        "meanings": meanings(),
    }
    status = problem.status if problem else 200
    return render(request, "deliver/release_rollout_form.html", context, status=status)


def _save(request: PageRequest, row: Rollout | None) -> Rollout:
    post = request.POST
    service = row.service if row is not None else service_called(request.actor, post.get("service", ""))
    environment = row.environment if row is not None else reads.environment(request.actor, post.get("environment", ""))
    return setup.put_rollout(actor=request.actor, service=service, environment=environment, draft=draft_of(post))


@page(reads.EDIT)
@require_POST
def release_rollout_preview(request: PageRequest) -> HttpResponse:
    """What a form would find now, and how it falls into batches. Writes nothing."""
    found: dict[str, Any] | None = None
    problem: Problem | None = None
    post = request.POST
    if not post.get("service", "").strip() or not post.get("procedure", ""):
        return render(request, "deliver/release_rollout_preview.html", {"early": True})
    try:
        draft = draft_of(post)
        row = Rollout(
            service=service_called(request.actor, post.get("service", "")),
            environment=reads.environment(request.actor, post.get("environment", "")),
            procedure=_procedure(draft.procedure),
            params=dict(draft.params),
            targets=dict(draft.targets),
            batches=list(draft.batches),
        )
        found = preview(request.actor, row)
    except (Invalid, NotFound) as refused:
        problem = refused
    return render(request, "deliver/release_rollout_preview.html", {"preview": found, "problem": problem})


def _procedure(name: str) -> Procedure:
    found = Procedure.objects.filter(name=name, state="active").first()
    if found is None:
        raise Invalid("release.field", _("Choose a procedure."), field="procedure")
    return found
