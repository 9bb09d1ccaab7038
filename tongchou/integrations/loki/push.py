"""POST /loki/api/v1/push: JSON or snappy protobuf, gzip or not, acknowledged when on disk.

Status: 204 taken; 400 never send again (part of it was written when the detail says so); 413 smaller requests please;
415 another protocol; 429, 503 and 507 send again later. The tenant header X-Scope-OrgID is taken and not used.
"""

from __future__ import annotations

from typing import Any

import cramjam
import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tongchou.core.problems import Problem, UnsupportedMedia
from tongchou.integrations.loki.requests import body_of, encoding_of, malformed, plain, too_large, writer
from tongchou.middleware import problem_json
from tongchou.telemetry.admit import MAX_BODY_BYTES
from tongchou.telemetry.log_actions import refusal, write
from tongchou.wire.log_stream import Entry, Label, Stream
from tongchou.wire.loki import decode
from tongchou.wire.protobuf import MalformedError, read_varint

PROTOBUF = ("", "application/x-protobuf")


class _JsonStream(msgspec.Struct):
    stream: dict[str, str]
    values: list[list[Any]] = []  # msgspec copies it


class _JsonPush(msgspec.Struct):
    streams: list[_JsonStream]


_decoder = msgspec.json.Decoder(_JsonPush)


@csrf_exempt  # a session cannot write here: `writer` wants a token, which no browser sends by itself
@require_POST
def push(request: HttpRequest) -> HttpResponse:
    """Take one push."""
    try:
        actor = writer(request)
        body = body_of(request)
        written = write(_streams(request, body), actor=actor, request=body)
        written.wait()
        problem = refusal(written)
        if problem is not None:
            raise problem
    except Problem as problem:
        return problem_json(problem)
    return HttpResponse(status=204)


def _streams(request: HttpRequest, body: bytes) -> list[Stream]:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoding = encoding_of(request, ("gzip", "snappy"))
    try:
        if kind == "application/json":
            return from_json(plain(body, encoding))
        if kind in PROTOBUF:
            return decode(plain(body, encoding) if encoding == "gzip" else _unsnapped(body))
    except MalformedError as error:
        raise malformed(error) from None
    raise UnsupportedMedia(
        "telemetry.content_type",
        _("Only application/json and application/x-protobuf are taken."),
        field="Content-Type",
        value=kind,
    )


def _unsnapped(body: bytes) -> bytes:
    """The message inside a snappy block; its announced size is checked before anything is allocated."""
    size, _start = read_varint(body, 0, min(len(body), 5))
    if size > MAX_BODY_BYTES:
        raise too_large(size)
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise MalformedError(f"not a snappy block: {error}") from None


def from_json(body: bytes) -> list[Stream]:
    """The streams of a JSON push: `{"streams": [{"stream": {..}, "values": [["<ns>", "line", {..}?]]}]}`."""
    try:
        found = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"not a JSON push: {error}") from None
    return [
        Stream(
            list(each.stream.items()),
            [_entry(value, f"streams[{i}].values[{j}]") for j, value in enumerate(each.values)],
        )
        for i, each in enumerate(found.streams)
    ]


def _entry(value: list[Any], place: str) -> Entry:
    if len(value) not in (2, 3) or not isinstance(value[1], str):
        raise MalformedError(f"{place} is not [time, line] or [time, line, metadata]")
    stamp, line = value[0], value[1]
    if not isinstance(stamp, str | int) or isinstance(stamp, bool) or not str(stamp).isascii():
        raise MalformedError(f"{place} has no time in nanoseconds")
    try:
        ts_ns = int(stamp)
    except ValueError:
        raise MalformedError(f"{place} has no time in nanoseconds") from None
    facts: list[Label] = []
    if len(value) == 3:
        if not isinstance(value[2], dict) or not all(isinstance(each, str) for each in value[2].values()):
            raise MalformedError(f"{place} has metadata that is not a map of texts")
        facts = list(value[2].items())
    return Entry(ts_ns, line.encode(), facts)
