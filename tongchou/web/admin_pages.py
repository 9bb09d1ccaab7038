"""Administration: people, teams, tokens, and the settings that may change while the platform runs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import people as writes
from tongchou.core import settings_store, tokens
from tongchou.core.access import SCOPES, allows, check
from tongchou.core.models import ApiToken, Membership, Role, Team, User
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.web.gate import PageRequest, page

EXPIRY_DAYS = (7, 30, 90, 365)


def _people_context(request: PageRequest, **more: Any) -> dict[str, Any]:
    roles: dict[UUID, list[Membership]] = {}
    for each in Membership.objects.select_related("team").order_by("team__name"):
        roles.setdefault(each.user_id, []).append(each)
    users = User.objects.order_by("-is_active", "username")[:500]
    return {
        "rows": [
            {
                "user": user,
                "global": next((m.role for m in roles.get(user.pk, []) if m.team_id is None), ""),
                "teams": [m for m in roles.get(user.pk, []) if m.team_id is not None],
            }
            for user in users
        ],
        "teams": Team.objects.order_by("name"),
        "tokens": ApiToken.objects.select_related("user").order_by("-created_at")[:200],
        "roles": Role.choices,
        "scopes": sorted(SCOPES),
        "expiry_days": EXPIRY_DAYS,
        "may_edit": allows(request.actor, "access.manage"),
        "form": {},
        "tab": "people",
        **more,
    }


@page("access.view")
def people(request: PageRequest) -> HttpResponse:
    """People with their roles, teams, tokens."""
    return render(request, "admin/people.html", _people_context(request))


def user_of(user_id: str) -> User:
    """Return the person a form named. Raises NotFound."""
    try:
        row = User.objects.filter(pk=UUID(user_id)).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound("user.unknown", _("There is no such person."), remedy=_("Reload the page."))
    return row


def team_of(team_id: str) -> Team | None:
    """Return the team a form named; None for the empty choice. Raises NotFound."""
    if not team_id:
        return None
    try:
        row = Team.objects.filter(pk=UUID(team_id)).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound("team.unknown", _("There is no such team."), remedy=_("Reload the page."))
    return row


def role_of(text: str) -> Role | None:
    """Return the role; None for the empty choice, which takes the role away. Raises Invalid for anything else."""
    if text and text not in Role.values:
        raise Invalid(
            "role.unknown",
            _("There is no role %(name)s.") % {"name": text[:50]},
            field="role",
            value=text,
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(Role.values)},
        )
    return Role(text) if text else None


@page("access.manage")
@require_POST
def people_act(request: PageRequest, act: str) -> HttpResponse:
    """Make a person or a team; give a role; let in or keep out; set a password."""
    post = request.POST
    try:
        if act == "create":
            password = post.get("password", "") or None
            user = writes.create_user(
                actor=request.actor,
                username=post.get("username", ""),
                password=password,
                role=role_of(post.get("role", "")),
                display_name=post.get("display_name", ""),
                is_service=password is None,
                must_change_password=post.get("must_change") == "1",
            )
            messages.success(request, _("%(name)s is created.") % {"name": user.username})
        elif act == "team":
            team = writes.create_team(actor=request.actor, name=post.get("name", ""))
            messages.success(request, _("%(name)s is created.") % {"name": team.name})
        elif act == "role":
            writes.set_role(
                actor=request.actor,
                user=user_of(post.get("user", "")),
                role=role_of(post.get("role", "")),
                team=team_of(post.get("team", "")),
            )
            messages.success(request, _("The role is saved."))
        elif act == "active":
            writes.set_active(actor=request.actor, user=user_of(post.get("user", "")), active=post.get("active") == "1")
            messages.success(request, _("Saved."))
        elif act == "password":
            writes.set_password(
                actor=request.actor,
                user=user_of(post.get("user", "")),
                password=post.get("password", ""),
                must_change=post.get("must_change") == "1",
            )
            messages.success(request, _("The password is set."))
        else:
            raise NotFound("people.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    except (Invalid, Conflict) as problem:
        form = {key: value for key, value in post.items() if key != "password"}
        return render(
            request,
            "admin/people.html",
            _people_context(request, problem=problem, form=form, act=act),
            status=problem.status,
        )
    return redirect("web:people")


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(tokens.MAX_DAYS)) else 0
    if not 0 < days <= tokens.MAX_DAYS:
        raise Invalid(
            "token.days",
            _("“Expires after” is not a number of days that is allowed."),
            field="days",
            value=text,
            remedy=_("Use a whole number of days from 1 to %(most)s.") % {"most": tokens.MAX_DAYS},
        )
    return days


def make_token(request: PageRequest, user: User) -> tuple[ApiToken, str]:
    """Make a token from the form's name, scopes and days. The text is known only now."""
    expires_at = timezone.now() + timedelta(days=_days(request.POST.get("days", "90")))
    return tokens.create(
        actor=request.actor,
        user=user,
        name=request.POST.get("name", ""),
        scopes=request.POST.getlist("scopes"),
        expires_at=expires_at,
    )


@page("access.manage")
@require_POST
def people_token(request: PageRequest) -> HttpResponse:
    """Make a token for anybody; shown once, on the answer itself (it is never in an address or a message store)."""
    try:
        row, text = make_token(request, user_of(request.POST.get("user", "")))
    except Invalid as problem:
        return render(
            request, "admin/people.html", _people_context(request, problem=problem, act="token"), status=problem.status
        )
    response = render(request, "admin/people.html", _people_context(request, new_token=text, new_row=row))
    response.headers["Cache-Control"] = "no-store"
    return response


@page("access.manage")
@require_POST
def people_token_revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    """End anybody's token."""
    row = ApiToken.objects.filter(pk=token_id).first()
    if row is None:
        raise NotFound("token.unknown", _("There is no such token."), remedy=_("Reload the page."))
    tokens.revoke(actor=request.actor, token=row)
    messages.success(request, _("The token is revoked."))
    return redirect("web:people")


@page("settings.view")
def settings(request: PageRequest) -> HttpResponse:
    """The settings an operator may change while the platform runs, with who changed them last."""
    check(request.actor, "settings.view")  # settings have no owner: a team's role does not open them
    problem, tried = None, {}
    if request.method == "POST":
        key, text = request.POST.get("key", ""), request.POST.get("value", "")
        try:
            settings_store.put(actor=request.actor, key=key, value=_value(key, text))
            messages.success(request, _("Saved."))
            return redirect("web:settings")
        except Invalid as refused:
            problem, tried = refused, {key: text}
    rows = []
    changes = settings_store.newest()
    for each in settings_store.known():
        if each.elsewhere:
            continue
        newest = changes.get(each.key)
        value = newest.value if newest else each.default
        text = tried.get(each.key, _written(value))
        kind = (
            "bool"
            if each.type is bool
            else "number"
            if each.type in (int, float)
            else "text"
            if each.type is str
            else "list"
            if each.type is list
            else "json"
        )
        rows.append(
            {
                "setting": each,
                "value": value,
                "text": text,
                "kind": kind,
                "newest": newest,
                "changed": value != each.default,
                "lines": min(12, max(2, text.count("\n") + 1)),
                "room": each.key.partition(".")[0],
                "failed": each.key in tried,
            }
        )
    context = {"rows": rows, "problem": problem, "may_edit": allows(request.actor, "settings.edit")}
    return render(request, "admin/settings.html", context, status=422 if problem else 200)


def _written(value: Any) -> str:
    """Write a value as people edit it: a text as it is, a list of texts one a line, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False, indent=2)


def _value(key: str, text: str) -> Any:
    declared = next((each for each in settings_store.known() if each.key == key), None)
    if declared is None or declared.type is str:
        return text
    if declared.type is bool:
        return text == "true"
    if declared.type is list and not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(
            "setting.json",
            f"{error.msg} (line {error.lineno}, column {error.colno})",
            field="value",
            value=text[:100],
            remedy=_("Write a value in JSON."),
        ) from error
