"""Which procedures fit what is alerting, on which targets, with which parameters. Reads only; a person decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.inventory.reads import resources_for_labels
from tongchou.runbooks import observe, parameters, targets
from tongchou.runbooks.definition import Definition
from tongchou.runbooks.models import Procedure
from tongchou.runbooks.prepare import definition_of


@dataclass(frozen=True)
class Suggestion:
    """A procedure that matches, filled in as far as the alerts tell. `target_names` stand beside `targets` (refs)."""

    name: str
    title: Mapping[str, str]
    grade: str
    targets: Sequence[str]
    target_names: Sequence[str]
    params: Mapping[str, Any] = field(default_factory=dict)
    max_targets: int = 1


def matches(wanted: Iterable[Mapping[str, Sequence[str]]], labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy one of the matchers: every label of it has one of the values it lists."""
    return any(all(labels.get(name) in values for name, values in each.items()) for each in wanted)


def for_alerts(label_sets: Sequence[Mapping[str, str]]) -> list[Suggestion]:
    """Active procedures whose `matches` fit an alert, by name. May ask the metrics; not inside a transaction."""
    out: list[Suggestion] = []
    for row in Procedure.objects.filter(state="active").order_by("name"):
        fitting = [labels for labels in label_sets if matches(row.matches, labels)]
        if not fitting:
            continue
        definition = definition_of(row.text)
        resources = _targets(definition, fitting)
        filled: dict[str, Any] = {}
        for labels in reversed(fitting):
            filled |= parameters.prefill(definition.parameters, labels)
        out.append(
            Suggestion(
                name=row.name,
                title=row.title,
                grade=row.grade,
                targets=[ref(resource) for resource in resources],
                target_names=[resource.name for resource in resources],
                params=filled,
                max_targets=definition.max_targets,
            )
        )
    return out


def _targets(definition: Definition, label_sets: Sequence[Mapping[str, str]]) -> list[Resource]:
    wanted = definition.targets
    if wanted.source == "selector":
        return targets.select(wanted.kind, wanted.labels, limit=definition.max_targets)
    if wanted.source == "query":
        seen = observe.ask(wanted.query)
        label_sets = [sample["labels"] for sample in seen.shown]
    found: dict[str, Resource] = {}
    for labels in label_sets:
        for resource in resources_for_labels(labels):
            if targets.fits(resource, wanted.kind, wanted.labels):
                found.setdefault(ref(resource), resource)
    return list(found.values())[: definition.max_targets]
