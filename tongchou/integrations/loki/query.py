"""The reads a log panel asks first: labels, label values, series, query_range with a selector and line filters.

Answers are Loki's envelope. Refusals are RFC 9457, whose `detail` a log panel shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from tongchou import __version__
from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, NotSignedIn, Problem
from tongchou.integrations.loki.logql import parse
from tongchou.middleware import problem_json
from tongchou.telemetry.backend import backend
from tongchou.telemetry.log_reads import log_cost
from tongchou.telemetry.logs.log_store import Query
from tongchou.telemetry.store.log_tables import NS, StoredLine

P = ParamSpec("P")
DEFAULT_SPAN_NS = 3600 * NS
DEFAULT_LINES = 100


def _check_reader(request: HttpRequest) -> None:
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind == "nobody":
        raise NotSignedIn("telemetry.not_signed_in", _("Sign in, or send an API token."))
    check(actor, "telemetry.view")


def _api(view: Callable[Concatenate[HttpRequest, P], Any]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Check the reader, run the view, wrap the answer in Loki's envelope."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            _check_reader(request)
            return JsonResponse({"status": "success", "data": view(request, *args, **kwargs)})
        except Problem as problem:
            return problem_json(problem)

    checked: Callable[Concatenate[HttpRequest, P], HttpResponse] = require_GET(wrapped)
    return checked


def _bad(name: str, value: str) -> BadRequest:
    return BadRequest(
        "telemetry.bad_parameter",
        _("invalid parameter %(name)r: cannot parse %(value)r") % {"name": name, "value": value[:100]},
        field=name,
        value=value,
    )


def _time_ns(request: HttpRequest, name: str, default: int) -> int:
    """A time: nanoseconds since the epoch, or seconds when it has a point or few digits."""
    text = request.GET.get(name, "")
    if not text:
        return default
    try:
        found = round(float(text) * NS) if "." in text or len(text.lstrip("-")) <= 10 else int(text)
    except (ValueError, OverflowError):
        raise _bad(name, text) from None
    if abs(found) > 1 << 62:
        raise _bad(name, text)
    return found


def _query(request: HttpRequest, text: str) -> Query:
    matchers, node = parse(text) if text else ([], Query(0, 0).node)
    end = _time_ns(request, "end", backend().logs.clock_ns() + 1)
    start = _time_ns(request, "start", end - DEFAULT_SPAN_NS)
    if end < start:
        raise BadRequest("telemetry.bad_parameter", _("end timestamp must not be before start time"), field="end")
    return Query(start, end, node, matchers)


def _lines(request: HttpRequest) -> int:
    text = request.GET.get("limit", "") or str(DEFAULT_LINES)
    if not text.isdecimal() or len(text) > 6:
        raise _bad("limit", text)
    return int(text)


@_api
def query_range(request: HttpRequest) -> dict[str, Any]:
    """Lines of `query` between `start` and `end`, by stream; the newest first unless direction=forward."""
    query = _query(request, request.GET.get("query", "") or "?")
    forward = request.GET.get("direction", "backward").lower() == "forward"
    page = backend().logs.search(query, limit=_lines(request), cost=log_cost(), forward=forward)
    streams: dict[int, tuple[dict[str, str], list[list[str]]]] = {}
    for line in page.lines:
        streams.setdefault(line.stream, (line.labels, []))[1].append(_value(line))
    found = [{"stream": labels, "values": values} for labels, values in streams.values()]
    return {"resultType": "streams", "result": found, "stats": {}}


def _value(line: StoredLine) -> list[str]:
    return [str(line.ts_ns), line.body]


@_api
def label_names(request: HttpRequest) -> list[str]:
    """Names of the labels in the time range."""
    return backend().logs.label_names(_query(request, request.GET.get("query", "")), cost=log_cost())


@_api
def label_values(request: HttpRequest, name: str) -> list[str]:
    """Values of one label in the time range."""
    return backend().logs.label_values(name, _query(request, request.GET.get("query", "")), cost=log_cost())


@_api
def series(request: HttpRequest) -> list[dict[str, str]]:
    """Label sets of the streams that `match` selects."""
    found: dict[str, dict[str, str]] = {}
    for text in request.GET.getlist("match[]") or request.GET.getlist("match") or [""]:
        for labels in backend().logs.streams(_query(request, text), cost=log_cost()):
            found[str(sorted(labels.items()))] = labels
    return list(found.values())


@require_GET
def build_info(request: HttpRequest) -> HttpResponse:
    """What Grafana asks to know what it talks to."""
    try:
        _check_reader(request)
    except Problem as problem:
        return problem_json(problem)
    return JsonResponse({"version": __version__, "revision": "", "branch": "", "goVersion": ""})
