from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tests.integrations.prometheus.peer import prometheus
from tests.served import free_port
from tongchou.core import secrets
from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.integrations.prometheus.targets import SOURCE, observed
from tongchou.inventory import sources
from tongchou.inventory.models import Endpoint, Resource

CONFIG = """
scrape_configs:
  - job_name: shop
    scrape_interval: 1m
    static_configs:
      - targets: ["web-1.shop.example.org:9100", "10.9.8.7:9100"]
        labels: {service: storefront, env: prod}
  - job_name: own
    static_configs:
      - targets: ["127.0.0.1:9090"]
  - job_name: probe
    metrics_path: /probe
    params: {module: [http_2xx], api_token: [canary-77]}
    static_configs:
      - targets: ["https://www.example.org/"]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "blackbox.example.org:9115"}
"""


def answer(*targets: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"activeTargets": list(targets), "droppedTargets": []}}


def target(address: str, labels: dict[str, str], **found: str) -> dict[str, Any]:
    return {
        "discoveredLabels": {"__address__": address, "__scheme__": "http", "__metrics_path__": "/metrics", **found},
        "labels": {"instance": address, **labels},
        "scrapePool": "p",
        "scrapeUrl": f"http://{address}/metrics",
        "globalUrl": f"http://{address}/metrics",
        "lastError": "canary",
        "lastScrape": "2026-03-01T00:00:00Z",
        "health": "up",
        "scrapeInterval": "15s",
        "scrapeTimeout": "10s",
    }


@pytest.mark.django_db
def test_a_real_prometheus_is_read(tmp_path: Path, settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    with prometheus(tmp_path, CONFIG) as client:
        deadline = time.monotonic() + 30
        while len(client.get("/api/v1/targets").json()["data"]["activeTargets"]) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        config = laws.configured("prometheus", {"url": str(client.base_url), "scrape": True})
        seen = sources.look(config)
        laws.settles(config)
    things = laws.by_name(seen)
    assert sorted(things) == [
        ("host", "10.9.8.7"),
        ("host", "web-1.shop.example.org"),
        ("instance", "10.9.8.7:9100"),
        ("instance", "127.0.0.1:9090"),
        ("instance", "https://www.example.org/"),
        ("instance", "web-1.shop.example.org:9100"),
        ("service", "storefront"),
    ]
    web = things["instance", "web-1.shop.example.org:9100"]
    assert web.labels == {"service": "storefront", "env": "prod"}
    assert web.attributes == {
        "address": "web-1.shop.example.org:9100",
        "job": "shop",
        "scrape_pool": "shop",
        "scrape_interval": "1m",
        "scrape_url": "http://web-1.shop.example.org:9100/metrics",
    }
    assert things["host", "web-1.shop.example.org"].keys[0] == "fqdn:web-1.shop.example.org"
    assert laws.edges(seen) == {
        ("web-1.shop.example.org:9100", "runs_on", "web-1.shop.example.org"),
        ("10.9.8.7:9100", "runs_on", "10.9.8.7"),
        ("web-1.shop.example.org:9100", "part_of", "storefront"),
        ("10.9.8.7:9100", "part_of", "storefront"),
    }
    # a target whose address holds a secret is told of, and not scraped from here
    assert set(Endpoint.objects.values_list("instance", flat=True)) == {
        "web-1.shop.example.org:9100", "10.9.8.7:9100", "127.0.0.1:9090",
    }  # fmt: skip
    assert "canary" not in laws.everything_recorded()


def test_a_machine_of_a_cloud_is_known_as_its_cloud_knows_it() -> None:
    found = observed(answer(target("10.0.0.1:9100", {}, __meta_ec2_instance_id="i-0abc")), source="p")
    assert laws.by_name(found)["host", "10.0.0.1"].keys == ("aws:i-0abc", "prometheus:p:host:10.0.0.1")


def test_neither_health_nor_the_last_error_is_an_attribute() -> None:
    assert "canary" not in repr(observed(answer(target("a.example.org:1", {})), source="p"))
    down = {**target("a.example.org:1", {}), "health": "down", "lastError": "other"}
    assert observed(answer(down), source="p") == observed(answer(target("a.example.org:1", {})), source="p")


def test_the_service_may_be_another_label() -> None:
    found = observed(answer(target("a:1", {"job": "orders"})), source="p", service_label="job")
    assert ("a:1", "part_of", "orders") in laws.edges(found)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_says_nothing(chance: random.Random) -> None:
    targets = [target(f"h{n % 3}.example.org:{n}", {"job": "j", "service": "s"}) for n in range(6)]
    expected = laws.by_name(observed(answer(*targets), source="p"))
    chance.shuffle(targets)
    assert laws.by_name(observed(answer(*targets), source="p")) == expected


@given(st.dictionaries(st.sampled_from([*target("a", {})]), st.none() | st.text(max_size=9) | st.integers()))
@settings(max_examples=50, deadline=None)
def test_no_answer_breaks_the_reader(broken: dict[str, Any]) -> None:
    try:
        laws.by_name(observed(answer({**target("[::1]:1", {}), **broken}), source="p", scrape=True))
    except Problem:
        pass


@pytest.mark.parametrize("content", [None, [], {}, {"data": 1}, {"data": {"activeTargets": [1]}}])
def test_another_answer_is_refused(content: Any) -> None:
    with pytest.raises(Invalid):
        observed(content, source="p")


@pytest.mark.parametrize(
    "given_, field",
    [
        ({}, "settings.url"),
        ({"url": "ftp://x"}, "settings.url"),
        ({"url": "http://u:p@x/"}, "settings.url"),
        ({"url": "http://x", "token": "t"}, "settings.token"),
        ({"url": "http://x", "ca_certificate": "x"}, "settings.ca_certificate"),
        ({"url": "http://x", "timeout_seconds": 1000}, "settings.timeout_seconds"),
        ({"url": "http://x", "scrape": "yes"}, "settings.scrape"),
    ],
)
def test_wrong_settings_are_refused_by_field(given_: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(given_)
    assert refusal.value.field == field


@pytest.mark.django_db
def test_a_prometheus_that_is_gone_or_denies_touches_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    url = f"http://127.0.0.1:{free_port()}"
    secrets.put(actor=laws.ACTOR, name="prom", value="canary-token")
    config = laws.configured("prometheus", {"url": url, "token_secret": "prom"})
    monkeypatch.setattr(SOURCE, "fetch", lambda *_a, **_k: observed(answer(target("a:1", {})), source="it"))
    sources.run_source(actor=laws.ACTOR, source=config)
    monkeypatch.undo()
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    with pytest.raises(Unavailable) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.code == "prometheus_targets.connect"
    assert Resource.objects.filter(state="active").count() == 2
    assert "canary" not in laws.everything_recorded()
    settings.HTTP_ALLOW = []
    with pytest.raises(Unavailable) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.code == "prometheus_targets.refused"


def test_it_is_found() -> None:
    assert sources.source_kinds()["prometheus"] is SOURCE
