"""`ok` is honest: it needs every step, a good enough rank, two people and no lost order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tongchou.demo.faults import BAD_SERVICE, BAD_VERSION, FAULTS
from tongchou.demo.ports import free_ports, is_free, kept_ports
from tongchou.demo.scenario import Result

PERFECT = Result(
    scenario="bad-release", injected_at="2026-03-02T10:00:00Z", detected_seconds=8.0, incident_id="an id",
    top_suspects=[{"rank": 1}], true_cause_rank=1, runbook="roll-back-release", requested_by="operator",
    approved_by="approver", recovered_seconds=20.0, orders_lost=0,
)  # fmt: skip


def judged(**changes: object) -> bool:
    result = dataclasses.replace(PERFECT, **changes)  # type: ignore[arg-type]
    result.judge(FAULTS["bad-release"])
    return result.ok


def test_everything_happened() -> None:
    assert judged()


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Result) if field.name not in ("ok", "scenario", "top_suspects")]
)
def test_a_step_that_did_not_happen_is_not_ok(name: str) -> None:
    assert not judged(**{name: None})


@pytest.mark.parametrize(
    "changes",
    [{"true_cause_rank": 2}, {"orders_lost": 1}, {"approved_by": "operator"}],
    ids=["rank", "orders", "own approval"],
)
def test_a_step_that_went_wrong_is_not_ok(changes: dict[str, object]) -> None:
    assert not judged(**changes)


def test_only_the_true_cause_counts_as_the_cause() -> None:
    primary, release = FAULTS["primary-down"].is_cause, FAULTS["bad-release"].is_cause
    resource = {"kind": "resource", "name": "database-primary", "ref": "inventory.resource:1"}
    assert primary(resource)
    assert not primary({**resource, "name": "database"})
    assert not primary({**resource, "kind": "event"})
    deployment = {"kind": "event", "name": f"{BAD_SERVICE} 1.0.0 → {BAD_VERSION}", "ref": "changes.deployment:1"}
    assert release(deployment)
    assert not release({**deployment, "name": f"payments 1.0.0 → {BAD_VERSION}"})
    assert not release({**deployment, "name": f"{BAD_SERVICE} 1.0.0 → 1.1.0"})
    assert not release({**deployment, "ref": "core.event:1"})


def test_ports_of_the_last_run_are_kept_while_they_are_free(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = kept_ports(path, ["a", "b"])
    assert kept_ports(path, ["a", "b"]) == first
    assert set(kept_ports(path, ["a", "b", "c"])) == {"a", "b", "c"}
    path.write_text("not json")
    assert len(set(kept_ports(path, ["a", "b"]).values())) == 2
    assert all(is_free(port) for port in free_ports(5))
