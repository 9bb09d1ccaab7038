"""POST /otlp/v1/logs: ExportLogsServiceRequest as protobuf or JSON, gzip or not, acknowledged when on disk.

Status as OTLP/HTTP asks: 200 with an empty answer, or with partial_success when lines were refused (do not send them
again); 400, 413, 415 do not send again; 429 and 503 send again later. Refusals are a google.rpc.Status in the
request's own encoding.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core.problems import Problem
from tongchou.integrations.loki.requests import body_of, malformed, writer
from tongchou.integrations.otlp.exchange import PROTOBUF, answer, kind_of, message_of, refused
from tongchou.integrations.otlp.streams import streams
from tongchou.telemetry.backend import backend
from tongchou.telemetry.log_actions import reasons, write
from tongchou.wire.log_stream import Stream
from tongchou.wire.otlp_logs import decode, decode_json
from tongchou.wire.protobuf import MalformedError


@csrf_exempt  # a session cannot write here: `writer` wants a token, which no browser sends by itself
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Take one export of logs."""
    kind = kind_of(request)
    try:
        actor = writer(request)
        body = body_of(request)
        written = write(_streams(request, kind, body), actor=actor, request=body)
        written.wait()
    except Problem as problem:
        return refused(problem, kind)
    return answer(kind, "rejectedLogRecords", written.refused.total, reasons(written.refused))


def _streams(request: HttpRequest, kind: str, body: bytes) -> list[Stream]:
    message = message_of(request, body)
    try:
        groups = decode(message) if kind == PROTOBUF else decode_json(message)
    except MalformedError as error:
        raise malformed(error) from None
    return streams(groups, now_ns=backend().logs.clock_ns())
