"""Deliver: what was released, and what waits for somebody's consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.changes import reads
from tongchou.changes.models import Deployment
from tongchou.changes.models_control import ChangeKind, RiskLevel
from tongchou.changes.models_requirements import DataClass
from tongchou.changes.release import reads as release_reads
from tongchou.core import approvals as consent
from tongchou.core.access import allows
from tongchou.core.custom_fields import fields_of
from tongchou.core.models import Approval, ApprovalState, User
from tongchou.core.problems import NotFound
from tongchou.core.refs import is_ref, is_uuid, parse, ref
from tongchou.runbooks.models import Run
from tongchou.web.deliver_changes import collision_in_words
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import Link, resolve
from tongchou.web.release_picture import Summary, summary
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import between, chip, icon, when

PAGE = 50


def _service(row: Deployment, _about: Mapping[str, Any]) -> str:
    if row.service_id:
        return cells.link(reverse("web:resource", args=[row.service_id]), row.service_name)
    return cells.second(row.service_name, gettext("not in the inventory"))


def _about(_rows: Sequence[Deployment]) -> dict[str, Any]:
    return {"fields": bool(fields_of("changes.deployment"))}


def _fields_word() -> str:
    return gettext("Fields")


def _source(row: Deployment, about: Mapping[str, Any]) -> str:
    """Who reported it, and the way to its custom fields when there are any: a release has no page of its own."""
    if not about["fields"]:
        return format_html("{}", row.source)
    words = f"{_fields_word()} {row.service_name} {row.version}"
    address = reverse("web:field-values", args=[ref(row)])
    return format_html(
        '{} <a class="btn ghost small" href="{}" aria-label="{}">{}</a>',
        row.source,
        address,
        words,
        icon("text-cursor-input", 14),
    )


def _version(row: Deployment, _about: Mapping[str, Any]) -> str:
    """Its version, with the way to all that is known of it."""
    before: str = ""
    if row.previous_version and row.previous_version != row.version:
        before = format_html('<span class="faint">{} →</span> ', row.previous_version)
    away: str = ""
    if row.url:
        words = gettext("Open in its tool")
        shape = icon("external-link", 13)
        away = format_html(' <a href="{}" rel="noopener noreferrer" aria-label="{}">{}</a>', row.url, words, shape)
    own = format_html('<a href="{}">{}</a>', reverse("web:deployment", args=[row.pk]), row.version)
    hotfix: str = format_html(' <span class="tag">{}</span>', gettext("unplanned")) if row.unplanned else ""
    return format_html('<span class="mono">{}{}{}{}</span>', before, own, away, hotfix)


LOOK = register(
    Look(
        "changes.deployment",
        "web:deployments",
        "service",
        about=_about,
        cells={
            "started": lambda row, _about: when(row.started_at),
            "service": _service,
            "source": _source,
            "version": _version,
            "status": lambda row, _about: chip(row.status, row.get_status_display()),
            "took": lambda row, _about: between(row.started_at, row.finished_at),
        },
        icon="rocket",
        empty=gettext_lazy("No deployment has been reported"),
        hint=gettext_lazy(
            "Set up a sender under Senders and enter its address in GitHub, GitLab, Jenkins, Argo CD or a script of"
            " yours. Every release then shows here, on charts, and as a suspect in incidents."
        ),
        selected=lambda row, given: str(row.pk) == given.get("id", ""),
    )
)


@page("changes.view")
def deployments(request: PageRequest) -> HttpResponseBase:
    """Releases as the tools reported them, the latest first; `?id=` marks one."""
    sources = reads.sources(request.actor) if allows(request.actor, "changes.view") else []
    return show(request, LOOK, "deliver/deployments.html", {"sources": sources})


# what policies may ask about a change or a requirement, as people read it
SCOPE_VALUES = {
    (key, value): words
    for key, choices in (("kind", ChangeKind), ("risk", RiskLevel), ("data_class", DataClass))
    for value, words in choices.choices
}


def _asking(row: Approval) -> QuerySet[Run]:
    """The run an approval is asked for. By its key: where few runs ask, the index by approval tells SQLite nothing."""
    asking = parse(row.subject)
    if (asking.room, asking.noun) != ("runbooks", "run") or not is_uuid(asking.id):
        return Run.objects.none()
    return Run.objects.filter(pk=asking.id, approval=row)


def _described(request: PageRequest, row: Approval) -> dict[str, Any]:
    """An approval with everything its decider must see: exactly what would run, where, bound to which hash."""
    run = _asking(row).select_related("procedure", "version").prefetch_related("steps").first()
    own = row.requested_by_id is not None and row.requested_by_id == request.actor.user_id
    votes = list(consent.votes_of(row))
    spoken = {vote.principal_id for vote in votes if vote.withdrawn_at is None}
    open_to = row.state == ApprovalState.PENDING and not own
    asked = open_to and bool(consent.could_fill(request.actor, row))
    missing = consent.standing_of(row).missing
    named = {text for value in row.scope.values() for text in _texts(value) if is_ref(text)}
    links = resolve([row.subject, *row.about, *named])
    return {
        "row": row,
        "run": run,
        "steps": list(run.steps.all()) if run else [],
        "released": _released(request, row),
        "own": own,
        "subject": links[row.subject],
        "about": sorted((links[each] for each in row.about if links[each].url), key=lambda link: link.title),
        "may_decide": asked and request.actor.user_id not in spoken,
        "may_reject": asked or (open_to and allows(request.actor, consent.DECIDE)),
        "stands_in": [each for each in consent.principals(request.actor, row) if each.pk not in spoken]
        if open_to
        else [],
        "spoke": request.actor.user_id in {vote.voter_id for vote in votes if vote.withdrawn_at is None},
        "needs": [{"words": consent.told(need), "missing": missing[need.pk]} for need in consent.needs_of(row)],
        "votes": votes,
        "scope": [
            (
                key,
                [collision_in_words(each) for each in value]
                if key == "collides"
                else SCOPE_VALUES.get((key, str(value)), _named(value, links)),
            )
            for key, value in sorted(row.scope.items())
            if value not in ("", [], None)
        ],
    }


def _released(request: PageRequest, row: Approval) -> list[Summary]:
    """What would be released, when the approval is asked for a release that the reader may see."""
    asking = parse(row.subject)
    if (asking.room, asking.noun) != ("changes", "release") or not is_uuid(asking.id):
        return []
    release = release_reads.visible(request.actor).filter(pk=asking.id).first()
    return summary(release) if release is not None and release.content_hash == row.content_hash else []


def _texts(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _named(value: Any, links: Mapping[str, Link]) -> Any:
    """A value of a scope with the names of what its refs point at."""
    if isinstance(value, list):
        return [_named(each, links) for each in value]
    return links[value].title if isinstance(value, str) and value in links else value


@page("approvals.view")
def approvals(request: PageRequest) -> HttpResponse:
    """The inbox: what waits for a decision, and what was decided lately."""
    seen = consent.visible(request.actor)  # all, or one's own and those that ask one's team
    state = request.GET.get("state", "pending")
    if state == "decided":
        rows = seen.exclude(state=ApprovalState.PENDING).order_by("-decided_at", "-requested_at")
    else:
        rows = consent.pending(seen)
    listed = list(rows[:PAGE])
    chosen = next((each for each in listed if str(each.pk) == request.GET.get("id")), None)
    if chosen is None and is_uuid(request.GET.get("id", "")):
        chosen = seen.filter(pk=request.GET["id"]).first()
    if chosen is None and listed:
        chosen = listed[0]
    nameless = [row for row in listed if not {"procedure", "improvement", "requirement"} & row.scope.keys()]
    subjects = resolve(row.subject for row in nameless)
    context = {
        "state": state,
        "rows": listed,
        "names": {row.pk: subjects[row.subject].title for row in nameless if subjects[row.subject].url},
        "pending": consent.pending(seen).count(),
        "chosen": _described(request, chosen) if chosen else None,
    }
    if request.GET.get("part") == "live":
        return render(request, "deliver/approvals_live.html", context)
    return render(request, "deliver/approvals.html", context)


def _principal(request: PageRequest) -> User | None:
    name = request.POST.get("for", "")
    return User.objects.filter(username=name).first() if name else None


@page("approvals.view")
@require_POST
def approval_decide(request: PageRequest, approval_id: UUID) -> HttpResponse:
    """Approve, reject or take back (`do` = approve | reject | withdraw | cancel), with a comment; `for`: a stand-in."""
    row = consent.visible(request.actor).filter(pk=approval_id).first()
    if row is None:
        raise NotFound("approval.unknown", _("There is no such request."), remedy=_("Open the inbox again."))
    act, comment = request.POST.get("do", ""), request.POST.get("comment", "").strip()
    if act == "approve":
        consent.approve(actor=request.actor, approval=row, comment=comment, principal=_principal(request))
        done = row.state == ApprovalState.APPROVED
        messages.success(request, _("Approved.") if done else _("Your yes is noted; others are still needed."))
    elif act == "reject":
        consent.reject(actor=request.actor, approval=row, comment=comment, principal=_principal(request))
        messages.success(request, _("Rejected."))
    elif act == "withdraw":
        consent.withdraw(actor=request.actor, approval=row)
        messages.success(request, _("Your yes is taken back."))
    elif act == "cancel":
        consent.cancel(actor=request.actor, approval=row, comment=comment)
        messages.success(request, _("The request is taken back."))
    run = _asking(row).first()
    if run is not None and act == "approve" and row.state == ApprovalState.APPROVED:
        return redirect("web:run", run_id=run.pk)
    return redirect("web:approvals")
