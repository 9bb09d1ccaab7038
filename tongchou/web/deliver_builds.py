"""Deliver: build servers, whether they answer, and whose builds become deployments."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import build_actions, build_reads
from tongchou.changes.build_actions import MAX_EVERY_SECONDS, MIN_EVERY_SECONDS, ServerWanted
from tongchou.changes.models import DeploymentSource, SenderFormat
from tongchou.changes.models_builds import BuildServer
from tongchou.core.access import allows, check
from tongchou.core.problems import Conflict, Invalid, Unavailable
from tongchou.web.gate import PageRequest, page

MANAGE = build_actions.MANAGE
JOBS = 100
EVERY_SECONDS = 60


def _wanted(post: QueryDict, *, enabled: bool | None) -> ServerWanted:
    every = post.get("poll_every_seconds", "").strip() or str(EVERY_SECONDS)
    if not (every.isascii() and every.isdigit() and len(every) < 9):
        words = {"least": MIN_EVERY_SECONDS, "most": MAX_EVERY_SECONDS}
        detail = _("Between %(least)s and %(most)s seconds.") % words
        raise Invalid("build_server.field", detail, field="poll_every_seconds", value=every[:20])
    return ServerWanted(
        url=post.get("url", ""),
        user=post.get("user", ""),
        token=post.get("token") or None,
        enabled=enabled,
        sender=post.get("sender", "").strip(),
        poll_every_seconds=int(every),
    )


def _said(post: QueryDict) -> dict[str, str]:
    """What stood in a form, to be put right; a token is given anew."""
    return {name: post.get(name, "") for name in ("name", "url", "user", "sender", "poll_every_seconds")}


@page("changes.view")
def build_servers(request: PageRequest) -> HttpResponse:
    """The build servers; POST names one."""
    rows = list(build_reads.servers(request.actor))
    if request.method != "POST":
        return _list(request, rows)
    name = request.POST.get("name", "").strip()
    try:
        if any(row.name == name for row in rows):
            raise Conflict("build_server.exists", _("There is a build server of this name."), field="name", value=name)
        build_actions.put_server(actor=request.actor, name=name, wanted=_wanted(request.POST, enabled=True))
    except (Invalid, Conflict) as problem:
        return _list(request, rows, problem=problem, form=_said(request.POST), status=problem.status)
    messages.success(request, _("Saved. Test the connection now."))
    return redirect("web:build-server", name)


def _list(request: PageRequest, rows: list[BuildServer], *, status: int = 200, **more: Any) -> HttpResponse:
    form = {"poll_every_seconds": EVERY_SECONDS}
    context = {"rows": rows, "may_edit": allows(request.actor, MANAGE), "senders": _senders(), "form": form, **more}
    return render(request, "deliver/build_servers.html", context, status=status)


def _senders() -> list[str]:
    rows = DeploymentSource.objects.filter(format=SenderFormat.JENKINS).order_by("name")
    return list(rows.values_list("name", flat=True))


@page("changes.view")
def build_server(request: PageRequest, name: str) -> HttpResponse:
    """One server: how it is asked, what it last said, how far its jobs were looked at; POST changes it."""
    row = build_reads.server(request.actor, name)
    if request.method != "POST":
        return _server(request, row)
    try:
        wanted = _wanted(request.POST, enabled=request.POST.get("enabled") == "1")
        build_actions.put_server(actor=request.actor, name=row.name, wanted=wanted)
    except (Invalid, Conflict) as problem:
        return _server(request, row, problem=problem, form=_said(request.POST), status=problem.status)
    messages.success(request, _("Saved."))
    return redirect("web:build-server", row.name)


def _server(request: PageRequest, row: BuildServer, *, status: int = 200, **more: Any) -> HttpResponse:
    jobs = build_reads.polled(row)
    form = {"url": row.url, "user": row.user, "poll_every_seconds": row.poll_every_seconds}
    context = {
        "row": row,
        "form": form | {"sender": row.sender.name if row.sender else ""},
        "jobs": list(jobs[:JOBS]),
        "more_jobs": max(0, jobs.count() - JOBS),
        "may_edit": allows(request.actor, MANAGE),
        "senders": _senders(),
        **more,
    }
    return render(request, "deliver/build_server.html", context, status=status)


@page("integrations.manage")
@require_POST
def build_server_test(request: PageRequest, name: str) -> HttpResponse:
    """Ask the server who it is and who we are."""
    check(request.actor, MANAGE)
    row = build_reads.server(request.actor, name)
    try:
        greeting = build_actions.test_server(actor=request.actor, row=row)
    except Unavailable as problem:
        return _server(request, row, problem=problem)  # the page itself is well
    words = {"version": greeting.version, "who": greeting.known_as}
    messages.success(request, _("It answers: version %(version)s, and knows us as %(who)s.") % words)
    return redirect("web:build-server", row.name)


@page("integrations.manage")
@require_POST
def build_server_remove(request: PageRequest, name: str) -> HttpResponse:
    """Remove the server and its token."""
    row = build_reads.server(request.actor, name)
    build_actions.remove_server(actor=request.actor, row=row)
    messages.success(request, _("Removed."))
    return redirect("web:build-servers")
