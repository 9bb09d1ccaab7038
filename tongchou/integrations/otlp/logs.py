"""POST /otlp/v1/logs: ExportLogsServiceRequest as protobuf or JSON, gzip or not, acknowledged when on disk.

Status as OTLP/HTTP asks: 200 with an empty answer, or with partial_success when lines were refused (do not send them
again); 400, 413, 415 do not send again; 429 and 503 send again later. Refusals are a google.rpc.Status in the
request's own encoding.
"""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core.problems import Problem, UnsupportedMedia
from tongchou.integrations.loki.requests import body_of, encoding_of, malformed, plain, writer
from tongchou.integrations.otlp.streams import streams
from tongchou.telemetry.backend import backend
from tongchou.telemetry.log_actions import Written, reasons, write
from tongchou.wire.log_stream import Stream
from tongchou.wire.otlp_logs import decode, decode_json, encode_response, encode_status
from tongchou.wire.protobuf import MalformedError

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@csrf_exempt  # a session cannot write here: `writer` wants a token, which no browser sends by itself
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Take one export of logs."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        actor = writer(request)
        body = body_of(request)
        written = write(_streams(request, kind, body), actor=actor, request=body)
        written.wait()
    except Problem as problem:
        return _refused(problem, kind)
    return _answer(written, kind)


def _streams(request: HttpRequest, kind: str, body: bytes) -> list[Stream]:
    message = plain(body, encoding_of(request, ("gzip",)))
    try:
        if kind == PROTOBUF:
            groups = decode(message)
        elif kind == JSON:
            groups = decode_json(message)
        else:
            raise UnsupportedMedia(
                "telemetry.content_type",
                _("Only application/json and application/x-protobuf are taken."),
                field="Content-Type",
                value=kind,
            )
    except MalformedError as error:
        raise malformed(error) from None
    return streams(groups, now_ns=backend().logs.clock_ns())


def _answer(written: Written, kind: str) -> HttpResponse:
    rejected, reason = written.refused.total, reasons(written.refused)
    if kind == JSON:
        partial = {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": reason}} if rejected else {}
        return HttpResponse(json.dumps(partial), content_type=JSON)
    return HttpResponse(encode_response(rejected, reason), content_type=PROTOBUF)


def _refused(problem: Problem, kind: str) -> HttpResponse:
    if kind == PROTOBUF:
        body, content_type = encode_status(str(problem)), PROTOBUF
    else:
        body, content_type = json.dumps({"message": str(problem), **problem.as_dict()}).encode(), JSON
    response = HttpResponse(body, status=problem.status, content_type=content_type)
    if problem.status in (429, 503, 507):
        response["Retry-After"] = "5"
    return response
