"""A dry run: procedure, parameters and targets to the exact list of steps, or to the reasons why not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tongchou.runbooks import parameters, promql, template
from tongchou.runbooks.condition import parse as parse_condition
from tongchou.runbooks.definition import Definition, canonical_hash
from tongchou.runbooks.layout import lay_out
from tongchou.runbooks.planned import PlannedCheck, PlannedStep, Target
from tongchou.runbooks.reasons import Reason


@dataclass(frozen=True)
class Execution:
    """The two switches of the platform: whether anything may be altered, and where."""

    enabled: bool = False
    targets: Sequence[str] = ()

    def allows(self, target: Target) -> bool:
        """Whether `execution.targets` names the target: by name, by `label=value` (all of a comma list), or by `*`."""
        return any(_selects(entry, target) for entry in self.targets)


def _selects(entry: str, target: Target) -> bool:
    if entry in ("*", target.name):
        return True
    wanted = [part.partition("=") for part in entry.split(",")]
    known = {**target.labels, "name": target.name, "kind": target.kind}
    return all(sign and known.get(label.strip()) == value.strip() for label, sign, value in wanted)


@dataclass(frozen=True)
class Plan:
    """What would happen, in order. With `refusals` nothing does."""

    steps: Sequence[PlannedStep] = ()
    checks: Sequence[PlannedCheck] = ()
    refusals: Sequence[Reason] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    content_hash: str = ""


Inspect = Callable[[str, Mapping[str, Any]], Sequence[str]]


def make_plan(
    definition: Definition,
    *,
    params: Mapping[str, Any],
    targets: Sequence[Target],
    incident_number: int | None,
    execution: Execution,
    secret_names: Sequence[str] = (),
    inspect: Mapping[str, Inspect] | None = None,
) -> Plan:
    """Resolve every step for every target; the first target is the canary of the rest.

    `inspect` maps the kinds that need a Runner to the Runner's own check of a resolved step (None: do not look).
    Preconditions are resolved here and judged by `judge`, because only the metrics know.
    """
    refusals = [*_refuse_targets(definition, targets, execution)]
    given, wrong = check_params(definition, params)
    refusals += wrong
    if wrong:
        return Plan(refusals=refusals, params=given)
    steps, wrong = lay_out(definition, given, targets, incident_number)
    refusals += wrong
    checks: list[PlannedCheck] = []
    each: Sequence[Target | None] = targets or [None]
    for target in each:
        values = template.Values(given, target.values() if target else None, incident_number)
        found, why = _resolve_checks(definition, target, values)
        checks += found
        refusals += why
    refusals += _refuse_steps(steps, secret_names, inspect)
    unique = list({(reason.code, str(reason)): reason for reason in refusals}.values())
    digest = content_hash(
        definition.content_hash,
        params=given,
        targets=[target.as_json() for target in targets],
        checks=[check.as_json() for check in checks],
        steps=[step.as_json() for step in steps],
    )
    return Plan(steps, checks, unique, given, digest)


def content_hash(
    procedure_hash: str,
    *,
    params: Mapping[str, Any],
    targets: Sequence[Mapping[str, Any]],
    checks: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
) -> str:
    """What an approval is bound to: procedure, parameters, targets, preconditions and every resolved step, in order."""
    return canonical_hash(
        {"procedure": procedure_hash, "params": params, "targets": targets, "checks": checks, "steps": steps}
    )


def refuse_execution(grade: str, targets: Sequence[Target], execution: Execution) -> list[Reason]:
    """Why the two switches forbid it. A procedure of grade read alters nothing and needs neither."""
    if grade == "read":
        return []
    out = [] if execution.enabled else [Reason("execution_off")]
    return out + [
        Reason("target_not_allowed", {"target": target.name}) for target in targets if not execution.allows(target)
    ]


def _refuse_targets(definition: Definition, targets: Sequence[Target], execution: Execution) -> list[Reason]:
    out = refuse_execution(definition.grade, targets, execution)
    if not targets and definition.grade != "read":
        out.append(Reason("no_target"))
    if len(targets) > definition.max_targets:
        out.append(Reason("too_many_targets", {"count": len(targets), "most": definition.max_targets}))
    seen: set[str] = set()
    for target in targets:
        if target.ref in seen:
            out.append(Reason("target_twice", {"target": target.name}))
        if not target.active:
            out.append(Reason("target_gone", {"target": target.name}))
        seen.add(target.ref)
    return out


def check_params(definition: Definition, params: Mapping[str, Any]) -> tuple[dict[str, Any], list[Reason]]:
    """Return the parameters of a run with their defaults, and what does not fit: unknown, missing, of another type."""
    given: dict[str, Any] = {}
    unknown = [name for name in params if name not in definition.parameters]
    wrong = [Reason("parameter_unknown", {"name": name.encode("utf-8", "replace").decode()[:100]}) for name in unknown]
    for name, parameter in definition.parameters.items():
        value = params.get(name)
        value = parameter.default if value is None else value
        if value is None:
            if parameter.required:
                wrong.append(Reason("parameter_missing", {"name": name}))
            continue
        try:
            given[name] = parameters.check(parameter, value)
        except parameters.WrongValueError as error:
            wrong.append(Reason("parameter_wrong", {"name": name, "why": error.says}))
    return given, wrong


def _resolve_checks(
    definition: Definition, target: Target | None, values: template.Values
) -> tuple[list[PlannedCheck], list[Reason]]:
    out: list[PlannedCheck] = []
    wrong: list[Reason] = []
    for check in definition.preconditions:
        try:
            query = template.query(check.query, values, definition.parameter_types)
        except template.TemplateError as error:
            wrong.append(Reason("template", {"step": "preconditions", "why": error.says}))
            continue
        why = promql.problem(query)
        if why:
            wrong.append(Reason("query_invalid", {"step": "preconditions", "why": why}))
        out.append(PlannedCheck(query, check.condition.text, check.says, target.name if target else ""))
    return out, wrong


def _refuse_steps(
    steps: Sequence[PlannedStep], secret_names: Sequence[str], inspect: Mapping[str, Inspect] | None
) -> list[Reason]:
    out: list[Reason] = []
    for step in steps:
        missing = [name for name in step.secrets if name not in secret_names]
        out += [Reason("secret_missing", {"step": step.name, "secret": name}) for name in missing]
        if step.kind in ("read", "ask", "wait_until", "parallel") or inspect is None:
            continue
        look = inspect.get(step.kind)
        if look is None:
            out.append(Reason("kind_unknown", {"step": step.name, "kind": step.kind}))
            continue
        out += [Reason("step_refused", {"step": step.name, "why": why}) for why in look(step.kind, step.input)]
    return out


def judge(checks: Sequence[PlannedCheck], answers: Sequence[Sequence[float] | str]) -> list[Reason]:
    """Refusals for the preconditions that are false; an answer that is a string is why the metrics could not tell."""
    out: list[Reason] = []
    for check, answer in zip(checks, answers, strict=True):
        if isinstance(answer, str):
            out.append(Reason("precondition_unknown", {"says": check.says, "why": answer}))
            continue
        condition = parse_condition(check.condition)
        if condition is None or not condition.holds(answer):
            out.append(Reason("precondition_false", {"says": check.says}))
    return out


def refused(plan: Plan, more: Sequence[Reason]) -> Plan:
    """The plan with further refusals."""
    return replace(plan, refusals=[*plan.refusals, *more])
