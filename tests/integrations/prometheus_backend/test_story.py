"""Rules, objectives, suspects and pages over the metrics of a server of others, and what they do when it dies."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from tests.alerting.conftest import rules  # noqa: F401  # a fixture
from tests.alerting.slo.test_rules import SPEC
from tests.incidents import scene
from tests.incidents.scene import Shop
from tests.integrations.prometheus_backend import peers
from tests.web.conftest import browser  # noqa: F401  # a fixture
from tongchou.alerting import actions
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups
from tongchou.alerting.models import Alert, Rule
from tongchou.alerting.slo import reads as slo
from tongchou.core.access import Actor, system
from tongchou.core.checks import Surroundings
from tongchou.core.models import Role
from tongchou.incidents.evidence import gather
from tongchou.incidents.models import Suspect
from tongchou.integrations.prometheus_backend import health_checks
from tongchou.inventory import actions as inventory
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.reads import instant_vector
from tongchou.telemetry.series import SeriesBlock, labels_of
from tongchou.web.telemetry_reads import metric_names_of

pytestmark = pytest.mark.django_db
TESTS = system("tests")
Rows = dict[tuple[tuple[str, str], ...], dict[int, float]]


class Peer:
    """A server that may be stopped in the middle."""

    def __init__(self, client: httpx.Client, stop: Callable[[], None]) -> None:
        self.client, self.stop = client, stop

    def write(self, samples: Rows) -> None:
        peers.write(self.client, samples)


@pytest.fixture(params=["remote_read", "export"])
def peer(request: pytest.FixtureRequest, tmp_path, settings, telemetry_db: Telemetry) -> Iterator[Peer]:
    """A server that the platform reads its metrics from; the own store is empty."""
    context = peers.server(request.param, tmp_path)
    client = context.__enter__()
    stopped = []

    def stop() -> None:
        if not stopped:
            stopped.append(True)
            context.__exit__(None, None, None)

    settings.PROMETHEUS_URL = str(client.base_url).rstrip("/")
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    yield Peer(client, stop)
    stop()


def series(name: str, end_ms: int, values: list[float], step_ms: int = 10_000, **labels: str) -> Rows:
    first = end_ms - step_ms * (len(values) - 1)
    times = range(first, end_ms + 1, step_ms)
    return {labels_of({"__name__": name, **labels}): dict(zip(times, values, strict=True))}


def test_rules_fire_on_it_and_neither_fire_nor_resolve_when_it_is_dead(
    peer: Peer,
    operator_actor: Actor,
    rules: Callable[..., str],  # noqa: F811  # the fixture
) -> None:
    text = rules(
        "record: job:up:min\nexpr: min by (job) (up)",
        "alert: Down\nexpr: job:up:min == 0",
        "alert: Missing\nexpr: absent(nothing_of_this_name)",
        "alert: Gone\nexpr: absent(up)",
    )
    actions.put_rule_file(actor=operator_actor, name="f", text=text)
    now = float(int(time.time()))
    peer.write(series("up", round(now * 1000), [0.0] * 10, job="orders", instance="a:1"))
    memory = GroupMemory()
    (group,) = load_groups()
    evaluate_group(group, memory, now + 1)
    assert sorted(Alert.objects.filter(state="firing").values_list("rule__name", flat=True)) == ["Down", "Missing"]
    at = datetime.fromtimestamp(now + 1, UTC)
    assert [sample.value for sample in instant_vector("job:up:min", at)] == [0.0]
    assert {sample.labels["alertname"] for sample in instant_vector("ALERTS", at)} == {"Down", "Missing"}
    peer.stop()
    evaluate_group(group, memory, now + 2)
    evaluate_group(group, memory, now + 600)
    assert sorted(Alert.objects.filter(state="firing").values_list("rule__name", flat=True)) == ["Down", "Missing"]
    assert not Alert.objects.filter(rule__name="Gone").exists()
    assert {rule.health for rule in Rule.objects.all()} == {"err"}
    assert instant_vector("ALERTS", at), "own state is still seen"


def test_an_objective_measures_over_it_what_it_measures_over_the_own_store(peer: Peer, settings: Any) -> None:
    end = time.time() // 10 * 10 - 10
    samples: Rows = {}
    for code, grown in (("200", 99.0), ("503", 1.0)):
        values = [grown * at for at in range(300)]
        samples |= series("http_requests_total", round(end * 1000), values, service="orders", code=code)
    peer.write(samples)
    spec = dataclasses.replace(SPEC, window_seconds=1800, target=0.98)
    at = datetime.fromtimestamp(end, UTC)
    over_it = slo.measure(spec, at)
    assert over_it.budget.errors == pytest.approx(180, rel=0.05)
    settings.PROMETHEUS_URL = ""
    assert slo.measure(spec, at) != over_it
    append(SeriesBlock.build((each, list(of), list(of.values())) for each, of in samples.items()), actor=TESTS)
    own = slo.measure(spec, at)
    assert json.loads(json.dumps(own.as_json()), parse_float=lambda text: f"{float(text):.9g}") == json.loads(
        json.dumps(over_it.as_json()), parse_float=lambda text: f"{float(text):.9g}"
    )


def test_suspects_are_found_in_it_and_their_page_shows_them(
    peer: Peer,
    browser: Any,  # noqa: F811  # the fixture
) -> None:
    shop = Shop()
    labels = {"job": "shop", "instance": "orders:1"}
    inventory.register_endpoint(actor=TESTS, resource=shop.orders_1, url="http://x/metrics", labels=labels)
    now = timezone.now().replace(microsecond=0)
    end_ms = round(now.timestamp() * 1000)
    noise = [0.5 * ((7 * at) % 11) for at in range(280)]
    memory = [60e6 + 1e5 * each for each in noise[:260]] + [400e6] * 20
    peer.write(
        series("process_resident_memory_bytes", end_ms, memory, **labels)
        | series("process_open_fds", end_ms, noise, **labels)
    )
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(seconds=100))
    scene.run_jobs()
    incident = scene.only_incident()
    (shift,) = gather(incident, look_back=timedelta(hours=1), now=timezone.now()).evidence.shifts
    assert (shift.kind, shift.resource) == ("memory", shop.orders_1.pk)
    assert any(
        reason["code"] == "shift_memory" for row in Suspect.objects.filter(incident=incident) for reason in row.reasons
    )
    page = browser(Role.VIEWER).get(f"/incidents/{incident.number}/suspects").content.decode()
    assert "memory" in page
    assert "2 series of 1 target" in page


def test_pages_show_its_series_and_say_when_it_is_dead(
    peer: Peer,
    browser: Any,  # noqa: F811  # the fixture
) -> None:
    now = round(time.time() * 1000)
    peer.write(series("shop_depth", now, [4.0] * 30, job="shop", instance="a:1"))
    client = browser(Role.VIEWER)
    panel = {"query": "shop_depth", "start": str(now - 200_000), "end": str(now), "points": "100"}
    (line,) = client.get("/panels/query", panel, headers={"Accept": "application/json"}).json()["series"]
    assert {value for value in line["values"] if value is not None} == {4.0}
    assert metric_names_of("job", ["shop"]) == ["shop_depth"]
    listed = client.get("/explore/complete", {"text": "shop_de", "cursor": "7"}).content.decode()
    assert "shop_depth" in listed
    found = health_checks.answers(Surroundings(in_server=True, running=True))
    assert found.status == "ok"
    peer.stop()
    refused = client.get("/panels/query", panel, headers={"Accept": "application/json"})
    assert refused.status_code == 503
    assert refused.json()["code"] == "telemetry.remote_failed"
    assert client.get("/").status_code == 200
    assert client.get("/explore").status_code == 200
    assert metric_names_of("job", ["shop"]) == []
    assert health_checks.answers(Surroundings(in_server=True, running=True)).status == "fail"
