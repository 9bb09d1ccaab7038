"""POST /prometheus/api/v1/write: remote_write 1.0 and 2.0, snappy block compression, acknowledged when on disk.

Status as the specifications ask: 204 taken; 400 never send again (part of it was written when the detail says so);
413 smaller requests please; 415 another protocol; 429, 503 and 507 send again later. Every answer to a 2.0 message
tells how many samples, histograms and exemplars were written; of the last two it is none.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import cramjam
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou import quickly
from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, NotSignedIn, Problem, TooLarge, UnsupportedMedia
from tongchou.middleware import problem_json
from tongchou.telemetry.actions import APPEND_TIMEOUT_SECONDS, refusal, write_repeated, write_request
from tongchou.telemetry.admit import MAX_BODY_BYTES
from tongchou.wire.protobuf import MalformedError, read_varint

Version = Literal["1.0", "2.0"]
V1 = "prometheus.writerequest"
VERSIONS: dict[str, Version] = {V1: "1.0", "io.prometheus.write.v2.request": "2.0"}
MAX_COMPRESSED_BYTES = 16 * 1024 * 1024
PROTOBUF = b"application/x-protobuf"
let_in = quickly.LetIn()


@csrf_exempt  # a session cannot write here: `_writer` wants a token, which no browser sends by itself
@require_POST
@translation.override("en")  # senders log the words, and those of what was refused are English
def write(request: HttpRequest) -> HttpResponse:
    """Take one message."""
    version: Version | None = None
    written = 0
    began = let_in.now()
    try:
        actor = _writer(request)
        check(actor, "telemetry.write")
        version = _version(request)
        taken = write_request(_uncompressed(_body(request)), actor=actor, version=version)
        taken.wait()
        written = taken.samples
        let_in.remember(request.headers.get("Authorization", "").encode(), actor, began)
        problem = refusal(taken)
        if problem is not None:
            raise problem
        response = HttpResponse(status=204)
    except Problem as problem:
        response = problem_json(problem)
    if version == "2.0":
        for what, count in (("Samples", written), ("Histograms", 0), ("Exemplars", 0)):
            response[f"X-Prometheus-Remote-Write-{what}-Written"] = str(count)
    return response


async def write_quickly(headers: quickly.Headers, body: bytes) -> tuple[Actor, HttpResponse] | None:
    """Take one 1.0 message of a sender who was let in a moment ago, whose series are all known; None for any other."""
    actor = let_in.actor(headers.get(b"authorization", b""))
    usual = headers.get(b"content-type") == PROTOBUF and headers.get(b"content-encoding") == b"snappy"
    if actor is None or not usual:
        return None
    try:
        taken = write_repeated(_uncompressed(body, limit=quickly.MAX_BYTES), actor=actor)
    except Problem:
        return None  # nothing was taken: the other way tells what is wrong
    if taken is None:
        return None
    done = taken.done
    if not done.done():
        await asyncio.wait({asyncio.wrap_future(done)}, timeout=APPEND_TIMEOUT_SECONDS)
    if done.done() and done.exception() is None and not taken.refused.total:
        return actor, HttpResponse(status=204)
    with translation.override("en"):
        try:
            problem = (done.result() or refusal(taken)) if done.done() else taken.too_slow()
        except Problem as found:
            problem = found
        return actor, HttpResponse(status=204) if problem is None else problem_json(problem)


quickly.answers("/prometheus/api/v1/write", write_quickly)


def _writer(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind != "token":
        raise NotSignedIn(
            "telemetry.token_needed",
            _("remote_write needs an API token."),
            remedy=_("Send Authorization: Bearer tc_..., or basic_auth with the token as password."),
        )
    return actor


def _version(request: HttpRequest) -> Version:
    """Which message the body is, by its Content-Type alone: a 2.0 body read as 1.0 would look empty and be lost."""
    kind, *parameters = request.headers.get("Content-Type", "").split(";")
    named = dict(each.strip().partition("=")[::2] for each in parameters)
    proto = next((value.strip() for name, value in named.items() if name.strip().lower() == "proto"), "")
    version = VERSIONS.get(proto.strip('"').lower() or V1)
    if kind.strip().lower() not in ("", "application/x-protobuf") or version is None:
        raise UnsupportedMedia(
            "telemetry.content_type",
            _(
                "application/x-protobuf is taken, with prometheus.WriteRequest (remote_write 1.0, also when no proto"
                " parameter is given) or io.prometheus.write.v2.Request (remote_write 2.0)."
            ),
            field="Content-Type",
            value=request.headers.get("Content-Type", ""),
            remedy=_("Set protobuf_message in the sender's remote_write section to one of the two."),
        )
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding != "snappy":
        raise UnsupportedMedia(
            "telemetry.content_encoding",
            _("The body must be compressed with snappy (block format)."),
            field="Content-Encoding",
            value=encoding,
            remedy=_("Send Content-Encoding: snappy."),
        )
    return version


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


def _uncompressed(body: bytes, limit: int = MAX_BODY_BYTES) -> bytes:
    """The message inside a snappy block; its announced size is checked before anything is allocated."""
    try:
        size, _start = read_varint(body, 0, min(len(body), 5))
        if size > limit:
            raise _too_large(size, limit)
        return bytes(cramjam.snappy.decompress_raw(body))
    except (MalformedError, cramjam.DecompressionError) as error:
        raise BadRequest(
            "telemetry.malformed", _("The body is not a snappy block: %(error)s") % {"error": error}
        ) from None
