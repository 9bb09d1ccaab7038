"""Does one http step: a request with a deadline and a cap, its answer judged by status."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tongchou.core.http import Failed, Refused, Response, fetch
from tongchou.runbooks import template
from tongchou.runbooks.definition import REPEATABLE_METHODS
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult
from tongchou.runbooks.reasons import Reason

# reasons after which the request cannot have had an effect; after any other it may have
NOT_SENT = ("connect", "tls")
SAFE = ("GET", "HEAD")


class HttpStep:
    """Satisfies runbooks.Runner."""

    kind = "http"
    fields: ClassVar[Mapping[str, Field]] = {}  # the room reads the keys of this kind itself

    def alters(self, step: Mapping[str, Any]) -> bool:
        """Every method but GET and HEAD may."""
        return step.get("method", "GET") not in SAFE

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """What the method promises, unless the step says so itself."""
        return bool(step.get("idempotent", step.get("method", "GET") in REPEATABLE_METHODS))

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a resolved step; the address is judged when it is resolved, at the request itself."""
        if kind != self.kind:
            return [f"not a step of kind {self.kind}"]
        parts = urlsplit(str(step.get("url", "")))
        return [] if parts.scheme in ("http", "https") and parts.hostname else ["the URL has no host"]

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The deadline of the whole exchange."""
        return float(step["timeout_seconds"])

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Send the request once and judge the answer's status. Never repeats: that is for the run to decide."""
        began = time.monotonic()
        step = call.input
        try:
            headers, body = _request(call, context)
            answer = fetch(
                step["method"],
                step["url"],
                purpose="runbook step",
                headers=headers,
                body=body,
                timeout_seconds=step["timeout_seconds"],
                max_bytes=step["max_response_bytes"],
            )
        except template.TemplateError as error:
            return StepResult(reason=Reason("step_broken", {"why": str(error.says)}))
        except Refused as error:
            return StepResult({"sent": False}, Reason("http_refused", {"why": error.detail}))
        except Failed as error:
            harmless = error.reason in NOT_SENT or step["method"] in SAFE
            code = "http_failed" if harmless else "http_unknown"
            spent = round(time.monotonic() - began, 3)
            return StepResult({"seconds": spent}, Reason(code, {"reason": error.reason, "why": error.detail}))
        output = {**_kept(answer), "seconds": round(time.monotonic() - began, 3)}
        return StepResult(output, _judge(answer.status, step["expect_status"]))


def _request(call: StepCall, context: Context) -> tuple[dict[str, str], bytes | None]:
    headers = {name: template.reveal(text, context.secrets) for name, text in call.input["headers"].items()}
    headers["Idempotency-Key"] = call.idempotency_key
    if "body" not in call.input:
        return headers, None
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return headers, json.dumps(call.input["body"], ensure_ascii=False, allow_nan=False).encode()


def _judge(status: int, expected: Sequence[int]) -> Reason | None:
    if status in expected or (not expected and 200 <= status <= 299):
        return None
    wanted = ", ".join(str(code) for code in expected) or "2xx"
    return Reason("http_status", {"status": status, "expected": wanted})


def _kept(answer: Response) -> dict[str, Any]:
    """Status, type and body; a JSON body is kept as JSON, so that telling keys can be masked."""
    text = answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    kept: dict[str, Any] = {
        "status": answer.status,
        "content_type": answer.headers.get("content-type", "")[:200],
        "bytes": len(answer.body),
    }
    try:
        return {**kept, "body": _clean(json.loads(text))}
    except (ValueError, RecursionError):
        return {**kept, "body": text}


def _clean(value: Any) -> Any:
    """JSON from outside may hold NaN, NUL and lone surrogates, which no database keeps."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


HTTP_STEP = HttpStep()
