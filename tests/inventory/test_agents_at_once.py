"""Many agents report at the same moment: each machine is there once, and the source once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.agent_reports import NOW, reading
from tests.inventory.test_concurrent_syncs import together
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.inventory import agents
from tongchou.inventory.agents import Report
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.models_agents import AgentReport

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def reporting(run: str, machine: int) -> Callable[[], object]:
    read = reading(f"box-{machine}", machine_id=f"{machine:032x}", mac=f"52:54:00:00:00:{machine:02x}")
    report = Report(run, 1, NOW, "0.2.0", 60.0, read)
    return lambda: agents.take(actor=system("tests"), report=report)


def test_first_reports_of_one_machine_and_of_several_make_one_row_each() -> None:
    works = [reporting(f"r{run}", machine) for machine in (1, 2) for run in range(3)]
    assert together(*works) == []
    assert sorted(AgentReport.objects.values_list("name", "twin")) == [("box-1", 0), ("box-2", 0)]
    assert SourceConfig.objects.filter(kind=agents.KIND).count() == 1
    assert 1 <= Event.objects.filter(verb="agent.appeared").count() <= 2
    assert Event.objects.filter(verb="source.added").count() == 1
