"""Ledger events as CloudEvents 1.0: the document, and its two forms in an HTTP request. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

SPEC = "1.0"
TYPE_PREFIX = "io.tongchou."
STRUCTURED_TYPE = "application/cloudevents+json; charset=utf-8"
DATA_TYPE = "application/json"
_PRINTABLE = "".join(chr(number) for number in range(0x21, 0x7F) if chr(number) not in '"%')


def encode(value: Any) -> bytes:
    """JSON in UTF-8; the same value gives the same bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def structured(event: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """(headers, body): the whole event in the body."""
    return {"Content-Type": STRUCTURED_TYPE}, encode(event)


def binary(event: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """(headers, body): attributes in ce- headers, percent-encoded as the binding says, the data in the body."""
    headers = {"Content-Type": str(event["datacontenttype"])}
    for name, value in event.items():
        if name not in ("data", "datacontenttype"):
            headers[f"ce-{name}"] = quote(str(value), safe=_PRINTABLE)
    return headers, encode(event["data"])
