"""What a run would do, as a page shows it: every resolved step, each precondition as it is now, reasons against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tongchou.runbooks.installed import previewer
from tongchou.runbooks.prepare import Prepared
from tongchou.web.links import localized


def context(found: Prepared) -> dict[str, Any]:
    """Return what `operate/plan.html` draws. Secrets are not resolved in a plan: their names stand in it."""
    return {
        "plan": found.plan,
        "refusals": [str(reason) for reason in found.plan.refusals],
        "checks": [
            {
                "query": each.query,
                "condition": each.condition,
                "says": localized(dict(each.says)),
                "target": each.target_name,
            }
            for each in found.plan.checks
        ],
        "steps": [
            {
                "step": step,
                "question": localized(step.input.get("question", "")),
                "depth": depth,
                "answers_failure": step.parent is not None and not step.branch,
                "shows": previewer(step.kind) is not None,
            }
            for step, depth in zip(found.plan.steps, depths(each.parent for each in found.plan.steps), strict=True)
        ],
        "targets": found.targets,
    }


def depths(parents: Iterable[int | None]) -> list[int]:
    """How deep each row stands, from the position of the row it stands in."""
    out: list[int] = []
    for parent in parents:
        out.append(0 if parent is None else out[parent] + 1)
    return out
