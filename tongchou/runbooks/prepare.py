"""A plan for real: looks up targets, switches, secrets and runners, and asks the metrics. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tongchou.core import secrets, settings_store
from tongchou.core.registry import implementations
from tongchou.inventory.models import Resource
from tongchou.runbooks import observe, procedure, targets
from tongchou.runbooks.definition import Definition, offered
from tongchou.runbooks.models import Procedure, ProcedureVersion
from tongchou.runbooks.plan import Execution, Plan, Target, judge, make_plan, refused
from tongchou.runbooks.ports import Runner


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


def runners() -> dict[str, Runner]:
    """Every installed Runner by the kind of step it does."""
    return {runner.kind: runner for runner in implementations(Runner)}  # type: ignore[type-abstract]  # a Protocol is meant


def prepare(
    row: Procedure, *, params: Mapping[str, Any], target_names: Sequence[str], incident_number: int | None
) -> Prepared:
    """Plan a run of the newest version and ask the metrics whether its preconditions hold now.

    Raises Invalid for a target nobody knows; everything else that forbids the run is in `plan.refusals`.
    """
    version = row.versions.get(number=row.version_number)
    definition = definition_of(version.text)
    resources = targets.find(target_names)
    found = targets.as_targets(resources)
    plan = make_plan(
        definition,
        params=params,
        targets=found,
        incident_number=incident_number,
        execution=execution(),
        secret_names=[name for name in secrets.names() if offered(name)],
        inspect={kind: runner.validate for kind, runner in runners().items()},
    )
    plan = refused(plan, judge(plan.checks, observe.answers(plan.checks)))
    return Prepared(version, definition, resources, found, plan)
