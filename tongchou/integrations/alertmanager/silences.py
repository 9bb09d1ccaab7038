"""GET and POST /silences, GET and DELETE /silence/{id} as Alertmanager 0.28 answers them.

``createdBy`` is who the token says; what the body says is added to the comment when it differs. An error is a JSON
string, as Alertmanager's clients expect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from tongchou.alerting import matchers as matching
from tongchou.alerting import silences
from tongchou.alerting.models import Silence, SilenceState
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import BadRequest, Conflict, TooLarge
from tongchou.integrations.alertmanager.answer import api, not_allowed, text_of
from tongchou.telemetry.series import Matcher, MatchOp

MAX_BODY_BYTES = 256 * 1024
MAX_LISTED = 5000
_OPS: dict[tuple[bool, bool], MatchOp] = {
    (False, True): "=",
    (False, False): "!=",
    (True, True): "=~",
    (True, False): "!~",
}


@api
def many(request: HttpRequest, actor: Actor) -> HttpResponse:
    """List silences (with ``filter``), or create or change one."""
    if request.method == "POST":
        return JsonResponse({"silenceID": str(_post(actor, _body(request)).pk)})
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET, POST")
    check_anywhere(actor, "alerting.view")
    wanted = [each for text in request.GET.getlist("filter") for each in matching.parse_filter(text)]
    now = timezone.now()
    rows = [row for row in silences.silences(now=now)[:MAX_LISTED] if _filtered(row, wanted)]
    return JsonResponse([_silence(row, now) for row in rows], safe=False)


def _filtered(row: Silence, wanted: list[Matcher]) -> bool:
    """Alertmanager's filter: against the values of the silence's own matchers."""
    own = {each["name"]: each["value"] for each in row.matchers}
    return matching.matches(wanted, own)


@api
def one(request: HttpRequest, actor: Actor, silence_id: str) -> HttpResponse:
    """One silence; DELETE ends it."""
    try:
        key = UUID(silence_id)
    except ValueError:
        raise silences.unknown_silence(silence_id) from None
    if request.method == "DELETE":
        silences.expire_silence(actor=actor, silence_id=key)
        return HttpResponse(status=200)
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET, DELETE")
    check_anywhere(actor, "alerting.view")
    row = Silence.objects.filter(pk=key).first()
    if row is None:
        raise silences.unknown_silence(silence_id)
    return JsonResponse(_silence(row, timezone.now()))


def _silence(row: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "status": {"state": str(row.state_at(now))},
        "updatedAt": text_of(row.updated_at),
        "comment": row.comment,
        "createdBy": row.created_by_name,
        "startsAt": text_of(row.starts_at),
        "endsAt": text_of(row.ends_at),
        "matchers": [
            {
                "name": each["name"],
                "value": each["value"],
                "isRegex": each["op"] in ("=~", "!~"),
                "isEqual": each["op"] in ("=", "=~"),
            }
            for each in row.matchers
        ],
    }


def _body(request: HttpRequest) -> Mapping[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
        raise TooLarge("silence.too_large", _("The body is too large."))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise BadRequest("silence.json", _("The body is not JSON in UTF-8.")) from None
    if not isinstance(body, dict):
        raise BadRequest("silence.json", _("The body is not a JSON object."))
    return body


def _post(actor: Actor, body: Mapping[str, Any]) -> Silence:
    """A new silence; one with an ``id`` is extended when only its end or comment differ, else ended and made anew."""
    wanted = [_matcher(each) for each in _list(body.get("matchers"))]
    starts_at, ends_at = _time(body, "startsAt"), _time(body, "endsAt")
    comment = _comment(actor, body)
    given = body.get("id")
    if not given:
        return silences.create_silence(
            actor=actor, matchers=wanted, starts_at=starts_at, ends_at=ends_at, comment=comment
        )
    try:
        key = UUID(str(given))
    except ValueError:
        raise silences.unknown_silence(str(given)) from None
    with transaction.atomic():
        row = Silence.objects.select_for_update().filter(pk=key).first()
        if row is None:
            raise silences.unknown_silence(key)
        now = timezone.now()
        same = row.matchers == matching.rows(wanted)
        begins = row.state_at(now) == SilenceState.ACTIVE or abs((row.starts_at - starts_at).total_seconds()) < 1
        if same and begins and row.state_at(now) != SilenceState.EXPIRED:
            try:
                return silences.extend_silence(actor=actor, silence_id=key, ends_at=ends_at, comment=comment)
            except Conflict:
                pass  # it ended at this very moment: a new one follows
        made = silences.create_silence(
            actor=actor, matchers=wanted, starts_at=starts_at, ends_at=ends_at, comment=comment
        )
        silences.expire_silence(actor=actor, silence_id=key)
    return made


def _list(given: object) -> list[Any]:
    if not isinstance(given, list):
        raise BadRequest("silence.matchers", _("matchers is a list."))
    return given


def _matcher(given: object) -> Matcher:
    each = given if isinstance(given, dict) else {}
    name, value = each.get("name"), each.get("value")
    regex, equal = each.get("isRegex"), each.get("isEqual", True)
    if not (isinstance(name, str) and isinstance(value, str) and isinstance(regex, bool) and isinstance(equal, bool)):
        raise BadRequest("silence.matcher", _("A matcher has name, value, isRegex and isEqual."))
    return Matcher(name, _OPS[regex, equal], value)


def _time(body: Mapping[str, Any], name: str) -> datetime:
    given = body.get(name)
    try:
        at = parse_datetime(given) if isinstance(given, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest("silence.time", _("%(name)s is not a time (RFC 3339).") % {"name": name}, field=name)
    return at


def _comment(actor: Actor, body: Mapping[str, Any]) -> str:
    comment, by = body.get("comment"), body.get("createdBy")
    if not isinstance(comment, str):
        raise BadRequest("silence.comment", _("A silence needs a comment."), field="comment")
    if isinstance(by, str) and by.strip() and by != actor.name and comment.strip():
        return f"{comment.strip()} ({by.strip()[:150]})"
    return comment
