"""Unit tests of rule files in promtool's format (`promtool test rules`): read, run on samples in memory, compared.

Time begins at 0. Every group is evaluated each `evaluation_interval`, whatever its own interval is, up to the last
time anything is asked of; an alert is looked at after the newest evaluation that is not later than its `eval_time`,
and only firing alerts count. Differs from promtool in one thing: NaN is what NaN was expected to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

from tongchou.alerting import evaluate
from tongchou.alerting.durations import format_seconds, parse_seconds
from tongchou.alerting.expand import Surroundings
from tongchou.alerting.rulefile import GroupSpec, RuleSpec
from tongchou.alerting.state import FIRING, AlertState, RuleFailed
from tongchou.core.problems import Problem
from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.notation import HISTOGRAM, NotationError, points_of, series_of
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.evaluate import instant
from tongchou.telemetry.reads import Sample
from tongchou.telemetry.series import METRIC_NAME, STALE_NAN, Labels, labels_of

MAX_EVALUATIONS = 1_000_000  # of groups, in one test
DEFAULT_INTERVAL = "1m"
_LISTS = {"rule_files", "group_eval_order", "tests", "input_series", "alert_rule_test", "promql_expr_test",
          "exp_alerts", "exp_samples"}  # fmt: skip
_MAPPINGS = {"exp_labels", "exp_annotations", "external_labels"}


class BadTest(ValueError):
    """A file of tests that cannot be read: what is wrong and where."""


class ExpectedAlert(msgspec.Struct, forbid_unknown_fields=True):
    """An alert that should fire: labels without alertname."""

    exp_labels: dict[str, str] = {}
    exp_annotations: dict[str, str] = {}


class AlertTest(msgspec.Struct, forbid_unknown_fields=True):
    """All alerts of one name that fire at one time."""

    eval_time: str
    alertname: str
    exp_alerts: list[ExpectedAlert] = []


class ExpectedSample(msgspec.Struct, forbid_unknown_fields=True):
    """A sample that should be in a result: its series in the notation, its value."""

    labels: str = ""
    value: str = "0"
    histogram: str = ""


class ExpressionTest(msgspec.Struct, forbid_unknown_fields=True):
    """All samples of an expression at one time."""

    expr: str
    eval_time: str
    exp_samples: list[ExpectedSample] = []


class InputSeries(msgspec.Struct, forbid_unknown_fields=True):
    """One series, its values an interval apart from time 0 on."""

    series: str
    values: str


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """Input and what is expected of it."""

    name: str = ""
    interval: str = ""
    input_series: list[InputSeries] = []
    alert_rule_test: list[AlertTest] = []
    promql_expr_test: list[ExpressionTest] = []
    external_labels: dict[str, str] = {}
    external_url: str = ""


class Cases(msgspec.Struct, forbid_unknown_fields=True):
    """A file of tests; `rule_files` are patterns relative to it."""

    rule_files: list[str] = []
    evaluation_interval: str = DEFAULT_INTERVAL
    group_eval_order: list[str] = []
    tests: list[Case] = []
    fuzzy_compare: str = "false"


def read(text: str) -> Cases:
    """The tests of a file; raises BadTest. Scalars are taken as they are written, as Go takes them for a text."""
    try:
        # The base loader makes no numbers and no dates of what should stay a text.
        given = yaml.load(text, yaml.BaseLoader)  # noqa: S506  # it builds strings, lists and mappings only
    except yaml.YAMLError as error:
        raise BadTest(f"not YAML: {error}") from None
    try:
        found = msgspec.convert(_filled(given), Cases)
    except msgspec.ValidationError as error:
        raise BadTest(str(error)) from None
    for where, duration in _durations(found):
        try:
            parse_seconds(duration)
        except ValueError as error:
            raise BadTest(f"{where}: {error}") from None
    for name in found.group_eval_order:
        if found.group_eval_order.count(name) > 1:
            raise BadTest(f"group_eval_order: group {name} comes more than once")
    if parse_seconds(found.evaluation_interval) <= 0:
        raise BadTest(f"evaluation_interval: {found.evaluation_interval} is not longer than nothing")
    return found


def _filled(given: Any) -> Any:
    """A key that was left empty is an empty list or mapping where one is wanted."""
    if isinstance(given, list):
        return [_filled(each) for each in given]
    if not isinstance(given, dict):
        return given
    return {key: _empty(key) if each in ("", "null", "~") else _filled(each) for key, each in given.items()}


def _empty(key: str) -> list[Any] | dict[str, str] | str:
    return [] if key in _LISTS else {} if key in _MAPPINGS else ""


def _durations(file: Cases) -> Iterator[tuple[str, str]]:
    yield "evaluation_interval", file.evaluation_interval
    for number, test in enumerate(file.tests):
        if test.interval:
            yield f"tests[{number}].interval", test.interval
        asked: tuple[tuple[str, Sequence[AlertTest | ExpressionTest]], ...] = (
            ("alert_rule_test", test.alert_rule_test),
            ("promql_expr_test", test.promql_expr_test),
        )
        for kind, many in asked:
            for at, each in enumerate(many):
                yield f"tests[{number}].{kind}[{at}].eval_time", each.eval_time


@dataclass(slots=True)
class _Rule:
    spec: RuleSpec
    view: evaluate.RuleView
    active: dict[str, AlertState] = field(default_factory=dict)
    series: set[Labels] = field(default_factory=set)


@dataclass(slots=True)
class _Run:
    """One test under way."""

    test: Case
    groups: list[tuple[str, list[_Rule]]]
    store: MemoryBackend = field(default_factory=MemoryBackend)
    faults: list[str] = field(default_factory=list)

    def query(self, expr: str, at: float) -> list[Sample]:
        result = instant(expr, round(at * 1000), backend=self.store, limits=Limits())
        when = datetime.fromtimestamp(at, UTC)
        return [Sample(dict(labels), value, when) for labels, _ms, value in result.samples()]

    def load(self, interval: float) -> None:
        for number, each in enumerate(self.test.input_series):
            try:
                if "\n" in f"{each.series} {each.values}".strip():
                    raise NotationError("a series and its values are one line")
                labels, rest = series_of(each.series.strip())
                if rest.strip():
                    raise NotationError(f"not a series: {each.series!r}")
                points = points_of(each.values)
            except (NotationError, SyntaxError) as error:
                raise BadTest(f"input_series[{number}]: {error}") from None
            if HISTOGRAM in points:
                raise BadTest(f"input_series[{number}]: native histograms are not supported")
            samples = {
                round(at * interval * 1000): float(v) for at, v in enumerate(points) if isinstance(v, float | int)
            }
            self.store.add(labels, samples)

    def evaluate(self, at: float) -> None:
        for _group, rules in self.groups:
            for rule in rules:
                try:
                    self._evaluate(rule, at)
                except (Problem, RuleFailed) as error:
                    text = error.detail if isinstance(error, Problem) else error
                    self.faults.append(f"rule: {rule.view.name}, time: {format_seconds(at)}, err: {text}")

    def _evaluate(self, rule: _Rule, at: float) -> None:
        samples = self.query(rule.view.expr, at)
        if rule.view.kind == "alert":
            ask = evaluate.template_query(lambda text: self.query(text, at))
            around = Surroundings(ask, self.test.external_url, at, self.test.external_labels)
            step = evaluate.alerts(rule.view, samples, rule.active, around, now=at)
            rule.active, out = step.active, evaluate.state_series(rule.view, step)
        else:
            out = evaluate.record(rule.view, samples)
        for labels, value in {**dict.fromkeys(rule.series - out.keys(), STALE_NAN), **out}.items():
            self.store.add(labels, {round(at * 1000): value})
        rule.series = set(out)

    def judge_alerts(self, asked: AlertTest) -> None:
        found = [
            (dict(alert.labels), dict(alert.annotations))
            for _group, rules in self.groups
            for rule in rules
            if rule.view.kind == "alert" and rule.view.name == asked.alertname
            for alert in rule.active.values()
            if alert.state == FIRING
        ]
        wanted = [
            ({**each.exp_labels, "alertname": asked.alertname}, each.exp_annotations) for each in asked.exp_alerts
        ]
        if _sorted(found) != _sorted(wanted):
            self.faults.append(
                f"alertname: {asked.alertname}, time: {asked.eval_time},\n"
                f"  exp: {_shown(wanted)}\n  got: {_shown(found)}"
            )

    def judge_expression(self, asked: ExpressionTest, *, fuzzy: bool) -> None:
        where = f"expr: {asked.expr!r}, time: {asked.eval_time}"
        try:
            found = {
                labels_of(each.labels): each.value for each in self.query(asked.expr, parse_seconds(asked.eval_time))
            }
        except Problem as error:
            self.faults.append(f"{where}, err: {error.detail}")
            return
        wanted: dict[Labels, float] = {}
        repeated: list[Labels] = []
        for each in asked.exp_samples:
            if each.histogram:
                raise BadTest(f"{where}: native histograms are not supported")
            try:
                key = series_of(each.labels.strip())[0] if each.labels.strip() else ()
                repeated += [key] if key in wanted else []
                wanted[key] = _value(each.value)
            except ValueError as error:
                raise BadTest(f"{where}: exp_samples: {error}") from None
        if repeated:  # found it can be only once
            self.faults.append(f"{where},\n  exp: {_series({key: wanted[key] for key in repeated})} more than once")
        elif found.keys() != wanted.keys() or not all(_same(found[key], wanted[key], fuzzy) for key in wanted):
            self.faults.append(f"{where},\n  exp: {_series(wanted)}\n  got: {_series(found)}")


def run(file: Cases, groups: Sequence[GroupSpec], number: int) -> list[str]:
    """What is wrong with test `number` of a file: [] when all is as expected. Raises BadTest for a test of no sense."""
    test = file.tests[number]
    places = {name: at for at, name in enumerate(file.group_eval_order)}
    ordered = sorted(groups, key=lambda group: places.get(group.name, len(places)))
    one = _Run(
        test,
        [(each.name, [_Rule(rule, evaluate.view_of(rule, each.limit)) for rule in each.rules]) for each in ordered],
    )
    every = parse_seconds(file.evaluation_interval)
    one.load(parse_seconds(test.interval or file.evaluation_interval))
    looked_at: list[AlertTest | ExpressionTest] = [*test.alert_rule_test, *test.promql_expr_test]
    ends = [parse_seconds(each.eval_time) for each in looked_at]
    turns = int(max(ends, default=0.0) // every) + 1
    if turns * max(1, len(groups)) > MAX_EVALUATIONS:
        raise BadTest(f"{turns} evaluations of {len(groups)} groups; a test may have {MAX_EVALUATIONS}")
    waiting = sorted(test.alert_rule_test, key=lambda each: parse_seconds(each.eval_time))
    for turn in range(turns):
        at = round(turn * every, 3)
        one.evaluate(at)
        while waiting and parse_seconds(waiting[0].eval_time) < at + every:
            one.judge_alerts(waiting.pop(0))
    for each in test.promql_expr_test:
        one.judge_expression(each, fuzzy=file.fuzzy_compare == "true")
    return one.faults


def _value(text: str) -> float:
    """A number as Go's YAML reads it: 4, 0x10, 1e3, .nan, -.inf."""
    plain = text.strip().lower().replace("_", "")
    if plain.startswith("0x"):
        return float(int(plain, 16))
    return float(plain.replace(".nan", "nan").replace(".inf", "inf"))


def _same(found: float, wanted: float, fuzzy: bool) -> bool:
    if math.isnan(found) or math.isnan(wanted):
        return math.isnan(found) and math.isnan(wanted)
    # As promtool: the neighbours of a number count as it.
    return found == wanted or (fuzzy and found in (math.nextafter(wanted, -math.inf), math.nextafter(wanted, math.inf)))


Alerts = list[tuple[dict[str, str], dict[str, str]]]


def _sorted(alerts: Alerts) -> list[tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    return sorted((sorted(labels.items()), sorted(annotations.items())) for labels, annotations in alerts)


def _shown(alerts: Alerts) -> str:
    shown = [f"Labels:{_braces(labels)} Annotations:{_braces(annotations)}" for labels, annotations in alerts]
    return f"[{', '.join(sorted(shown))}]"


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"


def _series(samples: Mapping[Labels, float]) -> str:
    shown = []
    for labels, value in sorted(samples.items()):
        rest = {key: each for key, each in labels if key != METRIC_NAME}
        shown.append(f"{dict(labels).get(METRIC_NAME, '')}{_braces(rest)} {value!r}")
    return f"[{', '.join(shown) or 'nil'}]"
