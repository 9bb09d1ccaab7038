"""What the signals of OTLP/HTTP share: a body in one of two encodings, and the answer in the same one."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from tongchou.core.problems import Problem, UnsupportedMedia
from tongchou.integrations.loki.requests import encoding_of, plain
from tongchou.wire.otlp import encode_response, encode_status

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def kind_of(request: HttpRequest) -> str:
    """The Content-Type without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def message_of(request: HttpRequest, body: bytes) -> bytes:
    """The body without gzip. Raises Problems, UnsupportedMedia for an encoding that is none of the two."""
    kind = kind_of(request)
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedMedia(
            "telemetry.content_type",
            _("Only application/json and application/x-protobuf are taken."),
            field="Content-Type",
            value=kind,
        )
    return plain(body, encoding_of(request, ("gzip",)))


def answer(kind: str, what: str, rejected: int, told: str) -> HttpResponse:
    """The answer to a request that was read: empty, or a partial success. `what` is rejectedLogRecords or the like."""
    if kind == JSON:
        partial = {"partialSuccess": {what: str(rejected), "errorMessage": told}} if rejected or told else {}
        return HttpResponse(json.dumps(partial), content_type=JSON)
    return HttpResponse(encode_response(rejected, told), content_type=PROTOBUF)


def refused(problem: Problem, kind: str) -> HttpResponse:
    """A refusal as google.rpc.Status in the encoding of the request."""
    if kind == PROTOBUF:
        body, content_type = encode_status(str(problem)), PROTOBUF
    else:
        body, content_type = json.dumps({"message": str(problem), **problem.as_dict()}).encode(), JSON
    response = HttpResponse(body, status=problem.status, content_type=content_type)
    if problem.status in (429, 503, 507):
        response["Retry-After"] = "5"
    return response
