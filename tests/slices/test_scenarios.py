"""The whole story on real processes, as `tongchou demo --scenario NAME --json` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

KEYS = [
    "scenario", "injected_at", "detected_seconds", "incident_id", "top_suspects", "true_cause_rank", "runbook",
    "requested_by", "approved_by", "recovered_seconds", "orders_lost", "revenue_lost_cny",
    "slo_before", "slo_after", "notices_sent", "ok",
]  # fmt: skip
SCENARIOS = [
    ("primary-down", "switch-to-standby", 3),
    ("bad-release", "roll-back-release", 1),
    ("traffic-surge", "scale-out-storefront", 3),
    ("memory-leak", "restart-leaking-process", 3),
    ("slow-dependency", "drain-slow-instance", 3),
    ("disk-fill", "free-spool", 3),
]


def play(name: str, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tongchou.cli.main", "demo", "--scenario", name, "--json", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr
    result: dict[str, Any] = json.loads(lines[-1])
    assert done.returncode == (0 if result["ok"] else 1)
    assert result["ok"], f"{result}\n{done.stderr}"
    return result


def check(result: dict[str, Any], name: str, runbook: str, worst_rank: int) -> None:
    assert list(result) == KEYS
    assert result["scenario"] == name
    assert result["runbook"] == runbook
    assert 1 <= result["true_cause_rank"] <= worst_rank
    assert 0 < result["detected_seconds"] < result["recovered_seconds"]
    assert result["requested_by"] != result["approved_by"]
    assert result["orders_lost"] == 0
    assert result["slo_before"]
    assert set(result["slo_before"]) == set(result["slo_after"])
    assert result["notices_sent"] >= 2  # at least one group was told, and its end
    cost = result["revenue_lost_cny"]
    assert "not_computable" in cost or cost["low"] <= cost["value"] <= cost["high"]


@pytest.mark.slice
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "runbook", "worst_rank"), SCENARIOS)
def test_a_fault_is_detected_explained_and_repaired_by_an_approved_run(
    name: str, runbook: str, worst_rank: int
) -> None:
    check(play(name, seed=1), name, runbook, worst_rank)


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize(("name", "runbook", "worst_rank"), SCENARIOS)
def test_three_runs_in_a_row_pass(name: str, runbook: str, worst_rank: int) -> None:
    for seed in (2, 3, 4):
        check(play(name, seed=seed), name, runbook, worst_rank)


@pytest.mark.slice
@pytest.mark.timeout(300)
def test_two_faults_at_once_are_both_explained_and_both_repaired() -> None:
    result = play("slow-dependency+memory-leak", seed=1)
    assert set(result["true_cause_rank"]) == {"slow-dependency", "memory-leak"}
    assert all(1 <= rank <= 3 for rank in result["true_cause_rank"].values())
    assert set(result["runbook"].split("+")) == {"drain-slow-instance", "restart-leaking-process"}
    assert result["orders_lost"] == 0


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    command = [sys.executable, "-m", "tongchou.cli.main", "demo", "--scenario", "meteorite"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "primary-down, bad-release" in done.stdout + done.stderr
