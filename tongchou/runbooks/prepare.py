"""A plan for real: looks up targets, switches, secrets and runners, and asks the metrics. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import secrets, settings_store
from tongchou.core.access import Actor
from tongchou.core.problems import Invalid
from tongchou.inventory.models import Resource
from tongchou.runbooks import limits, observe, procedure, targets
from tongchou.runbooks.definition import Definition, offered
from tongchou.runbooks.installed import runners
from tongchou.runbooks.models import Procedure, ProcedureVersion
from tongchou.runbooks.plan import Execution, Plan, judge, make_plan, refused
from tongchou.runbooks.planned import Target
from tongchou.runbooks.reasons import Reason


@dataclass(frozen=True)
class Prepared:
    """A plan with the rows it was made from."""

    version: ProcedureVersion
    definition: Definition
    resources: Sequence[Resource]
    targets: Sequence[Target]
    plan: Plan


@lru_cache(maxsize=256)
def definition_of(text: str) -> Definition:
    """The definition of a saved text, parsed once in a process."""
    return procedure.parse(text)


def execution() -> Execution:
    """The two switches as they stand now."""
    return Execution(bool(settings_store.get("execution.enabled")), tuple(settings_store.get("execution.targets")))


def prepare(
    row: Procedure,
    *,
    actor: Actor,
    params: Mapping[str, Any],
    target_names: Sequence[str],
    incident_number: int | None,
) -> Prepared:
    """Plan a run of the newest version and ask the metrics whether its preconditions hold now.

    Raises Invalid for a target that is not there or not to be seen by the actor; everything else that forbids the run
    is in `plan.refusals`.
    """
    version = row.versions.get(number=row.version_number)
    definition = definition_of(version.text)
    resources = targets.find(target_names, actor)
    found = targets.as_targets(resources)
    known, wrong = _resources(definition, params, actor)
    plan = make_plan(
        definition,
        params=known,
        targets=found,
        incident_number=incident_number,
        execution=execution(),
        secret_names=[name for name in secrets.names() if offered(name)],
        inspect={kind: runner.validate for kind, runner in runners().items()},
    )
    more = [*wrong, *([Reason("stopped")] if settings_store.get("execution.stopped") else [])]
    more += limits.exceeded(row, definition.rate_limit)
    plan = refused(plan, [*more, *judge(plan.checks, observe.answers(plan.checks))])
    return Prepared(version, definition, resources, found, plan)


def _resources(definition: Definition, params: Mapping[str, Any], actor: Actor) -> tuple[dict[str, Any], list[Reason]]:
    """The parameters with each resource under its name, and what does not fit: unknown, gone, of another kind."""
    known, wrong = dict(params), []
    for name, parameter in definition.parameters.items():
        value = known.get(name, parameter.default)
        if parameter.type != "resource" or not isinstance(value, str):
            continue
        try:
            (row,) = targets.find([value], actor)
        except Invalid as problem:
            wrong.append(Reason("parameter_wrong", {"name": name, "why": str(problem.detail)}))
            continue
        if not targets.fits(row, parameter.kind, {}):
            says = _("%(resource)s is not an active resource of kind %(kind)s.")
            why = says % {"resource": row.name, "kind": parameter.kind or "-"}
            wrong.append(Reason("parameter_wrong", {"name": name, "why": why}))
        known[name] = row.name
    return known, wrong
