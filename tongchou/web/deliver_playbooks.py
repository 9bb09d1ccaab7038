"""Deliver: Ansible projects. What they are, what a check would change, and how far each host of a run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import yaml
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import drift_reads, playbook
from tongchou.changes import playbook_actions as write
from tongchou.changes import playbook_reads as found
from tongchou.changes.models_playbooks import CheckState, HostState, Playbook, PlaybookHost
from tongchou.changes.playbook_actions import Draft
from tongchou.core.access import allows, team_names
from tongchou.core.lists.tables import Column
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory.bulk import team_named
from tongchou.runbooks.machine import FINAL
from tongchou.web.gate import PageRequest, page
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip
from tongchou.web.yaml_fields import mapping_of

TONES = {
    HostState.WAITING: "unknown",
    HostState.RUNNING: "info",
    HostState.OK: "ok",
    HostState.CHANGED: "maintenance",
    HostState.FAILED: "critical",
    HostState.UNREACHABLE: "critical",
    HostState.CUT_OFF: "warning",
}
CHECK_TONES = {
    CheckState.WAITING: "unknown",
    CheckState.RUNNING: "info",
    CheckState.DONE: "ok",
    CheckState.FAILED: "critical",
}
FLAGS = ("accept_new", "become", "idempotent", "irreversible", "ask_between")
NUMBERS = (
    "max_fail_percent", "forks", "timeout_seconds", "check_every_seconds", "drift_after", "tolerance_seconds",
)  # fmt: skip
SHOWN = 20


def _open_drift(rows: Sequence[Playbook]) -> Mapping[str, Any]:
    return {"open": drift_reads.counts_of([ref(row) for row in rows])}


def _drift(row: Playbook, about: Mapping[str, Any]) -> str:
    count = about["open"].get(ref(row), 0)
    if not count:
        return cells.NOTHING
    return format_html('<a href="{}?state=open&amp;source={}">{}</a>', reverse("web:drift"), str(row), count)


LOOK = register(
    Look(
        "changes.playbook",
        "web:playbooks",
        "name",
        url=lambda row: reverse("web:playbook", args=[row.name]),
        about=_open_drift,
        cells={"drift": _drift},
        beside=(("hosts", Column("drift", gettext_lazy("Drift"))),),
        icon="book-copy",
        empty=gettext_lazy("No Ansible project yet"),
        hint=gettext_lazy(
            "An administrator names the allowed folders in the setting ansible.project_roots; then make a project of a"
            " playbook, check it, and run what the check showed."
        ),
    )
)


@page(found.VIEW)
def playbooks(request: PageRequest) -> HttpResponseBase:
    """The list of projects."""
    return show(request, LOOK, "deliver/playbooks.html", {"may_edit": _may_edit_any(request)})


def _may_edit_any(request: PageRequest) -> bool:
    actor = request.actor
    return allows(actor, write.EDIT) or any(allows(actor, write.EDIT, team=team) for team in actor.team_roles)


@page(found.VIEW)
def playbook_detail(request: PageRequest, name: str) -> HttpResponse:
    """One project: what it is, its checks, its runs."""
    row = found.project(request.actor, name)
    checks = [
        (each, chip(CHECK_TONES[CheckState(each.state)], each.get_state_display()))
        for each in found.checks(row)[:SHOWN]
    ]
    context = {
        "row": row,
        "checks": checks,
        "busy": any(each.state in ("waiting", "running") for each, _chip in checks),
        "runs": list(found.runs(request.actor, row).select_related("procedure")[:SHOWN]),
        "open_drift": drift_reads.counts_of([ref(row)]).get(ref(row), 0),
        "variables": yaml.safe_dump(row.extra_vars, allow_unicode=True, sort_keys=False) if row.extra_vars else "",
        "batches": ", ".join(str(each) for each in row.batches),
        "hosts_url": _hosts_url(row),
        "may_edit": allows(request.actor, write.EDIT, team=row.owner_id),
    }
    live = request.GET.get("part") == "live"
    return render(request, "deliver/playbook_checks.html" if live else "deliver/playbook.html", context)


def _hosts_url(row: Playbook) -> str:
    return f"{reverse('web:resources')}?{row.hosts.lstrip('?')}"


@page(write.EDIT)
def playbook_edit(request: PageRequest, name: str = "") -> HttpResponse:
    """The form of a project; without a name of a new one."""
    row = found.project(request.actor, name) if name else None
    if row is not None and not allows(request.actor, write.EDIT, team=row.owner_id):
        raise NotFound("playbook.unknown", _("There is no such project."), field="name", value=name)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            saved = _save(request, row)
            messages.success(request, _("Saved."))
            return redirect("web:playbook", name=saved.name)
        except (Invalid, Conflict) as refused:
            problem = refused
    values = request.POST.dict() if request.method == "POST" else _values(row)
    context = {"row": row, "values": values, "problem": problem, "teams": team_names(request.actor)}
    return render(request, "deliver/playbook_form.html", context, status=problem.status if problem else 200)


def _values(row: Playbook | None) -> dict[str, Any]:
    draft = Draft("", "site.yml", "kind=host") if row is None else row
    told = {key: getattr(draft, key) for key in ("folder", "playbook", "hosts", "title", "ssh_key", *NUMBERS)}
    told |= {key: "on" if getattr(draft, key) else "" for key in FLAGS}
    told["batches"] = ", ".join(str(each) for each in draft.batches)
    told["extra_vars"] = yaml.safe_dump(dict(draft.extra_vars), sort_keys=False) if draft.extra_vars else ""
    told |= {"name": row.name, "owner": row.owner.name if row.owner else "", "version": row.version} if row else {}
    return told


def _save(request: PageRequest, row: Playbook | None) -> Playbook:
    post = request.POST
    owner = team_named(post.get("owner", "")) if post.get("owner") else None
    if post.get("owner") and owner is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", value=post["owner"])
    version = _whole(post, "version") if row is not None else None
    name = row.name if row is not None else post.get("name", "").strip()
    return write.put(actor=request.actor, name=name, draft=_draft(post), owner=owner, version=version)


def _draft(post: QueryDict) -> Draft:
    try:
        variables = mapping_of(post.get("extra_vars", ""))
    except ValueError as error:
        raise Invalid("playbook.vars", _("These are no variables in YAML."), field="extra_vars") from error
    if variables is None:
        raise Invalid("playbook.vars", _("Variables are a mapping: name: value."), field="extra_vars")
    said: dict[str, Any] = {
        key: post.get(key, "").strip() for key in ("folder", "playbook", "hosts", "title", "ssh_key")
    }
    said |= {key: _whole(post, key) for key in NUMBERS}
    said |= {key: bool(post.get(key)) for key in FLAGS}
    sizes = [each.strip() for each in post.get("batches", "").split(",") if each.strip()]
    return Draft(
        **said,
        extra_vars=variables,
        batches=tuple(int(each) if each.isascii() and each.isdigit() and len(each) < 6 else each for each in sizes),
    )


def _whole(post: QueryDict, field: str) -> int:
    text = post.get(field, "").strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise Invalid("playbook.number", _("A whole number is wanted."), field=field, value=text)


@page(write.EDIT)
@require_POST
def playbook_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Check it now, look for drift now, or take it out of use."""
    row = found.project(request.actor, name)
    if act in ("check", "drift"):
        made = write.ask_check(actor=request.actor, row=row, drift=act == "drift")
        messages.success(request, _("The check is asked for."))
        return redirect("web:playbook-check", check_id=made.pk)
    if act == "retire":
        write.retire(actor=request.actor, row=row)
        messages.success(request, _("The project is out of use. Save it again to bring it back."))
        return redirect("web:playbook", name=name)
    raise NotFound("playbook.act", _("There is no such action."), remedy=_("Use the buttons of the page."))


def _shown(rows: Sequence[PlaybookHost]) -> list[dict[str, Any]]:
    return [{"row": row, "chip": chip(TONES[HostState(row.state)], row.get_state_display())} for row in rows]


@page(found.VIEW)
def playbook_check(request: PageRequest, check_id: UUID) -> HttpResponse:
    """What a check would change, host by host; POST asks for a run of it."""
    row = found.check(request.actor, check_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            reason = request.POST.get("reason", "").strip()
            run = write.request_run(actor=request.actor, check_id=row.pk, reason=reason)
            return redirect("web:playbook-run", run_id=run.pk)
        except (Invalid, Conflict) as refused:
            problem = refused
    hosts = list(row.hosts.select_related("resource").order_by("-state", "name"))
    hosts.sort(key=lambda each: (each.state == HostState.OK, each.name))
    changing = [each.name for each in hosts if each.state == HostState.CHANGED]
    context = {
        "row": row,
        "project": row.playbook,
        "chip": chip(CHECK_TONES[CheckState(row.state)], row.get_state_display()),
        "hosts": _shown(hosts),
        "changing": changing,
        "batches": [len(each) for each in playbook.batches_of(changing, row.playbook.batches)],
        "busy": row.state in (CheckState.WAITING, CheckState.RUNNING),
        "may_run": allows(request.actor, write.EDIT, team=row.playbook.owner_id) and row.playbook.retired_at is None,
        "problem": problem,
    }
    live = request.GET.get("part") == "live"
    status = problem.status if problem else 200
    return render(request, f"deliver/playbook_{'plan' if live else 'check'}.html", context, status=status)


@page(found.VIEW)
def playbook_run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """How far each host of a run is, batch by batch; the journal and its buttons are on the run's own page."""
    row, hosts = found.run_hosts(request.actor, run_id)
    context = {"run": row, "hosts": _shown(hosts), "busy": row.state not in FINAL}
    live = request.GET.get("part") == "live"
    return render(request, f"deliver/playbook_run{'_live' if live else ''}.html", context)
