"""Sources that look at the machine they run on: by the node their settings name, and by no other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tongchou.core import nodes
from tongchou.core.access import system
from tongchou.core.checks import Surroundings
from tongchou.core.jobs import claim, run_due
from tongchou.core.models import Job, JobState
from tongchou.core.models_nodes import Node
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory import health_checks, source_nodes, sources
from tongchou.inventory.jobs import sync_due
from tongchou.inventory.models import Resource, SourceConfig

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")


def node(name: str, **more: Any) -> None:
    nodes.join(
        nodes.Identity(**{"name": name, "role": "all", "store": nodes.CLICKHOUSE, "worker": f"{name}:1", **more})
    )


@pytest.fixture
def three(settings: Any) -> Any:
    """Two nodes that do jobs and one that does not; this process is the first."""
    settings.NODE_NAME = "a"
    node("a")
    node("b")
    node("w", role="web", worker="")
    return settings


def of_node(name: str, *, kind: str = "host") -> SourceConfig:
    return sources.configure_source(
        actor=ACTOR, name=f"host-{name}", wanted=sources.Wanted(kind=kind, settings={"node": name})
    )


def test_a_node_looks_for_its_own_source_and_leaves_the_others(three: Any) -> None:
    mine, other = of_node("a"), of_node("b")
    assert {row.payload["source"]: row.node for row in Job.objects.filter(name=sources.SYNC_JOB)} == {
        "host-a": "a",
        "host-b": "b",
    }
    run_due()
    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.last_success_at is not None
    assert other.last_run_at is None
    assert Resource.objects.filter(kind="host").count() == 1
    three.NODE_NAME = "b"
    run_due()
    other.refresh_from_db()
    assert other.last_success_at is not None


def test_a_source_that_moves_to_another_node_is_looked_for_there(three: Any) -> None:
    row = of_node("b")
    assert claim("a:1") is None
    sources.configure_source(actor=ACTOR, name=row.name, wanted=sources.Wanted(settings={"node": "a"}))
    [job] = Job.objects.filter(name=sources.SYNC_JOB, state=JobState.QUEUED)
    assert job.node == "a"
    run_due()
    row.refresh_from_db()
    assert row.last_success_at is not None


def test_what_any_node_sees_alike_is_for_whoever_is_free(three: Any) -> None:
    wanted = sources.Wanted(kind="http_sd", settings={"url": "http://192.0.2.1/sd"})
    sources.configure_source(actor=ACTOR, name="sd", wanted=wanted)
    sync_due()
    assert Job.objects.get(name=sources.SYNC_JOB).node == ""


@pytest.mark.parametrize(
    ("kind", "said", "refused"),
    [
        ("host", {}, True),
        ("storage", None, True),
        ("docker", {}, True),
        ("libvirt", {"uri": "qemu:///system"}, True),
        ("libvirt", {"uri": "qemu+ssh://root@kvm1/system"}, False),
        ("services", {"this_host": True}, True),
        ("services", {"addresses": ["192.0.2.1:5432"]}, False),
        ("host", {"node": "b"}, False),
        ("host", {"node": "w"}, True),
        ("host", {"node": "nobody"}, True),
        ("http_sd", {}, False),
        ("no such kind", {}, False),
    ],
)
def test_which_node_is_asked_for_where_several_would_see_something_else(
    three: Any, kind: str, said: dict[str, Any] | None, refused: bool
) -> None:
    if not refused:
        source_nodes.checked(kind, said)
        return
    with pytest.raises(Invalid) as told:
        source_nodes.checked(kind, said)
    assert told.value.field == "settings.node"
    assert "a, b" in str(told.value.remedy)


def test_a_single_node_needs_no_name() -> None:
    source_nodes.checked("host", {})
    node("a")
    source_nodes.checked("host", {})
    node("b")
    nodes.leave(nodes.Identity("b", "all", nodes.CLICKHOUSE, instance=Node.objects.get(name="b").instance))
    source_nodes.checked("host", {})


def test_the_api_asks_for_the_node_and_looks_at_no_other(three: Any, api: Api) -> None:
    refused = api.post("/api/v1/sources", {"name": "h", "kind": "host"})
    assert (refused.status_code, refused.json()["field"]) == (422, "settings.node")
    assert api.put("/api/v1/sources/h", {"kind": "host"}).status_code == 422
    assert api.put("/api/v1/sources/h", {"kind": "host", "settings": {"node": "b"}}).status_code == 200
    assert api.put("/api/v1/sources/h", {"interval_seconds": 90}).status_code == 200  # what was said stays
    for path in ("sync", "plan"):
        answer = api.post(f"/api/v1/sources/h/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "inventory.source_node")
    assert not SourceConfig.objects.get().last_error


def test_a_source_whose_node_is_gone_is_named_by_the_doctor(three: Any) -> None:
    row = of_node("b")
    where = Surroundings(in_server=True, running=True)
    assert health_checks.nodes_of_sources(where).status == "ok"
    nodes.leave(nodes.Identity("b", "all", nodes.CLICKHOUSE, instance=Node.objects.get(name="b").instance))
    found = health_checks.nodes_of_sources(where)
    assert found.status == "warn"
    assert "host-b (b)" in str(found.detail)
    SourceConfig.objects.update(enabled=False)
    row.refresh_from_db()
    with pytest.raises(Conflict):
        source_nodes.hand_over(actor=ACTOR, source=row)
    assert health_checks.nodes_of_sources(where).status == "ok"
