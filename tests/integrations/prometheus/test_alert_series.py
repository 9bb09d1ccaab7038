"""ALERTS and ALERTS_FOR_STATE beside a real Prometheus: the same series, and the same memory of them after a restart."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.integrations.prometheus.peer import prometheus
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups

OUTAGE_SECONDS = 5
RULES = """groups:
- name: shop
  interval: 1s
  rules:
  - alert: Fires
    expr: label_replace(vector(3), "job", "a", "", "") > 1
    labels: {severity: page, empty: ""}
  - alert: Waits
    expr: label_replace(vector(2), "job", "b", "", "") > 1
    for: 1h
    labels: {severity: "{{ $labels.job }}"}
    annotations: {summary: not a label}
  - alert: Rests
    expr: vector(1) > 2
"""
Series = dict[tuple[tuple[str, str], ...], float]


def series_of(body: dict[str, Any]) -> Series:
    return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in body["data"]["result"]}


def told(client: httpx.Client, seconds: float) -> Series:
    """What Prometheus has written once its alerts are there and it has evaluated for a while."""
    deadline = time.monotonic() + 60
    since = 0.0
    while not since or time.monotonic() < since + seconds:
        found = series_of(client.get("/api/v1/query", params={"query": '{__name__=~"ALERTS.*"}'}).json())
        if len(found) == 4 and not since:
            since = time.monotonic()
        assert time.monotonic() < deadline, f"prometheus did not evaluate: {found}"
        time.sleep(0.2)
    return found


def of_prometheus(folder: Path) -> tuple[Series, Series]:
    (folder / "rules.yml").write_text(RULES)
    config = f"global: {{evaluation_interval: 1s}}\nrule_files: ['{folder}/rules.yml']\n"
    with prometheus(folder, config) as client:
        before = told(client, 3)
    time.sleep(OUTAGE_SECONDS)
    with prometheus(folder, config) as client:
        return before, told(client, 8)  # it restores after its second evaluation, and writes from then on


def of_us(api: Api) -> tuple[Series, Series]:
    assert api.put("/api/v1/rule-files/shop", RULES, "application/yaml").status_code in (200, 201)
    begin = int(time.time()) - 60
    found = []
    for at in (begin, begin + 5 + OUTAGE_SECONDS):
        (group,) = load_groups()
        memory = GroupMemory()
        for second in range(5):
            evaluate_group(group, memory, at + second)
        body = api.get("/prometheus/api/v1/query", query='{__name__=~"ALERTS.*"}', time=at + 4).json()
        found.append(series_of(body))
    return found[0], found[1]


def plain(series: Series) -> Series:
    """Without the times, which are each server's own."""
    return {labels: value if value == 1.0 else 0.0 for labels, value in series.items()}


def waits_since(series: Series) -> float:
    return next(
        v for labels, v in series.items() if {("alertname", "Waits"), ("__name__", "ALERTS_FOR_STATE")} <= set(labels)
    )


@pytest.mark.django_db
def test_series_and_their_memory_are_those_of_prometheus(api: Api, telemetry_db: Any, tmp_path: Path) -> None:
    theirs, theirs_after = of_prometheus(tmp_path)
    ours, ours_after = of_us(api)
    assert plain(ours) == plain(theirs)
    assert plain(ours_after) == plain(theirs_after)
    # The outage does not count towards `for`: the beginning moves by it, and does not start anew.
    for before, after in ((theirs, theirs_after), (ours, ours_after)):
        assert OUTAGE_SECONDS - 2 <= waits_since(after) - waits_since(before) <= OUTAGE_SECONDS + 4
