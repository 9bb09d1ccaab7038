"""What every page passes: in which language and time zone, what the browser may load, how a refusal is shown."""

from __future__ import annotations

import logging
import zoneinfo
from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext as _

from tongchou.core import modules
from tongchou.core.models import User
from tongchou.core.problems import BadRequest, Invalid, Problem
from tongchou.middleware import GetResponse, is_storable, problem_of_database, problem_of_value
from tongchou.web.errors import problem_response

log = logging.getLogger(__name__)

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
    """Return the language code to speak: the person's, else the cookie's, else the default of this installation.

    A program says what it wants by Accept-Language; a browser's header would win over the choice made here.
    """
    if request.actor.kind == "token" and request.headers.get("Accept-Language"):  # type: ignore[attr-defined]  # set by actor_middleware
        return translation.get_language_from_request(request)
    known = {code for code, _name in settings.LANGUAGES}
    wanted = user.language if isinstance(user, User) else request.COOKIES.get(LANGUAGE_COOKIE, "")
    return wanted if wanted in known else settings.LANGUAGE_CODE


def zone_of(user: object) -> zoneinfo.ZoneInfo:
    """Return the person's time zone; the installation's default for nobody or for a name this system does not know."""
    name = user.time_zone if isinstance(user, User) else settings.DEFAULT_USER_TIME_ZONE
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as Asia
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
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response

    return middleware


class _NotAllowed(Problem):
    status = 405


def _not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    problem = _NotAllowed(
        "request.method",
        _("This address does not take %(method)s.") % {"method": request.method},
        title=_("Method not allowed"),
        value=request.method,
        remedy=_("Use one of: %(allowed)s.") % {"allowed": allowed},
    )
    response = problem_response(request, problem)
    response["Allow"] = allowed
    return response


class _ProblemMiddleware:
    """Django looks for process_exception on the middleware object."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 405 and isinstance(response, HttpResponseNotAllowed):
            response = _not_allowed(request, response["Allow"])
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
        return response

    def process_view(
        self, request: HttpRequest, view: object, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> HttpResponseBase | None:
        """Refuse what belongs to a module that is off, and text no database can keep.

        Text: in every address, and in the fields of pages (the API reads its own). Who is not signed in is sent to sign
        in first, and does not learn what is off; a signed hook has no token, and is told.
        """
        module = modules.of_path(request.path)
        known = request.actor.kind != "nobody" or request.path.startswith("/hooks/")  # type: ignore[attr-defined]  # set by actor_middleware
        if module is not None and known:
            return problem_response(request, modules.refusal(module))
        if not is_storable(request.path):
            return problem_response(
                request,
                BadRequest("request.text", _("The address has a NUL character."), remedy=_("Leave the character out.")),
            )
        if request.resolver_match is None or request.resolver_match.namespace != "web":
            return None
        for name, values in (*request.GET.lists(), *request.POST.lists()):
            if not all(is_storable(each) for each in (name, *values) if isinstance(each, str)):
                return problem_response(
                    request,
                    Invalid(
                        "request.text",
                        _("The field %(name)s has a NUL character.") % {"name": name.replace("\0", "")},
                        field=name.replace("\0", ""),
                        remedy=_("Leave the character out."),
                    ),
                )
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Answer a Problem; anything else goes on to Django's 500."""
        if isinstance(error, OperationalError):
            return problem_response(request, problem_of_database(error))
        if isinstance(error, OverflowError | DataError):
            log.warning("value out of range in %s %s", request.method, request.path, exc_info=error)
            return problem_response(request, problem_of_value(error))
        return problem_response(request, error) if isinstance(error, Problem) else None


@sync_only_middleware
def problem_middleware(get_response: GetResponse) -> GetResponse:
    """Answer a refusal so that a person knows what to do now; say on every answer what the browser may load."""
    return _ProblemMiddleware(get_response)
