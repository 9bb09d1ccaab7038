"""What a scenario measured, in the order of the JSON line's keys, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tongchou.demo.faults import Fault

EXTRA = ("notices_alertmanager",)  # told only when it was measured
UNTOLD = ("baseline_ranks", "notices_by_status")  # kept in the file of all runs, not in the line


@dataclass(slots=True)
class Result:
    """What the last line says. Seconds count from the injection; None means it did not happen.

    Of one fault `true_cause_rank` is a number and `incident_id`, `runbook`, `requested_by`, `approved_by` are texts; of
    several, ranks are by the fault's name and the texts joined with "+" where they differ.
    """

    scenario: str
    injected_at: str | None = None
    detected_seconds: float | None = None
    incident_id: str | None = None
    top_suspects: list[dict[str, Any]] = field(default_factory=list)
    true_cause_rank: int | dict[str, int | None] | None = None
    runbook: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None
    recovered_seconds: float | None = None
    orders_lost: int | None = None
    revenue_lost_cny: dict[str, Any] | None = None
    slo_before: dict[str, float | None] | None = None
    slo_after: dict[str, float | None] | None = None
    notices_sent: int | None = None
    notices_alertmanager: int | None = None
    baseline_ranks: dict[str, dict[str, int | None]] = field(default_factory=dict)  # fault -> method -> rank
    notices_by_status: dict[str, dict[str, int]] = field(default_factory=dict)  # sender -> status -> number
    ok: bool = False

    def judge(self, faults: Sequence[Fault]) -> None:
        """`ok` only when every step happened, every cause ranked well enough and no order was lost."""
        happened = all(value is not None for value in self.as_json().values())
        apart = self.requested_by != self.approved_by
        ranks = self.ranks(faults)
        ranked = all(rank is not None and rank <= fault.worst_rank for fault, rank in zip(faults, ranks, strict=True))
        repaired = set((self.runbook or "").split("+")) == {fault.runbook for fault in faults}
        self.ok = happened and apart and ranked and repaired and self.orders_lost == 0

    def ranks(self, faults: Sequence[Fault]) -> list[int | None]:
        """The rank of each fault's cause."""
        told = self.true_cause_rank
        return [told.get(fault.name) for fault in faults] if isinstance(told, dict) else [told]

    def as_json(self) -> dict[str, Any]:
        """The keys of the JSON line; those of EXTRA only when they were measured."""
        told = {name: value for name, value in self.as_record().items() if name not in UNTOLD}
        return {name: value for name, value in told.items() if name not in EXTRA or value is not None}

    def as_record(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
