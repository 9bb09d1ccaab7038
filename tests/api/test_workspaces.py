"""Workspaces and plans over the API: set up, planned, approved, applied; nothing sensitive in any answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.changes.conftest import folder, secret, stub  # noqa: F401  # two are fixtures
from tongchou.core import approvals, jobs
from tongchou.core.access import Actor
from tongchou.core.models import Approval

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stub")]


def test_a_workspace_from_its_setting_up_to_an_apply(
    api: Any,
    api_as: Any,
    folder: Path,  # noqa: F811  # the fixture
    operator_actor: Actor,
    approver_actor: Actor,
) -> None:
    change = {"actions": ["create"], "before": None, "after": {"pw": "canary-1"}, "after_sensitive": {"pw": True}}
    found = [{"address": "a.b", "type": "a", "mode": "managed", "change": change}]
    (folder / "plan.json").write_text(json.dumps({"format_version": "1.2", "resource_changes": found}))
    secret("shop-db", "canary-2")
    body = {"directory": str(folder), "secret_variables": {"pw": "shop-db"}}
    assert api.put("/api/v1/workspaces/shop", {**body, "directory": "/etc"}).status_code == 422
    assert api.put("/api/v1/workspaces/shop", {**body, "unknown": 1}).status_code == 422
    made = api.put("/api/v1/workspaces/shop", body)
    assert made.status_code == 200, made.content
    assert api.get("/api/v1/workspaces").json()["count"] == 1
    operator = api_as(operator_actor)
    assert operator.put("/api/v1/workspaces/other", body).status_code == 403
    asked = operator.post("/api/v1/workspaces/shop/plans", {"kind": "plan", "reason": "why"})
    assert asked.status_code == 202, asked.content
    jobs.run_due()
    url = f"/api/v1/plans/{asked.json()['id']}"
    plan = operator.get(url).json()
    assert (plan["state"], plan["lines"]) == ("ready", ["What apply would do", "+ a.b", "    + pw: (sensitive)"][1:])
    assert operator.post(f"{url}/apply").status_code == 409
    assert operator.post(f"{url}/approval", {"reason": "go"}).status_code == 201
    assert operator.post(f"{url}/approval", {}).status_code == 409
    approvals.approve(actor=approver_actor, approval=Approval.objects.get())
    assert operator.post(f"{url}/apply").status_code == 202
    jobs.run_due()
    after = operator.get(url).json()
    assert after["state"] == "applied"
    assert operator.post(f"{url}/stop").status_code == 409
    assert operator.post(f"{url}/discard").status_code == 409
    listed = operator.get("/api/v1/plans", state="applied", workspace="shop").json()
    assert [each["number"] for each in listed["items"]] == [1]
    assert "canary" not in json.dumps([made.json(), plan, after, listed])
    assert api.delete("/api/v1/workspaces/shop").status_code == 204
    assert operator.get(url).status_code == 404
