"""The platform's haproxy steps do the same to HAProxy and to the small balancer that stands in for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tongchou.demo import haproxy
from tongchou.demo.control import Shop
from tongchou.demo.supervisor import Options
from tongchou.integrations.haproxy.runner import HAPROXY_STEP
from tongchou.runbooks import fields
from tongchou.runbooks.ports import Context, StepCall, StepResult

pytestmark = [pytest.mark.slice, pytest.mark.timeout(120), pytest.mark.django_db]
BEHIND = ("storefront-1", "storefront-2", "payments-1", "payments-2")
BALANCERS = [
    "small",
    pytest.param(
        "haproxy",
        marks=pytest.mark.skipif(haproxy.installed() is None, reason="HAProxy with its exporter is not installed"),
    ),
]


@pytest.fixture(params=BALANCERS)
def shop(tmp_path: Path, request: pytest.FixtureRequest, settings: Any) -> Iterator[Shop]:
    settings.HTTP_ALLOW = ["127.0.0.1"]
    options = Options(visits_per_second=15.0, day_seconds=3600.0, noon=time.time(), seed=3, balancer=request.param)
    with Shop(tmp_path / "shop", options) as opened:
        opened.wait_open()
        deadline = time.monotonic() + 20
        while {status(opened, name) for name in BEHIND} != {"UP"}:  # the checks of what started last
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield opened


def attributes(shop: Shop, name: str) -> dict[str, str]:
    """What the inventory knows of a process, and procedures may use."""
    groups = shop.read(shop.facts["supervisor"], "/targets")
    labels = next(each["labels"] for each in groups if each["labels"]["__meta_tongchou_name"] == name)
    prefix = "__meta_tongchou_attr_"
    return {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}


def call(shop: Shop, action: str, backend: str, server: str, **more: Any) -> StepCall:
    given = {"action": action, "backend": backend, "server": server, **more}
    given["runtime_api"] = attributes(shop, "load-balancer-1")["runtime_api"]
    defaults = {key: each.default for key, each in fields.of(HAPROXY_STEP).items() if each.default is not None}
    return StepCall("s", {**defaults, **given}, "run:0", True)


def run(shop: Shop, action: str, backend: str, server: str, **more: Any) -> StepResult:
    return HAPROXY_STEP.run(call(shop, action, backend, server, **more), Context())


def status(shop: Shop, name: str) -> str | None:
    found = shop.read(shop.facts["supervisor"], "/balancer/servers")["items"]
    return next((str(each["status"]) for each in found if each["name"] == name), None)


def test_drain_and_ready_and_never_the_last_one(shop: Shop) -> None:
    told = attributes(shop, "payments-2")
    assert (told["backend"], told["runtime_api"]) == ("payments", attributes(shop, "load-balancer-1")["runtime_api"])
    done = run(shop, "drain", "payments", "payments-2")
    assert (done.reason, done.output["drained"]) == (None, True)
    assert status(shop, "payments-2") == "DRAIN"
    refused = run(shop, "drain", "payments", "payments-1").reason
    assert refused is not None
    assert refused.code == "haproxy_last"
    assert run(shop, "drain", "payments", "payments-2").output["did"] == []  # it is drained already
    assert run(shop, "ready", "payments", "payments-2").reason is None
    assert status(shop, "payments-2") == "UP"
    assert run(shop, "weight", "payments", "payments-1", weight=30).output["weight"] == 30


def test_one_more_storefront_comes_and_goes(shop: Shop) -> None:
    told = attributes(shop, "load-balancer-1")
    new = {"address": told["spare_address"], "weight": 100, "check_interval": "100ms", "rise": 1, "fall": 2}
    early = run(shop, "add", "storefront", told["spare_name"], **new, wait_seconds=1).reason
    assert early is not None  # nothing listens there yet, so its check never passes
    assert early.code == "haproxy_not_up"
    shop.supervise(told["spare_name"], "start")
    assert run(shop, "add", "storefront", told["spare_name"], **new).reason is None
    assert status(shop, told["spare_name"]) == "UP"
    assert run(shop, "add", "storefront", told["spare_name"], **new).output["did"] == []
    taken = run(shop, "add", "storefront", "storefront-1", **new).reason
    assert taken is not None
    assert taken.code == "haproxy_taken"
    for action in ("drain", "maint", "remove"):
        assert run(shop, action, "storefront", told["spare_name"]).reason is None, action
    assert status(shop, told["spare_name"]) is None
    previewed = HAPROXY_STEP.preview(call(shop, "add", "storefront", told["spare_name"], **new), Context())
    assert f"+{told['spare_name']}  {told['spare_address']}" in previewed.output["diff"]
