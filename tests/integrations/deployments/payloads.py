"""What each tool sends, cut down to what is read and a little of what is not, in the shapes of their documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from tongchou.integrations.deployments.signature import sign

SHA = "c6d86dc654b12425e706bcf951adfe5a8627a517"
SECRET = "a secret of the tests"  # nobody else's


def github_status(state: str, at: str, *, number: int = 7, **more: Any) -> dict[str, Any]:
    """A deployment_status event."""
    return {
        "action": "created",
        "deployment_status": {"id": 1, "state": state, "created_at": at, "log_url": "https://github.example/run/1"},
        "deployment": {
            "id": number,
            "sha": SHA,
            "ref": "main",
            "task": "deploy",
            "environment": "production",
            "production_environment": True,
            "payload": {},
            "created_at": "2026-11-28T10:00:00Z",
            "creator": {"login": "octocat"},
            **more,
        },
        "repository": {"full_name": "acme/orders", "private": True},
        "sender": {"login": "octocat"},
    }


def github_run(status: str, conclusion: str | None, at: str, **more: Any) -> dict[str, Any]:
    """A workflow_run event."""
    return {
        "action": status,
        "workflow_run": {
            "id": 30433642,
            "name": "Deploy",
            "run_attempt": 1,
            "run_number": 562,
            "status": status,
            "conclusion": conclusion,
            "head_branch": "main",
            "head_sha": SHA,
            "head_commit": {"id": SHA, "timestamp": "2026-11-28T09:00:00+01:00"},
            "run_started_at": "2026-11-28T10:00:00Z",
            "updated_at": at,
            "html_url": "https://github.example/acme/orders/actions/runs/30433642",
            "actor": {"login": "octocat"},
            **more,
        },
        "repository": {"full_name": "acme/orders"},
    }


def gitlab_deployment(status: str, at: str, *, number: int = 15, **more: Any) -> dict[str, Any]:
    """A Deployment Hook."""
    return {
        "object_kind": "deployment",
        "status": status,
        "status_changed_at": at,
        "deployment_id": number,
        "deployable_url": "https://gitlab.example/acme/orders/-/jobs/796",
        "environment": "live",
        "environment_tier": "production",
        "project": {"id": 30, "path_with_namespace": "acme/orders"},
        "short_sha": SHA[:8],
        "user": {"username": "root"},
        "commit_url": f"https://gitlab.example/acme/orders/-/commit/{SHA}",
        "ref": "v1.4.0",
        **more,
    }


def gitlab_pipeline(status: str, finished: str | None, **more: Any) -> dict[str, Any]:
    """A Pipeline Hook."""
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            "id": 31,
            "ref": "main",
            "tag": False,
            "sha": SHA,
            "source": "push",
            "status": status,
            "created_at": "2026-11-28 10:00:00 UTC",
            "finished_at": finished,
            "variables": [{"key": "UNPLANNED", "value": "true"}, {"key": "INCIDENT", "value": "INC-12"}],
            "url": "https://gitlab.example/acme/orders/-/pipelines/31",
        },
        "user": {"username": "root"},
        "project": {"id": 30, "path_with_namespace": "acme/orders"},
        "commit": {"id": SHA, "timestamp": "2026-11-28T08:00:00+00:00"},
        **more,
    }


def jenkins(phase: str, status: str | None, *, number: int = 18, took: int = 90_000) -> dict[str, Any]:
    """A message of the Notification plugin; the build began on 2026-11-28 at 10:00 UTC."""
    build: dict[str, Any] = {
        "full_url": f"http://jenkins.example/job/shop/job/orders/{number}/",
        "number": number,
        "phase": phase,
        "timestamp": 1_795_860_000_000,
        "scm": {"url": "https://git.example/orders.git", "branch": "origin/main", "commit": SHA},
        "parameters": {"VERSION": "1.4.0", "TARGET": "production"},
    }
    if status:
        build["status"] = status
    if phase in ("COMPLETED", "FINALIZED"):
        build["duration"] = took
    return {"name": "orders", "display_name": "orders", "url": "job/shop/job/orders/", "build": build}


def argocd(phase: str, health: str, *, finished: str | None = "2026-11-28T10:02:00Z", **more: Any) -> dict[str, Any]:
    """What the guide's template makes."""
    return {
        "app": "orders",
        "project": "shop",
        "environment": "production",
        "cluster": "https://kubernetes.default.svc",
        "revision": SHA,
        "phase": phase,
        "health": health,
        "started_at": "2026-11-28T10:00:00Z",
        "finished_at": finished,
        "url": "https://argocd.example/applications/orders",
        "images": "[registry.example/orders:1.4.0]",
        **more,
    }


def cdevent(predicate: str = "service.deployed", *, identity: str = "271069a8", **more: Any) -> dict[str, Any]:
    """The data of a CDEvent."""
    artifact = "pkg:oci/orders@sha256%3A0b31b1c02ff458ad?repository_url=registry.example/orders&tag=1.4.0"
    return {
        "context": {
            "specversion": "0.5.0",
            "id": identity,
            "source": "/event/source/123",
            "type": f"dev.cdevents.{predicate}.0.2.0",
            "timestamp": "2026-11-28T10:02:00Z",
        },
        "subject": {
            "id": "orders",
            "source": "/event/source/123",
            "content": {"environment": {"id": "production"}, "artifactId": artifact, **more},
        },
        "customData": {"commit": SHA, "commit_at": "2026-11-28T08:00:00Z"},
    }


def enveloped(data: dict[str, Any]) -> dict[str, Any]:
    """A structured CloudEvent."""
    context = data["context"]
    return {
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "time": context["timestamp"],
        "datacontenttype": "application/json",
        "data": data,
    }


def headers_of(
    kind: str, raw: bytes, *, delivery: str = "d-1", event: str = "", now_seconds: int = 0
) -> dict[str, str]:
    """The headers that a tool sends with a body."""
    if kind == "github":
        signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        return {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature}
    if kind == "gitlab":
        same = {"X-Gitlab-Webhook-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"}
        return {"X-Gitlab-Event": event, "X-Gitlab-Token": SECRET, "Idempotency-Key": delivery, **same}
    if kind == "plain":
        return {"X-Tongchou-Timestamp": str(now_seconds), "X-Tongchou-Signature": sign(SECRET, now_seconds, raw)}
    return {"Authorization": f"Bearer {SECRET}"}


def encoded(body: Any) -> bytes:
    """As it travels."""
    return json.dumps(body).encode()
