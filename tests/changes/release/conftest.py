"""A shop of five hosts that a procedure deploys to over HTTP, and metrics a test can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.runbooks.conftest import TESTS, Effects, Metrics, _loopback, _no_store, effects, make_resource, metrics
from tongchou.changes.models_release import Environment, Release, Rollout
from tongchou.changes.release import actions, artefacts, engine, reads, setup
from tongchou.changes.release.artefacts import Told
from tongchou.changes.release.draft import RolloutDraft
from tongchou.core import approvals, jobs, settings_store
from tongchou.core.access import Actor
from tongchou.inventory.models import Relation, Resource
from tongchou.runbooks import actions as runbooks

__all__ = ["_loopback", "_no_store", "effects", "metrics"]  # fixtures of runbooks, used here, too

DEPLOY = """
name: deploy
title: {en: Deploy, zh: 部署}
grade: reversible
parameters:
  version: {type: string, required: true}
max_targets: 50
steps:
  - {name: drain, http: {method: PUT, url: "${target.control_url}/drain/${target.name}"}}
  - {name: install, http: {method: PUT, url: "${target.control_url}/install/${target.name}/${params.version}"}}
  - {name: ready, http: {method: PUT, url: "${target.control_url}/ready/${target.name}"}}
"""


@dataclass
class Shop:
    """A service of five hosts with a rollout in production, and what arrives at the hosts."""

    service: Resource
    environment: Environment
    rollout: Rollout
    effects: Effects
    metrics: Metrics
    people: tuple[Actor, Actor]  # who asks, who agrees

    def installed(self) -> list[tuple[str, str]]:
        """(host, version) in the order in which they were installed."""
        found = [path.split("/")[2:] for path in self.effects.paths() if path.startswith("/install/")]
        return [(host, version) for host, version in found]

    def plan(self, version: str = "2.0", **more: Any) -> Release:
        """A release of a version."""
        told = Told(version)
        artefact, _new = artefacts.register(actor=self.people[0], service=self.service, told=told)
        return actions.create(actor=self.people[0], environment=self.environment, artefacts=[artefact], **more)

    def agreed(self, release: Release) -> Release:
        """Ask for consent to it, and give it."""
        asked = actions.ask(actor=self.people[0], release=release)
        assert asked.approval is not None
        approvals.approve(actor=self.people[1], approval=asked.approval)
        jobs.run_due()
        return fresh(release)

    def started(self, version: str = "2.0", **more: Any) -> Release:
        """One that is agreed on and begun."""
        return actions.start(actor=self.people[0], release=self.agreed(self.plan(version, **more)))


def fresh(release: Release) -> Release:
    """The release as it is now."""
    return Release.objects.select_related("environment", "change", "approval").get(pk=release.pk)


def work(release: Release, rounds: int = 30) -> Release:
    """Do everything that is to be done until it waits for the clock or a person."""
    for _round in range(rounds):
        steps = engine.advance(release.pk)
        if not steps and not jobs.run_due():
            break
    return fresh(release)


def pieces(release: Release) -> list[list[str]]:
    """The states of the batches of each item."""
    return [[each.state for each in reads.batches_of(item)] for item in reads.items(release)]


def make_service(name: str, hosts: int, url: str) -> Resource:
    """A service with hosts that are part of it."""
    service = make_resource(name, kind="service")
    for number in range(1, hosts + 1):
        host = make_resource(f"{name}-{number}", kind="host", control_url=url)
        Relation.objects.create(from_resource=host, to_resource=service, type="part_of", source="tests")
    return service


def make_host(shop: Shop, name: str) -> Resource:
    """One more host of the service."""
    host = make_resource(name, kind="host", control_url=shop.effects.url)
    Relation.objects.create(from_resource=host, to_resource=shop.service, type="part_of", source="tests")
    return host


def put_rollout(service: Resource, environment: Environment, **more: Any) -> Rollout:
    """How it is rolled out; nothing is watched for long."""
    said: dict[str, Any] = {"procedure": "deploy", "batches": (1, 2), "bake_seconds": 0} | more
    return setup.put_rollout(actor=TESTS, service=service, environment=environment, draft=RolloutDraft(**said))


@pytest.fixture
def shop(db: None, effects: Effects, metrics: Metrics, admin_actor: Actor, approver_actor: Actor) -> Shop:
    """See Shop: batches of 1, 2 and 2."""
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    runbooks.put_procedure(actor=TESTS, name="deploy", text=DEPLOY)
    service = make_service("shop", 5, effects.url)
    environment = setup.put_environment(actor=TESTS, name="production", position=30)
    rollout = put_rollout(service, environment)
    return Shop(service, environment, rollout, effects, metrics, (admin_actor, approver_actor))
