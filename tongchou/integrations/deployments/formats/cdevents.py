"""CDEvents over CloudEvents 1.0, structured or binary: service.*, and pipelinerun.* (https://cdevents.dev)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from tongchou.changes.told import Ignored, Told, address, dig, key_of, moment, said, text

PREFIX = "dev.cdevents."
DEPLOYED = frozenset({"deployed", "upgraded", "rolledback"})
OUTCOMES = {"success": "succeeded", "failure": "failed", "failed": "failed", "error": "failed"} | {
    "cancel": "cancelled",
    "cancelled": "cancelled",
}


def parts(headers: Mapping[str, str], body: Any) -> tuple[str, Any]:
    """Return type and data of an event: the body's envelope, the ce-* headers, or the data alone with its context."""
    if isinstance(dig(body, "specversion"), str) and isinstance(dig(body, "data"), Mapping):
        return text(dig(body, "type"), 120), dig(body, "data")
    kind = text(headers.get("Ce-Type"), 120) or text(dig(body, "context", "type"), 120)
    return kind, body


def delivery_of(headers: Mapping[str, str], body: Any) -> str:
    """Return what tells events apart: CloudEvents' source and id, or those of the context; nothing without an id."""
    kind, data = parts(headers, body)
    source = dig(body, "source") or headers.get("Ce-Source") or dig(data, "context", "source")
    identity = dig(body, "id") or headers.get("Ce-Id") or dig(data, "context", "id")
    if not text(identity, 500):
        return ""
    return sha256(f"{text(source, 1000)}\n{text(identity, 500)}\n{kind}".encode()).hexdigest()


def read(headers: Mapping[str, str], body: Any, now: datetime) -> Told | Ignored:
    """Return what an event tells; in all versions of the events what is needed has the same place."""
    kind, data = parts(headers, body)
    words = kind.removeprefix(PREFIX).split(".")
    if not kind.startswith(PREFIX) or len(words) < 2:
        return Ignored("not_an_event", kind[:80])
    subject, predicate = words[0].lower(), words[1].lower()
    event = f"{subject}.{predicate}"
    at = moment(dig(data, "context", "timestamp"), now) or moment(dig(body, "time"), now)
    at = at or moment(headers.get("Ce-Time"), now) or now
    if subject == "service" and predicate in DEPLOYED:
        return _service(event, data, at, delivery_of(headers, body), now)
    if subject == "pipelinerun" and predicate in ("queued", "started", "finished"):
        return _run(event, data, at, now)
    return Ignored("not_an_event", event)


def _service(event: str, data: Any, at: datetime, identity: str, now: datetime) -> Told | Ignored:
    name = text(dig(data, "subject", "id"), 253)
    if not name or not identity:
        return Ignored("not_an_event", event)
    environment = dig(data, "subject", "content", "environment")
    return Told(
        key=key_of("cdevents", identity),
        event=event,
        name=name,
        status="succeeded",
        stage=2,
        started_at=at,
        at=at,
        finished_at=at,
        environment=text(dig(environment, "name") or dig(environment, "id"), 80),
        rollback=event.endswith("rolledback"),
        **_said(data, now),
    )


def _run(event: str, data: Any, at: datetime, now: datetime) -> Told | Ignored:
    run = text(dig(data, "subject", "id"), 253)
    content = dig(data, "subject", "content")
    if not run:
        return Ignored("not_an_event", event)
    ended = event.endswith("finished")
    stage = 2 if ended else int(event.endswith("started"))
    outcome = OUTCOMES.get(text(dig(content, "outcome"), 20).lower(), "failed")
    return Told(
        key=key_of("cdevents", "run", text(dig(data, "subject", "source"), 253), run),
        event=event,
        name=text(dig(content, "pipelineName"), 253) or run,
        status=outcome if ended else "running",
        stage=stage,
        started_at=at,
        at=at,
        finished_at=at if ended else None,
        build=run[-40:],
        url=address(dig(content, "url") or dig(content, "uri")),
        wants_rule=True,
        **_said(data, now),
    )


def _said(data: Any, now: datetime) -> dict[str, Any]:
    custom = dig(data, "customData")
    words = custom if isinstance(custom, Mapping) else {}
    found = said(words, now)
    found.setdefault("artifact", text(dig(data, "subject", "content", "artifactId"), 500))
    found["sha"] = text(words.get("commit") or words.get("commit_sha"), 64)
    return found
