"""A folder that workspaces may lie in, people who may, and terraform where it is on the path."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tongchou.changes import iac_applying, iac_planning, iac_workspaces
from tongchou.changes.iac_workspaces import Wanted
from tongchou.changes.models_iac import Plan, Workspace
from tongchou.core import approvals, jobs, secrets, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval

TESTS = system("tests")
STUB = Path(__file__).with_name("stub_terraform.py")
needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is not on the PATH: it is never shipped"
)


@pytest.fixture
def folder(tmp_path: Path, db: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An allowed folder with one configuration in it; execution is on."""
    monkeypatch.setattr(settings, "DATA", tmp_path / "data")
    root = tmp_path / "iac"
    (root / "shop").mkdir(parents=True)
    settings_store.put(actor=TESTS, key="iac.folders", value=[str(root)])
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    return root / "shop"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for terraform that tells what files in the folder say: for drift, which terraform_data cannot have."""
    monkeypatch.setattr(settings, "TERRAFORM", str(STUB))
    yield


def configured(folder: Path, **more: Any) -> Workspace:
    """A workspace of the folder."""
    return iac_workspaces.put_workspace(actor=TESTS, name="shop", wanted=Wanted(directory=str(folder), **more))


def secret(name: str, value: str) -> str:
    """A secret; its name."""
    secrets.put(actor=TESTS, name=name, value=value)
    return name


def planned(workspace: Workspace, actor: Actor = TESTS, kind: str = "plan") -> Plan:
    """A plan, made."""
    plan = iac_planning.request_plan(actor=actor, workspace=workspace, kind=kind)
    jobs.run_due()
    plan.refresh_from_db()
    return plan


def approved(plan: Plan, asks: Actor, decides: Actor) -> Approval:
    """The approval of a plan."""
    approval = iac_applying.ask_approval(actor=asks, plan=plan, reason="wanted")
    return approvals.approve(actor=decides, approval=approval)


def applied(plan: Plan, actor: Actor) -> Plan:
    """Apply it to the end."""
    iac_applying.apply_plan(actor=actor, plan=plan)
    jobs.run_due()
    plan.refresh_from_db()
    return plan
