"""GitHub: deployment, deployment_status and workflow_run.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tongchou.changes.told import Ignored, Told, address, dig, key_of, moment, parameters, said, text

STATES: dict[str, tuple[str, int]] = {
    "queued": ("running", 0), "pending": ("running", 0), "waiting": ("running", 0), "requested": ("running", 0),
    "in_progress": ("running", 1), "success": ("succeeded", 2), "failure": ("failed", 2), "error": ("failed", 2),
}  # fmt: skip
CONCLUSIONS = {"success": "succeeded", "failure": "failed", "timed_out": "failed", "startup_failure": "failed"} | {
    "cancelled": "cancelled",
    "stale": "cancelled",
}


def read(headers: Mapping[str, str], body: Any, now: datetime) -> Told | Ignored:
    """Return what an event tells; others than the three, and states that say nothing new, are ignored."""
    event = text(headers.get("X-GitHub-Event"), 40)
    if event == "ping":
        return Ignored("ping", event)
    if event == "workflow_run":
        return _workflow(body, now)
    if event in ("deployment", "deployment_status"):
        return _deployment(event, body, now)
    return Ignored("not_an_event", event)


def _deployment(event: str, body: Any, now: datetime) -> Told | Ignored:
    deployment, status = dig(body, "deployment"), dig(body, "deployment_status")
    began = moment(dig(deployment, "created_at"), now) or now
    state, at, target = "queued", began, ""
    if event == "deployment_status":
        state = text(dig(status, "state"), 20)
        at = moment(dig(status, "created_at"), now) or began
        target = address(dig(status, "log_url")) or address(dig(status, "target_url"))
    if state == "inactive":
        return Ignored("inactive", event)
    if state not in STATES or dig(deployment, "id") is None:
        return Ignored("not_an_event", event)
    folded, stage = STATES[state]
    repository, ref = text(dig(body, "repository", "full_name"), 253), text(dig(deployment, "ref"), 253)
    words = _payload(dig(deployment, "payload"))
    production = dig(deployment, "production_environment") is True
    return Told(
        key=key_of("github", repository, text(dig(deployment, "id"), 40)),
        event=event,
        name=repository,
        part=text(dig(deployment, "task"), 120),
        status=folded,
        stage=stage,
        started_at=min(began, at),
        at=at,
        finished_at=at if stage == 2 else None,
        environment=text(dig(deployment, "environment"), 80),
        tier="production" if production else "",
        ref=ref,
        tag=_tag(ref),
        sha=text(dig(deployment, "sha"), 64),
        url=target,
        actor=text(dig(deployment, "creator", "login"), 150),
        parameters=parameters(words),
        **said(words, now),
    )


def _payload(given: Any) -> Mapping[str, Any]:
    """The deployment's own payload: an object, or one as text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    return given if isinstance(given, Mapping) else {}


def _tag(ref: str) -> str:
    """A ref that is a tag for certain, or one that is written like a version; a branch is none."""
    if ref.startswith("refs/tags/"):
        return ref.removeprefix("refs/tags/")
    return ref if ref[:1] == "v" and ref[1:2].isdigit() else ""


def _workflow(body: Any, now: datetime) -> Told | Ignored:
    run = dig(body, "workflow_run")
    conclusion, status = text(dig(run, "conclusion"), 30), text(dig(run, "status"), 30)
    if dig(run, "id") is None:
        return Ignored("not_an_event", "workflow_run")
    if conclusion in ("skipped", "neutral"):
        return Ignored("skipped", "workflow_run")
    if conclusion == "action_required":
        return Ignored("not_finished", "workflow_run")
    ended = status == "completed"
    began = moment(dig(run, "run_started_at"), now) or moment(dig(run, "created_at"), now) or now
    at = moment(dig(run, "updated_at"), now) or began
    repository, branch = text(dig(body, "repository", "full_name"), 253), text(dig(run, "head_branch"), 253)
    folded, stage = STATES.get(status, ("running", 1))
    return Told(
        key=key_of("github", repository, "run", text(dig(run, "id"), 40), text(dig(run, "run_attempt"), 10) or 1),
        event="workflow_run",
        name=repository,
        part=text(dig(run, "name"), 120),
        status=CONCLUSIONS.get(conclusion, "cancelled") if ended else folded,
        stage=2 if ended else stage,
        started_at=min(began, at),
        at=at,
        finished_at=at if ended else None,
        ref=branch,
        tag=_tag(branch),
        sha=text(dig(run, "head_sha"), 64),
        build=text(dig(run, "run_number"), 40),
        url=address(dig(run, "html_url")),
        actor=text(dig(run, "triggering_actor", "login") or dig(run, "actor", "login"), 150),
        commit_at=moment(dig(run, "head_commit", "timestamp"), now),
        wants_rule=True,
    )
