"""What pages and API share about a request: who acts, and how a refusal is told to a machine."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import NOBODY, Actor, actor_for_user
from tongchou.core.models import User
from tongchou.core.problems import Invalid, Problem, StorageFull, Unavailable
from tongchou.core.tokens import actor_for_authorization

GetResponse = Callable[[HttpRequest], HttpResponseBase]
TOKEN_PREFIXES = ("/api/", "/prometheus/", "/alertmanager/", "/loki/", "/otlp/", "/metrics", "/live/")


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
        except OperationalError as error:
            return problem_json(problem_of_database(error))
        request.actor = actor  # type: ignore[attr-defined]  # Django's request is the carrier of middleware results
        return get_response(request)

    return middleware


def _actor(request: HttpRequest, header: str) -> Actor:
    if header and request.path.startswith(TOKEN_PREFIXES):
        actor = actor_for_authorization(header)
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # noqa: SLF001  # Django's own switch for this
        return actor
    user = request.user
    if isinstance(user, AnonymousUser) or not isinstance(user, User):
        return NOBODY
    return actor_for_user(user)


def is_storable(text: str) -> bool:
    """Return whether both databases can keep the text: no NUL and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def problem_of_value(error: Exception) -> Problem:
    """Return the refusal of a value the database or the calendar has no room for (a number or a time out of range)."""
    return Invalid(
        "value.out_of_range",
        _("A value in the request is out of range."),
        value=str(error).splitlines()[0] if str(error) else None,
        remedy=_("Use whole numbers within 64 bits and times of the years 1 to 9999 in UTC."),
    )


def problem_of_database(error: OperationalError) -> Problem:
    """Return what a person can do about a database that refuses: make room, or wait."""
    told = str(error).lower()
    if "full" in told or "no space" in told or "disk i/o" in told:
        return StorageFull(
            "database.full",
            _("The disk of the database is full. Nothing that was accepted before is lost."),
            remedy=_("Make room on the disk of the data folder and repeat the request; no restart is needed."),
        )
    return Unavailable(
        "database.unavailable",
        _("The database does not answer in time."),
        remedy=_("Repeat the request; /readyz says when it answers again."),
    )


def problem_json(problem: Problem) -> HttpResponse:
    """Return the refusal as application/problem+json (RFC 9457)."""
    response = JsonResponse(problem.as_dict(), status=problem.status, content_type="application/problem+json")
    if problem.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="tongchou"'
    if problem.status in (429, 503, 507):
        response["Retry-After"] = "5"
    return response
