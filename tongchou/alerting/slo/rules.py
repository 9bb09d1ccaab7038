"""An objective as an ordinary Prometheus rule file: two groups, pages and tickets, and one for silence. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from tongchou.alerting.durations import format_seconds
from tongchou.alerting.slo.burn import Pair, pairs
from tongchou.alerting.slo.spec import Spec, over

SEVERITY = {"page": "critical", "ticket": "warning"}
BURN, SILENT = "ErrorBudgetBurn", "ObjectiveWithoutData"


def file_name(name: str) -> str:
    """The rule file of an objective."""
    return f"slo-{name}"


def expression(spec: Spec, pair: Pair) -> str:
    """PromQL: the error ratio over the long window, while both windows burn too fast and enough has happened."""
    bound = _number(pair.factor * (1 - spec.target))
    events, errors = over(spec.total_query, pair.long_seconds), over(spec.error_query, pair.long_seconds)
    short = f"{over(spec.error_query, pair.short_seconds)} / {over(spec.total_query, pair.short_seconds)}"
    return (
        f"({errors} / {events} > {bound})\n"
        f"and ({short} > {bound})\n"
        f"and ({events} >= {spec.min_events})\n"
        f"and ({errors} >= {spec.min_errors})"
    )


def left(spec: Spec) -> str:
    """PromQL: how many more errors the window allows; negative when too many happened."""
    events, errors = over(spec.total_query, spec.window_seconds), over(spec.error_query, spec.window_seconds)
    return f"{_number(1 - spec.target)} * {events} - {errors}"


def text(spec: Spec) -> str:
    """The rule file. The same objective gives the same text. Pairs that can never fire are left out."""
    groups = [_group(spec, urgency) for urgency in ("page", "ticket")] + [_silence(spec)]
    head = f"# Made from the objective {spec.name}: change the objective, not this file.\n"
    body: str = yaml.safe_dump({"groups": [each for each in groups if each["rules"]]}, sort_keys=False, width=10_000)
    return head + body


def _group(spec: Spec, urgency: str) -> dict[str, Any]:
    of_urgency = [pair for pair in pairs(spec.window_seconds) if pair.urgency == urgency]
    return {
        "name": f"{spec.name}-{urgency}",
        "interval": _interval(of_urgency[0].short_seconds),
        "rules": [_rule(spec, pair) for pair in of_urgency if pair.reachable(spec.target)],
    }


def _rule(spec: Spec, pair: Pair) -> dict[str, Any]:
    long, window = format_seconds(pair.long_seconds), format_seconds(spec.window_seconds)
    target = f"{_number(spec.target * 100)} %"
    return {
        "alert": BURN,
        "expr": expression(spec, pair),
        "labels": {"severity": SEVERITY[pair.urgency], "service": spec.service, "slo": spec.name, "long_window": long},
        "annotations": {
            "summary": f"{spec.service} spends its error budget {_number(pair.factor)} times too fast: "
            f"{{{{ $value | humanizePercentage }}}} failed in {long}, {target} of {window} are to succeed",
            "description": f"{{{{ with query `{left(spec)}` }}}}"
            f'{{{{ . | first | value | printf "%.0f" }}}} errors left this {window}.{{{{ end }}}} '
            f"At this pace {_number(pair.budget_share * 100)} % of the budget goes in {long}.",
            "objective_url": f"/slos/{spec.name}",
        },
    }


def _silence(spec: Spec) -> dict[str, Any]:
    """A page's window without one sample: an objective nobody can judge is a fault of its own."""
    long = pairs(spec.window_seconds)[0].long_seconds
    return {
        "name": f"{spec.name}-data",
        "interval": _interval(long),
        "rules": [
            {
                "alert": SILENT,
                "expr": f"absent({over(spec.total_query, long)})",
                "for": format_seconds(long),
                "labels": {"severity": "warning", "service": spec.service, "slo": spec.name},
                "annotations": {
                    "summary": f"Nothing measures the objective {spec.name} of {spec.service} any more",
                    "description": "No data is not a success: see whether the service is scraped and has traffic.",
                    "objective_url": f"/slos/{spec.name}",
                },
            }
        ],
    }


def _interval(seconds: float) -> str:
    """Look often enough to be in time for the window, and no more often: 5 s to 5 min."""
    return format_seconds(min(300, max(5, round(seconds / 10))))


def _number(value: float) -> str:
    """A float without the noise of binary fractions: 1 - 0.999 is 0.001."""
    return f"{value:.12g}"
