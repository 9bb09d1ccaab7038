"""A Jenkins on a port, allowed by the guard, and configured as the server `ci`; waits are short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integrations.jenkins.stub import Jenkins
from tongchou.changes import build_actions
from tongchou.changes.build_actions import ServerWanted
from tongchou.changes.models_builds import BuildServer
from tongchou.core.access import system
from tongchou.integrations.jenkins import follow, step
from tongchou.integrations.jenkins.step import JENKINS_STEP
from tongchou.runbooks.ports import Context, StepCall, StepResult

TOKEN = "api-token-1234567890"


@pytest.fixture
def jenkins(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jenkins]:
    settings.HTTP_ALLOW = ["127.0.0.1"]
    for name, seconds in {
        "FIRST_POLL_SECONDS": 0.05, "LAST_POLL_SECONDS": 0.1, "PATIENCE_SECONDS": 0.6, "SETTLE_SECONDS": 0.5,
        "STOP_SECONDS": 1.0,
    }.items():  # fmt: skip
        monkeypatch.setattr(follow, name, seconds)
    monkeypatch.setattr(step, "LEAST_SECONDS", 1.0)
    server = Jenkins()
    yield server
    server.stop()


@pytest.fixture
def server(jenkins: Jenkins, db: None) -> BuildServer:
    wanted = ServerWanted(url=jenkins.url, user="ops", token=TOKEN)
    return build_actions.put_server(actor=system("tests"), name="ci", wanted=wanted)


Do = Callable[..., StepResult]


@pytest.fixture
def do(jenkins: Jenkins, server: BuildServer) -> Do:
    """Do a step on the server `ci`, as the executor would."""

    def call(job: str = "deploy", key: str = "run:0", secrets: dict[str, str] | None = None, **keys: Any) -> StepResult:
        defaults = {name: each.default for name, each in JENKINS_STEP.fields.items() if each.default is not None}
        body = {**defaults, "server": "ci", "job": job, "url": jenkins.url, "timeout_seconds": 8.0, **keys}
        return JENKINS_STEP.run(StepCall("build", body, key, True), Context(secrets or {}))

    return call
