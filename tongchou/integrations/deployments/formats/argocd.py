"""Argo CD notifications, with the template of the guide (docs/en/deployments.md) or a whole Application as the body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tongchou.changes.told import Ignored, Told, address, dig, key_of, moment, said, text

PHASES = {"Running": "running", "Terminating": "running", "Succeeded": "succeeded", "Failed": "failed"} | {
    "Error": "failed"
}
# a sync that succeeded deployed what is not well yet, or never gets well
BY_HEALTH = {"Progressing": "running", "Degraded": "failed", "Missing": "failed"}


def read(headers: Mapping[str, str], body: Any, now: datetime) -> Told | Ignored:
    """Return what a sync of an application tells; each sync, known by its beginning, is a deployment."""
    told = _flat(body)
    app, phase = text(told.get("app"), 253), text(told.get("phase"), 20)
    if not app or phase not in PHASES:
        return Ignored("not_an_event", phase)
    status = PHASES[phase]
    if status == "succeeded":
        status = BY_HEALTH.get(text(told.get("health"), 20), status)
    ended = moment(told.get("finished_at"), now)
    began = moment(told.get("started_at"), now) or ended or now
    at = moment(told.get("at"), now) or ended or began
    revision = text(told.get("revision"), 64)
    key = text(told.get("started_at") or told.get("finished_at"), 40)
    return Told(
        key=key_of("argocd", text(told.get("cluster"), 120), app, revision, key),
        event=phase,
        name=app,
        part=text(told.get("project"), 120),
        status=status,
        stage=1 if status == "running" else 2,
        started_at=min(began, at),
        at=at,
        finished_at=None if status == "running" else max(ended or at, began),
        environment=text(told.get("environment"), 80),
        ref=text(told.get("target"), 253),
        sha=revision,
        artifact=_image(told.get("images")),
        url=address(told.get("url")),
        actor=text(told.get("by"), 150),
        **said(told, now),
    )


def _flat(body: Any) -> dict[str, Any]:
    """The fields of the template; of a whole Application its own places."""
    if not isinstance(dig(body, "metadata"), Mapping) and not isinstance(dig(body, "app"), Mapping):
        return dict(body) if isinstance(body, Mapping) else {}
    app = dig(body, "app") if isinstance(dig(body, "app"), Mapping) else body
    state = dig(app, "status", "operationState")
    return {
        "app": dig(app, "metadata", "name"),
        "project": dig(app, "spec", "project"),
        "environment": dig(app, "metadata", "labels", "env") or dig(app, "metadata", "labels", "environment"),
        "cluster": dig(app, "spec", "destination", "name") or dig(app, "spec", "destination", "server"),
        "target": dig(app, "spec", "source", "targetRevision"),
        "revision": dig(state, "syncResult", "revision") or dig(app, "status", "sync", "revision"),
        "phase": dig(state, "phase"),
        "started_at": dig(state, "startedAt"),
        "finished_at": dig(state, "finishedAt"),
        "health": dig(app, "status", "health", "status"),
        "images": dig(app, "status", "summary", "images"),
        "by": dig(state, "operation", "initiatedBy", "username"),
    }


def _image(listed: Any) -> str:
    """The image of an application that has one; of several none is the version."""
    if isinstance(listed, str):
        listed = [each for each in listed.strip("[]").replace(",", " ").split() if each]
    return text(listed[0], 500) if isinstance(listed, list) and len(listed) == 1 else ""
