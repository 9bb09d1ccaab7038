"""A release through a real HAProxy: each server is taken out, replaced and taken in again; no client notices."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.changes.release.conftest import TESTS, Shop, _no_store, effects, metrics, pieces, put_rollout, work
from tests.integrations.haproxy.conftest import Balancer
from tests.integrations.haproxy.test_runner import Traffic
from tests.runbooks.conftest import Effects, Metrics, Request, make_resource, reply
from tongchou.changes.release import setup
from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.inventory.models import Relation
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import RunStep

__all__ = ["_no_store", "effects", "metrics"]  # fixtures
pytestmark = pytest.mark.django_db

BEHIND = """
name: deploy-behind-balancer
title: Deploy behind the balancer
grade: reversible
parameters:
  version: {type: string, required: true}
max_targets: 20
steps:
  - name: drain
    haproxy: {action: drain, runtime_api: "${target.runtime_api}", backend: web, server: "${target.name}"}
  - {name: install, http: {method: PUT, url: "${target.control_url}/install/${target.name}/${params.version}"}}
  - name: ready
    haproxy: {action: ready, runtime_api: "${target.runtime_api}", backend: web, server: "${target.name}"}
"""


@pytest.fixture
def behind(balancer: Balancer, effects: Effects, metrics: Metrics, admin_actor: Actor, approver_actor: Actor) -> Shop:
    """A service whose two hosts are the servers of the balancer, rolled out one by one."""
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    runbooks.put_procedure(actor=TESTS, name="deploy-behind-balancer", text=BEHIND)
    service = make_resource("shop", kind="service")
    for name in balancer.behind:
        host = make_resource(name, kind="host", control_url=effects.url, runtime_api=f"127.0.0.1:{balancer.api}")
        Relation.objects.create(from_resource=host, to_resource=service, type="part_of", source="tests")
    environment = setup.put_environment(actor=TESTS, name="production")
    rollout = put_rollout(service, environment, procedure="deploy-behind-balancer", batches=(1,))
    return Shop(service, environment, rollout, effects, metrics, (admin_actor, approver_actor))


def installs(balancer: Balancer, seen: list[str], until: str = "") -> Any:
    """What the control interface does: the server is gone for a moment and comes back with its version.

    `until`: it answers once the balancer's own checks have seen what it is now; before, they know the server of before.
    """

    def install(handler: BaseHTTPRequestHandler, request: Request) -> None:
        name, version = request.path.split("/")[2:]
        server = balancer.behind[name]
        server.stop()
        seen.append(balancer.statuses()[name])
        server.name = f"{name} {version}"
        server.start()
        if until:
            balancer.wait_for(name, until)
        reply(handler, 200)

    return install


def test_no_client_sees_that_every_server_was_replaced(behind: Shop, balancer: Balancer) -> None:
    seen: list[str] = []
    for name in balancer.behind:
        for version in ("1.0", "2.0"):
            behind.effects.answers[f"/install/{name}/{version}"] = installs(balancer, seen)
    for version in ("1.0", "2.0"):
        release = behind.started(version)
        with Traffic(balancer) as traffic:
            release = work(release)
        assert (release.state, pieces(release)) == ("succeeded", [["done", "done"]])
        failed = {answer: count for answer, count in traffic.answers.items() if not isinstance(answer, str)}
        assert failed == {}, "a client saw the release"
        assert {balancer.get()[1] for _once in range(8)} == {f"a {version}", f"b {version}"}
    assert all(each.startswith("DRAIN") for each in seen), "it was replaced while it was in the balancer"
    assert set(balancer.statuses().values()) >= {"UP"}


def test_a_server_that_does_not_come_back_stops_the_release_and_the_version_before_returns(
    behind: Shop, balancer: Balancer
) -> None:
    for name in balancer.behind:
        behind.effects.answers[f"/install/{name}/1.0"] = installs(balancer, [])
    assert work(behind.started("1.0")).state == "succeeded"

    def broken(handler: BaseHTTPRequestHandler, request: Request) -> None:
        balancer.behind["a"].healthy = False
        installs(balancer, [], until="DOWN")(handler, request)

    def repaired(handler: BaseHTTPRequestHandler, request: Request) -> None:
        balancer.behind["a"].healthy = True
        installs(balancer, [], until="DRAIN")(handler, request)

    behind.effects.answers["/install/a/2.0"] = broken
    behind.effects.answers["/install/a/1.0"] = repaired
    release = behind.started("2.0")
    with Traffic(balancer) as traffic:
        release = work(release)
    assert (release.state, pieces(release)) == ("rolled_back", [["rolled_back", "skipped"]])
    assert not {answer for answer in traffic.answers if not isinstance(answer, str)}, "a client saw it"
    assert RunStep.objects.filter(name="ready", state="failed").count() == 1
    assert {balancer.get()[1] for _once in range(8)} == {"a 1.0", "b 1.0"}
