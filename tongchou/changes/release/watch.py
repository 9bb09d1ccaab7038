"""What the checks of a rollout say now: queries of the metrics, objectives of services. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from tongchou.alerting.models import Objective
from tongchou.changes import gate_reads
from tongchou.changes.release import said
from tongchou.changes.release.machine import Verdict
from tongchou.runbooks import condition, observe

SHOWN = 5


def look(checks: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each check {name, verdict, shown, always}; blocks for as long as queries take, in no transaction.

    verdict "unknown": the metrics could not be asked, or have no data for a comparison.
    """
    return [_objective(each) if "objective" in each else _query(each, facts) for each in checks]


def verdict_of(found: Sequence[Mapping[str, Any]], *, only_always: bool = False) -> tuple[Verdict, dict[str, Any]]:
    """Return what all checks say together, and the reason: no before unknown before yes."""
    counted = [each for each in found if each["always"] or not only_always]
    for verdict, code in (("no", "check_no"), ("unknown", "check_unknown")):
        for each in counted:
            if each["verdict"] == verdict:
                return verdict, {  # type: ignore[return-value]  # both words are verdicts
                    "code": code,
                    "params": {"name": each["name"], "is": each["is"], "shown": ", ".join(each["shown"]) or "-"},
                }
    return "yes", {}


def _query(check: Mapping[str, Any], facts: Mapping[str, str]) -> dict[str, Any]:
    query = said.fill_query(check["query"], facts)
    wanted = condition.parse(check["is"])
    seen = observe.ask(query)
    verdict: Verdict = "unknown"
    if wanted is not None and not seen.problem and (seen.values or wanted.text in ("empty", "not_empty")):
        verdict = "yes" if wanted.holds(seen.values) else "no"
    return {
        "name": str(check.get("says") or query)[:200],
        "is": check["is"],
        "verdict": verdict,
        "shown": [seen.problem[:200]] if seen.problem else [str(each["value"]) for each in seen.shown[:SHOWN]],
        "always": bool(check.get("always")),
    }


def _objective(check: Mapping[str, Any]) -> dict[str, Any]:
    """An objective says no while it burns fast enough to page, or when its budget is spent."""
    name = check["objective"]
    found = {"name": name, "is": "budget > 0", "always": bool(check.get("always")), "shown": []}
    for budget in gate_reads.budgets_of(list(Objective.objects.filter(name=name)), timezone.now()):
        if budget.burning:
            return {**found, "verdict": "no", "is": "not burning", "shown": ["burning"]}
        if budget.left is not None:
            verdict = "no" if budget.left <= 0 else "yes"
            return {**found, "verdict": verdict, "shown": [f"{budget.left * 100:.1f} %"]}
    return {**found, "verdict": "unknown"}
