"""Deliver: versions of services. The list, one with where it is and its releases, told by hand, withdrawn or not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.changes.models_release import Artefact, ReleaseItem
from tongchou.changes.release import artefacts, reads
from tongchou.changes.release.artefacts import Told
from tongchou.core import ledger
from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory_reads
from tongchou.inventory.models import Resource, ResourceState
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, when
from tongchou.web.visibility import readable

SHOWN = 50
SERVICES = 500  # offered while one types


def _version(row: Artefact, _about: Any) -> str:
    mark = chip("withdrawn", _("Withdrawn")) if row.withdrawn_at else ""
    link = cells.link(reverse("web:release-version", args=[row.pk]), row.version, "mono wrap-any")
    return format_html("{} {}", link, mark)


LOOK = register(
    Look(
        "changes.artefact",
        "web:release-versions",
        "version",
        url=lambda row: reverse("web:release-version", args=[row.pk]),
        cells={
            "version": _version,
            "service": lambda row, _about: cells.link(reverse("web:resource", args=[row.service_id]), row.service.name),
            "created": lambda row, _about: when(row.created_at),
            "commit": lambda row, _about: (
                format_html('<span class="mono">{}</span>', row.commit_sha[:12]) if row.commit_sha else cells.NOTHING
            ),
        },
        icon="package",
        empty=gettext_lazy("No version stands in this queue"),
        hint=gettext_lazy(
            "A version is told of by a pipeline (POST /api/v1/versions), by hand here, or by itself with every"
            " deployment that succeeded."
        ),
    )
)


@page(reads.VIEW)
def release_versions(request: PageRequest) -> HttpResponseBase:
    """The versions there are, the newest first."""
    more: dict[str, Any] = {"may_edit": allows_anywhere(request.actor, reads.EDIT)}
    if more["may_edit"] and not request.htmx and "format" not in request.GET:
        more["services"] = services_offered(request.actor)
    return show(request, LOOK, "deliver/release_versions.html", more)


def services_offered(actor: Actor) -> list[str]:
    """Return the names of the services an actor may change, the first by name. One query."""
    rows = inventory_reads.visible(actor).filter(kind="service", state=ResourceState.ACTIVE).order_by("name")
    named = rows.values_list("name", "owner_id")[:SERVICES]
    return [name for name, owner in named if allows(actor, reads.EDIT, team=owner)]


def service_called(actor: Actor, text: str) -> Resource:
    """Return the resource a form means by NAME (a service before others) or KIND/NAME; Invalid names the field."""
    kind, slash, name = text.strip().partition("/")
    seen = inventory_reads.visible(actor).filter(state=ResourceState.ACTIVE)
    rows = seen.filter(kind=kind, name=name) if slash else seen.filter(name=text.strip())
    found = list(rows.order_by("kind")[:5])
    found = [each for each in found if each.kind == "service"] or found
    if len(found) != 1:
        raise Invalid(
            "release.field",
            _("There is no such resource.") if not found else _("There are several of this name."),
            field="service",
            value=text[:120],
            remedy=_("Write its name, or kind/name."),
        )
    return found[0]


@page(reads.EDIT)
def release_version_new(request: PageRequest) -> HttpResponse:
    """Tell of a version by hand."""
    problem: Problem | None = None
    if request.method == "POST":
        post = request.POST
        try:
            service = service_called(request.actor, post.get("service", ""))
            told = Told(
                post.get("version", ""),
                reference=post.get("reference", ""),
                digest=post.get("digest", ""),
                commit_sha=post.get("commit_sha", ""),
                url=post.get("url", ""),
                notes=post.get("notes", "").replace("\r\n", "\n"),
            )
            row, new = artefacts.register(actor=request.actor, service=service, told=told)
        except (Invalid, Conflict) as refused:
            problem = refused
        else:
            messages.success(request, _("It can be rolled out now.") if new else _("It was known already."))
            return redirect("web:release-version", artefact_id=row.pk)
    context = {
        "services": services_offered(request.actor),
        "values": request.POST.dict() if request.method == "POST" else {"service": request.GET.get("service", "")},
        "problem": problem,
    }
    status = problem.status if problem else 200
    return render(request, "deliver/release_version_form.html", context, status=status)


@page(reads.VIEW)
def release_version(request: PageRequest, artefact_id: UUID) -> HttpResponse:
    """One version: what it is, where it was deployed, the releases with it."""
    row = reads.artefact(request.actor, artefact_id)
    return render(request, "deliver/release_version.html", _context(request, row))


def _context(request: PageRequest, row: Artefact, problem: Problem | None = None) -> dict[str, Any]:
    items = ReleaseItem.objects.filter(artefact=row, release__in=reads.visible(request.actor).order_by().values("pk"))
    releases = items.select_related("release", "release__environment").defer("release__content")
    return {
        "row": row,
        "ref": ref(row),
        "places": _places(row),
        "releases": list(releases.order_by("-release__number")[:SHOWN]),
        "lines": entries(readable(request.actor, ledger.events(about=ref(row), limit=SHOWN))),
        "may_edit": allows(request.actor, reads.EDIT, team=row.service.owner_id),
        "problem": problem,
    }


def _places(row: Artefact) -> list[tuple[Deployment, bool]]:
    """Its deployments that succeeded, the last of each environment, and whether it is there still. One query."""
    every = Deployment.objects.filter(service=row.service, status=DeploymentStatus.SUCCEEDED)
    there = every.filter(environment=OuterRef("environment")).order_by("-started_at", "-delivery_id")
    own = every.filter(version=row.version).defer("commits", "custom", "told")
    last: dict[str, tuple[Deployment, bool]] = {}
    for each in own.annotate(now=Subquery(there.values("version")[:1])).order_by("-started_at", "-delivery_id")[:200]:
        last.setdefault(each.environment, (each, each.now == row.version))
    return [last[name] for name in sorted(last)]


@page(reads.EDIT)
@require_POST
def release_version_act(request: PageRequest, artefact_id: UUID, act: str) -> HttpResponse:
    """Withdraw a version with a reason, or allow it again."""
    row = reads.artefact(request.actor, artefact_id)
    reason = request.POST.get("reason", "").strip()
    if act not in ("withdraw", "restore"):
        raise NotFound("release.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    if act == "withdraw" and not reason:
        problem = Invalid("release.field", _("Say why."), field="reason")
        return render(request, "deliver/release_version.html", _context(request, row, problem), status=problem.status)
    artefacts.withdraw(actor=request.actor, artefact=row, reason=reason if act == "withdraw" else "")
    done = _("It must not be rolled out any more.") if act == "withdraw" else _("It can be rolled out again.")
    messages.success(request, done)
    return redirect("web:release-version", artefact_id=row.pk)
