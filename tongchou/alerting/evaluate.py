"""One evaluation of one rule: its result into alerts or recorded samples. Pure but for the callbacks it is given."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongchou.alerting.expand import Surroundings, expand
from tongchou.alerting.gotemplate.values import Sample as TemplateSample
from tongchou.alerting.gotemplate.values import StringMap
from tongchou.alerting.state import PENDING, AlertState, Element, RuleFailed, Step, advance, alert_labels
from tongchou.telemetry.reads import Sample
from tongchou.telemetry.series import METRIC_NAME, Labels, labels_of

if TYPE_CHECKING:
    from tongchou.alerting.models import Rule
    from tongchou.alerting.rulefile import RuleSpec

MAX_ALERTS = 10_000
MAX_TEMPLATE_SECONDS = 5.0

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAMELESS = re.compile(r"(?<![\w:])\s*\{")

# Takes an expression, gives its samples at the evaluation's time; raises a Problem or ValueError.
QueryAt = Callable[[str], Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class RuleView:
    """What evaluation needs of a rule."""

    kind: str
    name: str
    expr: str
    for_seconds: float
    keep_firing_for_seconds: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    limit: int = 0


def view_of(rule: RuleSpec | Rule, limit: int) -> RuleView:
    """What evaluation needs of a rule, as it stands in a file or in the database; `limit` is its group's."""
    return RuleView(
        kind=rule.kind,
        name=rule.name,
        expr=rule.expr,
        for_seconds=rule.for_seconds,
        keep_firing_for_seconds=rule.keep_firing_for_seconds,
        labels=rule.labels,
        annotations=rule.annotations,
        limit=limit,
    )


def record(rule: RuleView, samples: Sequence[Sample]) -> dict[Labels, float]:
    """The series a recording rule writes; raises RuleFailed for equal label sets or more than ``limit`` series."""
    out: dict[Labels, float] = {}
    for sample in samples:
        labels = labels_of({**sample.labels, **rule.labels, METRIC_NAME: rule.name})
        if labels in out:
            raise RuleFailed("vector contains metrics with the same labelset after applying rule labels")
        out[labels] = sample.value
    if 0 < rule.limit < len(out):
        raise RuleFailed(f"exceeded limit of {rule.limit} with {len(out)} series")
    return out


def alerts(
    rule: RuleView,
    samples: Sequence[Sample],
    active: Mapping[str, AlertState],
    around: Surroundings,
    *,
    now: float,
    hold_resolution: bool = False,
) -> Step:
    """The alerts a rule's samples mean at ``now``, given those active before; raises RuleFailed."""
    if len(samples) > MAX_ALERTS:
        raise RuleFailed(f"{len(samples)} alerts; one rule may have {MAX_ALERTS}: aggregate in the expression")
    elements = _elements(rule, samples, around)
    return advance(
        active,
        elements,
        now=now,
        for_seconds=rule.for_seconds,
        keep_firing_for_seconds=rule.keep_firing_for_seconds,
        limit=rule.limit,
        hold_resolution=hold_resolution,
    )


def _elements(rule: RuleView, samples: Sequence[Sample], around: Surroundings) -> Sequence[Element]:
    if not samples:
        return []
    bound = around.functions()
    found = []
    deadline = time.monotonic() + MAX_TEMPLATE_SECONDS
    for sample in samples:
        if time.monotonic() > deadline:
            raise RuleFailed(f"the templates of {len(samples)} alerts take longer than {MAX_TEMPLATE_SECONDS} s")
        own = {key: value for key, value in sample.labels.items() if key != METRIC_NAME}

        def text_of(text: str, own: Mapping[str, str] = sample.labels, value: float = sample.value) -> str:
            return expand(text, own, value, bound, around)

        labels = alert_labels(rule.name, own, rule.labels, text_of)
        annotations = {key: text_of(text) for key, text in rule.annotations.items()}
        found.append(Element(labels, annotations, sample.value))
    return found


def state_series(rule: RuleView, step: Step) -> dict[Labels, float]:
    """ALERTS and ALERTS_FOR_STATE after a step, as Prometheus writes them."""
    out: dict[Labels, float] = {}
    for alert in step.active.values():
        state = "pending" if alert.state == PENDING else "firing"
        out[labels_of({**alert.labels, METRIC_NAME: "ALERTS", "alertstate": state})] = 1.0
        out[labels_of({**alert.labels, METRIC_NAME: "ALERTS_FOR_STATE"})] = float(int(alert.active_at))
    return out


def template_query(query: QueryAt) -> Callable[[str], list[TemplateSample]]:
    """The query callback of templates, asking each expression once per evaluation."""
    known: dict[str, list[TemplateSample]] = {}

    def ask(text: str) -> list[TemplateSample]:
        if text not in known:
            known[text] = [TemplateSample(StringMap(each.labels), each.value) for each in query(text)]
        return known[text]

    return ask


def may_read(rule: RuleView, metrics: Collection[str]) -> bool:
    """Whether the rule may read any of the metrics; True when its text does not tell (a query in a template)."""
    if not metrics:
        return False
    if "__name__" in rule.expr or _NAMELESS.search(rule.expr) or any("query" in text for text in _templates(rule)):
        return True
    return not set(_NAME.findall(rule.expr)).isdisjoint(metrics)


def run_starts(rules: Sequence[RuleView]) -> list[int]:
    """Where runs of rules begin none of which may read what another of the same run records."""
    starts: list[int] = []
    recorded: set[str] = set()
    for number, rule in enumerate(rules):
        if not starts or may_read(rule, recorded):
            starts.append(number)
            recorded.clear()
        if rule.kind == "record":
            recorded.add(rule.name)
    return starts


def _templates(rule: RuleView) -> list[str]:
    return [*rule.labels.values(), *rule.annotations.values()]
