"""GitLab: Deployment Hook and Pipeline Hook (https://docs.gitlab.com/user/project/integrations/webhook_events/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tongchou.changes.told import Ignored, Told, address, dig, key_of, moment, parameters, said, text

STATES: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("created", "waiting_for_resource", "preparing", "pending", "scheduled"), ("running", 0)),
    "running": ("running", 1),
    "canceling": ("running", 1),
    "success": ("succeeded", 2),
    "failed": ("failed", 2),
    "canceled": ("cancelled", 2),
}
WAITING = ("manual", "blocked")
MAX_VARIABLES = 50
_COMMIT = re.compile(r"/commit/([0-9a-f]{7,64})\Z")


def read(headers: Mapping[str, str], body: Any, now: datetime) -> Told | Ignored:
    """Return what a hook tells. Its kind is in the body, as in X-Gitlab-Event."""
    kind = text(dig(body, "object_kind"), 40)
    state = text(dig(body, "status") or dig(body, "object_attributes", "status"), 40)
    if kind not in ("deployment", "pipeline"):
        return Ignored("not_an_event", kind or text(headers.get("X-Gitlab-Event"), 80))
    if state == "skipped":
        return Ignored("skipped", kind)
    if state in WAITING:
        return Ignored("not_finished", kind)
    if state not in STATES:
        return Ignored("not_an_event", kind)
    return _deployment(body, state, now) if kind == "deployment" else _pipeline(body, state, now)


def _deployment(body: Any, state: str, now: datetime) -> Told | Ignored:
    identity = text(dig(body, "deployment_id"), 40)
    if not identity:
        return Ignored("not_an_event", "deployment")
    folded, stage = STATES[state]
    at = moment(dig(body, "status_changed_at"), now) or now
    project, ref = text(dig(body, "project", "path_with_namespace"), 253), text(dig(body, "ref"), 253)
    full = _COMMIT.search(text(dig(body, "commit_url"), 2000))
    return Told(
        key=key_of("gitlab", text(dig(body, "project", "id"), 40) or project, identity),
        event="deployment",
        name=project,
        status=folded,
        stage=stage,
        started_at=at,
        at=at,
        finished_at=at if stage == 2 else None,
        environment=text(dig(body, "environment"), 80),
        tier=text(dig(body, "environment_tier"), 20),
        ref=ref,
        tag=_tag(ref),
        sha=full[1] if full else text(dig(body, "short_sha"), 64),
        url=address(dig(body, "deployable_url")),
        actor=text(dig(body, "user", "username"), 150),
    )


def _tag(ref: str) -> str:
    """A ref written like a version is a tag; the hook does not say."""
    return ref if re.match(r"v?\d+\.\d+", ref) else ""


def _pipeline(body: Any, state: str, now: datetime) -> Told | Ignored:
    attributes = dig(body, "object_attributes")
    identity = text(dig(attributes, "id"), 40)
    if not identity:
        return Ignored("not_an_event", "pipeline")
    folded, stage = STATES[state]
    began = moment(dig(attributes, "created_at"), now) or now
    at = moment(dig(attributes, "finished_at"), now) or began
    project, ref = text(dig(body, "project", "path_with_namespace"), 253), text(dig(attributes, "ref"), 253)
    words = _variables(dig(attributes, "variables"))
    return Told(
        key=key_of("gitlab", text(dig(body, "project", "id"), 40) or project, "pipeline", identity),
        event="pipeline",
        name=project,
        part=text(dig(attributes, "name") or dig(attributes, "source"), 120),
        status=folded,
        stage=stage,
        started_at=min(began, at),
        at=at,
        finished_at=at if stage == 2 else None,
        ref=ref,
        tag=ref if dig(attributes, "tag") is True else "",
        sha=text(dig(attributes, "sha"), 64),
        build=identity,
        url=address(dig(attributes, "url")),
        actor=text(dig(body, "user", "username"), 150),
        commit_at=moment(dig(body, "commit", "timestamp"), now),
        parameters=parameters(words),
        wants_rule=True,
        **said(words, now),
    )


def _variables(listed: Any) -> dict[str, Any]:
    if not isinstance(listed, list):
        return {}
    return {text(dig(each, "key"), 80): dig(each, "value") for each in listed[:MAX_VARIABLES]}
