"""From the steps of a text and the targets of a run to the rows of its journal, every name filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tongchou.runbooks import fields, promql, template
from tongchou.runbooks.definition import Definition, Flow, Step
from tongchou.runbooks.installed import whole
from tongchou.runbooks.planned import PlannedStep, Target
from tongchou.runbooks.reasons import Reason


def lay_out(
    definition: Definition, params: Mapping[str, Any], targets: Sequence[Target], incident_number: int | None
) -> tuple[list[PlannedStep], list[Reason]]:
    """Every step for every target, and what cannot be resolved.

    The first target goes alone, target by target, unless the procedure says `batch`: then the others go together, so
    many at a time, each on its own branch (`parallel`) or every step on all of them before the next.
    """
    layout = _Layout(definition, params, incident_number)
    if any(whole(step.kind) for step in definition.steps):
        for step in definition.steps:
            layout.add(step, None)
        return layout.steps, layout.wrong
    batch = definition.batch
    rest = list(targets[1:])
    for step in definition.steps:
        layout.add(step, targets[0] if targets else None)
    size = batch.size if batch is not None else 1
    for number, start in enumerate(range(0, len(rest), size), start=2):
        together = rest[start : start + size]
        if batch is None or not batch.parallel or len(together) == 1:
            for step in definition.steps:
                for target in together:
                    layout.add(step, target)
            continue
        group = layout.group(f"batch {number}")
        for target in together:
            for step in definition.steps:
                layout.add(step, target, parent=group, branch=_branch(target, together))
    return layout.steps, layout.wrong


def batch_numbers(definition: Definition, targets: int) -> list[int]:
    """Return in which batch each target is taken, from 1 on, as `lay_out` lays them out."""
    size = definition.batch.size if definition.batch is not None else 1
    return [1 if number == 0 else 2 + (number - 1) // size for number in range(targets)]


def _branch(target: Target, together: Sequence[Target]) -> str:
    return target.name if sum(each.name == target.name for each in together) == 1 else target.ref


class _Layout:
    def __init__(self, definition: Definition, params: Mapping[str, Any], incident_number: int | None) -> None:
        self.types = definition.parameter_types
        self.params = params
        self.incident_number = incident_number
        self.steps: list[PlannedStep] = []
        self.wrong: list[Reason] = []

    def group(self, name: str) -> int:
        """A parallel step without a text of its own; its position."""
        self.steps.append(PlannedStep(name, "parallel", "", "", {}, alters=False, repeatable=True))
        return len(self.steps) - 1

    def add(self, step: Step, target: Target | None, *, parent: int | None = None, branch: str = "") -> None:
        """Resolve a step and all that stands in it."""
        values = template.Values(self.params, target.values() if target else None, self.incident_number)
        position = self._one(step, target, values, parent, branch)
        for name, branch_steps in step.branches.items():
            for each in branch_steps:
                self.add(each, target, parent=position, branch=name)
        for each in step.rescue:
            self.add(each, target, parent=position)

    def _one(
        self, step: Step, target: Target | None, values: template.Values, parent: int | None, branch: str
    ) -> int | None:
        try:
            body = fields.resolve(step, values) if step.fields else _resolve_builtin(step, self.types, values)
            flow = _flow(step.flow, values, self.types)
        except template.TemplateError as error:
            self.wrong.append(Reason("template", {"step": step.name, "why": error.says}))
            return None
        queries = [body["query"]] if "query" in body and not step.fields else []
        for query in [*queries, *([flow["when"]["query"]] if "when" in flow else [])]:
            why = promql.problem(query)
            if why:
                self.wrong.append(Reason("query_invalid", {"step": step.name, "why": why}))
                return None
        self.steps.append(
            PlannedStep(
                name=step.name,
                kind=step.kind,
                target_ref=target.ref if target else "",
                target_name=target.name if target else "",
                input=body,
                alters=step.alters,
                repeatable=step.repeatable,
                secrets=step.secrets,
                parent=parent,
                branch=branch,
                flow=flow,
            )
        )
        return len(self.steps) - 1


def flow_json(flow: Flow) -> dict[str, Any]:
    """Flow as JSON, with only what is not the default; the condition's query as it stands in the text."""
    out: dict[str, Any] = {}
    if flow.on_failure != "stop":
        out["on_failure"] = flow.on_failure
    if flow.then != "stop":
        out["then"] = flow.then
    if flow.when is not None:
        out["when"] = {"query": flow.when.query, "is": flow.when.condition.text}
    if flow.retry is not None:
        out["retry"] = {"times": flow.retry.times, "wait_seconds": flow.retry.wait_seconds}
    return out


def _flow(flow: Flow, values: template.Values, types: Mapping[str, str]) -> dict[str, Any]:
    out = flow_json(flow)
    if flow.when is not None:
        out["when"]["query"] = template.query(flow.when.query, values, types)
    return out


def _resolve_builtin(step: Step, types: Mapping[str, str], values: template.Values) -> dict[str, Any]:
    body = dict(step.body)
    if "query" in body:
        body["query"] = template.query(body["query"], values, types)
    if "question" in body:
        body["question"] = {language: template.text(text, values) for language, text in body["question"].items()}
    if "url" in body:
        body["url"] = template.url(body["url"], values)
        body["headers"] = {name: template.header(text, values) for name, text in body["headers"].items()}
    if "body" in body:
        body["body"] = template.body(body["body"], values)
    return body
