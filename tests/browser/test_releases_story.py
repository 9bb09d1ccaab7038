"""A release in a real browser, by the real engine: set up by the forms, planned, agreed on by a second person, started,
watched batch by batch to its end without reloading; and the next one, which fails and goes back by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.test_accessible import WCAG
from tests.served import Served

pytestmark = pytest.mark.browser
HOSTS = 4
SLOW_MS = 60_000  # on a host that does other things, too
PROCEDURE = """name: install-version
title: {en: Install a version, zh: 安装版本}
grade: reversible
parameters:
  version: {type: string, required: true}
max_targets: 20
steps:
  - {name: drain, http: {method: PUT, url: "${target.control_url}/drain/${target.name}"}}
  - {name: install, http: {method: PUT, url: "${target.control_url}/install/${target.name}/${params.version}"}}
  - {name: ready, http: {method: PUT, url: "${target.control_url}/ready/${target.name}"}}
"""
LOOKS = [("light", "zh-hans"), pytest.param("dark", "en", marks=pytest.mark.soak)]


@dataclass
class Hosts:
    """What arrives at the hosts; an install of a path in `broken` fails."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def installed(self, service: str) -> dict[str, str]:
        """Which version each host of a service has."""
        found = [path.split("/")[2:] for path in self.paths if path.startswith(f"/install/{service}-")]
        return dict(found)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A control interface on a free port of loopback."""
    found = Hosts()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:  # http.server calls this name
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.paths.append(self.path)
            self.send_response(500 if self.path in found.broken else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """A test's server is silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(5)


def plant(platform: Served, hosts: Hosts, service: str) -> None:
    """A service of some hosts, a procedure that installs on them, and execution switched on."""
    with platform.client() as client:

        def made(body: dict[str, Any]) -> str:
            return str(client.post("/api/v1/resources", json=body).raise_for_status().json()["id"])

        owner = made({"kind": "service", "name": service})
        for number in range(1, HOSTS + 1):
            body = {"kind": "host", "name": f"{service}-{number}", "attributes": {"control_url": hosts.url}}
            relation = {"from_id": made(body), "to_id": owner, "type": "part_of"}
            client.post("/api/v1/relations", json=relation).raise_for_status()
        yaml = {"Content-Type": "application/yaml"}
        client.put("/api/v1/procedures/install-version", content=PROCEDURE, headers=yaml).raise_for_status()
        for key, value in (("execution.enabled", True), ("execution.targets", ["*"])):
            client.put(f"/api/v1/settings/{key}", json={"value": value}).raise_for_status()


def set_up(seen: Any, service: str, environment: str) -> None:
    """The environment and how the service is rolled out in it, by their forms."""
    page = seen.open("/releases")
    page.click(".first-steps a[href='/environments']") if page.locator(".first-steps").count() else seen.open(
        "/environments"
    )
    page.fill("#name", environment)
    page.click("#form .btn.primary")
    page.wait_for_selector(f"td.main a:has-text('{environment}')")
    page = seen.open(f"/rollouts/new?service={service}&environment={environment}")
    page.select_option("#procedure", "install-version")
    page.fill("#bake_seconds", "1")
    page.fill("#batches", "1, 50%")
    page.wait_for_selector("#preview [role=img][aria-label='1, 2, 1']")
    assert f"{service}-{HOSTS}" in page.inner_text("#preview")
    page.select_option("#from", "names")
    page.locator("#labels").wait_for(state="hidden")
    page.locator("#names").wait_for(state="visible")
    page.select_option("#from", "service")
    page.wait_for_selector("#preview [role=img][aria-label='1, 2, 1']")
    seen.shot(f"rollout-form-{environment}")
    page.click("#rollout-form .btn.primary")
    page.wait_for_selector(".facts")
    seen.shot(f"rollout-{environment}")


def planned(seen: Any, service: str, environment: str, version: str) -> str:
    """A version told by hand, and a release of it; returns the address of its page."""
    page = seen.open(f"/versions/new?service={service}")
    page.fill("#version", version)
    page.click("form.stack .btn.primary")
    page.wait_for_selector(".facts")
    page = seen.open(f"/releases/new?environment={environment}")
    page.locator("tr", has_text=service).locator("select").select_option(label=version)
    seen.shot(f"release-form-{environment}")
    page.click("form.stack .btn.primary")
    page.wait_for_selector("#release .boxes")
    return str(page.url)


def agreed(seen: Any, signed_in: Any, address: str, language: str) -> None:
    """Asked for by one person, given by another."""
    page = seen.page
    page.click("#do-ask")
    page.keyboard.type("to the shop")
    page.click("dialog[open] .btn.primary")
    page.wait_for_selector("#release a[href^='/approvals?id=']")
    request = page.locator("#release a[href^='/approvals?id=']").first.get_attribute("href")
    second = signed_in("approver", language=language)
    asked = second.open(str(request))
    asked.wait_for_selector("button[value=approve]:enabled")
    assert "inventory.resource" not in asked.inner_text("main")
    second.shot(f"release-request-{language}")
    asked.click("button[value=approve]")
    asked.wait_for_selector("#toasts .toast, .empty")
    page.wait_for_selector("#do-start", timeout=SLOW_MS)  # by itself: the page hears of it


def accessible(page: Any, name: str) -> None:
    """No violation of WCAG A or AA."""
    page.wait_for_load_state("load")
    found = Axe().run(page, options=WCAG).response["violations"]
    wrong = [f"{name}: {each['id']} {[node['html'][:200] for node in each['nodes'][:3]]}" for each in found]
    assert not wrong, "\n".join(wrong)


def follow(page: Any, state: str) -> list[str]:
    """Watch a page that is not touched until the release is in a state; returns the states of batches that were seen."""
    seen: list[str] = []
    for _try in range(SLOW_MS // 100):
        seen += page.eval_on_selector_all(".box", "(found) => found.map((each) => each.dataset.state)")
        if page.locator(f"#release [data-release-state='{state}']").count():
            return sorted(set(seen))
        page.wait_for_timeout(100)
    raise AssertionError(f"{state} did not come: {page.inner_text('#release')}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("theme", "language"), LOOKS)
def test_a_release_from_its_setting_up_to_its_end(
    platform: Served, hosts: Hosts, signed_in: Any, theme: str, language: str
) -> None:
    service, environment = f"till-{language[:2]}", f"production-{language[:2]}"
    plant(platform, hosts, service)
    seen = signed_in(theme=theme, language=language)
    set_up(seen, service, environment)
    address = planned(seen, service, environment, "1.0")
    seen.shot(f"release-draft-{theme}-{language}")
    agreed(seen, signed_in, address, language)
    page = seen.page
    page.wait_for_selector("#before .banner.ok")
    seen.shot(f"release-ready-{theme}-{language}")
    page.evaluate("window.notReloaded = true")
    page.focus("#do-start")
    page.keyboard.press("Enter")
    with page.expect_navigation():
        page.click("#confirm-ok")
    page.wait_for_selector("#release [data-release-state='running']", timeout=SLOW_MS)
    page.evaluate("window.notReloaded = true")
    seen.shot(f"release-running-{theme}-{language}")
    states = follow(page, "succeeded")
    assert page.evaluate("window.notReloaded") is True
    assert "done" in states
    assert len(states) > 2, "waiting, and on their way"
    assert hosts.installed(service) == {f"{service}-{n}": "1.0" for n in range(1, HOSTS + 1)}
    seen.shot(f"release-succeeded-{theme}-{language}")
    where = seen.open("/releases")
    assert "1.0" in where.locator(".where tr", has_text=service).inner_text()
    seen.shot(f"releases-{theme}-{language}")

    hosts.broken.add(f"/install/{service}-2/2.0")
    address = planned(seen, service, environment, "2.0")
    agreed(seen, signed_in, address, language)
    page.click("#do-start")
    with page.expect_navigation():
        page.click("#confirm-ok")
    states = follow(page, "rolled_back")
    assert "rolled_back" in states
    assert hosts.installed(service) == {f"{service}-{n}": "1.0" for n in range(1, HOSTS + 1)}
    seen.shot(f"release-rolled-back-{theme}-{language}")
    phone = signed_in(theme=theme, language=language, width=390)
    for name, path in {
        "release": address.removeprefix(platform.url), "releases": "/releases?queue=all", "rollouts": "/rollouts",
        "rollout-form": "/rollouts/new", "environments": "/environments", "versions": "/versions?queue=all",
        "release-form": "/releases/new", "where": "/releases/where",
    }.items():  # fmt: skip
        narrow = phone.open(path)
        assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        phone.shot(f"{name}-390-{theme}-{language}")
        accessible(narrow, name)
        seen.open(path)
        seen.shot(f"{name}-1440-{theme}-{language}")
    with platform.client() as client:
        client.put("/api/v1/settings/execution.enabled", json={"value": False}).raise_for_status()


def test_a_train_of_two_asks_between_batches_and_is_left_by_keyboard(
    platform: Served, hosts: Hosts, signed_in: Any
) -> None:
    environment = "shops"
    with platform.client() as client:
        client.put(
            f"/api/v1/environments/{environment}", json={"position": 90, "needs_previous": False}
        ).raise_for_status()
        for service in ("kiosk", "booth"):
            plant(platform, hosts, service)
            put(client, service, environment)
    seen = signed_in(language="en")
    page = seen.open(f"/releases/new?environment={environment}")
    for service, place in (("kiosk", "1"), ("booth", "2")):
        row = page.locator("tbody tr", has_text=service)
        row.locator("input[type=checkbox]").check()
        row.locator("input.pick-order").fill(place)
    seen.shot("release-form-train-en")
    page.click("form.stack .btn.primary")
    page.wait_for_selector("#release .boxes")
    assert [each.split()[1] for each in page.locator(".train .panel-head").all_inner_texts()] == ["kiosk", "booth"]
    agreed(seen, signed_in, str(page.url), "en")
    page.wait_for_selector("#before .banner.ok")
    page.click("#do-start")
    with page.expect_navigation():
        page.click("#confirm-ok")
    follow(page, "paused")
    assert "next batches" in page.inner_text("#do-resume")
    assert "holds" in page.locator(".checks").first.inner_text(), "what the check said of the first batch"
    seen.shot("release-paused-en")
    page.focus("#do-resume")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_selector("#batch-1-2[data-state=done]", timeout=SLOW_MS)
    follow(page, "paused")
    assert len(hosts.installed("kiosk")) == HOSTS
    seen.shot("release-train-en")
    phone = signed_in(language="en", width=390, theme="dark")
    narrow = phone.open(str(page.url).removeprefix(platform.url))
    assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.shot("release-train-390-dark-en")
    accessible(narrow, "a train, in the dark")
    accessible(page, "a train")
    page.focus("#do-leave")
    page.keyboard.press("Enter")
    page.keyboard.type("the fair is over")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    follow(page, "failed")
    assert "the fair is over" in page.inner_text("#release")
    assert list(hosts.installed("booth")) == ["booth-1"]


def put(client: httpx.Client, service: str, environment: str) -> None:
    """A version, and a rollout that asks a person after its first batch."""
    client.post("/api/v1/versions", json={"service": service, "version": "5.0"}).raise_for_status()
    check = {"query": "vector(1)", "is": "> 0", "says": "open for business"}
    body = {
        "procedure": "install-version", "bake_seconds": 1, "batches": [1, "100%"], "confirm_after": 1, "checks": [check],
    }  # fmt: skip
    client.put(f"/api/v1/services/{service}/rollouts/{environment}", json=body).raise_for_status()
