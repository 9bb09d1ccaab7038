"""Deliver: setting up a workspace, and removing it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import iac_places, iac_policy, iac_reads, iac_tools, iac_workspaces
from tongchou.changes.iac_workspaces import Wanted
from tongchou.changes.models_iac import Program, Workspace
from tongchou.core import secrets
from tongchou.core.access import allows, check
from tongchou.core.models import Team
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.inventory.models import SourceConfig
from tongchou.runbooks.definition import offered
from tongchou.web import field_forms
from tongchou.web.gate import PageRequest, page

MANAGE = "changes.manage"
NUMBERS = ("alarm_after", "lock_timeout_seconds", "timeout_seconds")
MINUTES = ("plan_interval_seconds", "drift_interval_seconds")


@page(MANAGE)
def workspace_edit(request: PageRequest, name: str = "") -> HttpResponse:
    """The form of a workspace, new or there already."""
    row = iac_reads.workspace(request.actor, name) if name else None
    if row is not None:
        check(request.actor, MANAGE, team=row.owner_id)
    if request.method != "POST":
        return _form(request, row, _values(row))
    called = name or request.POST.get("name", "").strip()
    try:
        if row is None and Workspace.objects.filter(name=called).exists():
            raise Conflict("workspace.there", _("There is a workspace of this name."), field="name", value=called)
        with transaction.atomic():
            made = iac_workspaces.put_workspace(actor=request.actor, name=called, wanted=_wanted(request.POST))
            field_forms.save(request.actor, made, request.POST, new=row is None)
    except (Invalid, Conflict, NotFound) as problem:
        return _form(request, row, request.POST.dict(), problem)
    messages.success(request, _("Saved."))
    return redirect("web:workspace", name=made.name)


def _values(row: Workspace | None) -> dict[str, Any]:
    """What the form begins with, as it is typed."""
    if row is None:
        told = {**asdict(Wanted(directory="")), "drift_interval_seconds": 86_400, "name": ""}
    else:
        told = {each.name: getattr(row, each.name) for each in fields(Wanted)} | {"name": row.name}
    told["owner"] = str(row.owner_id or "") if row else ""
    told["var_files"] = "\n".join(told["var_files"])
    for key in ("secret_variables", "secret_environment"):
        told[key] = "\n".join(f"{name} = {secret}" for name, secret in told[key].items())
    told["policy"] = json.dumps(told["policy"], ensure_ascii=False, indent=1) if told["policy"] else ""
    for key in MINUTES:
        told[key] = str(told[key] // 60)
    return told


def _wanted(post: QueryDict) -> Wanted:
    numbers = {key: _whole(post, key) for key in NUMBERS} | {key: _whole(post, key) * 60 for key in MINUTES}
    return Wanted(
        directory=post.get("directory", "").strip(),
        owner=_owner(post.get("owner", "")),
        program=post.get("program", Program.TERRAFORM),
        terraform_workspace=post.get("terraform_workspace", "").strip() or "default",
        var_files=_lines(post.get("var_files", "")),
        secret_variables=_pairs(post, "secret_variables"),
        secret_environment=_pairs(post, "secret_environment"),
        policy=_json(post.get("policy", "")),
        run_checker="run_checker" in post,
        state_source=post.get("state_source", ""),
        enabled="enabled" in post,
        **numbers,
    )


def _owner(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid("workspace.owner", _("There is no such team."), field="owner", value=text[:80]) from None


def _whole(post: QueryDict, key: str) -> int:
    text = post.get(key, "").strip() or "0"
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise Invalid(f"workspace.{key}", _("A whole number is wanted."), field=key, value=text[:80])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(post: QueryDict, key: str) -> dict[str, str]:
    found = {}
    for line in _lines(post.get(key, "")):
        name, equals, secret = line.partition("=")
        if not equals:
            says = _("A variable and the name of a secret are wanted, as in password = shop-db.")
            raise Invalid(f"workspace.{key}", says, field=key, value=line[:120])
        found[name.strip()] = secret.strip()
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise Invalid("workspace.policy", _("This is no JSON: %(why)s") % {"why": error}, field="policy") from None


def _form(
    request: PageRequest, row: Workspace | None, values: dict[str, Any], problem: Problem | None = None
) -> HttpResponse:
    post = request.POST if request.method == "POST" else None
    names = [each for each in secrets.names() if offered(each)] if allows(request.actor, "secrets.manage") else []
    context = {
        "row": row,
        "values": values,
        "problem": problem,
        "programs": Program.choices,
        "teams": [(str(each.pk), each.name) for each in Team.objects.order_by("name")],
        "sources": SourceConfig.objects.filter(kind="terraform").order_by("name").values_list("name", flat=True),
        "folders": iac_places.allowed(),
        "secret_names": names,
        "rules": [{"name": each, "says": iac_policy.says(each)} for each in iac_policy.RULES],
        "checkers": [each.checker for each in iac_tools.checkers()],
        "cf_form": field_forms.of_row(request.actor, row, post=post, problem=problem)
        if row
        else field_forms.of_new(request.actor, "changes.workspace", post=post, problem=problem),
    }
    return render(request, "deliver/workspace_form.html", context, status=problem.status if problem else 200)


@page(MANAGE)
@require_POST
def workspace_remove(request: PageRequest, name: str) -> HttpResponse:
    """Remove a workspace with its plans; what it made stays."""
    row = iac_reads.workspace(request.actor, name)
    try:
        iac_workspaces.remove_workspace(actor=request.actor, workspace=row)
    except Conflict as problem:
        messages.warning(request, f"{problem.detail} {problem.remedy}")
        return redirect("web:workspace", name=name)
    messages.success(request, _("The workspace is removed. What it made is still there, and so is its state."))
    return redirect("web:workspaces")
