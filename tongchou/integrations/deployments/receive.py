"""POST /hooks/deployments/<source>: what a release tool tells of a deployment; answers 202, or a problem."""

from __future__ import annotations

import json
import time
from secrets import token_hex
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt

from tongchou.changes import actions, deliveries
from tongchou.changes.delivery_reasons import REASONS
from tongchou.changes.models import DeploymentSource, SenderFormat
from tongchou.changes.told import Ignored
from tongchou.core import secrets
from tongchou.core.access import system
from tongchou.core.problems import BadRequest, Conflict, NotFound, NotSignedIn, Problem, TooLarge
from tongchou.core.refs import ref
from tongchou.integrations.deployments.proof import fault
from tongchou.integrations.deployments.reading import read
from tongchou.integrations.deployments.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE_SECONDS

MAX_BODY_BYTES = 1024 * 1024
# compared against when the source is unknown, so that an answer does not tell which names exist
_NO_SECRET = token_hex(32)


@csrf_exempt  # proven by a signature or a token, sent by machines: there is no session to forge
def receive(request: HttpRequest, source: str) -> HttpResponse:
    """Check size and proof, then record the deployment. Repeating a delivery gives the same answer."""
    if request.method != "POST":
        told = {"type": "about:blank", "title": "Method Not Allowed", "status": 405, "detail": "POST only"}
        return JsonResponse(told, status=405, headers={"Allow": "POST"}, content_type="application/problem+json")
    try:
        return _receive(request, source)
    except Problem as problem:
        return JsonResponse(problem.as_dict(), status=problem.status, content_type="application/problem+json")


def _receive(request: HttpRequest, name: str) -> HttpResponse:
    raw = _body(request)
    sender = DeploymentSource.objects.filter(name=name).first() if len(name) <= 80 else None
    _prove(request, sender, name, raw)
    if sender is None:  # a secret without its sender: nothing was set up here
        raise _unsigned()
    try:
        return _proven(request, sender, raw)
    except Problem as problem:
        deliveries.note_refused(actor=system(f"deployments:{name}"), sender=sender, problem=problem)
        raise


def _proven(request: HttpRequest, sender: DeploymentSource, raw: bytes) -> HttpResponse:
    if not sender.enabled:
        raise Conflict(
            "deployment.off", _("The sender is switched off."), remedy=_("Switch it on on the page of senders.")
        )
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            "deployment.json", _("The body is not JSON in UTF-8."), remedy=_("Sign and send one JSON object.")
        ) from error
    actor = system(f"deployments:{sender.name}")
    arrived = read(sender.format, request.headers, body, raw, sender.rules, timezone.now())
    if isinstance(arrived.outcome, Ignored):
        deliveries.note_ignored(
            actor=actor, sender=sender, delivery_id=arrived.delivery_id, told=arrived.outcome, event=arrived.event
        )
        why = {"created": False, "ignored": arrived.outcome.reason, "detail": str(REASONS[arrived.outcome.reason])}
        return JsonResponse(why, status=202)
    taken = deliveries.take(
        actor=actor, sender=sender, delivery_id=arrived.delivery_id, event=arrived.event, report=arrived.outcome
    )
    row = taken.deployment
    answer: dict[str, Any] = {"id": None, "ref": None, "created": taken.created}
    if row is not None:
        answer |= {"id": str(row.pk), "ref": ref(row), "service": row.service_name}
        answer["service_known"] = row.service_id is not None
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


def _prove(request: HttpRequest, sender: DeploymentSource | None, name: str, raw: bytes) -> None:
    try:
        secret = secrets.reveal(actions.secret_name(name))
    except NotFound:
        secret = _NO_SECRET
    kind = sender.format if sender else SenderFormat.PLAIN
    token = request.GET.get("token", "")
    wrong = fault(kind, secret, request.headers, token, raw, now_seconds=time.time())
    if wrong is None:
        return
    refused = _stale(request.headers.get(TIMESTAMP_HEADER, "")) if wrong == "timestamp" else _unsigned()
    if sender is not None:
        deliveries.note_unproven(actor=system(f"deployments:{name}"), sender=sender, reason=refused.code)
    raise refused


def _stale(timestamp: str) -> NotSignedIn:
    return NotSignedIn(
        "deployment.timestamp",
        _("The delivery's time is missing, malformed or too far from ours."),
        field=TIMESTAMP_HEADER,
        value=timestamp,
        remedy=_("Send Unix seconds, at most %(most)s s off.") % {"most": TOLERANCE_SECONDS},
    )


def _unsigned() -> NotSignedIn:
    return NotSignedIn(
        "deployment.signature",
        _("The signature is missing or wrong, or the source is not known."),
        field=SIGNATURE_HEADER,
        remedy=_("Compare the secret with that of the sender here, and its format with the tool that sends."),
    )
