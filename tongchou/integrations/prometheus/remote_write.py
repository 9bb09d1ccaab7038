"""POST /prometheus/api/v1/write: remote_write 1.0, snappy block compression, acknowledged when on disk.

Status as the specification asks: 204 taken; 400 never send again (part of it was written when the detail says so);
413 smaller requests please; 415 another protocol; 429, 503 and 507 send again later.
"""

from __future__ import annotations

import cramjam
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, NotSignedIn, Problem, TooLarge, UnsupportedMedia
from tongchou.middleware import problem_json
from tongchou.telemetry.actions import refusal, write_request
from tongchou.telemetry.admit import MAX_BODY_BYTES
from tongchou.wire.protobuf import MalformedError, read_varint

MAX_COMPRESSED_BYTES = 16 * 1024 * 1024


@csrf_exempt  # a session cannot write here: `_writer` wants a token, which no browser sends by itself
@require_POST
def write(request: HttpRequest) -> HttpResponse:
    """Take one WriteRequest."""
    try:
        actor = _writer(request)
        check(actor, "telemetry.write")
        _check_protocol(request)
        taken = write_request(_uncompressed(_body(request)), actor=actor)
        taken.wait()
        problem = refusal(taken)
        if problem is not None:
            raise problem
    except Problem as problem:
        return problem_json(problem)
    return HttpResponse(status=204)


def _writer(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind != "token":
        raise NotSignedIn(
            "telemetry.token_needed",
            _("remote_write needs an API token."),
            remedy=_("Send Authorization: Bearer tc_..., or basic_auth with the token as password."),
        )
    return actor


def _check_protocol(request: HttpRequest) -> None:
    """Refuse what is not remote_write 1.0. A 2.0 body read as 1.0 would look empty and be acknowledged."""
    kind, *parameters = (part.strip().lower() for part in request.headers.get("Content-Type", "").split(";"))
    proto = next((each.removeprefix("proto=") for each in parameters if each.startswith("proto=")), "")
    if kind not in ("", "application/x-protobuf") or proto not in ("", "prometheus.writerequest"):
        raise UnsupportedMedia(
            "telemetry.content_type",
            _("Only application/x-protobuf with prometheus.WriteRequest (remote_write 1.0) is taken."),
            field="Content-Type",
            value=request.headers.get("Content-Type", ""),
            remedy=_("Set protobuf_message: prometheus.WriteRequest in the sender's remote_write section."),
        )
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding != "snappy":
        raise UnsupportedMedia(
            "telemetry.content_encoding",
            _("The body must be compressed with snappy (block format)."),
            field="Content-Encoding",
            value=encoding,
        )


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        "telemetry.body_too_large",
        _("The body has %(size)d bytes; the limit is %(limit)d.") % {"size": size, "limit": limit},
        remedy=_("Lower max_samples_per_send of the sender."),
    )


def _body(request: HttpRequest) -> bytes:
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > MAX_COMPRESSED_BYTES:
        raise _too_large(int(announced), MAX_COMPRESSED_BYTES)
    try:
        return request.body
    except RequestDataTooBig:
        raise _too_large(MAX_COMPRESSED_BYTES + 1, MAX_COMPRESSED_BYTES) from None
    except UnreadablePostError as error:
        raise BadRequest("telemetry.unreadable", _("The body did not arrive: %(error)s") % {"error": error}) from None


def _uncompressed(body: bytes) -> bytes:
    """The message inside a snappy block; its announced size is checked before anything is allocated."""
    try:
        size, _start = read_varint(body, 0, min(len(body), 5))
        if size > MAX_BODY_BYTES:
            raise _too_large(size, MAX_BODY_BYTES)
        return bytes(cramjam.snappy.decompress_raw(body))
    except (MalformedError, cramjam.DecompressionError) as error:
        raise BadRequest(
            "telemetry.malformed", _("The body is not a snappy block: %(error)s") % {"error": error}
        ) from None
