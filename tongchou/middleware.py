"""What pages and API share about a request: its line in the log, who acts, how a refusal is told to a machine."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext_lazy as _

from tongchou.core import log_lines, meters
from tongchou.core.access import NOBODY, Actor, actor_for_user
from tongchou.core.lists.export import IN_MEMORY_BYTES, File
from tongchou.core.models import User
from tongchou.core.problems import Invalid, Problem, StorageFull, Unavailable
from tongchou.core.tokens import actor_for_authorization

GetResponse = Callable[[HttpRequest], HttpResponseBase]
LITTLE_ROOM_BYTES = 16_000_000  # SQLite's write-ahead log may need as much to take one more commit
TOKEN_PREFIXES = ("/api/", "/prometheus/", "/alertmanager/", "/loki/", "/otlp/", "/metrics", "/live/")


access_log = logging.getLogger("tongchou.access")
REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}")
QUIET = (
    "/static/",
    "/assets/",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/shell/counts",
    "/prometheus/api/v1/write",  # senders write all day long: counted, and told when something is wrong
    "/loki/api/v1/push",
    "/api/v1/agent/report",
    "/otlp/",
)  # logged at DEBUG when all is well


@sync_only_middleware
def request_middleware(get_response: GetResponse) -> GetResponse:
    """Give the request an id (the caller's when it fits, answered in X-Request-ID) and one line in the access log.

    The duration of a stream is the time until it began. The path is logged without its query, which may hold secrets.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request.headers.get(REQUEST_ID_HEADER, ""))
        started = time.monotonic()
        with log_lines.about(request_id=request_id, path=request.path):
            response = get_response(request)
            response.headers[REQUEST_ID_HEADER] = request_id
            actor = getattr(request, "actor", NOBODY)
            note_request(str(request.method), request.path, actor, response.status_code, time.monotonic() - started)
        return response

    return middleware


def request_id_of(given: str) -> str:
    """Return the id a client gave its request, where it fits, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def note_request(method: str, path: str, actor: Actor, status: int, seconds: float) -> None:
    """Count a request that is answered, and write its line into the access log."""
    meters.REQUESTS.observe(_part(path), f"{status // 100}xx", seconds=seconds)
    quiet = status < 400 and path.startswith(QUIET)
    level = logging.ERROR if status >= 500 else logging.DEBUG if quiet else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    fields = {"method": method, "status": status, "duration_seconds": round(seconds, 4)}
    if actor.user_id is not None:
        fields["actor_id"] = str(actor.user_id)
    who = actor.name if actor.kind != "nobody" else "-"
    access_log.log(level, "%s %s %s %.4fs %s", method, path[:500], status, seconds, who, extra=fields)


def _part(path: str) -> str:
    """The part of the platform a path belongs to: few values, whatever paths people try."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    known = ("api", "prometheus", "alertmanager", "loki", "otlp", "hooks", "live", "metrics", "static", "accounts")
    return first if first in known else "checks" if first in ("healthz", "readyz") else "pages"


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
            return _challenged(request, problem_json(problem))
        except OperationalError as error:
            return problem_json(problem_of_database(error))
        request.actor = actor  # type: ignore[attr-defined]  # Django's request is the carrier of middleware results
        return _challenged(request, get_response(request))

    return middleware


def _challenged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Ask for a name and a password where calendar programs read: they cannot be told to send another header."""
    if response.status_code == 401 and request.path.endswith(".ics"):
        response.headers["WWW-Authenticate"] = 'Basic realm="tongchou", charset="UTF-8"'
    return response


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
    """Return what a person can do about a database that refuses: make room, wait, or look at the disk.

    SQLite says "disk I/O error" for a full disk as well as for a failing one: the room that is left tells them apart.
    """
    told = str(error).lower()
    failed = "disk i/o" in told
    if "disk is full" in told or "no space" in told or (failed and _is_full()):
        return StorageFull(
            "database.full",
            _("The disk of the database is full. Nothing that was accepted before is lost."),
            remedy=_("Make room on the disk of the data folder and repeat the request; no restart is needed."),
        )
    if failed:
        return Unavailable(
            "database.disk",
            _("The database could not read or write its files: %(error)s.") % {"error": error},
            remedy=_("Look at the system log of this host for errors of its disk, then repeat the request."),
        )
    return Unavailable(
        "database.unavailable",
        _("The database does not answer in time."),
        remedy=_("Repeat the request; /readyz says when it answers again."),
    )


def _is_full() -> bool:
    try:
        return shutil.disk_usage(settings.DATA).free < LITTLE_ROOM_BYTES
    except OSError:
        return False


def problem_json(problem: Problem) -> HttpResponse:
    """Return the refusal as application/problem+json (RFC 9457)."""
    response = JsonResponse(problem.as_dict(), status=problem.status, content_type="application/problem+json")
    if problem.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="tongchou"'
    if problem.status in (429, 503, 507):
        response["Retry-After"] = "5"
    return response


def file_response(file: File) -> HttpResponseBase:
    """Return an exported file as a download: from memory when it is small, piece by piece from the disk when not."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
    if file.size <= IN_MEMORY_BYTES:
        with file.body as body:
            return HttpResponse(body.read(), content_type=file.content_type, headers=headers)
    return FileResponse(file.body, content_type=file.content_type, headers=headers)
