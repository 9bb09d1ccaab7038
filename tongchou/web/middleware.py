"""What every page passes: in which language and time zone, what the browser may load, how a refusal is shown."""

from __future__ import annotations

import zoneinfo

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_only_middleware

from tongchou.core.models import User
from tongchou.core.problems import Problem
from tongchou.middleware import GetResponse, problem_of_database
from tongchou.web.errors import problem_response

LANGUAGE_COOKIE = "tongchou_language"
THEME_COOKIE = "tongchou_theme"
THEMES = ("auto", "light", "dark")

# Scripts come from this host only and never inline. Style *attributes* are allowed because the chart library writes
# them into its tooltips; style elements are not.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)


def language_of(request: HttpRequest, user: object) -> str:
    """Return the language code to speak: the person's, else the cookie's, else the default of this installation."""
    known = {code for code, _name in settings.LANGUAGES}
    wanted = user.language if isinstance(user, User) else request.COOKIES.get(LANGUAGE_COOKIE, "")
    return wanted if wanted in known else settings.LANGUAGE_CODE


def zone_of(user: object) -> zoneinfo.ZoneInfo:
    """Return the person's time zone; the installation's default for nobody or for a name this system does not know."""
    name = user.time_zone if isinstance(user, User) else settings.DEFAULT_USER_TIME_ZONE
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo(settings.DEFAULT_USER_TIME_ZONE)


@sync_only_middleware
def person_middleware(get_response: GetResponse) -> GetResponse:
    """Speak the person's language and clock for the time of one request."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        user = request.user if request.actor.kind != "token" else None  # type: ignore[attr-defined]  # set by actor_middleware
        language = language_of(request, user)
        with translation.override(language), timezone.override(zone_of(user)):
            request.LANGUAGE_CODE = language
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Cookie",))
        return response

    return middleware


class _ProblemMiddleware:
    """Django looks for process_exception on the middleware object."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Answer a Problem; anything else goes on to Django's 500."""
        if isinstance(error, OperationalError):
            return problem_response(request, problem_of_database(error))
        return problem_response(request, error) if isinstance(error, Problem) else None


@sync_only_middleware
def problem_middleware(get_response: GetResponse) -> GetResponse:
    """Answer a refusal so that a person knows what to do now; say on every answer what the browser may load."""
    return _ProblemMiddleware(get_response)
