"""The options of variables and what is chosen of them; who asks the store stands behind `Source`. Pure but for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import re2
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Problem
from tongchou.telemetry.dashboards.definition import Definition, Variable, options_written
from tongchou.telemetry.dashboards.substitute import Chosen, Scope, names_in, promql
from tongchou.telemetry.dashboards.words import ALL, MAX_VALUES
from tongchou.telemetry.promql.parse import Selector, parse
from tongchou.telemetry.series import METRIC_NAME, Matcher

MAX_OPTIONS = 1000
MatcherSets = Sequence[Sequence[Matcher]]
_CALL = re.compile(r"\s*(label_values|label_names|metrics|query_result)\s*\((.*)\)\s*", re.DOTALL)
_JS_NAMED = re.compile(r"\(\?<(?![=!])")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")


class Source(Protocol):
    """Where labels and values come from."""

    def label_values(self, label: str, sets: MatcherSets) -> list[str]:
        """Return the values of a label on the series that fulfil any of the sets; on all series without any."""

    def label_names(self, sets: MatcherSets) -> list[str]:
        """Return the label names of the same series."""

    def query_result(self, expr: str) -> list[str]:
        """Return the samples of an instant query, each written as name{label="value"} value time."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen: (text, value); `count` were found; `problem` is why there are none."""

    variable: Variable
    items: tuple[tuple[str, str], ...] = ()
    count: int = 0
    problem: Problem | None = None


def ordered(variables: Sequence[Variable]) -> list[Variable]:
    """Return variables so that each comes after those its query names. Raises Invalid when they go in a circle."""
    known = {each.name: each for each in variables}
    done: list[Variable] = []
    under_way: list[str] = []

    def visit(each: Variable) -> None:
        if each in done:
            return
        if each.name in under_way:
            raise Invalid(
                "dashboard.variables",
                _("These variables depend on each other: %(names)s.") % {"names": ", ".join(under_way)},
                field=f"variables.{each.name}.query",
                value=each.query,
            )
        under_way.append(each.name)
        if each.kind == "query":
            for name in sorted(names_in(each.query) | names_in(each.regex)):
                if name in known and name != each.name:
                    visit(known[name])
        under_way.pop()
        done.append(each)

    for each in variables:
        visit(each)
    return done


def resolve(
    definition: Definition, wanted: Mapping[str, Sequence[str]], scope: Scope, source: Source
) -> tuple[dict[str, Chosen], dict[str, Options]]:
    """Return what every variable stands for, and its options; `wanted`: the values that were asked for, by name.

    A variable whose options cannot be had keeps what was asked for, and its Options tell the problem.
    """
    chosen: dict[str, Chosen] = {}
    options: dict[str, Options] = {}
    for each in ordered(definition.variables):
        now = Scope(chosen, scope.from_ms, scope.to_ms, scope.interval_ms, scope.scrape_ms)
        options[each.name] = options_of(each, now, source)
        chosen[each.name] = choose(each, options[each.name].items, wanted.get(each.name))
    return chosen, options


def options_of(variable: Variable, scope: Scope, source: Source) -> Options:
    """Return the options of one variable, at most MAX_OPTIONS of those found."""
    if variable.kind != "query":
        written = tuple(options_written(variable))
        return Options(variable, written, len(written))
    try:
        found = _sorted(variable.sort, _narrowed(variable.regex, _asked(variable, scope, source)))
    except Problem as problem:
        return Options(variable, problem=problem)
    return Options(variable, tuple(found[:MAX_OPTIONS]), len(found))


def choose(variable: Variable, items: Sequence[tuple[str, str]], wanted: Sequence[str] | None) -> Chosen:
    """Return what a variable stands for, when these are its options and `wanted` was asked for (None: nothing was)."""
    texts = {value: text for text, value in items}
    own = frozenset((*(value for _text, value in options_written(variable)), *variable.value))
    if variable.kind == "constant":
        return Chosen(variable, (variable.query,), own=own)
    if variable.kind == "textbox":
        begun = tuple(variable.value[:1]) or (variable.query,)
        return Chosen(variable, tuple(wanted[:1]) if wanted else begun, own=own | {variable.query})
    values = list(wanted) if wanted is not None else _begun(variable, texts)
    if variable.all and ALL in values:
        return Chosen(variable, tuple(texts), tuple(texts.values()), every=True, own=own)
    values = list(dict.fromkeys(each for each in values if each != ALL))
    values = values[: MAX_VALUES if variable.multi else 1]
    if not values and not variable.multi:
        values = list(texts)[:1]
    return Chosen(variable, tuple(values), tuple(texts.get(each, each) for each in values), own=own)


def _begun(variable: Variable, texts: Mapping[str, str]) -> list[str]:
    """What is chosen before anybody chose: what the dashboard says as far as it is there, else the first."""
    there = [each for each in variable.value if each in texts or (each == ALL and variable.all) or not texts]
    if there:
        return there
    return [ALL] if variable.all else list(texts)[:1]


# --- a query of a variable -------------------------------------------------------------------------------------------


def _asked(variable: Variable, scope: Scope, source: Source) -> list[str]:
    found = _CALL.fullmatch(variable.query)
    if found is None:
        raise _not_understood(variable)
    call, inside = found[1], found[2].strip()
    if call == "query_result":
        return source.query_result(promql(inside, scope))
    if call == "metrics":
        wanted = _pattern(promql(inside, scope).strip("\"'"))
        return [each for each in source.label_values(METRIC_NAME, []) if wanted.search(each)]
    if call == "label_names":
        return source.label_names(_matchers(promql(inside, scope), variable))
    selector, comma, label = inside.rpartition(",")
    label = promql(label, scope).strip().strip("\"'")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label):
        raise _not_understood(variable)
    return source.label_values(label, _matchers(promql(selector, scope), variable) if comma else [])


def _not_understood(variable: Variable) -> Invalid:
    return Invalid(
        "dashboard.variable_query",
        _("The query of this variable is not understood."),
        field=f"variables.{variable.name}.query",
        value=variable.query,
        remedy=_("Write label_values(metric, label), label_values(label), metrics(regex) or query_result(expression)."),
    )


def _matchers(text: str, variable: Variable) -> MatcherSets:
    if not text.strip():
        return []
    tree = parse(text.strip())
    if not isinstance(tree, Selector):
        raise _not_understood(variable)
    return tree.matcher_sets


def _pattern(text: str) -> re2._Regexp:
    """Compile a pattern as Grafana writes it: /re/flags or re; named groups are JavaScript's."""
    slashed = re.fullmatch(r"/(.*)/([a-z]*)", text, re.DOTALL)
    body, flags = (slashed[1], slashed[2]) if slashed else (text, "")
    body = _JS_NAMED.sub("(?P<", body)
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    try:
        return re2.compile(body, options)
    except re2.error as error:
        raise Invalid(
            "dashboard.variable_regex",
            _("The regular expression is not understood: %(error)s") % {"error": str(error)},
            field="regex",
            value=text,
            remedy=_("RE2 knows no look-ahead, look-behind or back-reference."),
        ) from error


def _narrowed(regex: str, found: Sequence[str]) -> list[tuple[str, str]]:
    """Keep what the pattern fits; its groups `text` and `value`, or its first group, are what is shown and meant."""
    if not regex:
        return [(each, each) for each in dict.fromkeys(found)]
    pattern = _pattern(regex)
    out: dict[str, str] = {}
    for each in found:
        fits = pattern.search(each)
        if fits is None:
            continue
        named = fits.groupdict()
        first = next((group for group in fits.groups() if group is not None), None)
        value = named.get("value") or named.get("text") or first or fits.group(0)
        out.setdefault(value, named.get("text") or value)
    return [(text, value) for value, text in out.items()]


def _number_of(text: str) -> float:
    found = _NUMBER.search(text)
    return float(found[0]) if found else float("-inf")


def _sorted(sort: str, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
    down = sort.startswith("-")
    if sort.endswith("name"):
        return sorted(items, key=lambda each: (each[0].casefold(), each[0]), reverse=down)
    if sort.endswith("number"):
        return sorted(items, key=lambda each: (_number_of(each[0]), each[0]), reverse=down)
    return items
