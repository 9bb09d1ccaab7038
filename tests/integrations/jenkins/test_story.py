"""A whole run: shown, approved, its worker killed with kill -9 in the middle; one build, and its end in the journal."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.integrations.ansible.conftest import put_setting
from tests.integrations.jenkins.conftest import TOKEN
from tests.integrations.jenkins.stub import Jenkins, Job
from tests.runbooks.conftest import make_resource
from tests.runbooks.test_kill import Worker, state, until
from tongchou.changes.models_builds import BuildServer, BuildStart
from tongchou.core import approvals, jobs, secrets
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval, Event
from tongchou.runbooks import actions
from tongchou.runbooks.models import Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

TEXT = """
name: release
title: {en: Release, zh: 发布}
grade: reversible
parameters: {version: {type: string}}
steps:
  - name: deploy
    jenkins:
      server: ci
      job: shop/deploy
      parameters: {VERSION: "${params.version}", PASSWORD: "${secret.orders-db}"}
      timeout_seconds: 60
      stop_on_timeout: true
      RETRY
"""


@pytest.fixture
def allowed(jenkins: Jenkins, server: BuildServer) -> None:
    make_resource("orders", kind="service")
    put_setting("execution.enabled", True)
    put_setting("execution.targets", ["orders"])
    secrets.put(actor=system("tests"), name="orders-db", value="hunter-22-secret")


def asked(operator: Actor, approver: Actor, retry: str = "") -> Run:
    text = TEXT.replace("      RETRY\n", f"    {retry}\n" if retry else "")
    procedure = actions.put_procedure(actor=system("tests"), name="release", text=text)
    run = actions.request_run(actor=operator, procedure=procedure, params={"version": "1.4.2"}, targets=["orders"])
    jobs.run_due()
    run = Run.objects.get(pk=run.pk)
    assert run.state == "awaiting_approval", run.outcome
    assert "1.4.2" in json.dumps(run.steps.get().preview)
    approvals.approve(actor=approver, approval=Approval.objects.get(pk=run.approval_id))
    return run


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    metrics = tmp_path / "metrics.json"
    metrics.write_text("{}")
    with Worker(metrics) as found:
        yield found


def test_kill_9_in_the_middle_and_there_is_one_build(
    jenkins: Jenkins, allowed: None, operator_actor: Actor, approver_actor: Actor, worker: Worker
) -> None:
    parameters = {"VERSION": "String", "PASSWORD": "Password", "TONGCHOU_KEY": "String"}
    jenkins.jobs["shop/deploy"] = Job(
        parameters, seconds=8, quiet=1.5, log="with hunter-22-secret\nFinished: SUCCESS\n"
    )
    run = asked(operator_actor, approver_actor)
    for moment in ("sent", "queued", "building"):
        worker.start()
        if moment == "sent":
            until(lambda: jenkins.posts("/buildWithParameters") == 1)
        elif moment == "queued":
            until(lambda: bool(jenkins.jobs["shop/deploy"].builds))
        else:
            until(lambda: BuildStart.objects.get().number is not None)
        worker.kill()
    worker.start()
    until(lambda: state(run) in ("succeeded", "failed"))
    step = run.steps.get()
    assert (state(run), step.output["result"], step.output["number"]) == ("succeeded", "SUCCESS", 1), step.reason
    assert step.attempts > 1
    assert jenkins.posts("/buildWithParameters") == len(jenkins.jobs["shop/deploy"].builds) == 1
    kept = json.dumps([step.output, step.input, list(Event.objects.values_list("payload", flat=True))], default=str)
    assert "hunter-22" not in kept
    assert TOKEN not in kept


def test_a_run_that_is_cancelled_stops_its_build(
    jenkins: Jenkins, allowed: None, operator_actor: Actor, approver_actor: Actor
) -> None:
    jenkins.jobs["shop/deploy"] = Job({"VERSION": "String", "PASSWORD": "Password"}, seconds=30)
    run = asked(operator_actor, approver_actor)

    def cancel() -> None:
        try:
            until(lambda: bool(jenkins.jobs["shop/deploy"].builds))
            actions.cancel(actor=operator_actor, run=Run.objects.get(pk=run.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    began = time.monotonic()
    jobs.run_due()
    thread.join()
    assert time.monotonic() - began < 20
    assert state(run) == "cancelled"
    build = jenkins.jobs["shop/deploy"].builds[0]
    assert build.outcome == "ABORTED"
    assert run.steps.get().reason["code"] == "jenkins_cancelled"


def test_what_ended_badly_is_built_anew_when_it_is_tried_again(
    jenkins: Jenkins, allowed: None, operator_actor: Actor, approver_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jenkins.jobs["shop/deploy"] = Job(
        {"VERSION": "String", "PASSWORD": "Password"}, result="FAILURE", seconds=0.1
    )
    run = asked(operator_actor, approver_actor, retry="retry: {times: 1, wait_seconds: 1}")
    real = jenkins.build

    def build(*args: Any, **more: Any) -> Any:
        made = real(*args, **more)
        job.result = "SUCCESS"
        return made

    monkeypatch.setattr(jenkins, "build", build)
    end = time.monotonic() + 20
    while state(run) not in ("succeeded", "failed") and time.monotonic() < end:
        jobs.run_due()
        time.sleep(0.2)
    assert state(run) == "succeeded"
    assert [each.result for each in job.builds] == ["FAILURE", "SUCCESS"]
