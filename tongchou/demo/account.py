"""Reads a scenario's measurements out of what the platform's API answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongchou.demo.client import Platform
from tongchou.demo.faults import Fault
from tongchou.demo.result import Result

SHOWN_SUSPECTS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """An incident as the operator read it, and the procedure they chose for it."""

    incident: Mapping[str, Any]
    suggestion: Mapping[str, Any]


def joined(before: str | None, new: str) -> str:
    """The texts so far and a new one, joined with "+"; one that is there already is not told twice."""
    parts = before.split("+") if before else []
    return "+".join(parts if new in parts else [*parts, new])


def nearest(suggestions: Sequence[Mapping[str, Any]], suspects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of several suggested procedures the one that acts on the likeliest suspect; the first when none acts on any."""
    for suspect in suspects:
        refs = {str(suspect["ref"]), *map(str, suspect["about"])}
        for each in suggestions:
            if refs & set(map(str, each["targets"])):
                return each
    return suggestions[0]


def learn(result: Result, faults: Sequence[Fault], readings: Sequence[Reading]) -> None:
    """Fill in incidents, suspects and the ranks of the causes.

    A cause's rank is taken from the reading that led to the procedure which repairs it, else from the last one.
    """
    for each in readings:
        result.incident_id = joined(result.incident_id, str(each.incident["id"]))
    suspects = readings[-1].incident["suspects"]
    if len(readings) == 1 or not result.top_suspects:
        suspects = readings[0].incident["suspects"]
    result.top_suspects = [
        {name: suspect[name] for name in ("rank", "kind", "name", "score")} for suspect in suspects[:SHOWN_SUSPECTS]
    ]
    ranks = {fault.name: _rank(fault, readings) for fault in faults}
    result.true_cause_rank = ranks if len(faults) > 1 else ranks[faults[0].name]
    result.baseline_ranks = {fault.name: _baselines(fault, readings) for fault in faults}


def _of(fault: Fault, readings: Sequence[Reading]) -> Mapping[str, Any]:
    """The incident at the reading that led to the fault's procedure, else at the last one."""
    return next((each for each in readings if each.suggestion["name"] == fault.runbook), readings[-1]).incident


def _rank(fault: Fault, readings: Sequence[Reading]) -> int | None:
    return next((int(each["rank"]) for each in _of(fault, readings)["suspects"] if fault.is_cause(each)), None)


def _baselines(fault: Fault, readings: Sequence[Reading]) -> dict[str, int | None]:
    """Where two simple methods would have put the cause; None when it is not among their first five."""
    told = _of(fault, readings).get("baselines", {})
    ranks = {}
    for method, kind in (("latest_change", "event"), ("largest_z", "resource")):
        answers = [{**each, "kind": kind, "reasons": []} for each in told.get(method, ())]
        ranks[method] = next((int(each["rank"]) for each in answers if fault.is_cause(each)), None)
    return ranks


def rule_files(operator: Platform) -> dict[str, str]:
    """The texts of all rule files in force, by name."""
    return {str(row["name"]): str(operator.get(f"/rule-files/{row['name']}")) for row in operator.items("/rule-files")}


def budgets(operator: Platform) -> dict[str, float | None]:
    """How much of its error budget each objective has left now, as a share of it; None without data."""
    found = {}
    for row in operator.items("/slos"):
        left = operator.get(f"/slos/{row['name']}/status")["budget"]["left_ratio"]
        found[str(row["name"])] = None if left is None else round(float(left), 4)
    return found


def revenue(impacts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What it cost in CNY, with its interval, or why that cannot be told.

    Several incidents at one time lose the same sales: the largest figure stands for all.
    """
    known = [each for each in impacts if each["computable"]]
    if not known:
        return {"not_computable": "; ".join(dict.fromkeys(str(each["reason"]) for each in impacts))}
    worst = max(known, key=lambda each: float(each["lost"]))
    return {key: float(worst[name]) for key, name in (("value", "lost"), ("low", "low"), ("high", "high"))}
