"""Refusals and accidents as pages: what happened, in words, and what to do now."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from tongchou.core.problems import BadRequest, NotFound, Problem
from tongchou.middleware import TOKEN_PREFIXES, problem_json


def wants_page(request: HttpRequest) -> bool:
    """Tell whether a person looks at the answer: a browser navigation, not htmx, not the API."""
    if request.path.startswith((*TOKEN_PREFIXES, "/hooks/")) or request.headers.get("HX-Request") == "true":
        return False
    return "text/html" in request.headers.get("Accept", "")


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Answer a Problem as an error page, or as RFC 9457 problem+json where no person looks."""
    if not wants_page(request):
        return problem_json(problem)
    context = {"problem": problem, "status": problem.status, "back": request.headers.get("Referer") or "/"}
    return HttpResponse(render_to_string("errors/problem.html", context, request), status=problem.status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400 of Django itself: a malformed request, a host that is not allowed."""
    problem = BadRequest(
        "request.malformed",
        _("The server could not read this request."),
        remedy=_("Go back, reload the page and try again. If you typed the address, check it."),
    )
    return problem_response(request, problem)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 of Django itself: no such address."""
    problem = NotFound(
        "page.not_found",
        _("There is no page at this address."),
        remedy=_("Check the address, or press Ctrl-K and search for what you need."),
    )
    return problem_response(request, problem)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403 of Django itself."""
    return problem_response(request, _denied())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 because the form's token is missing or old (CSRF_FAILURE_VIEW)."""
    problem = _denied()
    problem.detail = _("The form was open for too long, or the browser did not send its cookie.")
    problem.remedy = _("Go back, reload the page and send the form again.")
    return problem_response(request, problem)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: rendered without the database and without context processors, which may be what broke."""
    if not wants_page(request):
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": "Internal server error",
            "status": 500,
            "code": "server.error",
        }
        return JsonResponse(body, status=500, content_type="application/problem+json")
    return HttpResponse(render_to_string("errors/500.html"), status=500)


class _Forbidden(Problem):
    status = 403


def _denied() -> Problem:
    return _Forbidden(
        "access.denied",
        _("This account may not open this page."),
        title=_("Access denied"),
        remedy=_("Ask an administrator for the role that includes it."),
    )
