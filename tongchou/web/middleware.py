"""What every request passes: in which language and time zone, and how a refusal is shown."""

from __future__ import annotations

import zoneinfo

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware, sync_only_middleware

from tongchou.core.models import User
from tongchou.core.problems import Problem
from tongchou.middleware import TOKEN_PREFIXES, GetResponse, problem_json


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
