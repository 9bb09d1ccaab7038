"""What every address of the Prometheus API does first: who asks, may they, what did they send."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.problems import BadRequest, NotSignedIn, Problem
from tongchou.integrations.prometheus import answer

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], bytes]


def api(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Check that the reader may read metrics, run the view, wrap refusals in Prometheus's envelope."""
    return _checked(view, lambda actor: check(actor, "telemetry.view"))


def alerts_api(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """The same for who may read alerts, be it in one team: the view gives of them what the reader may see."""
    return _checked(view, lambda actor: check_anywhere(actor, "alerting.view"))


def _checked(view: View[P], may: Callable[[Actor], object]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    @wraps(view)
    @translation.override("en")  # as Prometheus: clients look for its words
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            actor = reader(request)
            if actor.kind == "nobody":
                raise NotSignedIn("telemetry.not_signed_in", _("Sign in, or send an API token."))
            may(actor)
            return HttpResponse(view(request, *args, **kwargs), content_type="application/json")
        except Problem as problem:
            status, body = answer.failure(problem)
            return HttpResponse(body, status=status, content_type="application/json")

    checked: Callable[Concatenate[HttpRequest, P], HttpResponse] = require_http_methods(["GET", "POST"])(wrapped)
    return checked


def reader(request: HttpRequest) -> Actor:
    """Who asks."""
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    return actor


def value_of(request: HttpRequest, name: str) -> str:
    """A parameter of the form or the address, "" when it is missing."""
    return request.POST.get(name) or request.GET.get(name) or ""


def values_of(request: HttpRequest, name: str) -> list[str]:
    """A parameter that may come several times."""
    return [*request.GET.getlist(name), *request.POST.getlist(name)]


def needed(request: HttpRequest, name: str) -> str:
    """A parameter that must be there. Raises BadRequest."""
    text = value_of(request, name)
    if not text:
        raise BadRequest(
            "telemetry.bad_parameter", _("invalid parameter %(name)r: it is missing") % {"name": name}, field=name
        )
    return text
