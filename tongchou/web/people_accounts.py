"""Service accounts: who answers for each, its tokens, their rotation, and one switch for all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import people, service_accounts, tokens
from tongchou.core.access import SCOPES, allows
from tongchou.core.models import ApiToken, Membership, Role, Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.web.admin_pages import EXPIRY_DAYS, make_token, role_of, team_of, user_of
from tongchou.web.gate import PageRequest, page

OVERLAP_HOURS = (0, 1, 24, 168)


def _choices(request: PageRequest, **more: Any) -> dict[str, Any]:
    return {
        "people": User.objects.filter(is_service=False, is_active=True).order_by("username")[:500],
        "teams": Team.objects.order_by("name"),
        "roles": Role.choices,
        "may_edit": allows(request.actor, "access.manage"),
        "tab": "services",
        "form": {},
        **more,
    }


def _list(request: PageRequest, **more: Any) -> dict[str, Any]:
    accounts = list(service_accounts.all_of_them()[:500])
    roles = dict(Membership.objects.filter(team=None, user__in=accounts).values_list("user_id", "role"))
    living: dict[UUID, int] = {}
    used: dict[UUID, Any] = {}
    for each in ApiToken.objects.filter(user__in=accounts):
        living[each.user_id] = living.get(each.user_id, 0) + each.usable()
        if each.last_used_at is not None:
            used[each.user_id] = max(each.last_used_at, used.get(each.user_id, each.last_used_at))
    rows = [
        {
            "account": each,
            "role": Role(roles[each.pk]).label if each.pk in roles else "",
            "tokens": living.get(each.pk, 0),
            "used": used.get(each.pk),
        }
        for each in accounts
    ]
    return _choices(request, rows=rows, **more)


@page("access.view")
def people_services(request: PageRequest) -> HttpResponse:
    """The list; POST makes one and opens it."""
    if request.method != "POST":
        return render(request, "access/services.html", _list(request))
    post = request.POST
    try:
        account = service_accounts.create(
            actor=request.actor,
            username=post.get("username", ""),
            role=role_of(post.get("role", "")),
            owner=user_of(post["owner"]) if post.get("owner") else None,
            team=team_of(post.get("team", "")),
            purpose=post.get("purpose", ""),
        )
    except (Invalid, Conflict) as problem:
        context = _list(request, problem=problem, form=post)
        return render(request, "access/services.html", context, status=problem.status)
    messages.success(request, _("%(name)s is created.") % {"name": account.username})
    return redirect("web:people-service", account_id=account.pk)


def _detail(request: PageRequest, account: User, **more: Any) -> dict[str, Any]:
    return _choices(
        request,
        account=account,
        memberships=Membership.objects.filter(user=account).select_related("team"),
        tokens=ApiToken.objects.filter(user=account).select_related("rotated_to").order_by("-created_at"),
        scopes=sorted(SCOPES),
        expiry_days=EXPIRY_DAYS,
        overlaps=OVERLAP_HOURS,
        **more,
    )


@page("access.view")
def people_service(request: PageRequest, account_id: UUID) -> HttpResponse:
    """One service account."""
    return render(request, "access/service.html", _detail(request, service_accounts.find(account_id)))


@page("access.manage")
@require_POST
def people_service_act(request: PageRequest, account_id: UUID, act: str) -> HttpResponse:
    """Describe, disable or enable one; make, rotate or revoke one of its tokens."""
    account, post = service_accounts.find(account_id), request.POST
    try:
        if act == "describe":
            service_accounts.describe(
                actor=request.actor,
                account=account,
                owner=user_of(post["owner"]) if post.get("owner") else None,
                team=team_of(post.get("team", "")),
                purpose=post.get("purpose", ""),
            )
        elif act in ("disable", "enable"):
            people.set_active(actor=request.actor, user=account, active=act == "enable")
        elif act == "token":
            return _shown(request, account, make_token(request, account))
        elif act == "rotate":
            overlap = timedelta(hours=_hours(post.get("hours", "24")))
            made = tokens.rotate(actor=request.actor, token=_token(account, post.get("token", "")), overlap=overlap)
            return _shown(request, account, made)
        elif act == "revoke":
            tokens.revoke(actor=request.actor, token=_token(account, post.get("token", "")))
        else:
            raise NotFound(
                "service_account.act", _("There is no such action."), remedy=_("Use the buttons of the page.")
            )
    except (Invalid, Conflict) as problem:
        return render(request, "access/service.html", _detail(request, account, problem=problem), status=problem.status)
    messages.success(request, _("Saved."))
    return redirect("web:people-service", account_id=account.pk)


def _shown(request: PageRequest, account: User, made: tuple[ApiToken, str]) -> HttpResponse:
    row, text = made
    response = render(request, "access/service.html", _detail(request, account, new_token=text, new_row=row))
    response.headers["Cache-Control"] = "no-store"
    return response


def _hours(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise Invalid(
            "token.overlap",
            _("“The old one goes on for” is not a whole number of hours."),
            field="hours",
            value=text,
            remedy=_("Choose one of the list."),
        )
    return int(text)


def _token(account: User, token_id: str) -> ApiToken:
    try:
        row = ApiToken.objects.select_related("user").filter(pk=UUID(token_id), user=account).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound("token.unknown", _("There is no such token."), remedy=_("Reload the page."))
    return row
