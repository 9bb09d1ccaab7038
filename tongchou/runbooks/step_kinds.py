"""The built-in kinds of steps and the kind http: what each may say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.runbooks.definition import (
    MAX_STEP_SECONDS,
    MAX_WAIT_SECONDS,
    METHODS,
    REPEATABLE_METHODS,
    SAFE_METHODS,
    Step,
)
from tongchou.runbooks.reading import Reader, join, names

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_RESERVED_HEADERS = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "idempotency-key",
    "te",
    "upgrade",
    "trailer",
}


def _read_step(reader: Reader, name: str, data: dict[str, Any], path: str) -> Step:
    reader.keys(data, path, ("query", "is"), ("query",))
    body: dict[str, Any] = {"query": reader.query(data, path)}
    if "is" in data:
        body["is"] = reader.condition(data["is"], f"{path}.is").text
    return Step(name, "read", body)


def _ask_step(reader: Reader, name: str, data: dict[str, Any], path: str) -> Step:
    reader.keys(data, path, ("question", "timeout_seconds"), ("question",))
    question = reader.text(data.get("question"), f"{path}.question")
    reader.template(dict(question), "text", f"{path}.question")
    timeout = reader.number(
        data.get("timeout_seconds", MAX_WAIT_SECONDS), f"{path}.timeout_seconds", 1, 7 * MAX_WAIT_SECONDS
    )
    return Step(name, "ask", {"question": dict(question), "timeout_seconds": timeout})


def _wait_step(reader: Reader, name: str, data: dict[str, Any], path: str) -> Step:
    reader.keys(data, path, ("query", "is", "for_seconds", "timeout_seconds", "poll_seconds"), ("query", "is"))
    held = reader.number(data.get("for_seconds", 0), f"{path}.for_seconds", 0, MAX_WAIT_SECONDS)
    timeout = reader.number(data.get("timeout_seconds", 60), f"{path}.timeout_seconds", 1, MAX_WAIT_SECONDS)
    body = {
        "query": reader.query(data, path),
        "is": reader.condition(data.get("is", "not_empty"), f"{path}.is").text,
        "for_seconds": held,
        "timeout_seconds": timeout,
        "poll_seconds": reader.number(data.get("poll_seconds", 1), f"{path}.poll_seconds", 0.2, 600),
    }
    if held >= timeout:
        says = _("for_seconds must be less than timeout_seconds.")
        reader.wrong(f"{path}.for_seconds", says, _("Raise timeout_seconds."), held)
    return Step(name, "wait_until", body)


def _http_step(reader: Reader, name: str, data: dict[str, Any], path: str) -> Step:
    allowed = (
        "method",
        "url",
        "headers",
        "body",
        "expect_status",
        "idempotent",
        "timeout_seconds",
        "max_response_bytes",
    )
    reader.keys(data, path, allowed, ("url",))
    method = data.get("method", "GET")
    if method not in METHODS:
        reader.wrong(
            f"{path}.method", _("A method is one of %(methods)s.") % {"methods": ", ".join(METHODS)}, "", method
        )
    if isinstance(data.get("url"), str):
        reader.template(data["url"], "url", f"{path}.url")
    elif "url" in data:
        reader.wrong(f"{path}.url", _("A URL is a string."), "", data["url"])
    idempotent = data.get("idempotent", method in REPEATABLE_METHODS)
    if not isinstance(idempotent, bool):
        reader.wrong(f"{path}.idempotent", _("This is true or false."), "", idempotent)
    if "body" in data:
        if method in SAFE_METHODS:
            reader.wrong(
                f"{path}.body", _("A request of this method has no body."), _("Remove it or use POST."), method
            )
        reader.template(data["body"], "body", f"{path}.body")
    body = {
        "method": str(method),
        "url": str(data.get("url", "")),
        "headers": _headers(reader, data.get("headers"), f"{path}.headers"),
        "expect_status": _statuses(reader, data.get("expect_status"), f"{path}.expect_status"),
        "timeout_seconds": reader.number(
            data.get("timeout_seconds", 10), f"{path}.timeout_seconds", 0.1, MAX_STEP_SECONDS
        ),
        "max_response_bytes": int(
            reader.number(
                data.get("max_response_bytes", 1_000_000), f"{path}.max_response_bytes", 1, 10_000_000, whole=True
            )
        ),
    }
    if "body" in data:
        body["body"] = data["body"]
    sends_secret = "secret" in {each.space for each in names(body["headers"])}
    # Where a secret goes matters as much as what is altered: such a step needs approval and execution too.
    return Step(name, "http", body, alters=method not in SAFE_METHODS or sends_secret, repeatable=bool(idempotent))


def _headers(reader: Reader, value: Any, path: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for name, item in reader.mapping(value, path).items():
        here = join(path, name)
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            reader.wrong(here, _("This header cannot be set by a procedure."), _("Remove it."), name)
        elif not isinstance(item, str) or len(item) > 4000:
            reader.wrong(here, _("A header value is a string."), _("Put it in quotes."), item)
        elif reader.template(item, "header", here):
            reader.offered(item, here)
            out[name] = item
    return out


def _statuses(reader: Reader, value: Any, path: str) -> list[int]:
    """The statuses that count as success; none named means any 2xx."""
    if value is None:
        return []
    codes = value if isinstance(value, list) else [value]
    if not codes or not all(
        isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599 for code in codes
    ):
        reader.wrong(path, _("expect_status is a list of HTTP status codes."), _("For example [200, 202]."), value)
        return []
    return sorted(set(codes))


KINDS: dict[str, Callable[[Reader, str, dict[str, Any], str], Step]] = {
    "read": _read_step,
    "ask": _ask_step,
    "http": _http_step,
    "wait_until": _wait_step,
}
