"""What every answer of Alertmanager's API has in common: who may ask, errors as a JSON string, times in its form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from tongchou.core.access import Actor
from tongchou.core.problems import NotSignedIn, Problem

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]


def api(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Let readers read and tokens write; a Problem becomes Alertmanager's kind of error."""

    @csrf_exempt  # only bearer tokens are let through, and a forged request cannot carry one
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
            if actor.kind == "nobody":
                raise NotSignedIn("alerting.not_signed_in", _("Send an API token."))
            if actor.kind != "token" and request.method not in ("GET", "HEAD"):
                raise NotSignedIn("alerting.token_only", _("Send an API token."))
            return view(request, actor, *args, **kwargs)
        except Problem as problem:
            return JsonResponse(str(problem.detail), status=_status(problem), safe=False)

    return wrapped


def _status(problem: Problem) -> int:
    # Alertmanager answers 400 to what it cannot take.
    return 400 if problem.status == 422 else problem.status


def not_allowed(allow: str) -> HttpResponse:
    """405, naming what is allowed."""
    return JsonResponse(f"{allow} only", status=405, safe=False, headers={"Allow": allow})


def text_of(at: datetime) -> str:
    """A time as Alertmanager writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
