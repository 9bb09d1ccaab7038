"""The API object: mounts the router of every module in this folder and renders refusals."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext_lazy as _
from ninja import Router
from ninja.errors import HttpError, ValidationError
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

import tongchou.api as package
from tongchou import __version__
from tongchou.api.document import DocumentedAPI
from tongchou.api.parser import StrictParser
from tongchou.core.access import Actor
from tongchou.core.problems import AccessDenied, BadRequest, Invalid, NotFound, NotSignedIn, Problem, TooLarge
from tongchou.middleware import problem_json, problem_of_database, problem_of_value

log = logging.getLogger(__name__)


def _signed_in(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind == "nobody":
        raise NotSignedIn(
            "api.not_signed_in",
            _("This needs a token or a signed-in session."),
            remedy=_("Send Authorization: Bearer tc_... (People and tokens makes one)."),
        )
    return actor


class SignedIn(AuthBase):
    """A token (Authorization: Bearer tc_...) or a session with its CSRF token; the middleware knows who it is."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_name = "Bearer"

    def __call__(self, request: HttpRequest) -> Any:
        """Return the actor; raise NotSignedIn for nobody."""
        actor = _signed_in(request)
        if actor.kind == "user":
            refused = check_csrf(request)
            if refused:
                raise AccessDenied(
                    "api.csrf",
                    _("The CSRF token is missing or wrong."),
                    remedy=_("Send X-CSRFToken, or use an API token."),
                )
        return actor


def _documented(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Show the description of the API to those who are signed in, or have a token."""

    @wraps(view)
    def signed_in(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if request.method not in ("GET", "HEAD"):
                return HttpResponseNotAllowed(["GET", "HEAD"])
            _signed_in(request)
        except Problem as problem:
            return problem_json(problem)
        return view(request, *args, **kwargs)

    return signed_in


api = DocumentedAPI(
    title="Tongchou 统筹",
    version=__version__,
    description="The operations ledger. Errors are RFC 9457 problems: code, detail, field, value, remedy.",
    auth=SignedIn(),
    parser=StrictParser(),
    docs_decorator=_documented,
    urls_namespace="api",
    openapi_extra={"info": {"license": {"name": "Apache-2.0"}}},
)


@api.exception_handler(Problem)
def on_problem(request: HttpRequest, error: Problem) -> HttpResponse:
    """Render our own refusals."""
    return problem_json(error)


@api.exception_handler(ValidationError)
def on_validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Name the first field that does not fit, and list them all."""
    found = [
        {"field": ".".join(str(part) for part in each["loc"][2:] or each["loc"]), "detail": each["msg"]}
        for each in error.errors
    ]
    first = error.errors[0] if error.errors else {}
    return problem_json(
        Invalid(
            "api.invalid",
            found[0]["detail"] if found else _("The request does not fit the schema."),
            field=found[0]["field"] if found else None,
            value=first.get("input") if isinstance(first.get("input"), str | int | float | bool) else None,
            remedy=_("See /api/v1/docs for the schema."),
            extra={"errors": found},
        )
    )


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Render ninja's own refusals (a body that is not JSON), and ours that ninja wrapped while it parsed."""
    if isinstance(error.__cause__, Problem):
        return problem_json(error.__cause__)
    problem = BadRequest("api.bad_request", str(error), remedy=_("Send a body that fits the schema, as JSON in UTF-8."))
    problem.status = error.status_code
    return problem_json(problem)


@api.exception_handler(OverflowError)
@api.exception_handler(DataError)
@api.exception_handler(UnicodeEncodeError)
def on_value_out_of_range(request: HttpRequest, error: Exception) -> HttpResponse:
    """Render a value that no column can keep."""
    log.warning("value out of range in %s %s", request.method, request.path, exc_info=error)
    return problem_json(problem_of_value(error))


@api.exception_handler(OperationalError)
def on_database_error(request: HttpRequest, error: OperationalError) -> HttpResponse:
    """Render a database that is full or does not answer."""
    log.error("database: %s", error)
    return problem_json(problem_of_database(error))


@api.exception_handler(Http404)
def on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    """Render what get_object_or_404 raises."""
    return problem_json(NotFound("api.not_found", _("There is no such thing here.")))


@api.exception_handler(RequestDataTooBig)
def on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    """Render a body over the limit."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return problem_json(
        TooLarge(
            "api.too_large",
            _("The body is over %(most)s bytes.") % {"most": f"{most:,}"},
            remedy=_("Send it in parts."),
        )
    )


for _module in sorted(each.name for each in pkgutil.iter_modules(package.__path__)):
    _router = (
        getattr(importlib.import_module(f"{package.__name__}.{_module}"), "router", None) if _module != "app" else None
    )
    if isinstance(_router, Router):
        api.add_router("", _router)
