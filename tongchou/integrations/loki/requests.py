"""What every log sender's request has: a token, a body of bounded size, perhaps gzip around it. OTLP uses it too."""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _

from tongchou.core.access import Actor, check
from tongchou.core.problems import BadRequest, NotSignedIn, TooLarge, UnsupportedMedia
from tongchou.telemetry.admit import MAX_BODY_BYTES
from tongchou.wire.gzip_body import OverLimitError, ungzip
from tongchou.wire.protobuf import MalformedError

MAX_COMPRESSED_BYTES = 16 * 1024 * 1024


def writer(request: HttpRequest) -> Actor:
    """The actor of a token that may write telemetry. Raises NotSignedIn, AccessDenied."""
    actor: Actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    if actor.kind != "token":
        raise NotSignedIn(
            "telemetry.token_needed",
            _("Sending logs or metrics needs an API token."),
            remedy=_("Send Authorization: Bearer tc_..., or basic_auth with the token as password."),
        )
    check(actor, "telemetry.write")
    return actor


def too_large(size: int, limit: int = MAX_BODY_BYTES) -> TooLarge:
    """The refusal of a body that is over a limit."""
    return TooLarge(
        "telemetry.body_too_large",
        _("The body has %(size)d bytes; the limit is %(limit)d.") % {"size": size, "limit": limit},
        remedy=_("Send smaller batches."),
    )


def body_of(request: HttpRequest) -> bytes:
    """The body as sent. Raises TooLarge, BadRequest."""
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > MAX_COMPRESSED_BYTES:
        raise too_large(int(announced), MAX_COMPRESSED_BYTES)
    try:
        return request.body
    except RequestDataTooBig:
        raise too_large(MAX_COMPRESSED_BYTES + 1, MAX_COMPRESSED_BYTES) from None
    except UnreadablePostError as error:
        raise BadRequest("telemetry.unreadable", _("The body did not arrive: %(error)s") % {"error": error}) from None


def encoding_of(request: HttpRequest, known: tuple[str, ...]) -> str:
    """The Content-Encoding, one of `known` or "". Raises UnsupportedMedia."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *known):
        raise UnsupportedMedia(
            "telemetry.content_encoding",
            _("Content-Encoding is one of %(known)s.") % {"known": ", ".join(known)},
            field="Content-Encoding",
            value=encoding,
        )
    return "" if encoding == "identity" else encoding


def plain(body: bytes, encoding: str) -> bytes:
    """The body without gzip, when it has gzip around it. Raises BadRequest, TooLarge."""
    if encoding != "gzip":
        return body
    try:
        return ungzip(body, MAX_BODY_BYTES)
    except OverLimitError:
        raise too_large(MAX_BODY_BYTES + 1) from None
    except MalformedError as error:
        raise malformed(error) from None


def malformed(error: Exception) -> BadRequest:
    """The refusal of a body that cannot be read."""
    return BadRequest("telemetry.malformed", _("The body cannot be read: %(error)s") % {"error": error})
