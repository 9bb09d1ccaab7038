"""Deliver: the policies that say who is asked for consent, and the stand-ins of people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import approval_policies
from tongchou.core.access import allows
from tongchou.core.consent import ACTIONS, EVERY
from tongchou.core.models import Team, User
from tongchou.core.models_consent import ApprovalPolicy
from tongchou.core.problems import Invalid, NotFound, Problem
from tongchou.web.gate import ANY_PERSON, PageRequest, page

ROWS = 4  # needs a form holds


def _words(row: ApprovalPolicy, teams: dict[str, str], people: dict[str, str]) -> list[str]:
    """Say whom a policy asks: "2 x approver"."""
    told = []
    for need in row.needs:
        kind, _colon, which = str(need["who"]).partition(":")
        who = {
            "owner": _("approver of the owning team"),
            "role:approver": _("approver"),
            "role:admin": _("administrator"),
        }.get(need["who"]) or (teams if kind == "team" else people).get(which, _("gone"))
        told.append(f"{need.get('count', 1)} x {who}")
    return told


def _choices() -> list[tuple[str, str]]:
    fixed = [
        ("", ""),
        ("role:approver", _("approver")),
        ("role:admin", _("administrator")),
        ("owner", _("approver of the owning team")),
    ]
    teams = [
        (f"team:{team.pk}", _("team %(name)s") % {"name": team.name}) for team in Team.objects.order_by("name")[:500]
    ]
    people = User.objects.filter(is_active=True, is_service=False).order_by("username")[:500]
    return [*fixed, *teams, *((f"person:{each.pk}", each.username) for each in people)]


@page("approvals.view")
def policies(request: PageRequest) -> HttpResponse:
    """Every policy and a form; POST writes one."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            _write(request)
        except Problem as found:
            problem = found
        else:
            messages.success(request, _("The policy is in force for requests from now on."))
            return redirect("web:approval-policies")
    rows = list(approval_policies.policies(request.actor))
    teams = {str(pk): name for pk, name in Team.objects.values_list("pk", "name")}
    people = {str(pk): name for pk, name in User.objects.values_list("pk", "username")}
    edited = next((row for row in rows if row.name == request.GET.get("name")), None)
    may_edit = allows(request.actor, approval_policies.MANAGE)
    context = {
        "rows": [{"row": row, "words": _words(row, teams, people)} for row in rows],
        "edited": edited,
        "given": _given(edited) if problem is None else _posted(request),
        "choices": _choices() if may_edit else [],
        "actions": [(EVERY, _("Everything")), *sorted(ACTIONS.items())],
        "may_edit": may_edit,
        "problem": problem,
    }
    return render(request, "deliver/policies.html", context, status=422 if problem else 200)


def _given(row: ApprovalPolicy | None) -> dict[str, Any]:
    needs = [(str(each["who"]), each.get("count", 1)) for each in row.needs] if row else [("role:approver", 2)]
    needs += [("", 1)] * (ROWS - len(needs))
    conditions = "\n".join(f"{key}: {', '.join(values)}" for key, values in (row.conditions if row else {}).items())
    return {
        "name": row.name if row else "",
        "action": row.action if row else "runbooks.run",
        "conditions": conditions if row else "grade: irreversible",
        "minutes": row.expires_seconds // 60 if row and row.expires_seconds else "",
        "reason": row.reason if row else "",
        "enabled": row.enabled if row else True,
        "needs": needs,
    }


def _posted(request: PageRequest) -> dict[str, Any]:
    post = request.POST
    told = {name: post.get(name, "").strip()[:2000] for name in ("name", "action", "conditions", "minutes", "reason")}
    needs = list(zip(post.getlist("who"), post.getlist("count"), strict=False))[:10]
    return {**told, "enabled": "enabled" in post, "needs": needs}


def _write(request: PageRequest) -> None:
    given = _posted(request)
    conditions: dict[str, list[str]] = {}
    for line in given["conditions"].replace("：", ":").splitlines():
        if line.strip():
            key, _colon, values = line.partition(":")
            conditions[key.strip()] = [each.strip() for each in values.replace("，", ",").split(",") if each.strip()]
    minutes = given["minutes"]
    if minutes and not (minutes.isascii() and minutes.isdecimal() and len(minutes) < 8):
        raise Invalid(
            "policy.expires", _("A whole number is wanted."), field="minutes", value=minutes, remedy=_("Write digits.")
        )
    approval_policies.put_policy(
        actor=request.actor,
        name=given["name"],
        action=given["action"],
        needs=[
            {"who": who, "count": int(count) if count.isascii() and count.isdecimal() and len(count) < 4 else count}
            for who, count in given["needs"]
            if who
        ],
        conditions=conditions,
        expires_seconds=int(minutes) * 60 if minutes else None,
        enabled=given["enabled"],
        reason=given["reason"],
    )


@page("approvals.manage")
@require_POST
def policy_remove(request: PageRequest, policy_id: UUID) -> HttpResponse:
    """Remove a policy."""
    row = approval_policies.policies(request.actor).filter(pk=policy_id).first()
    if row is None:
        raise NotFound("policy.unknown", _("There is no such policy."), remedy=_("Open the list again."))
    approval_policies.remove_policy(actor=request.actor, row=row)
    messages.success(request, _("The policy is removed. The ledger keeps what it said."))
    return redirect("web:approval-policies")


@page(ANY_PERSON)
def stand_ins(request: PageRequest) -> HttpResponse:
    """Who decides for whom; POST names a stand-in for oneself."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            _name_stand_in(request)
        except Problem as found:
            problem = found
        else:
            messages.success(request, _("From then on they may decide for you."))
            return redirect("web:stand-ins")
    now = timezone.now()
    rows = list(approval_policies.delegations(request.actor)[:200])
    people = User.objects.filter(is_active=True, is_service=False).exclude(pk=request.user.pk).order_by("username")
    zone = timezone.get_current_timezone()
    context = {
        "rows": [
            {
                "row": row,
                "state": "ended" if row.ended_at or row.until <= now else "active" if row.since <= now else "pending",
                "mine": request.user.pk in (row.principal_id, row.delegate_id),
            }
            for row in rows
        ],
        "people": people[:500],
        "given": {
            "to": request.POST.get("to", ""),
            "since": request.POST.get("since", "") or now.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
            "until": request.POST.get("until", "")
            or (now + timedelta(days=7)).astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
            "reason": request.POST.get("reason", ""),
        },
        "problem": problem,
        "may_manage": allows(request.actor, approval_policies.MANAGE),
    }
    return render(request, "deliver/stand_ins.html", context, status=422 if problem else 200)


def _moment(text: str, field: str) -> Any:
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise Invalid(
            "time.form", _("This is no time."), field=field, value=text[:40], remedy=_("Write it as 2026-03-01T22:00.")
        )
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def _name_stand_in(request: PageRequest) -> None:
    to = User.objects.filter(username=request.POST.get("to", "")).first()
    if to is None:
        raise Invalid(
            "user.unknown",
            _("There is no such person."),
            field="to",
            value=request.POST.get("to", "")[:150],
            remedy=_("Choose one of the list."),
        )
    approval_policies.delegate(
        actor=request.actor,
        principal=request.user,
        to=to,
        since=_moment(request.POST.get("since", ""), "since"),
        until=_moment(request.POST.get("until", ""), "until"),
        reason=request.POST.get("reason", ""),
    )


@page(ANY_PERSON)
@require_POST
def stand_in_end(request: PageRequest, delegation_id: UUID) -> HttpResponse:
    """End a stand-in now."""
    row = approval_policies.delegations(request.actor).filter(pk=delegation_id).first()
    if row is None:
        raise NotFound("delegation.unknown", _("There is no such stand-in."), remedy=_("Open the list again."))
    approval_policies.end_delegation(actor=request.actor, row=row)
    messages.success(request, _("The stand-in has ended; what was decided under it stays."))
    return redirect("web:stand-ins")
