"""kill -9 of the worker in the middle of an apply: what became of it is known, the lock is free, nothing runs twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.changes.conftest import approved, configured, needs_terraform, planned
from tongchou.changes import iac_applying
from tongchou.changes.models_iac import Plan, PlanState
from tongchou.core import jobs
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import Conflict

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True), needs_terraform]
MAIN = """
resource "terraform_data" "first" {
  provisioner "local-exec" { command = "echo first >> did.log" }
}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "echo begun >> did.log; sleep 2; echo slow >> did.log" }
}
resource "terraform_data" "last" {
  depends_on = [terraform_data.slow]
  provisioner "local-exec" { command = "echo last >> did.log" }
}
"""


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it is so."""
    over = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < over, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture
def worker() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts workers; those still there are killed afterwards."""
    made: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("iac_worker.py")), str(connection.settings_dict["NAME"])],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tongchou.settings",
                "PYTHONPATH": str(Path.cwd()),
                "TONGCHOU_DATA": str(settings.DATA),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        made.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in made:
        process.kill()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def test_an_apply_that_is_cut_off_is_known_to_be_so_and_never_done_twice(
    folder: Path,
    operator_actor: Actor,
    approver_actor: Actor,
    worker: Callable[[], subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(iac_applying, "AGAIN_SECONDS", 1.0)
    settings.DATA.mkdir(parents=True, exist_ok=True)
    (folder / "main.tf").write_text(MAIN)
    workspace = configured(folder)
    plan = planned(workspace, operator_actor)
    assert plan.counts["create"] == 3, plan.output
    approved(plan, operator_actor, approver_actor)
    jobs.run_due()
    iac_applying.apply_plan(actor=operator_actor, plan=plan)
    log = folder / "did.log"
    first = worker()
    until(lambda: log.exists() and "begun" in log.read_text())
    first.send_signal(signal.SIGKILL)
    first.wait(20)
    plan.refresh_from_db()
    assert plan.state == PlanState.APPLYING
    with pytest.raises(Conflict, match=r"plan\.state"):
        iac_applying.apply_plan(actor=operator_actor, plan=plan)

    time.sleep(1.2)
    jobs.recover_orphans(all_running=True)  # as the start of a process that is alone does
    jobs.run_due()
    plan.refresh_from_db()
    assert plan.state == PlanState.INTERRUPTED
    assert Event.objects.filter(verb="plan.interrupted").count() == 1
    # terraform was asked to end in good order: it ended the command it was at, wrote its state and began nothing new
    until(lambda: '"tainted"' in (folder / "terraform.tfstate").read_text())
    assert log.read_text().split() == ["first", "begun"]

    after = planned(workspace, operator_actor)
    assert after.state == PlanState.READY, after.output
    assert (after.counts["create"], after.counts["replace"]) == (1, 1)
    approved(after, operator_actor, approver_actor)
    iac_applying.apply_plan(actor=operator_actor, plan=after)
    jobs.run_due()
    after.refresh_from_db()
    assert after.state == PlanState.APPLIED, after.output
    assert log.read_text().split() == ["first", "begun", "begun", "slow", "last"]
    assert Plan.objects.filter(state=PlanState.APPLIED).count() == 1


def test_one_that_is_stopped_ends_in_good_order(
    folder: Path, operator_actor: Actor, approver_actor: Actor, worker: Callable[[], subprocess.Popen[str]]
) -> None:
    settings.DATA.mkdir(parents=True, exist_ok=True)
    (folder / "main.tf").write_text(MAIN)
    plan = planned(configured(folder), operator_actor)
    approved(plan, operator_actor, approver_actor)
    jobs.run_due()
    iac_applying.apply_plan(actor=operator_actor, plan=plan)
    worker()
    until(lambda: (folder / "did.log").exists() and "begun" in (folder / "did.log").read_text())
    iac_applying.stop_apply(actor=operator_actor, plan=plan)
    until(lambda: Plan.objects.get(pk=plan.pk).state == PlanState.APPLY_FAILED)
    plan.refresh_from_db()
    assert plan.outcome == {"code": "stopped"}
    assert "terraform_data.first: Creation complete" in plan.output
    assert (folder / "did.log").read_text().split() == ["first", "begun"]
    assert '"tainted"' in (folder / "terraform.tfstate").read_text()
