"""Targets for another Prometheus: the document, and a real Prometheus that scrapes what is in the inventory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.integrations.prometheus.peer import prometheus
from tests.served import Served
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Membership, Role, Team, User
from tongchou.inventory import actions

ACTOR = system("tests")
PATH = "/prometheus/sd/targets"
CONFIG = """
scrape_configs:
  - job_name: inventory
    scrape_interval: 1s
    http_sd_configs:
      - url: "%(url)s/prometheus/sd/targets?kind=instance"
        refresh_interval: 1s
        authorization: {type: Bearer, credentials: "%(token)s"}  # 2.42 sends no type unless told
    relabel_configs:
      - {source_labels: [__meta_tongchou_owner], target_label: team}
      - {source_labels: [__meta_tongchou_label_env], target_label: env}
"""


@pytest.fixture
def shop(db: None) -> Team:
    team = Team.objects.create(name="shop")
    service = actions.create_resource(actor=ACTOR, kind="service", name="orders")
    made = [
        actions.create_resource(
            actor=ACTOR,
            kind="instance",
            name="orders-1",
            owner=team,
            labels={"env": "prod", "site": "fra", "api_key": "x"},
        ),
        actions.create_resource(actor=ACTOR, kind="instance", name="orders-2", labels={"env": "test"}),
    ]
    actions.relate(actor=ACTOR, from_resource=made[0], to_resource=service, type="part_of")
    for row, host in zip(made, ("10.0.0.1:9100", "[fd00::2]:9100"), strict=True):
        labels = {"job": row.name, "instance": host}
        url = f"https://{host}/probe?module=http_2xx"
        actions.register_endpoint(actor=ACTOR, resource=row, url=url, labels=labels)
    actions.create_resource(actor=ACTOR, kind="host", name="box", attributes={"primary_ip": "10.0.0.9/24"})
    return team


def client_of(name: str, role: Role | None, team: Team | None = None) -> Client:
    user = User.objects.create_user(name)
    if role is not None:
        Membership.objects.create(user=user, team=team, role=role)
    _row, token = tokens.create(actor=ACTOR, user=user, name="sd", scopes=["read"], expires_at=None)
    return Client(headers={"Authorization": f"Bearer {token}"})


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["labels"]["__meta_tongchou_name"] for each in found]


def test_the_document_is_http_sds(shop: Team) -> None:
    answer = client_of("p", Role.VIEWER).get(PATH, headers={"X-Prometheus-Refresh-Interval-Seconds": "30"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Prometheus-Refresh-Interval-Seconds"] == "30"
    assert answer["Cache-Control"] == "private, max-age=30"
    found = answer.json()
    for group in found:
        assert set(group) == {"targets", "labels"}
        assert all(isinstance(each, str) for each in [*group["targets"], *group["labels"].values()])
    assert [group["targets"] for group in found] == [["10.0.0.1:9100"], ["[fd00::2]:9100"]]
    labels = found[0]["labels"]
    assert labels.items() >= {
        "job": "orders-1", "instance": "10.0.0.1:9100", "__scheme__": "https", "__metrics_path__": "/probe",
        "__param_module": "http_2xx", "__meta_tongchou_kind": "instance", "__meta_tongchou_owner": "shop",
        "__meta_tongchou_site": "fra", "__meta_tongchou_label_env": "prod", "__meta_tongchou_services": ",orders,",
    }.items()  # fmt: skip
    assert not [name for name in labels if "api_key" in name]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=instance", ["orders-1", "orders-2"]),
        ("kind=host", []),
        ("kind=host&port=9100", ["box"]),
        ("label=env=prod", ["orders-1"]),
        ("label=env", ["orders-1", "orders-2"]),
        ("label=env=prod&label=site=ber", []),
        ("team=shop", ["orders-1"]),
        ("team=", ["orders-2"]),
        ("job=orders-2", ["orders-2"]),
        ("state=tombstone", []),
    ],
)
def test_filters(shop: Team, query: str, expected: list[str]) -> None:
    assert names(client_of("p", Role.VIEWER).get(f"{PATH}?{query}").json()) == expected


@pytest.mark.parametrize("query", ["knid=host", "port=0", "port=x", "port=٣", "state=gone", "label==x"])
def test_a_slip_of_the_pen_is_refused_and_does_not_give_out_everything(shop: Team, query: str) -> None:
    answer = client_of("p", Role.VIEWER).get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert answer.json()["status"] == "error"


def test_who_asks_sees_what_they_may_see(shop: Team) -> None:
    assert Client().get(PATH).status_code == 401
    assert client_of("nobody", None).get(PATH).status_code == 403
    assert names(client_of("member", Role.VIEWER, shop).get(PATH).json()) == ["orders-1"]


@contextmanager
def exporter() -> Iterator[int]:
    """Something to scrape, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"shop_orders_total 42\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_real_prometheus_scrapes_what_is_in_the_inventory(tmp_path: Path) -> None:
    served = Served(tmp_path / "data").start()
    try:
        with exporter() as port, served.client() as client:
            team = client.post("/api/v1/teams", json={"name": "shop"}).raise_for_status().json()["name"]
            body = {"kind": "instance", "name": "orders-1", "owner": team, "labels": {"env": "prod"}}
            made = client.post("/api/v1/resources", json=body).raise_for_status().json()
            endpoint = {"url": f"http://127.0.0.1:{port}/metrics", "labels": {"job": "orders", "instance": "orders-1"}}
            client.post(f"/api/v1/resources/{made['id']}/endpoints", json=endpoint).raise_for_status()
            with prometheus(tmp_path, CONFIG % {"url": served.url, "token": served.token}) as peer:
                deadline = time.monotonic() + 60
                while True:
                    asked = peer.get("/api/v1/query", params={"query": "shop_orders_total"}).json()["data"]["result"]
                    if asked:
                        break
                    assert time.monotonic() < deadline, peer.get("/api/v1/targets").text
                    time.sleep(0.2)
                assert asked[0]["metric"] == {
                    "__name__": "shop_orders_total", "job": "orders", "instance": "orders-1", "team": "shop", "env": "prod",
                }  # fmt: skip
                client.patch(f"/api/v1/resources/{made['id']}", json={"state": "tombstone"}).raise_for_status()
                while peer.get("/api/v1/targets").json()["data"]["activeTargets"]:
                    assert time.monotonic() < deadline, "what is gone is scraped no more"
                    time.sleep(0.2)
    finally:
        served.stop()
