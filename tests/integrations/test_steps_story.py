"""A whole story: drained at a real HAProxy, altered by Ansible over a real SSH, put back; shown, approved, then done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.ansible.conftest import Sshd, put_setting, sshd, tools  # noqa: F401  # fixtures
from tests.integrations.haproxy.conftest import Balancer, balancer  # noqa: F401  # a fixture
from tests.runbooks.conftest import make_resource
from tongchou.core import approvals, jobs, secrets
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval
from tongchou.runbooks import actions
from tongchou.runbooks.models import Run

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = """
name: configure
title: {en: Change the configuration, zh: 修改配置}
grade: reversible
parameters: {text: {type: string}}
steps:
  - name: take it out
    haproxy: {action: drain, runtime_api: "${target.runtime_api}", backend: web, server: "${target.name}"}
  - name: change
    ansible:
      playbook: site.yml
      ssh_key: "${secret.deploy-key}"
      extra_vars: {text: "${params.text}", dest: "${target.folder}"}
  - name: put it back
    haproxy: {action: ready, runtime_api: "${target.runtime_api}", backend: web, server: "${target.name}"}
"""
PLAYBOOK = "- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: write, copy: {content: '{{ text }}', dest: '{{ dest }}/conf'}}\n"


@pytest.fixture
def folder(tools: None, sshd: Sshd, balancer: Balancer, tmp_path: Path) -> Path:  # noqa: F811  # pytest's way
    """The target `a` with its attributes, the secret, the playbook; execution allowed there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "site.yml").write_text(PLAYBOOK)
    target = {**sshd.ansible().target, "runtime_api": f"127.0.0.1:{balancer.api}", "folder": str(tmp_path)}
    target.pop("name")
    make_resource("a", kind="process", **target)
    secrets.put(actor=system("tests"), name="deploy-key", value=sshd.key)
    put_setting("ansible.project", str(project))
    put_setting("execution.enabled", True)
    put_setting("execution.targets", ["a"])
    return project


def work(run: Run) -> Run:
    jobs.run_due()
    return Run.objects.select_related("approval").get(pk=run.pk)


def approved(operator: Actor, approver: Actor, text: str) -> Run:
    procedure = actions.put_procedure(actor=system("tests"), name="configure", text=TEXT)
    run = work(actions.request_run(actor=operator, procedure=procedure, params={"text": text}, targets=["a"]))
    assert run.state == "awaiting_approval", run.outcome
    approvals.approve(actor=approver, approval=Approval.objects.get(pk=run.approval_id))
    return run


def steps(run: Run) -> list[Any]:
    return list(run.steps.order_by("position"))


def test_shown_approved_done(
    folder: Path,
    balancer: Balancer,  # noqa: F811  # pytest's way
    sshd: Sshd,  # noqa: F811  # the same
    operator_actor: Actor,
    approver_actor: Actor,
    tmp_path: Path,
) -> None:
    run = approved(operator_actor, approver_actor, "{{ 7 * 7 }}")
    drain, change, ready = (step.preview for step in steps(run))
    assert "DRAIN" in drain["diff"]
    assert "+{{ 7 * 7 }}" in change["diff"]
    assert ready["changes"] is False, "as things stand it takes traffic"
    assert not (tmp_path / "conf").exists()
    assert balancer.statuses()["a"] == "UP"
    run = work(run)
    assert (run.state, [step.state for step in steps(run)]) == ("succeeded", ["succeeded"] * 3), run.outcome
    assert (tmp_path / "conf").read_text() == "{{ 7 * 7 }}"
    assert balancer.statuses()["a"] == "UP"
    assert steps(run)[1].output["hosts"] == {"a": {"changed": 1}}
    kept = str([(step.input, step.output, step.preview) for step in steps(run)])
    assert not any(line in kept for line in sshd.key.splitlines()[1:-1])


def test_a_playbook_altered_after_the_approval_is_not_run(
    folder: Path, operator_actor: Actor, approver_actor: Actor, tmp_path: Path
) -> None:
    run = approved(operator_actor, approver_actor, "one")
    (folder / "site.yml").write_text(PLAYBOOK.replace("conf", "other"))
    run = work(run)
    assert (run.state, [step.state for step in steps(run)]) == ("failed", ["succeeded", "failed", "skipped"])
    assert steps(run)[1].reason["code"] == "ansible_altered"
    assert not (tmp_path / "conf").exists()
    assert not (tmp_path / "other").exists()
