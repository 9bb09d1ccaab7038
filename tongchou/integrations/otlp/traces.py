"""POST /otlp/v1/traces: ExportTraceServiceRequest as protobuf or JSON, gzip or not. Spans are not stored.

Of each span only who used what is kept, once a minute, as relations of the inventory with requests a minute. Status as
for logs; spans whose resource has no service.name are counted in partial_success and not to be sent again.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core.access import system
from tongchou.core.problems import Problem
from tongchou.integrations.loki.requests import body_of, malformed, writer
from tongchou.integrations.otlp import edges
from tongchou.integrations.otlp.exchange import PROTOBUF, answer, kind_of, message_of, refused
from tongchou.inventory.uses import note_uses
from tongchou.wire.otlp_traces import decode, decode_json
from tongchou.wire.protobuf import MalformedError

SOURCE = "traces"
buffer = edges.Buffer()


@csrf_exempt  # a session cannot write here: `writer` wants a token, which no browser sends by itself
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Take one export of spans."""
    kind = kind_of(request)
    try:
        writer(request)
        message = message_of(request, body_of(request))
        try:
            groups = decode(message) if kind == PROTOBUF else decode_json(message)
        except MalformedError as error:
            raise malformed(error) from None
        found, nameless = edges.edges_of(groups)
        full = buffer.add(found)
        flush()
    except Problem as problem:
        return refused(problem, kind)
    told = [f"{count} spans: {why}" for count, why in ((nameless, edges.NO_SERVICE), (full, edges.FULL)) if count]
    return answer(kind, "rejectedSpans", nameless + full, "; ".join(told))


def flush(*, at_least_seconds: float = edges.FLUSH_SECONDS) -> None:
    """Take down the edges of the last minute. The platform says what it derived: who sends spans may write nothing."""
    uses = buffer.take(at_least_seconds=at_least_seconds)
    if uses is not None:
        note_uses(actor=system(SOURCE), source=SOURCE, uses=uses, now=timezone.now())
