"""The clock of this host and the port."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tongchou.core.checks import Surroundings
from tongchou.integrations.host import health_checks

STOPPED = Surroundings(in_server=False, running=False)


@pytest.mark.parametrize(
    ("told", "status"), [((True, 0.001, 0.02), "ok"), ((False, 0.0, 16.0), "warn"), ((True, -3.0, 4.0), "warn")]
)
def test_a_clock_is_judged_by_what_the_kernel_knows(told: tuple[bool, float, float], status: str) -> None:
    assert health_checks.judge_clock(*told).status == status


def test_the_kernel_is_really_asked() -> None:
    told = health_checks.kernel_clock()
    assert told is None or (isinstance(told[0], bool) and abs(told[1]) < 10)


def test_a_port_somebody_else_listens_on(settings: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings.HOST, settings.PORT = "127.0.0.1", other.getsockname()[1]
        found = health_checks.port(STOPPED)
        assert found.status == "fail"
        assert "TONGCHOU_PORT" in str(found.remedy)
    assert health_checks.port(STOPPED).status == "ok"


def test_an_address_this_host_does_not_have(settings: Any) -> None:
    settings.HOST, settings.PORT = "192.0.2.1", 8420
    assert "TONGCHOU_HOST" in str(health_checks.port(STOPPED).remedy)


def test_a_running_server_that_does_not_answer() -> None:
    found = health_checks.port(Surroundings(in_server=False, running=True, answers=None))
    assert found.status == "fail"
    assert health_checks.port(Surroundings(in_server=False, running=True, answers={"failing": {}})).status == "ok"
