"""Rules and alerts as Prometheus gives them: every field is compared with what a real one answers to the same file."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Api, make_user
from tests.served import free_port
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Membership, Role, Team
from tongchou.integrations.prometheus.rules import scientific

BASE = "/prometheus/api/v1/"
PROMETHEUS = shutil.which("prometheus")
FILE = """groups:
- name: shop
  interval: 1s
  rules:
  - record: shop:ratio
    expr: vector(0.4)
    labels: {team: checkout}
  - record: shop:plain
    expr: vector(1)
  - alert: CheckoutFails
    expr: vector(0.4) > 0.1
    labels: {severity: critical, service: checkout}
    annotations: {summary: "at {{ $value }}"}
  - alert: WaitsStill
    expr: vector(2) > 1
    for: 1h
  - alert: AllIsWell
    expr: vector(1) > 2
- name: other
  interval: 1s
  limit: 7
  rules:
  - alert: Broken
    expr: label_replace(vector(1), "a", "$1", "x", "(")
"""


@pytest.fixture
def evaluated(api: Api, telemetry_db: Any) -> None:
    answer = api.put("/api/v1/rule-files/shop", FILE, "application/yaml")
    assert answer.status_code in (200, 201), answer.content
    memory = {group.id: GroupMemory() for group in load_groups()}
    for second in (0, 1, 2):
        for group in load_groups():
            evaluate_group(group, memory[group.id], time.time() + second)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A real Prometheus with the same rules, once it has evaluated them."""
    if PROMETHEUS is None:
        pytest.skip("no prometheus on this machine (apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "shop").write_text(FILE)
    (folder / "prometheus.yml").write_text("global: {evaluation_interval: 1s}\nrule_files: [shop]\n")
    port = free_port()
    with subprocess.Popen(
        [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
    ) as process:  # fmt: skip
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10) as client:
                ready(client, time.monotonic() + 60)
                yield client
        finally:
            process.terminate()


def ready(client: httpx.Client, deadline: float) -> None:
    while True:
        try:
            health = {rule["health"] for each in groups_of(client.get("/rules").json()) for rule in each["rules"]}
            if health == {"ok", "err"}:  # every group was evaluated: each begins at its own time
                return
        except (httpx.HTTPError, ValueError):  # not listening yet, or not ready
            pass
        assert time.monotonic() < deadline, "prometheus did not evaluate its rules"
        time.sleep(0.2)


def groups_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    assert body["status"] == "success", body
    return sorted(body["data"]["groups"], key=lambda each: str(each["name"]), reverse=True)


CHANGING = {"evaluationTime", "lastEvaluation", "activeAt", "file", "lastError"}  # each server has its own


def same(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """Where two answers differ: fields, kinds of values, and values that do not change."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                yield f"{where}.{key}: {'missing' if key not in ours else 'not in Prometheus'}"
            else:
                yield from same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{where}: {len(ours)} of {len(theirs)}"
        for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from same(one, other, f"{where}[{at}]")
    elif isinstance(ours, str) != isinstance(theirs, str) or (
        where.rpartition(".")[2] not in CHANGING and ours != theirs
    ):
        yield f"{where}: {ours!r} is not {theirs!r}"


@pytest.mark.django_db
@pytest.mark.usefixtures("evaluated")
@pytest.mark.parametrize("query", ["", "?type=alert", "?type=record"])
def test_rules_are_told_field_by_field_as_by_prometheus(api: Api, prometheus: httpx.Client, query: str) -> None:
    ours, theirs = api.get(f"{BASE}rules{query}").json(), prometheus.get(f"/rules{query}").json()
    groups = groups_of(theirs)
    if query == "?type=record":
        groups = [each for each in groups if each["rules"]]  # 2.42 gives a group of which no rule is wanted, 3 does not
    assert list(same(groups_of(ours), groups)) == []


@pytest.mark.django_db
@pytest.mark.usefixtures("evaluated")
def test_alerts_are_told_field_by_field_as_by_prometheus(api: Api, prometheus: httpx.Client) -> None:
    ours, theirs = api.get(f"{BASE}alerts").json(), prometheus.get("/alerts").json()
    by_name = [
        sorted(body["data"]["alerts"], key=lambda each: str(each["labels"]["alertname"])) for body in (ours, theirs)
    ]
    assert len(by_name[0]) == 2
    assert list(same(*by_name)) == []


@pytest.mark.django_db
def test_exemplars_are_empty_and_their_query_is_checked(api: Api, prometheus: httpx.Client, telemetry_db: Any) -> None:
    for query in ("?query=up&start=1700000000&end=1700000060", "?query=up(&start=1&end=2", "?query=up&start=2&end=1"):
        ours, theirs = api.get(f"{BASE}query_exemplars{query}"), prometheus.get(f"/query_exemplars{query}")
        assert ours.status_code == theirs.status_code
        assert ours.json()["status"] == theirs.json()["status"]
        assert ours.json().get("errorType") == theirs.json().get("errorType")
        assert ours.json().get("data") == theirs.json().get("data")


@pytest.mark.django_db
@pytest.mark.usefixtures("evaluated")
def test_rules_are_narrowed_by_name_group_and_file(api: Api) -> None:
    def names(query: str) -> list[str]:
        return [rule["name"] for each in groups_of(api.get(f"{BASE}rules?{query}").json()) for rule in each["rules"]]

    assert names("rule_name[]=AllIsWell&rule_name[]=Broken") == ["AllIsWell", "Broken"]
    assert names("rule_group[]=other") == ["Broken"]
    assert names("file[]=nothing") == []
    assert (
        "alerts" not in api.get(f"{BASE}rules?type=alert&exclude_alerts=true").content.decode().partition('"groups"')[2]
    )
    refused = api.get(f"{BASE}rules?type=chart")
    assert (refused.status_code, refused.json()["errorType"]) == (400, "bad_data")


@pytest.mark.django_db
@pytest.mark.usefixtures("evaluated")
def test_a_team_does_not_read_the_alerts_of_another(api: Api) -> None:
    person = make_user("elsewhere", None)
    team = Team.objects.create(name="elsewhere")
    Membership.objects.create(user=person, team=team, role=Role.VIEWER)
    _row, secret = tokens.create(actor=system("tests"), user=person, name="t", scopes=["all"], expires_at=None)
    theirs = Api(secret)
    assert theirs.get(f"{BASE}alerts").json()["data"] == {"alerts": []}
    shown = [rule for each in groups_of(theirs.get(f"{BASE}rules").json()) for rule in each["rules"]]
    assert {len(rule["alerts"]) for rule in shown if rule["type"] == "alerting"} == {0}
    assert {rule["state"] for rule in shown if rule["type"] == "alerting"} == {"inactive"}


@given(st.floats())
def test_a_value_reads_back_and_has_an_exponent_of_two_digits_or_more(value: float) -> None:
    text = scientific(value)
    assert math.isnan(float(text)) if math.isnan(value) else float(text) == value
    if math.isfinite(value):
        _mantissa, sign, exponent = text.replace("e", " ").replace("+", "+ ").rpartition(" ")
        assert sign
        assert len(exponent.lstrip("-")) >= 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4, "4e-01"), (1, "1e+00"), (0, "0e+00"), (-12345.678, "-1.2345678e+04"), (1e100, "1e+100"), (math.inf, "+Inf")],
)
def test_values_are_written_as_go_does(value: float, text: str) -> None:
    assert scientific(float(value)) == text
