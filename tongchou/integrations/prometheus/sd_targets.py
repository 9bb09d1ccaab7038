"""The inventory as targets for another Prometheus: GET /prometheus/sd/targets in the format of http_sd.

What is scraped here is what is given out; `port` adds the machines that have no endpoint of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from tongchou.core.access import check_anywhere
from tongchou.core.problems import Invalid, NotSignedIn, Problem
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.request import reader
from tongchou.inventory.given.addresses import Address, addresses
from tongchou.inventory.given.gathered import Given, Wanted, gather
from tongchou.inventory.reads import EndpointRow

META = "__meta_tongchou_"
REFRESH = "X-Prometheus-Refresh-Interval-Seconds"  # what Prometheus sends; echoed, so that a cache between keeps time
DEFAULT_REFRESH_SECONDS = 60
MOST_REFRESH_SECONDS = 3600
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_]")
PARAMETERS = frozenset({"kind", "label", "team", "state", "job", "port"})


@require_safe
@translation.override("en")  # what Prometheus logs of a refusal
def targets(request: HttpRequest) -> HttpResponse:
    """List target groups. Parameters: kind (a,b), label (repeatable, name=value), team, state, job, port."""
    try:
        actor = reader(request)
        if actor.kind == "nobody":
            raise NotSignedIn("inventory.not_signed_in", _("Sign in, or send an API token."))
        check_anywhere(actor, "inventory.view")
        asked = request.GET
        unknown = sorted(set(asked) - PARAMETERS)
        if unknown:
            # A filter with a slip of the pen would give out everything.
            raise Invalid(
                "sd.parameter",
                _("There is no parameter of this name."),
                field=unknown[0][:80],
                remedy=_("Use one of: %(known)s.") % {"known": ", ".join(sorted(PARAMETERS))},
            )
        wanted = Wanted(
            asked.get("kind"), tuple(asked.getlist("label")), asked.get("team"), asked.get("state", "active")
        )
        port = _port(asked.get("port", ""))
        groups = [group for each in gather(actor, wanted) for group in _groups(each, port)]
        jobs = asked.getlist("job")
        found = [group for group in groups if not jobs or group["labels"].get("job") in jobs]
        response = HttpResponse(msgspec.json.encode(found), content_type="application/json")
    except Problem as problem:
        status, body = answer.failure(problem)
        return HttpResponse(body, status=status, content_type="application/json")
    seconds = _refresh_seconds(request)
    response["Cache-Control"] = f"private, max-age={seconds}"
    response[REFRESH] = str(seconds)
    return response


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) < 65536:
        raise Invalid("sd.port", _("A port is a number from 1 to 65535."), field="port", value=text[:20])
    return int(text)


def _refresh_seconds(request: HttpRequest) -> int:
    try:
        asked = float(request.headers.get(REFRESH, ""))
    except ValueError:
        return DEFAULT_REFRESH_SECONDS
    return int(asked) if 1 <= asked <= MOST_REFRESH_SECONDS else DEFAULT_REFRESH_SECONDS


def _groups(given: Given, port: int | None) -> Iterator[dict[str, Any]]:
    known = addresses(given)
    meta = _meta(given, known)
    for endpoint in given.endpoints:
        yield _of_endpoint(endpoint, meta)
    if port is not None and not given.endpoints:
        for address in known[:1]:
            host = f"[{address}]" if address.version == 6 else str(address)
            labels = {"job": given.kind, "instance": given.name, **meta}
            yield {"targets": [f"{host}:{port}"], "labels": labels}


def _of_endpoint(endpoint: EndpointRow, meta: Mapping[str, str]) -> dict[str, Any]:
    """One target: the address, and in labels the path, scheme and parameters of its URL."""
    parts = urlsplit(endpoint.url)
    own = {_name(name): str(value) for name, value in sorted(endpoint.labels.items())}
    asked: dict[str, str] = {}
    for name, value in parse_qsl(parts.query):
        asked.setdefault(f"__param_{_name(name)}", value)
    labels = {
        **{name: value for name, value in own.items() if not name.startswith("__")},
        **asked,
        **meta,
        META + "scrape_interval": f"{round(endpoint.interval_seconds * 1000)}ms",
        "__scheme__": parts.scheme,
        "__metrics_path__": parts.path or "/",
    }
    return {"targets": [parts.netloc.rpartition("@")[2]], "labels": labels}


def _meta(given: Given, known: Sequence[Address]) -> dict[str, str]:
    """Labels that relabelling may use; Prometheus drops them afterwards. `services` has commas around each name."""
    found = {
        "id": str(given.id),
        "kind": given.kind,
        "name": given.name,
        "state": given.state,
        "owner": given.owner,
        "site": given.site,
        "services": f",{','.join(given.services)}," if given.services else "",
        "url": f"{settings.PUBLIC_URL}/resources/{given.id}",
        "platform": settings.PUBLIC_URL,
    }
    if known:
        found["address"] = str(known[0])
    for name, value in given.labels.items():
        found.setdefault(f"label_{_name(name)}", value)
    return {META + name: value for name, value in found.items()}


def _name(text: str) -> str:
    return _NOT_LABEL.sub("_", text)
