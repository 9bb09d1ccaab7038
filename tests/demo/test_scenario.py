"""`ok` is honest: it needs every step, a good enough rank, two people and no lost order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tongchou.demo.faults import BAD_SERVICE, BAD_VERSION, FAULTS, Fault, UnknownFault, faults, harmless_release
from tongchou.demo.ports import free_ports, is_free, kept_ports
from tongchou.demo.result import EXTRA, UNTOLD, Result
from tongchou.demo.rules import PROCEDURES, procedure
from tongchou.demo.topology import SHOP

PERFECT = Result(
    scenario="bad-release", injected_at="2026-03-02T10:00:00Z", detected_seconds=8.0, incident_id="an id",
    top_suspects=[{"rank": 1}], true_cause_rank=1, runbook="roll-back-release", requested_by="operator",
    approved_by="approver", recovered_seconds=20.0, orders_lost=0,
    revenue_lost_cny={"value": 1.0, "low": 0.5, "high": 2.0}, slo_before={"orders-answers": 0.9},
    slo_after={"orders-answers": 0.8}, notices_sent=4,
)  # fmt: skip


def judged(**changes: object) -> bool:
    result = dataclasses.replace(PERFECT, **changes)  # type: ignore[arg-type]
    result.judge(faults("bad-release"))
    return result.ok


def test_everything_happened() -> None:
    assert judged()


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in dataclasses.fields(Result)
        if field.name not in ("ok", "scenario", "top_suspects", *EXTRA, *UNTOLD)
    ],
)
def test_a_step_that_did_not_happen_is_not_ok(name: str) -> None:
    assert not judged(**{name: None})


@pytest.mark.parametrize(
    "changes",
    [{"true_cause_rank": 2}, {"orders_lost": 1}, {"approved_by": "operator"}, {"runbook": "free-spool"}],
    ids=["rank", "orders", "own approval", "another repair"],
)
def test_a_step_that_went_wrong_is_not_ok(changes: dict[str, object]) -> None:
    assert not judged(**changes)


def test_of_two_faults_both_causes_must_rank_and_both_be_repaired() -> None:
    both = dataclasses.replace(PERFECT, runbook="free-spool+restart-leaking-process")
    for ranks, ok in (({"disk-fill": 3, "memory-leak": 1}, True), ({"disk-fill": 4, "memory-leak": 1}, False),
                      ({"disk-fill": 1, "memory-leak": None}, False)):  # fmt: skip
        result = dataclasses.replace(both, true_cause_rank=ranks)
        result.judge(faults("disk-fill+memory-leak"))
        assert result.ok is ok
    one = dataclasses.replace(both, runbook="free-spool", true_cause_rank={"disk-fill": 1, "memory-leak": 1})
    one.judge(faults("disk-fill+memory-leak"))
    assert not one.ok


@pytest.mark.parametrize("name", ["", "meteorite", "disk-fill+", "disk-fill+disk-fill", "disk-fill+meteorite"])
def test_an_unknown_fault_is_told_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UnknownFault, match="primary-down, bad-release"):
        faults(name)


def test_extra_measurements_are_told_only_when_they_were_made() -> None:
    assert not {*EXTRA, *UNTOLD} & set(PERFECT.as_json())
    told = dataclasses.replace(PERFECT, notices_alertmanager=9).as_json()
    assert list(told)[-2:] == ["notices_alertmanager", "ok"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_is_repaired_by_a_procedure_that_is_shipped_on_targets_that_exist(fault: Fault) -> None:
    assert fault.runbook in PROCEDURES
    assert f"name: {fault.runbook}\n" in procedure(fault.runbook)
    assert set(fault.execution_targets) <= {spec.name for spec in SHOP}
    assert fault.about


@pytest.mark.parametrize(
    ("name", "service"),
    [("primary-down", "payments"), ("slow-dependency", "cache"), ("slow-dependency+memory-leak", "cache")],
)
def test_what_is_released_before_the_fault_is_not_what_breaks(name: str, service: str) -> None:
    assert harmless_release(faults(name)) == service


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
