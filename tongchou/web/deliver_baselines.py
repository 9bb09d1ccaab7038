"""Deliver: configuration baselines. Host against baseline, host against host, and the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import yaml
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes import baseline_actions as write
from tongchou.changes import baseline_reads as found
from tongchou.changes import drift_reads
from tongchou.changes.baseline_actions import Draft
from tongchou.changes.models_baselines import Baseline
from tongchou.core.access import allows, allows_anywhere, team_names
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory.bulk import team_named
from tongchou.web.gate import PageRequest, page
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.yaml_fields import mapping_of

WATCH = {
    "files": ["/etc/ssh/sshd_config"], "packages": ["openssh-server"], "sysctl": ["net.ipv4.ip_forward"],
    "services": ["ssh.service"], "users": ["root"], "listening": True,
}  # fmt: skip
LOOK = register(
    Look(
        "changes.baseline",
        "web:baselines",
        "name",
        url=lambda row: reverse("web:baseline", args=[row.name]),
        icon="list-checks",
        empty=gettext_lazy("No baseline yet"),
        hint=gettext_lazy(
            "Say which hosts are meant and what is watched, look at them, then take what a good host looks like."
        ),
    )
)


@page(found.VIEW)
def baselines(request: PageRequest) -> HttpResponseBase:
    """The list."""
    may = allows_anywhere(request.actor, write.EDIT)
    return show(request, LOOK, "deliver/baselines.html", {"may_edit": may})


@page(found.VIEW)
def baseline(request: PageRequest, name: str) -> HttpResponse:
    """One baseline: its hosts with what is not as expected; `one` and `other`: two hosts against each other."""
    row = found.one(request.actor, name)
    hosts = found.hosts(row)
    one, other = (_id(request.GET.get(key, "")) for key in ("one", "other"))
    compared = found.between(row, one, other) if one and other else None
    context = {
        "row": row,
        "hosts": hosts,
        "differing": sum(1 for each in hosts if each.differences),
        "compared": compared,
        "one": str(one or ""),
        "other": str(other or ""),
        "watch": yaml.safe_dump(row.watch, sort_keys=False, allow_unicode=True),
        "open_drift": drift_reads.counts_of([ref(row)]).get(ref(row), 0),
        "hosts_url": f"{reverse('web:resources')}?{row.hosts.lstrip('?')}",
        "may_edit": allows(request.actor, write.EDIT, team=row.owner_id),
    }
    return render(request, "deliver/baseline.html", context)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise NotFound("baseline.snapshot", _("Nobody has looked at this host yet."), field="host") from None


@page(write.EDIT)
def baseline_edit(request: PageRequest, name: str = "") -> HttpResponse:
    """The form; without a name of a new one."""
    row = found.one(request.actor, name) if name else None
    problem: Problem | None = None
    if request.method == "POST":
        try:
            saved = _save(request, row)
            messages.success(request, _("Saved."))
            return redirect("web:baseline", name=saved.name)
        except (Invalid, Conflict) as refused:
            problem = refused
    values = request.POST.dict() if request.method == "POST" else _values(row)
    context = {"row": row, "values": values, "problem": problem, "teams": team_names(request.actor)}
    return render(request, "deliver/baseline_form.html", context, status=problem.status if problem else 200)


def _values(row: Baseline | None) -> dict[str, Any]:
    said = Draft("kind=host", WATCH) if row is None else row
    told = {key: getattr(said, key) for key in ("hosts", "title", "ssh_key", *NUMBERS)}
    told |= {key: "on" if getattr(said, key) else "" for key in ("accept_new", "become")}
    told |= {key: _yaml(getattr(said, key)) for key in ("watch", "expected")}
    told["showable"] = "\n".join(said.showable)
    told |= {"name": row.name, "owner": row.owner.name if row.owner else "", "version": row.version} if row else {}
    return told


NUMBERS = ("check_every_seconds", "drift_after", "tolerance_seconds")


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True) if value else ""


def _save(request: PageRequest, row: Baseline | None) -> Baseline:
    post = request.POST
    owner = team_named(post.get("owner", "")) if post.get("owner") else None
    if post.get("owner") and owner is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", value=post["owner"])
    version = _whole(post, "version") if row is not None else None
    name = row.name if row is not None else post.get("name", "").strip()
    said: dict[str, Any] = {key: post.get(key, "").strip() for key in ("hosts", "title", "ssh_key")}
    said |= {key: _whole(post, key) for key in NUMBERS}
    said |= {key: bool(post.get(key)) for key in ("accept_new", "become")}
    said |= {key: _mapping(post, key) for key in ("watch", "expected")}
    showable = tuple(each.strip() for each in post.get("showable", "").splitlines() if each.strip())
    draft = Draft(**said, showable=showable)
    return write.put(actor=request.actor, name=name, draft=draft, owner=owner, version=version)


def _mapping(post: QueryDict, field: str) -> dict[str, Any]:
    try:
        value = mapping_of(post.get(field, ""))
    except ValueError as error:
        raise Invalid("baseline.yaml", _("This is no YAML of plain values."), field=field) from error
    if value is None:
        raise Invalid("baseline.yaml", _("A mapping is wanted: name: value."), field=field)
    return value


def _whole(post: QueryDict, field: str) -> int:
    text = post.get(field, "").strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise Invalid("baseline.number", _("A whole number is wanted."), field=field, value=text)


@page(write.EDIT)
@require_POST
def baseline_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Look now, take a golden host (`resource`), or take the baseline out of use."""
    row = found.one(request.actor, name)
    if act == "look":
        write.ask_look(actor=request.actor, row=row)
        messages.success(request, _("The hosts are looked at; reload the page in a while."))
    elif act == "take":
        resource = _id(request.POST.get("resource", ""))
        if resource is None:
            raise NotFound("baseline.snapshot", _("Nobody has looked at this host yet."), field="resource")
        write.take(actor=request.actor, row=row, resource_id=resource)
        messages.success(request, _("This is expected of every host now; edit what is its own."))
    elif act == "retire":
        write.retire(actor=request.actor, row=row)
        messages.success(request, _("The baseline is out of use. Save it again to bring it back."))
    else:
        raise NotFound("baseline.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    return redirect("web:baseline", name=name)
