"""The shop as processes: fencing and counting over a real kill, the balancer's switches, discovery, clean ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tongchou.demo import haproxy
from tongchou.demo.control import Shop, ShopError
from tongchou.demo.history import FLOWS, Generator, Plan
from tongchou.demo.shop.stateless import RENDER_QUEUE, RENDERERS
from tongchou.demo.supervisor import Options
from tongchou.demo.topology import SHOP

pytestmark = [pytest.mark.slice, pytest.mark.timeout(120)]
HAPROXY = pytest.param(
    "haproxy",
    marks=pytest.mark.skipif(haproxy.installed() is None, reason="HAProxy with its exporter is not installed"),
)
BALANCERS = ["small", HAPROXY]
ONCE = [pytest.param("small", marks=pytest.mark.soak), HAPROXY]  # the same story behind the same switches


def options(balancer: str = "small") -> Options:
    return Options(visits_per_second=15.0, day_seconds=3600.0, noon=time.time(), seed=3, balancer=balancer)


@pytest.fixture
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(tmp_path / "shop", options(getattr(request, "param", "small"))) as opened:
        opened.wait_open()
        yield opened


def eventually(look: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def orders(shop: Shop) -> int:
    return len(shop.acknowledged())


def role(shop: Shop, name: str) -> str:
    return str(shop.read(shop.address(name), "/role")["role"])


def test_kill_promote_rejoin_loses_no_acknowledged_order(shop: Shop) -> None:
    eventually(lambda: orders(shop) >= 5)
    shop.kill("database-primary")
    promoted = shop.command(shop.address("database-standby"), "/promote")
    assert promoted == {"role": "primary", "epoch": 2}
    at_promotion = orders(shop)
    eventually(lambda: orders(shop) > at_promotion + 3)

    shop.supervise("database-primary", "start")
    old = shop.address("database-primary")
    assert role(shop, "database-primary") == "fenced"
    write = httpx.post(f"http://{old}/orders", json={"id": "x", "body": "{}"}, trust_env=False)
    assert write.status_code == 409
    shop.command(old, "/rejoin")
    eventually(lambda: shop.read(shop.address("database-standby"), "/role")["in_sync"] == sorted(shop_databases()))

    # and back again: the roles swap a second time
    shop.kill("database-standby")
    assert shop.command(old, "/promote")["epoch"] == 3
    again = orders(shop)
    eventually(lambda: orders(shop) > again + 3)
    shop.supervise("customers-1", "stop")
    promised, kept = shop.acknowledged(), shop.kept()
    assert len(promised) >= 10
    assert promised <= kept


def shop_databases() -> list[str]:
    return [spec.name for spec in SHOP if spec.service == "database"]


def test_a_killed_database_stays_dead_and_a_killed_storefront_comes_back(shop: Shop) -> None:
    def alive(name: str) -> bool:
        found = shop.read(shop.facts["supervisor"], "/processes")["items"]
        return bool(next(each["alive"] for each in found if each["name"] == name))

    shop.kill("database-standby")
    shop.kill("storefront-1")
    eventually(lambda: not alive("storefront-1"))
    eventually(lambda: alive("storefront-1"))
    assert not alive("database-standby")
    before = orders(shop)
    eventually(lambda: orders(shop) > before)  # the primary goes on alone, told to the witness
    assert shop.read(shop.facts["supervisor"], "/witness")["in_sync"] == ["database-primary"]


@pytest.mark.parametrize("shop", BALANCERS, indirect=True)
def test_the_balancers_switches_take_a_server_out_and_in(shop: Shop) -> None:
    supervisor = shop.facts["supervisor"]

    def status(name: str) -> str:
        found = shop.read(supervisor, "/balancer/servers")["items"]
        return str(next(each["status"] for each in found if each["name"] == name))

    def answered(name: str) -> float:
        text = httpx.get(f"http://{shop.address(name)}/metrics", trust_env=False).text
        rows = [line for line in text.splitlines() if line.startswith("http_requests_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in rows)

    eventually(lambda: status("storefront-1") == "UP")
    shop.command(supervisor, "/balancer/servers/storefront-1", {"state": "drain"})
    assert status("storefront-1") == "DRAIN"
    for _turn in range(3):  # what was under way when it was taken out is still answered; then nothing more comes
        drained, other = answered("storefront-1"), answered("storefront-2")
        eventually(lambda other=other: answered("storefront-2") > other + 5)  # type: ignore[misc]  # binds the loop's value
        if answered("storefront-1") == drained:
            break
    assert answered("storefront-1") == drained
    shop.command(supervisor, "/balancer/servers/storefront-1", {"state": "maint"})
    assert status("storefront-1") == "MAINT"
    shop.command(supervisor, "/balancer/servers/storefront-1", {"state": "ready", "weight": 50})
    eventually(lambda: answered("storefront-1") > drained)
    shop.command(supervisor, "/balancer/servers", {"name": "storefront-3", "address": shop.address("storefront-2")})
    eventually(lambda: status("storefront-3") == "UP")
    shop.command(supervisor, "/balancer/servers/storefront-3", {"state": "maint"})
    again = {"name": "storefront-3", "address": shop.address("storefront-2")}
    shop.command(supervisor, "/balancer/servers", again)  # put back, though it is known
    eventually(lambda: status("storefront-3") == "UP")
    with pytest.raises(ShopError, match="409"):
        shop.command(supervisor, "/balancer/servers", {"name": "storefront-3", "address": "127.0.0.1:1"})
    with pytest.raises(ShopError, match="502"):
        shop.command(supervisor, "/balancer/servers", {**again, "name": "storefront-4", "backend": "warehouse"})
    with pytest.raises(ShopError, match="422"):
        shop.command(supervisor, "/balancer/servers/storefront-1", {"state": "upside-down"})
    with pytest.raises(ShopError, match="404"):
        shop.command(supervisor, "/balancer/servers/storefront-9", {"state": "ready"})


@pytest.mark.parametrize("shop", ONCE, indirect=True)
def test_a_slow_payments_process_costs_orders_until_it_is_drained(shop: Shop) -> None:
    def answered(outcome: str) -> float:
        text = httpx.get(f"http://{shop.address('customers-1')}/metrics", trust_env=False).text
        name = f'shop_customer_requests_total{{action="checkout",outcome="{outcome}"}}'
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    eventually(lambda: answered("ok") >= 3)
    shop.command(shop.address("payments-2"), "/switches", {"delay_seconds": 1.5})
    eventually(lambda: answered("error") >= 2)
    shop.command(shop.facts["supervisor"], "/balancer/servers/payments-2", {"state": "drain"})
    time.sleep(1.5)  # what was under way when it was drained
    failed, went_well = answered("error"), answered("ok")
    eventually(lambda: answered("ok") >= went_well + 8)
    assert answered("error") == failed
    shop.command(shop.facts["supervisor"], "/balancer/servers/payments-1", {"state": "maint"})
    eventually(lambda: answered("error") > failed)  # nobody is left: the balancer says so, nobody goes around it


@pytest.mark.parametrize("shop", ONCE, indirect=True)
def test_the_spare_storefront_is_unknown_until_it_is_started(shop: Shop) -> None:
    def names() -> set[str]:
        groups = shop.read(shop.facts["supervisor"], "/targets")
        return {group["labels"]["__meta_tongchou_name"] for group in groups}

    assert "storefront-3" not in names()
    balancer = next(
        group["labels"]
        for group in shop.read(shop.facts["supervisor"], "/targets")
        if group["labels"]["__meta_tongchou_name"] == "load-balancer-1"
    )
    shop.supervise("storefront-3", "start")
    assert "storefront-3" in names()
    address = balancer["__meta_tongchou_attr_spare_address"]
    shop.command(shop.facts["supervisor"], "/balancer/servers", {"name": "storefront-3", "address": address})

    def served() -> bool:
        text = httpx.get(f"http://{address}/metrics", trust_env=False).text
        return 'http_requests_total{method="GET",route="/",code="200"}' in text

    eventually(served)
    shop.command(shop.facts["supervisor"], "/balancer/servers/storefront-3", {"state": "maint"})
    shop.supervise("storefront-3", "unlist")
    assert "storefront-3" not in names()
    assert served()  # it still runs: nobody watches it any more, so its end is no outage
    shop.supervise("storefront-3", "stop")
    shop.supervise("storefront-3", "start")
    assert "storefront-3" in names()
    shop.supervise("storefront-3", "stop")
    assert "storefront-3" not in names()


def test_a_surge_beyond_the_storefronts_limit_is_refused_in_part_and_not_kept_waiting(shop: Shop) -> None:
    def figure(name: str) -> float:
        text = httpx.get(f"http://{shop.address('storefront-1')}/metrics", trust_env=False).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    eventually(lambda: orders(shop) >= 2)
    assert figure("http_requests_limit") == RENDERERS
    shop.command(shop.address("customers-1"), "/multiplier", {"value": 6})
    eventually(lambda: figure("http_requests_queued") == RENDER_QUEUE)
    eventually(lambda: figure('http_requests_total{method="GET",route="/",code="503"}') > 5)
    assert figure("http_requests_in_flight") == RENDERERS
    before = orders(shop)
    eventually(lambda: orders(shop) > before + 3)  # what is taken is served


def test_an_ordinary_release_fails_no_order_and_a_rollback_restores_the_version(shop: Shop) -> None:
    eventually(lambda: orders(shop) >= 3)
    shop.release("orders", "1.1.0")
    before = orders(shop)
    eventually(lambda: orders(shop) > before + 3)
    tool = shop.address("release-tool-1")
    assert shop.command(tool, "/rollback", {"service": "orders"})["version"] == "1.0.0"
    assert shop.command(tool, "/rollback", {"service": "orders"})["already"] is True
    text = httpx.get(f"http://{shop.address('customers-1')}/metrics", trust_env=False).text
    assert 'shop_customer_requests_total{action="checkout",outcome="error"} 0\n' in text
    versions = {each["version"] for each in shop.read(shop.facts["supervisor"], "/processes")["items"]}
    assert versions == {"1.0.0"}


@pytest.mark.parametrize("shop", ONCE, indirect=True)
def test_targets_describe_every_process_and_every_endpoint_answers(shop: Shop) -> None:
    groups = shop.read(shop.facts["supervisor"], "/targets")
    names = {group["labels"]["__meta_tongchou_name"] for group in groups}
    assert names == {spec.name for spec in SHOP} | {"supervisor-1"}
    services = {group["labels"]["__meta_tongchou_service"] for group in groups}
    for group in groups:
        labels = group["labels"]
        assert all(isinstance(value, str) and value for value in labels.values())
        assert labels["job"]
        assert labels["env"] == "demo"
        assert labels["instance"] == labels["__meta_tongchou_name"]
        assert labels["__meta_tongchou_attr_control_url"].startswith("http://127.0.0.1:")
        for relation in labels["__meta_tongchou_relations"].split(","):
            kind, name = relation.split(":")
            assert kind in ("calls", "replicates_to", "runs_on")
            assert name in services | names or kind == "runs_on"
        answer = httpx.get(f"http://{group['targets'][0]}{labels['__metrics_path__']}", trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_every_process_speaks_valid_exposition_text(shop: Shop) -> None:
    eventually(lambda: orders(shop) >= 2)
    for name, address in {**shop.facts["addresses"], "supervisor": shop.facts["supervisor"]}.items():
        text = httpx.get(f"http://{address}/metrics", trust_env=False).content
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30)
        said = checked.stdout.decode() + checked.stderr.decode()
        assert checked.returncode in (0, 3), f"{name}: {said}"  # 3: style remarks only
        assert "error while linting" not in said


def test_history_has_the_names_and_labels_of_live_series(shop: Shop) -> None:
    eventually(lambda: orders(shop) >= 8)  # both processes of each service have been used
    plan = Plan(end=time.time(), day_seconds=600, noon=time.time(), visits_per_second=15)
    lines = [dict(labels) for labels, _samples in Generator(plan).lines()]
    live: dict[str, str] = {
        name: httpx.get(f"http://{address}/metrics", trust_env=False).text
        for name, address in shop.facts["addresses"].items()
    }
    for labels in lines:
        if labels["__name__"] == "up" or labels.get("code", "2").startswith(("4", "5")):
            continue
        if (labels["instance"], labels.get("route")) == ("database-standby", "/goods"):
            continue  # catalogue asks either database
        own = [
            f'{key}="{value}"'
            for key, value in labels.items()
            if key not in ("__name__", "job", "service", "env", "instance")
        ]
        wanted = labels["__name__"] + ("{" + ",".join(own) + "}" if own else "")
        assert wanted in live[labels["instance"]], f"{wanted} is not served by {labels['instance']}"
    assert {flow.instance for flow in FLOWS} <= set(live)


def test_killing_the_supervisor_takes_its_children_down(shop: Shop) -> None:
    children = psutil.Process(int(shop.facts["pid"])).children(recursive=True)
    assert len(children) == len(SHOP)
    os.kill(int(shop.facts["pid"]), signal.SIGKILL)
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_a_second_supervisor_on_the_same_folder_is_refused(shop: Shop) -> None:
    command = [sys.executable, "-m", "tongchou.demo.supervisor", str(shop.folder)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    before = orders(shop)
    eventually(lambda: orders(shop) > before)


def test_switches_need_the_token(shop: Shop) -> None:
    for address, path in (
        (shop.address("database-standby"), "/promote"),
        (shop.address("release-tool-1"), "/rollback"),
        (shop.facts["supervisor"], "/processes/cache-1/restart"),
        (shop.facts["supervisor"], "/witness"),
        (shop.facts["supervisor"], "/balancer/servers/storefront-1"),
        (shop.address("orders-1"), "/switches"),
    ):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": shop.token}):
            answer = httpx.post(f"http://{address}{path}", json={}, headers=headers, trust_env=False)
            assert answer.status_code == 401, path
    assert role(shop, "database-standby") == "standby"
