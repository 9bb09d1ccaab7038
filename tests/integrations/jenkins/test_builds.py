"""Builds of a server become deployments: each once, in any order, whoever tells of it, whatever happens in between."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.integrations.jenkins.stub import Jenkins, Job
from tongchou.changes import actions, build_actions, build_polling
from tongchou.changes.actions import SenderWanted
from tongchou.changes.build_actions import ServerWanted
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_builds import BuildServer, PolledJob
from tongchou.changes.models_deliveries import SenderDelivery
from tongchou.core import checks, jobs
from tongchou.core.access import system
from tongchou.core.checks import Surroundings
from tongchou.integrations.jenkins.told import told_of

pytestmark = pytest.mark.django_db
TESTS = system("tests")
RULES = [
    {"name": "shop/*/test", "ignore": True},
    {"name": "shop/*-deploy", "service": "{param.SERVICE}", "version": "{param.VERSION}", "to_environment": "prod"},
]
SECRET = "sesame-open-sesame"  # a test's


def values(**said: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in said.items()]


@pytest.fixture
def polled(server: BuildServer, jenkins: Jenkins) -> BuildServer:
    """The server `ci`, its builds taken as the sender `jenkins` by RULES; one job that deploys, one that does not."""
    wanted = SenderWanted(secret=SECRET, format="jenkins", rules=RULES)
    actions.configure_sender(actor=TESTS, name="jenkins", wanted=wanted)
    build_actions.put_server(actor=TESTS, name="ci", wanted=ServerWanted(sender="jenkins", poll_every_seconds=60))
    jenkins.jobs |= {
        "shop/orders-deploy": Job(seconds=0),
        "shop/orders/test": Job(seconds=0),
        "nightly": Job(seconds=0),
    }
    server.refresh_from_db()
    return server


def look(server: BuildServer) -> int:
    BuildServer.objects.filter(pk=server.pk).update(next_poll_at=None)
    return build_polling.poll(server.pk)


def deployments() -> list[tuple[str, str, str]]:
    rows = Deployment.objects.order_by("version")
    return [(row.service_name, row.version, row.status) for row in rows]


def test_a_build_is_a_deployment_once(jenkins: Jenkins, polled: BuildServer) -> None:
    jenkins.jobs["shop/orders-deploy"].git = {"sha": "a" * 40, "branch": "refs/tags/v1"}
    jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION="1.4.2"), user="Ada")
    jenkins.build("shop/orders/test")
    jenkins.build("nightly")
    assert [look(polled), look(polled), look(polled)] == [1, 0, 0]
    row = Deployment.objects.get()
    assert (row.service_name, row.version, row.environment, row.status) == ("orders", "1.4.2", "prod", "succeeded")
    assert (row.commit_sha, row.actor_name, row.source) == ("a" * 40, "Ada", "jenkins")
    assert row.url == f"{jenkins.url}/job/shop/job/orders-deploy/1/", "by the address that we know, not by Jenkins' own"
    assert PolledJob.objects.get().seen == 1
    polled.refresh_from_db()
    assert polled.answered_at is not None
    assert not any("nightly" in path or "/test" in path for _method, path in jenkins.asked), "no rule fits: not asked"


def test_what_the_webhook_told_is_not_told_again(jenkins: Jenkins, polled: BuildServer, client: Client) -> None:
    build = jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION="1"))
    body = {
        "name": "orders-deploy",
        "url": "job/shop/job/orders-deploy/",
        "build": {
            "phase": "COMPLETED", "status": "SUCCESS", "number": 1, "timestamp": int(build.began * 1000), "duration": 1,
            "parameters": {"SERVICE": "orders", "VERSION": "1"},
        },
    }  # fmt: skip
    hook = f"/hooks/deployments/jenkins?token={SECRET}"
    assert client.post(hook, body, content_type="application/json").status_code == 202
    look(polled)
    assert client.post(hook, body, content_type="application/json").status_code == 202
    assert deployments() == [("orders", "1", "succeeded")]


def test_fifty_builds_that_end_out_of_order(jenkins: Jenkins, polled: BuildServer) -> None:
    """Those still running hold nothing up, and are looked at again until they end."""
    now = time.time()
    for number in range(50):
        long_ = number % 7 == 3
        said = values(SERVICE="orders", VERSION=f"{number:02}")
        result = "FAILURE" if number % 10 == 0 else "SUCCESS"
        jenkins.build("shop/orders-deploy", said, seconds=600 if long_ else 0, began=now - 60 + number, result=result)
    assert look(polled) == 50
    running = [row.version for row in Deployment.objects.filter(status="running")]
    assert sorted(running) == [f"{number:02}" for number in range(50) if number % 7 == 3]
    seen = PolledJob.objects.get()
    assert (seen.seen, len(seen.ended)) == (3, 50 - 3 - len(running))
    assert look(polled) == 0
    for build in reversed(jenkins.jobs["shop/orders-deploy"].builds):
        if build.building:
            build.seconds = 0
            assert look(polled) == 1
    seen.refresh_from_db()
    assert (seen.seen, seen.ended) == (50, [])
    assert Deployment.objects.count() == 50
    assert Deployment.objects.filter(status="failed").count() == 5
    assert not Deployment.objects.filter(status="running").exists()


def test_more_builds_than_a_page_between_two_looks(jenkins: Jenkins, polled: BuildServer) -> None:
    jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION="first"))
    look(polled)
    for number in range(130):
        jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION=f"{number}"))
    assert look(polled) == 130
    assert PolledJob.objects.get().seen == 131


def test_of_a_job_seen_for_the_first_time_only_the_last_builds(jenkins: Jenkins, polled: BuildServer) -> None:
    for number in range(80):
        jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION=f"{number}"))
    assert look(polled) == build_polling.FIRST_BUILDS


def test_cut_off_after_taking_and_before_writing_how_far(
    jenkins: Jenkins, polled: BuildServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION=f"{number}"))

    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(build_polling, "advanced", die)
        with pytest.raises(KilledError):
            look(polled)
    assert (Deployment.objects.count(), PolledJob.objects.count()) == (3, 0)
    assert look(polled) == 0
    assert (Deployment.objects.count(), PolledJob.objects.get().seen) == (3, 3)


def test_deleted_builds_are_passed_over(jenkins: Jenkins, polled: BuildServer) -> None:
    for number in range(5):
        jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION=f"{number}"))
    jenkins.jobs["shop/orders-deploy"].builds[2].deleted = True
    assert look(polled) == 4
    assert PolledJob.objects.get().seen == 5


def test_a_dead_server_is_asked_later_and_later(jenkins: Jenkins, polled: BuildServer) -> None:
    jenkins.stop()
    waits = []
    for _look in range(6):
        look(polled)
        polled.refresh_from_db()
        assert polled.next_poll_at is not None
        waits.append(round((polled.next_poll_at - timezone.now()).total_seconds()))
    assert waits == sorted(waits)
    assert waits[0] > 100
    assert waits[-1] == pytest.approx(build_actions.MAX_BACKOFF_SECONDS, abs=5)
    assert polled.failing_since is not None
    found = {
        each.name: each.finding
        for each in checks.run(
            Surroundings(has_database=True, in_server=False, running=False), only=["jenkins.answers"]
        )
    }
    assert found["jenkins.answers"].status == "warn"
    jenkins.start()
    look(polled)
    polled.refresh_from_db()
    assert (polled.failures, polled.failing_since, polled.problem) == (0, None, "")


def test_it_is_done_by_a_job_and_by_one_at_a_time(jenkins: Jenkins, polled: BuildServer) -> None:
    jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION="1"))
    build_polling.poll_due()
    build_polling.poll_due()
    jobs.run_due()
    assert deployments() == [("orders", "1", "succeeded")]
    assert sum(1 for _method, path in jenkins.asked if path.startswith("/jenkins/api/json")) == 1
    BuildServer.objects.update(next_poll_at=timezone.now() + timedelta(seconds=60))
    assert build_polling.poll(polled.pk) == 0, "somebody looks, or it is too early"


@pytest.mark.parametrize("how", ["server", "sender", "none"])
def test_what_is_switched_off_is_not_looked_at(jenkins: Jenkins, polled: BuildServer, how: str) -> None:
    if how == "server":
        BuildServer.objects.update(enabled=False)
    elif how == "sender":
        DeploymentSource.objects.update(enabled=False)
    else:
        build_actions.put_server(actor=TESTS, name="ci", wanted=ServerWanted(sender=""))
    assert look(polled) == 0
    assert jenkins.asked == []


def test_without_a_rule_nothing_is_a_deployment(jenkins: Jenkins, polled: BuildServer) -> None:
    DeploymentSource.objects.update(rules=[])
    jenkins.build("shop/orders-deploy", values(SERVICE="orders", VERSION="1"))
    assert look(polled) == 0
    assert not Deployment.objects.exists()
    assert not SenderDelivery.objects.exists(), "what nobody sent is no line of the log"


def test_what_a_build_tells() -> None:
    now = timezone.now()
    began = int(now.timestamp() * 1000) - 60_000
    actions_ = [
        {},
        None,
        {"parameters": [{"name": "VERSION", "value": "1"}, {"name": "PASSWORD"}]},
        {"lastBuiltRevision": {"SHA1": "b" * 40, "branch": [{"name": "refs/remotes/origin/main"}]}},
    ]
    build = {
        "number": 7,
        "building": False,
        "result": "UNSTABLE",
        "timestamp": began,
        "duration": 5000,
        "actions": actions_,
    }
    told: Any = told_of("https://ci.example.org", "shop/orders/feature%2Fx", build, now)
    assert (told.name, told.key) == ("shop/orders/feature%2Fx", "jenkins:shop/orders/feature%2Fx:7")
    assert (told.status, told.ref, told.tag, told.sha) == ("failed", "main", "", "b" * 40)
    assert told.parameters == {"VERSION": "1"}
    assert told.wants_rule
    running: Any = told_of("https://ci.example.org", "x", {**build, "building": True, "result": None}, now)
    assert (running.status, running.finished_at) == ("running", None)
    broken: Any = told_of("https://ci.example.org", "x", {**build, "actions": None, "timestamp": None}, now)
    assert broken.status == "failed"
    skipped: Any = told_of("https://ci.example.org", "x", {**build, "result": "NOT_BUILT"}, now)
    assert skipped.reason == "skipped"
