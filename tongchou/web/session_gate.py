"""What a session still owes: a new password, a second factor. Pages lead there, the API refuses; tokens owe nothing."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from allauth.account.authentication import get_authentication_records
from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext as _

from tongchou.core import sessions, settings_store
from tongchou.core.models import Origin, User
from tongchou.core.problems import AccessDenied
from tongchou.middleware import GetResponse
from tongchou.web.errors import problem_response, wants_page

CHECKED, OWES, DUE = "tongchou_checked", "tongchou_owes", "tongchou_second_factor_due"
CHECK_EVERY_SECONDS = 60.0
OPEN = ("/accounts/", "/account/password", "/static/", "/assets/", "/shell/", "/favicon.ico", "/healthz", "/readyz")


@sync_only_middleware
def session_middleware(get_response: GetResponse) -> GetResponse:
    """Note once a minute that a session is in use and what it owes; until that is paid, lead there.

    A changed setting therefore reaches a session that is in use within a minute.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        user = request.user if request.actor.kind == "user" else None  # type: ignore[attr-defined]  # set by actor_middleware
        if not isinstance(user, User):
            return get_response(request)
        checked = request.session.get(CHECKED, 0.0)
        age = time.time() - checked
        if request.session.get(OWES) or user.must_change_password or not 0 <= age <= CHECK_EVERY_SECONDS:
            _look(request, user, listed=0 <= age <= CHECK_EVERY_SECONDS)
        owes = request.session.get(OWES, "")
        if owes and not request.path.startswith(OPEN):
            return _led(request, owes)
        return get_response(request)

    return middleware


def _look(request: HttpRequest, user: User, *, listed: bool) -> None:
    session, now = request.session, timezone.now()
    if not listed and session.session_key and not sessions.touch(session.session_key, now):
        UserSession.objects.create_from_request(request)
    max_age = int(settings_store.get("sign_in.password_max_age_days", 0))
    due = None if _proven_elsewhere(request, user) else sessions.second_factor_due(user)
    owes = ""
    if sessions.owes_password(user, max_age):
        owes = sessions.OWES_PASSWORD
    elif due is not None and due <= now:
        owes = sessions.OWES_SECOND_FACTOR
    reminder = due.isoformat() if due is not None and due > now else ""
    for key, value in ((OWES, owes), (DUE, reminder)):
        if session.get(key, "") != value:
            session[key] = value
    if not listed:
        session[CHECKED] = time.time()


def _proven_elsewhere(request: HttpRequest, user: User) -> bool:
    """Tell whether the identity provider asks for a second factor itself and this session came from there."""
    if user.origin != Origin.OIDC or not settings_store.get("oidc.provides_second_factor", False):
        return False
    return any(each.get("method") == "socialaccount" for each in get_authentication_records(request, user))


def days_left(request: HttpRequest) -> int | None:
    """Return in how many days a second factor will be wanted; None when nobody is reminded."""
    due = request.session.get(DUE, "") if hasattr(request, "session") else ""
    if not due:
        return None
    return max(0, -(-(datetime.fromisoformat(due) - timezone.now()) // timedelta(days=1)))


def _led(request: HttpRequest, owes: str) -> HttpResponseBase:
    place = reverse("web:account-password") if owes == sessions.OWES_PASSWORD else reverse("mfa_index")
    if wants_page(request):
        return HttpResponseRedirect(place)
    told = (
        _("This session must change its password first.")
        if owes == sessions.OWES_PASSWORD
        else _("Your role needs a second factor, and this session has none yet.")
    )
    problem = AccessDenied(f"sign_in.owes_{owes}", told, remedy=_("Open %(place)s in the browser.") % {"place": place})
    return problem_response(request, problem)
