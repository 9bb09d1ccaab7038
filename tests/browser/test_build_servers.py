"""A Jenkins is added in a real browser and tested; a real server takes its builds, which show among the deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import ENVIRONMENT, START_SECONDS, Watched
from tests.integrations.jenkins.stub import Jenkins, Job
from tests.served import Served

pytestmark = pytest.mark.browser
TOKEN = "api-token-1234567890"  # the stub's


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One of its own that may reach this host."""
    folder = tmp_path_factory.mktemp("builds") / "data"
    served = Served(folder, **ENVIRONMENT, TONGCHOU_HTTP_ALLOW="127.0.0.1")
    served.start_seconds = START_SECONDS
    try:
        served.start()
        yield served
    finally:
        served.stop()


@pytest.fixture
def jenkins() -> Iterator[Jenkins]:
    server = Jenkins()
    server.jobs = {"shop/orders-deploy": Job(seconds=0), "nightly": Job(seconds=0)}
    server.build("shop/orders-deploy", [{"name": "VERSION", "value": "1.4.2"}])
    server.build("nightly")
    yield server
    server.stop()


def test_a_jenkins_is_added_tested_and_its_builds_taken(signed_in: Any, platform: Served, jenkins: Jenkins) -> None:
    seen: Watched = signed_in(language="en")
    page = seen.open("/deployments/build-servers")
    seen.shot("build-servers-empty-en")
    for field, text in {"name": "ci", "url": jenkins.url, "user": "ops", "token": TOKEN, "sender": "jenkins"}.items():
        page.fill(f"#{field}", text)
    page.click("form.fields button.primary")
    page.wait_for_url("**/build-servers/ci")
    page.click("form[action$='/test'] button")
    page.wait_for_selector("text=Ops Robot")
    assert TOKEN not in page.content()
    rules = [{"name": "shop/*-deploy", "service": "orders", "version": "{param.VERSION}", "to_environment": "prod"}]
    with platform.client() as client:
        client.put("/api/v1/deployment-sources/jenkins", json={"rules": rules}).raise_for_status()
        client.put("/api/v1/build-servers/ci", json={"poll_every_seconds": 30}).raise_for_status()
        found = platform.wait(
            lambda: client.get("/api/v1/deployments").json()["items"], seconds=90, what="the build as a deployment"
        )
    assert [(each["service"], each["version"], each["environment"]) for each in found] == [("orders", "1.4.2", "prod")]
    seen.open("/deployments/build-servers/ci")
    page.wait_for_selector("text=shop/orders-deploy")
    seen.shot("build-server-en")
    chinese: Watched = signed_in(theme="dark", width=400)
    chinese.open("/deployments/build-servers/ci")
    chinese.shot("build-server-zh-dark-narrow")
    chinese.open("/deployments/build-servers")
    chinese.shot("build-servers-zh-dark-narrow")
