"""What every request passes: who acts, in which language and time zone, and how a refusal is shown."""

from __future__ import annotations

import zoneinfo
from collections.abc import Awaitable, Callable

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware, sync_only_middleware

from tongchou.core.access import NOBODY, Actor, actor_for_user
from tongchou.core.models import User
from tongchou.core.problems import Problem
from tongchou.core.tokens import actor_for_authorization

GetResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncGetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
TOKEN_PREFIXES = ("/api/", "/prometheus/", "/loki/", "/otlp/", "/metrics", "/live/")


@sync_only_middleware
def actor_middleware(get_response: GetResponse) -> GetResponse:
    """Set `request.actor`: by token where machines call (no session is read there then), else by session.

    A request that carries a token needs no CSRF check: a browser does not add tokens by itself.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        header = request.headers.get("Authorization", "")
        try:
            actor = _actor(request, header)
        except Problem as problem:
            return problem_json(problem)
        request.actor = actor  # type: ignore[attr-defined]  # Django's request is the carrier of middleware results
        return get_response(request)

    return middleware


def _actor(request: HttpRequest, header: str) -> Actor:
    if header and request.path.startswith(TOKEN_PREFIXES):
        actor = actor_for_authorization(header)
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own switch for this
        return actor
    user = request.user
    if isinstance(user, AnonymousUser) or not isinstance(user, User):
        return NOBODY
    return actor_for_user(user)


@sync_only_middleware
def person_middleware(get_response: GetResponse) -> GetResponse:
    """Activate the person's language and time zone; before sign-in the browser's language, then the default."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        user = request.user if request.actor.kind != "token" else None  # type: ignore[attr-defined]  # see above
        if isinstance(user, User):
            language, zone = user.language, user.time_zone
        else:
            language, zone = translation.get_language_from_request(request), "Asia/Shanghai"
        translation.activate(language)
        request.LANGUAGE_CODE = translation.get_language()
        try:
            timezone.activate(zoneinfo.ZoneInfo(zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            timezone.deactivate()
        response = get_response(request)
        response.headers.setdefault("Content-Language", translation.get_language() or "en")
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response

    return middleware


def problem_json(problem: Problem) -> HttpResponse:
    """Return the refusal as application/problem+json (RFC 9457)."""
    response = JsonResponse(problem.as_dict(), status=problem.status, content_type="application/problem+json")
    if problem.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="tongchou"'
    if problem.status in (429, 503, 507):
        response["Retry-After"] = "5"
    return response


@sync_and_async_middleware
def problem_middleware(get_response: GetResponse) -> GetResponse:
    """Show a Problem raised by a page as an error page (or as JSON to a machine)."""

    class Middleware:
        """Django looks for process_exception on the middleware object."""

        def __call__(self, request: HttpRequest) -> HttpResponseBase:
            return get_response(request)

        def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
            if not isinstance(error, Problem):
                return None
            if request.path.startswith(TOKEN_PREFIXES) or "text/html" not in request.headers.get("Accept", ""):
                return problem_json(error)
            return render(request, "error.html", {"problem": error}, status=error.status)

    return Middleware()
