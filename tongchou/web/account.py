"""The person's own page: language, time zone, theme, password, tokens."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import people, sessions, sign_on, tokens
from tongchou.core.access import SCOPES
from tongchou.core.models import ApiToken, Membership, User
from tongchou.core.problems import Invalid, NotFound
from tongchou.web.admin_pages import EXPIRY_DAYS, make_token
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.middleware import LANGUAGE_COOKIE, THEME_COOKIE


@cache
def zones() -> list[str]:
    """Return the names of time zones, regions first."""
    return sorted(
        name
        for name in zoneinfo.available_timezones()
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/"))
    )


def _context(request: PageRequest, **more: Any) -> dict[str, Any]:
    return {
        "person": request.user,
        "zones": ["UTC", *zones()],
        "languages": settings.LANGUAGES,
        "themes": User._meta.get_field("theme").choices,
        "roles": Membership.objects.filter(user=request.user).select_related("team").order_by("team__name"),
        "tokens": ApiToken.objects.filter(user=request.user).order_by("-created_at"),
        "scopes": sorted(SCOPES),
        "expiry_days": EXPIRY_DAYS,
        "second_factor": sessions.has_second_factor(request.user),
        "linked": sign_on.linked(request.user),
        "has_password": request.user.has_usable_password(),
        "password_rules": password_validators_help_texts(),
        **more,
    }


@page(ANY_PERSON)
def account(request: PageRequest) -> HttpResponse:
    """Show it; POST saves language, time zone, theme and name."""
    if request.method != "POST":
        return render(request, "admin/account.html", _context(request))
    wanted = {
        name: request.POST[name] for name in ("display_name", "language", "time_zone", "theme") if name in request.POST
    }
    try:
        user = people.set_preferences(actor=request.actor, user=request.user, **wanted)
    except Invalid as problem:
        request.user.refresh_from_db()
        return render(request, "admin/account.html", _context(request, problem=problem), status=problem.status)
    messages.success(request, _("Saved."))
    response = redirect("web:account")
    for name, value in ((LANGUAGE_COOKIE, user.language), (THEME_COOKIE, user.theme)):
        response.set_cookie(name, value, max_age=31_536_000, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response


@page(ANY_PERSON)
def account_password(request: PageRequest) -> HttpResponse:
    """A page of its own to set one's password, knowing the old one; this session stays, the others end."""
    if request.method != "POST":
        return render(request, "access/password.html", _context(request))
    new, key = request.POST.get("new", ""), request.session.session_key or ""
    try:
        if not request.user.check_password(request.POST.get("old", "")):
            raise Invalid("user.password", _("The old password is not right."), field="old")
        if new != request.POST.get("again", ""):
            raise Invalid("user.password", _("The two new passwords differ."), field="again")
        people.set_password(actor=request.actor, user=request.user, password=new, keep_session=key)
    except Invalid as problem:
        request.user.refresh_from_db()
        return render(request, "access/password.html", _context(request, problem=problem), status=problem.status)
    update_session_auth_hash(request, request.user)
    sessions.moved(old_key=key, new_key=request.session.session_key or "")
    messages.success(request, _("The password is changed."))
    return redirect("web:account")


@page(ANY_PERSON)
@require_POST
def account_token(request: PageRequest) -> HttpResponse:
    """Make a token for oneself; shown once, on the answer itself."""
    try:
        row, text = make_token(request, request.user)
    except Invalid as problem:
        return render(request, "admin/account.html", _context(request, problem=problem), status=problem.status)
    response = render(request, "admin/account.html", _context(request, new_token=text, new_row=row))
    response.headers["Cache-Control"] = "no-store"
    return response


@page(ANY_PERSON)
@require_POST
def account_token_revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    """End one of one's own tokens."""
    row = ApiToken.objects.filter(pk=token_id, user=request.user).first()
    if row is None:
        raise NotFound("token.unknown", _("There is no such token."), remedy=_("Reload the page."))
    tokens.revoke(actor=request.actor, token=row)
    messages.success(request, _("The token is revoked."))
    return redirect("web:account")
