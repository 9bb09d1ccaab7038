"""POST /hooks/deployments/<source>: one deployment, signed; answers 202 with its id, or a problem."""

from __future__ import annotations

import json
import time
from secrets import token_hex

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt

from tongchou.changes import actions
from tongchou.changes.deployment import read
from tongchou.core import secrets
from tongchou.core.access import system
from tongchou.core.problems import BadRequest, NotFound, NotSignedIn, Problem, TooLarge
from tongchou.core.refs import ref
from tongchou.integrations.deployments.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE_SECONDS, fault

MAX_BODY_BYTES = 64 * 1024
# compared against when the source is unknown, so that an answer does not tell which names exist
_NO_SECRET = token_hex(32)


@csrf_exempt  # signed by HMAC, sent by machines: there is no session to forge
def receive(request: HttpRequest, source: str) -> HttpResponse:
    """Check size, signature and age, then record the deployment. Repeating a delivery gives the same answer."""
    if request.method != "POST":
        told = {"type": "about:blank", "title": "Method Not Allowed", "status": 405, "detail": "POST only"}
        return JsonResponse(told, status=405, headers={"Allow": "POST"}, content_type="application/problem+json")
    try:
        return _receive(request, source)
    except Problem as problem:
        return JsonResponse(problem.as_dict(), status=problem.status, content_type="application/problem+json")


def _receive(request: HttpRequest, source: str) -> HttpResponse:
    raw = _body(request)
    _prove(request, source, raw)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            "deployment.json", _("The body is not JSON in UTF-8."), remedy=_("Sign and send one JSON object.")
        ) from error
    report = read(body, now=timezone.now())
    row, created = actions.record_deployment(actor=system(f"deployments:{source}"), source=source, report=report)
    answer = {
        "id": str(row.pk),
        "ref": ref(row),
        "created": created,
        "service": row.service_name,
        "service_known": row.service_id is not None,
    }
    return JsonResponse(answer, status=202)


def _body(request: HttpRequest) -> bytes:
    """The raw body, at most MAX_BODY_BYTES: the stated length is believed only to refuse, never to accept."""
    too_large = TooLarge(
        "deployment.too_large",
        _("A deployment is at most %(most)s bytes.") % {"most": MAX_BODY_BYTES},
        remedy=_("Send the fields of one deployment only."),
    )
    stated = request.META.get("CONTENT_LENGTH") or "0"
    if stated.isdigit() and int(stated) > MAX_BODY_BYTES:
        raise too_large
    try:
        raw = request.read(MAX_BODY_BYTES + 1)
    except (UnreadablePostError, RawPostDataException) as error:
        raise BadRequest("deployment.truncated", _("The body ended early."), remedy=_("Send it again.")) from error
    if len(raw) > MAX_BODY_BYTES:
        raise too_large
    return raw


def _prove(request: HttpRequest, source: str, raw: bytes) -> None:
    try:
        secret = secrets.reveal(actions.secret_name(source))
    except NotFound:
        secret = _NO_SECRET
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    wrong = fault(secret, timestamp, request.headers.get(SIGNATURE_HEADER, ""), raw, now_seconds=time.time())
    if wrong == "timestamp":
        raise NotSignedIn(
            "deployment.timestamp",
            _("The delivery's time is missing, malformed or too far from ours."),
            field=TIMESTAMP_HEADER,
            value=timestamp,
            remedy=_("Send Unix seconds, at most %(most)s s off.") % {"most": TOLERANCE_SECONDS},
        )
    if wrong is not None:
        raise NotSignedIn(
            "deployment.signature",
            _("The signature is missing or wrong, or the source is not known."),
            field=SIGNATURE_HEADER,
            remedy=_('Sign "<timestamp>.<body>" with HMAC-SHA256 and the secret of this source; send sha256=<hex>.'),
        )
