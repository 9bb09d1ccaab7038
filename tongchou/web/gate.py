"""The door of every page: signed in, and allowed. A view without it does not pass tests/web/test_access.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import resolve_url
from django_htmx.middleware import HtmxDetails

from tongchou.core.access import Actor, check_anywhere
from tongchou.core.models import User


class PageRequest(HttpRequest):
    """A request behind the gate: somebody is signed in (static typing only; Django builds plain HttpRequests)."""

    user: User
    actor: Actor
    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]
METHODS = ("GET", "HEAD", "POST")  # what browsers send; a view narrows it further
ANY_PERSON = ""  # a page of the person's own things: signing in is enough


def page(permission: str) -> Callable[[View], View]:
    """Let a view run only for a signed-in person who may do `permission` globally or in one of their teams.

    The view (or the action it calls) checks again for the one noun. Anonymous: to the login page; an htmx request
    gets 401, on which the page reloads itself and lands at the login.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def gated(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            person: object = request.user  # PageRequest says somebody is signed in; here we make it true
            if not isinstance(person, User):
                return _to_login(request)
            if permission != ANY_PERSON:
                check_anywhere(request.actor, permission)
            if request.method not in METHODS:
                return HttpResponseNotAllowed(METHODS)
            return view(request, *args, **kwargs)

        gated.permission = permission  # type: ignore[attr-defined]  # read by the test that walks every URL
        return gated

    return wrap


def public(view: View) -> View:
    """Mark a view that everybody may open (assets, language)."""
    view.permission = None  # type: ignore[attr-defined]  # read by the test that walks every URL
    return view


def _to_login(request: PageRequest) -> HttpResponse:
    if request.htmx or "application/json" in request.headers.get("Accept", ""):
        return HttpResponse(status=401)
    return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
