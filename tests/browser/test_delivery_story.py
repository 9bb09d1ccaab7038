"""The way of a requirement in a browser: option, change, approval, a run in batches, review; all by clicking."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.browser.conftest import ENVIRONMENT, PASSWORD, START_SECONDS, Watched
from tests.served import Served

pytestmark = pytest.mark.browser
HOLD_SECONDS = 60  # a batch that nobody lets go on fails the run rather than hanging the test
HOSTS = ("web-1", "web-2", "web-3")
PROCEDURE = """name: widen-pool
title: {en: Widen the connection pool, zh: 扩大连接池}
description: {en: One host after the other., zh: 逐台主机执行。}
grade: reversible
max_targets: 3
batch: {size: 1}
steps:
  - name: apply
    http: {method: PUT, url: "${target.control_url}/pool/${target.name}", body: {size: 64}, timeout_seconds: 60}
  - name: verify
    http: {method: GET, url: "${target.control_url}/pool/${target.name}"}
"""
SAID = {
    "en": {
        "title": "Orders take the autumn campaign",
        "need": "Marketing expects **4,000 orders a minute** on the first evening. Without it every third one is lost.",
        "drivers": "Autumn campaign\nContract with the payment provider",
        "yes": "Figures were checked",
        "wider": "Wider pools on three hosts",
        "wider_why": "No new hardware; each host keeps more connections open.",
        "bigger": "Two more hosts",
        "bigger_why": "Buy two hosts and put them behind the balancer.",
        "source": "price list of the data centre",
        "change": "Widen the connection pools",
        "what": "The pool of each host goes from 32 to 64 connections.",
        "risk": "The database runs out of connections",
        "mitigation": "Its limit is 500, wanted are 192",
        "decision": "The wider pools: they are there at once and cost nothing.",
        "consequences": "The next campaign needs hosts.",
        "agree": "Agreed",
        "task": "Widen the pool",
        "look": "Look at the error rate",
        "back": "Set the pool to 32 again with the same procedure.",
        "verification": "The error rate stays below 0.1 % for ten minutes.",
        "review": "No request was lost.",
        "done": "Pools are wide; no host was bought.",
    },
    "zh-hans": {
        "title": "订单系统支撑秋季大促",
        "need": "市场部预计首日晚间每分钟 **4000 笔订单**。不扩容，约三分之一的订单会丢失。",
        "drivers": "秋季大促\n与支付服务商的合同",
        "yes": "数据已核对",
        "wider": "三台主机扩大连接池",
        "wider_why": "不新增硬件，每台主机保持更多连接。",
        "bigger": "新增两台主机",
        "bigger_why": "采购两台主机并接入负载均衡。",
        "source": "机房价目表",
        "change": "扩大连接池",
        "what": "每台主机的连接池从 32 调整为 64。",
        "risk": "数据库连接耗尽",
        "mitigation": "上限为 500，实际需要 192",
        "decision": "扩大连接池：立即可用，且没有采购费用。",
        "consequences": "下一次大促需要新增主机。",
        "agree": "同意",
        "task": "扩大连接池",
        "look": "查看错误率",
        "back": "用同一流程把连接池改回 32。",
        "verification": "错误率连续十分钟低于 0.1%。",
        "review": "没有丢失请求。",
        "done": "连接池已扩大，未采购主机。",
    },
}


class Hosts:
    """What the procedure talks to: each host answers a change once the test lets it, and tells its pool when read."""

    def __init__(self) -> None:
        self.gates = {name: threading.Event() for name in HOSTS}
        self.asked: list[str] = []
        hosts = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: Any) -> None:
                pass

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                name = self.path.rsplit("/", 1)[-1]
                hosts.asked.append(f"{self.command} {name}")
                let_go = self.command == "GET" or hosts.gates[name].wait(HOLD_SECONDS)
                body = json.dumps({"host": name, "size": 64}).encode()
                self.send_response(200 if let_go else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = _answer  # noqa: N815  # http.server calls these names

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        for gate in self.gates.values():
            gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One of its own, on which execution is switched on."""
    served = Served(tmp_path_factory.mktemp("delivery") / "data", **ENVIRONMENT)
    served.start_seconds = START_SECONDS
    try:
        served.start()
        with served.client() as client:
            for name in ("operator", "approver", "viewer"):
                body = {"username": name, "password": PASSWORD, "role": name}
                client.post("/api/v1/users", json=body).raise_for_status()
            for key, value in (("execution.enabled", True), ("execution.targets", ["kind=host"])):
                client.put(f"/api/v1/settings/{key}", json={"value": value}).raise_for_status()
        yield served
    finally:
        served.stop()


@pytest.fixture
def hosts(platform: Served) -> Iterator[Hosts]:
    """Three hosts that a procedure may alter, and the service that runs on them."""
    found = Hosts()
    try:
        with platform.client() as client:
            plant(client, found.url)
        yield found
    finally:
        found.stop()


def plant(client: httpx.Client, url: str) -> None:
    """The hosts point at the server of this test, whichever test made them."""
    known = {each["name"]: each["id"] for each in client.get("/api/v1/resources").json()["items"]}
    for kind, name in [("service", "orders"), *(("host", name) for name in HOSTS)]:
        labels = {"control_url": url} if kind == "host" else {}
        if name in known:
            client.patch(f"/api/v1/resources/{known[name]}", json={"labels": labels}).raise_for_status()
        else:
            body = {"kind": kind, "name": name, "labels": labels}
            client.post("/api/v1/resources", json=body).raise_for_status()
    yaml = {"Content-Type": "application/yaml"}
    client.put("/api/v1/procedures/widen-pool", content=PROCEDURE, headers=yaml).raise_for_status()


class Story:
    """Two people, each in a browser of their own, and the words they write."""

    def __init__(self, signed_in: Any, theme: str, language: str) -> None:
        self.name = f"delivery-{language[:2]}-{theme}"
        self.words = SAID[language]
        self.one: Watched = signed_in("operator", theme=theme, language=language)
        self.other: Watched = signed_in("approver", theme=theme, language=language)
        self.stations = 0

    def shot(self, seen: Watched, what: str) -> None:
        self.stations += 1
        seen.page.evaluate("scrollTo(0, 0)")
        seen.shot(f"{self.name}-{self.stations:02}-{what}")

    def approves(self, what: str) -> None:
        """The other person finds the newest request among the approvals, reads it and agrees."""
        page = self.other.open("/")
        page.click("nav a[href='/approvals']")
        page.wait_for_selector("#inbox button[value=approve]")
        page.fill("#comment", self.words["agree"])
        self.shot(self.other, f"approval-{what}")
        page.click("#inbox button[value=approve]")
        page.wait_for_selector("#inbox .empty")


def require(story: Story) -> str:
    """A person writes down what is wanted and submits it; the other one accepts it. Returns the path of its page."""
    words, page = story.words, story.one.open("/")
    page.click("nav a[href='/requirements']")
    page.click(".topbar a[href='/requirements/new']")
    wanted = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    given = {"title": words["title"], "need": words["need"], "drivers": words["drivers"], "wanted_on": wanted}
    given |= {"budget": "60000", "currency": "CNY", "slo_percent": "99.9", "rto_minutes": "30"}
    for name, text in given.items():
        page.fill(f"#{name}", text)
    page.select_option("#services", label="orders")
    for name, text in {"metric": "orders", "unit": "/min", "baseline": "2500", "uplift_percent": "60"}.items():
        page.fill(f"[name=load-0-{name}]", text)
    story.shot(story.one, "requirement-form")
    page.click("form.stack .btn.primary")
    page.wait_for_selector("form[action$='/submit']")
    path = page.url.removeprefix(story.one.base)
    page.click("form[action$='/submit'] button")
    for question in page.locator("#review select").all():
        question.select_option("yes")
    page.fill("[name=note-0]", words["yes"])
    page.click("#review form .btn")
    page.wait_for_selector("#review .sub:not(:has-text('0'))")
    story.shot(story.one, "requirement-in-review")
    page.click("form[action$='/request-acceptance'] button")
    page.wait_for_selector("a[href^='/approvals?id=']")
    story.approves("requirement")
    page.wait_for_selector(".banner.ok")
    return path


def option(story: Story, name: str, why: str, given: dict[str, str], risk: bool) -> None:
    """One way to meet it: its structure worked out, its figures with sources, what is proposed."""
    page = story.one.page
    page.click("#options a[href$='/options/new']")
    page.fill("#name", name)
    page.fill("#summary", why)
    page.fill("#outline", given.pop("structure"))
    page.click("button[value=try]")
    page.wait_for_selector("#structure svg.structure")
    for field, text in given.items():
        page.fill(f"[name={field}]", text)
        if f"source_{field}" in page.content():
            page.fill(f"[name=source_{field}]", story.words["source"])
    if "resources-0-name" in given:
        page.select_option("[name=resources-0-kind]", "host")
    if risk:
        page.fill("[name=risks-0-risk]", story.words["risk"])
        page.select_option("[name=risks-0-likelihood]", "2")
        page.select_option("[name=risks-0-impact]", "4")
        page.fill("[name=risks-0-mitigation]", story.words["mitigation"])
    story.shot(story.one, "option-form")
    page.click("button[value=save]")
    page.wait_for_selector(f"#options th:has-text('{name}')")


def choose(story: Story) -> str:
    """Two options side by side; the better one is chosen, and a decision record says why. Returns the change's path."""
    words, page = story.words, story.one.page
    wider = {"structure": "parallel: web, beta 5%\n  host x3 | mtbf 4000h mttr 4h | assumption: like last year"}
    wider |= {"capex": "0", "opex_monthly": "1200", "lead_days": "2"}
    wider |= {"changes-0-title": words["change"], "changes-0-what": words["what"], "changes-0-order": "1"}
    wider |= {f"resources-{n}-existing": f"host/{name}" for n, name in enumerate(HOSTS)}
    option(story, words["wider"], words["wider_why"], wider, risk=True)
    bigger = {"structure": "parallel: web, beta 5%\n  host x5 | mtbf 4000h mttr 4h | assumption: like last year"}
    bigger |= {"capex": "58000", "opex_monthly": "2100", "lead_days": "120", "resources-0-name": "web-new"}
    bigger |= {"resources-0-count": "2", "changes-0-title": words["bigger"]}
    option(story, words["bigger"], words["bigger_why"], bigger, risk=False)
    story.shot(story.one, "options")
    page.locator("#options button[data-dialog^='choose-']").first.click()
    page.fill("dialog[open] [name=decision]", words["decision"])
    page.fill("dialog[open] [name=consequences]", words["consequences"])
    story.shot(story.one, "choose")
    page.click("dialog[open] .btn.primary")
    page.wait_for_selector("#decision a[href^='/decisions/']")
    story.shot(story.one, "decided")
    page.click("#decision a[href^='/changes/']")
    page.wait_for_selector(".way")
    return str(page.url.removeprefix(story.one.base))


def plan(story: Story) -> None:
    """What the change still lacks is filled in; consent is asked for, and given by the other person."""
    words, page = story.words, story.one.page
    story.shot(story.one, "change-new")
    page.click(".topbar a[href$='/edit']")
    now = datetime.now(ZoneInfo("Asia/Shanghai"))  # the zone of people, as the form says
    page.fill("#starts_at", (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M"))
    page.fill("#ends_at", (now + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M"))
    page.fill("[name=task-title]", words["task"])
    page.select_option("[name=task-procedure]", "widen-pool")
    page.click("[data-row-add]")
    page.locator("[name=task-title]").last.fill(words["look"])
    page.fill("#backout", words["back"])
    page.fill("#verification", words["verification"])
    for question in page.locator("select[name^=answer-]").all():
        question.select_option(index=1)
    story.shot(story.one, "change-form")
    page.click("form.stack .btn.primary")
    page.wait_for_selector(".way")
    page.click("form[action$='/ask'] button")
    page.wait_for_selector("a[href^='/approvals?id=']")
    story.shot(story.one, "change-asked")
    story.approves("change")
    page.click("#change-live form[action$='/begin'] button")
    page.wait_for_selector("form[action$='/task-run'] button")


def run(story: Story, hosts: Hosts) -> None:
    """Consent to the change covers the run: it begins at once, host by host, which its page shows as it happens."""
    page = story.one.page
    assert page.locator(".tasks .covered").count() == 1
    page.click("form[action$='/task-run'] button")
    page.click(".tasks a[href^='/runs/']")
    for done, name in enumerate(HOSTS):
        page.wait_for_selector(f"#run progress[value='{2 * done}']")
        page.wait_for_selector(f".step-batch:has-text('{name}') + .step:has(.spin)")
        assert hosts.asked == [f"{verb} {each}" for each in HOSTS[:done] for verb in ("PUT", "GET")] + [f"PUT {name}"]
        if done == 1:
            story.shot(story.one, "run-second-batch")
        hosts.gates[name].set()
    page.wait_for_selector("#run [role=status].banner.ok")
    story.shot(story.one, "run-over")


def review(story: Story, change: str) -> None:
    """The task by hand is done, the work is over, and somebody says how it went."""
    page = story.one.page
    page.click("#run a[href^='/changes/']")
    page.wait_for_selector("form[action$='/task-done'] button")
    story.shot(story.one, "change-task-done")
    page.click("form[action$='/task-done'] .btn.primary")
    page.wait_for_selector(".tasks:not(:has(form))")
    with page.expect_navigation():  # the live page shows the next button before the one that was sent is here
        page.locator("form[action$='/finish'] .btn.primary").click()
    page.click("button[data-dialog=close]")
    page.select_option("#close-outcome", "successful")
    page.fill("#close-review", story.words["review"])
    story.shot(story.one, "change-review")
    page.click("dialog[open] .btn.primary")
    page.wait_for_selector(".way li[aria-current=step]:last-child")
    assert page.url.endswith(change)
    story.shot(story.one, "change-closed")


def finish(story: Story, requirement: str, change: str) -> None:
    """From the change back to what it was made for, which is done now; its history tells the way."""
    page = story.one.page
    page.click(f"a[href^='{requirement}']")
    page.wait_for_selector("#need")
    page.click("button[data-dialog=done]")
    page.fill("#done-note", story.words["done"])
    page.click("dialog[open] .btn.primary")
    page.wait_for_selector(".banner.ok")
    story.shot(story.one, "requirement-done")
    assert page.locator(f"#decision a[href='{change}']").count() == 1
    told = page.locator(".timeline").inner_text()
    assert change.replace("/changes/", "CHG-") in told  # the way of its change is a part of its own


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("theme", "language"), [("light", "zh-hans"), pytest.param("dark", "en", marks=pytest.mark.soak)]
)
def test_a_requirement_becomes_an_option_a_change_a_run_in_batches_and_a_review(
    platform: Served, signed_in: Any, hosts: Hosts, theme: str, language: str
) -> None:
    story = Story(signed_in, theme, language)
    requirement = require(story)
    change = choose(story)
    plan(story)
    run(story, hosts)
    review(story, change)
    finish(story, requirement, change)
    with platform.client() as client:
        number = int(change.rsplit("/", 1)[-1])
        found = client.get(f"/api/v1/changes/{number}").raise_for_status().json()
        assert (found["state"], found["outcome"]) == ("closed", "successful")
    assert hosts.asked == [f"{verb} {each}" for each in HOSTS for verb in ("PUT", "GET")]
