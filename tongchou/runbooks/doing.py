"""Does one step: reads, waits, Runners, previews; what comes back is masked and bounded before anybody keeps it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tongchou.core import secrets
from tongchou.core.problems import Problem
from tongchou.runbooks import condition, observe
from tongchou.runbooks.installed import previewer, runners
from tongchou.runbooks.mask import mask
from tongchou.runbooks.models import Run, RunStep
from tongchou.runbooks.ports import Context, StepCall, StepResult
from tongchou.runbooks.prepare import definition_of
from tongchou.runbooks.reasons import Reason

QUERY_SECONDS = 35.0  # a query's own limit is 30 s
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
MAX_KEPT = 16_384  # characters of one value of a step's output
MAX_PREVIEWED = 65_536  # characters of one value of a preview, which an approver must be able to read


def longest_seconds(step: RunStep) -> float:
    """The longest that doing the step can take."""
    runner = runners().get(step.kind)
    return QUERY_SECONDS if runner is None else runner.timeout_seconds(step.input)


def false_condition(step: RunStep) -> tuple[Reason | None, Reason | None]:
    """Why the step is skipped (its condition is false), and why it fails (its condition could not be asked)."""
    when = step.flow.get("when")
    wanted = condition.parse(when["is"]) if when else None
    if when is None or wanted is None:
        return None, None
    seen = observe.ask(when["query"])
    if seen.problem:
        return None, Reason("when_unknown", {"why": seen.problem})
    return (None if wanted.holds(seen.values) else Reason("when_false", {"is": wanted.text})), None


def read(step: RunStep) -> StepResult:
    """Ask the metrics once, and judge the answer where the step says how."""
    seen = observe.ask(step.input["query"])
    output = {"samples": list(seen.shown), "count": len(seen.values)}
    if seen.problem:
        return StepResult(output, Reason("read_failed", {"why": seen.problem}))
    wanted = condition.parse(step.input.get("is", ""))
    if wanted is not None and not wanted.holds(seen.values):
        return StepResult(output, Reason("read_false", {"is": wanted.text}))
    return StepResult(output)


@dataclass(frozen=True)
class _Secrets:
    values: Mapping[str, str]
    problem: str = ""


def _secrets(row: Run) -> _Secrets:
    found: dict[str, str] = {}
    try:
        for name in definition_of(row.version.text).secrets:
            found[name] = secrets.reveal(name)
    except Problem as problem:
        return _Secrets({}, str(problem.detail))
    return _Secrets(found)


def run(row: Run, step: RunStep) -> StepResult:
    """Give the step to its Runner."""
    runner = runners().get(step.kind)
    if runner is None:
        return StepResult(reason=Reason("kind_unknown", {"step": step.name, "kind": step.kind}))
    return _masked(row, step, runner.run, MAX_KEPT)


def preview(row: Run, step: RunStep) -> StepResult:
    """Ask the step's Runner what it would change."""
    found = previewer(step.kind)
    if found is None:
        return StepResult(reason=Reason("kind_unknown", {"step": step.name, "kind": step.kind}))
    return _masked(row, step, found.preview, MAX_PREVIEWED)


def _masked(row: Run, step: RunStep, do: Callable[[StepCall, Context], StepResult], most: int) -> StepResult:
    """Whatever comes back is masked with every secret of the procedure."""
    known = _secrets(row)
    if known.problem:
        return StepResult(reason=Reason("step_broken", {"why": known.problem}))
    result = do(StepCall(step.name, step.input, step.idempotency_key, step.repeatable), Context(known.values))
    hidden = list(known.values.values())
    reason = result.reason and Reason(result.reason.code, _kept(mask(dict(result.reason.params), hidden)))
    return StepResult(_bounded(mask(dict(result.output), hidden), most), reason)


def _bounded(output: dict[str, Any], most: int) -> dict[str, Any]:
    """The journal keeps the beginning of what is long; cut after masking, so that no cut leaves half a secret.

    JSON knows neither NaN nor infinity; they are kept as texts.
    """
    out: dict[str, Any] = {}
    for name, value in _kept(output).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > most:
            out[name], out["truncated"] = text[:most], True
        else:
            out[name] = value
    return out


def _kept(value: Any) -> Any:
    """A value as both databases can keep it: what a server or a host says may hold anything."""
    if isinstance(value, str):
        return _UNKEEPABLE.sub("\ufffd", value)
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {_kept(key): _kept(item) for key, item in value.items()}
    return [_kept(item) for item in value] if isinstance(value, list) else value
