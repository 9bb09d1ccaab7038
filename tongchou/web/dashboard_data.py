"""What the panels of a dashboard show: their queries with the variables filled in, and what the store answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse

from tongchou.core.access import check
from tongchou.core.problems import Problem
from tongchou.telemetry import dashboard_reads, log_reads, reads
from tongchou.telemetry.dashboards import choose, definition, edit, frames, substitute, words
from tongchou.telemetry.dashboards.definition import Definition, Panel
from tongchou.telemetry.dashboards.substitute import Chosen, Scope
from tongchou.telemetry.logs.log_store import line_id
from tongchou.web import charts, markdown, telemetry_reads, units
from tongchou.web.gate import PageRequest, page

MOST_ROWS = 1000  # of a table
MOST_LOG_LINES = 200
LONGEST_LINE = 2000  # characters of a line
MOST_FIGURES = 60  # of a stat or a gauge
LEAST_SCRAPE_MS = 15_000  # who sends by remote_write keeps its own pace, mostly this one
PREFIX = "var-"
NO_STORE = {"Cache-Control": "no-store"}
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Asked:
    """What a panel is asked for: a time range, the points of a graph, the variables' values by name."""

    start: datetime
    end: datetime
    points: int
    wanted: Mapping[str, Sequence[str]]

    @property
    def scope(self) -> Scope:
        """The times a query may name."""
        step = telemetry_reads.step_for((self.end - self.start).total_seconds(), self.points)
        return Scope(
            {},
            round(self.start.timestamp() * 1000),
            round(self.end.timestamp() * 1000),
            round(step * 1000),
            max(LEAST_SCRAPE_MS, round(settings.SCRAPE_INTERVAL_SECONDS * 1000)),
        )


def wanted_values(lists: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the values of ?var-NAME=, by name; an empty one among others is left out."""
    found = {}
    for key, values in lists.items():
        if key.startswith(PREFIX):
            found[key.removeprefix(PREFIX)] = [each[:1000] for each in values[: words.MAX_VALUES]]
    return found


def asked(request: PageRequest) -> Asked:
    """Return what ?start=&end=&points=&var-NAME= ask for. Raises Invalid."""
    start, end = charts.span(request)
    points = charts.bounded(request.GET.get("points"), 10, charts.MAX_POINTS, 600)
    return Asked(start, end, points, wanted_values(dict(request.GET.lists())))


def scope_of(found: Definition, about: Asked, texts: Sequence[str]) -> Scope:
    """Return the scope for these texts: the variables they name, and those that these depend on, and no others."""
    names: set[str] = set()
    further = {name for text in texts for name in substitute.names_in(text)}
    while further:
        names |= further
        queries = [each.query + each.regex for each in found.variables if each.name in further]
        further = {name for text in queries for name in substitute.names_in(text)} - names
    needed = replace(found, variables=tuple(each for each in found.variables if each.name in names))
    source = dashboard_reads.StoreSource(about.start, about.end)
    if needed.variables:
        telemetry_reads.require_store()
    chosen, _options = choose.resolve(needed, about.wanted, about.scope, source)
    return replace(about.scope, chosen=chosen)


def panel_data(found: Definition, panel: Panel, about: Asked) -> dict[str, Any]:
    """Return what dashboards.js draws for a panel. Raises the Problem of the query that failed, naming its letter."""
    queries = [each for each in panel.queries if not each.hidden and each.expr.strip()]
    texts = [panel.title, panel.text, *(text for each in queries for text in (each.expr, each.legend))]
    scope = scope_of(found, about, texts)
    answer: dict[str, Any] = {"title": substitute.plain(panel.title, scope)}
    if panel.kind == "text":
        return answer | {"html": markdown.render(substitute.plain(panel.text, scope))}
    filled = [replace(each, expr=_filled(panel, at, scope), legend=substitute.plain(each.legend, scope))
              for at, each in enumerate(panel.queries) if each in queries]  # fmt: skip
    answer["queries"] = [each.expr for each in filled]
    if panel.kind == "log":
        return answer | _lines(filled, about)
    if panel.kind == "table":
        return answer | _table(filled, about)
    return answer | _columns(panel, filled, about)


def _filled(panel: Panel, at: int, scope: Scope) -> str:
    try:
        expr = panel.queries[at].expr
        return substitute.logs(expr, scope) if panel.kind == "log" else substitute.promql(expr, scope)
    except Problem as problem:
        raise _of_query(problem, at) from problem


def _of_query(problem: Problem, at: int) -> Problem:
    """The same problem, saying which query of the panel it is about."""
    problem.extra = {**problem.extra, "query": LETTERS[at]}
    return problem


def _lines(queries: Sequence[definition.Query], about: Asked) -> dict[str, Any]:
    """The newest lines of the first log search."""
    telemetry_reads.require_store()
    if not queries:
        return {"lines": [], "more": False}
    try:
        found = log_reads.search(queries[0].expr, about.start, about.end, limit=MOST_LOG_LINES)
    except Problem as problem:
        raise _of_query(problem, 0) from problem
    shown = [
        {
            "id": line_id(each),
            "at": each.ts_ns // 1_000_000,
            "level": each.level,
            "service": each.labels.get("service", ""),
            "body": each.body[:LONGEST_LINE],
        }
        for each in found.lines
    ]
    return {"lines": shown, "more": bool(found.more)}


def _table(queries: Sequence[definition.Query], about: Asked) -> dict[str, Any]:
    telemetry_reads.require_store()
    answers = []
    for at, each in enumerate(queries):
        try:
            answers.append([(row.labels, row.value) for row in reads.instant_vector(each.expr, about.end)])
        except Problem as problem:
            raise _of_query(problem, at) from problem
    return {
        "table": frames.as_json(frames.joined(answers, most=MOST_ROWS)),
        "legends": [each.legend for each in queries],
        "unit": units.guess(queries[0].expr) if queries else "",
    }


def _columns(panel: Panel, queries: Sequence[definition.Query], about: Asked) -> dict[str, Any]:
    """Answers of several queries over one grid of times."""
    times: list[int] = []
    series: list[dict[str, Any]] = []
    dropped, step = 0, 0.0
    resolutions: set[str] = set()
    warnings: list[str] = []
    most = {"graph": charts.MOST_LINES, "heatmap": charts.MOST_BUCKETS}.get(panel.kind, MOST_FIGURES)
    for at, each in enumerate(queries):
        try:
            found = telemetry_reads.columns(
                each.expr, about.start, about.end, points=about.points, legend=each.legend, limit=most
            )
        except Problem as problem:
            raise _of_query(problem, at) from problem
        times = times or found.times
        series += [line | {"query": LETTERS[at]} for line in found.series]
        dropped, step = dropped + found.dropped, found.step_seconds
        resolutions |= set(found.resolutions)
        warnings += [each for each in found.warnings if each not in warnings]
    answer: dict[str, Any] = {"times": times, "series": series, "dropped": dropped, "step": step, "marks": []}
    answer |= {"resolution": ", ".join(sorted(resolutions)), "warnings": warnings}
    answer["unit"] = units.guess(queries[0].expr) if queries else ""
    if panel.kind == "heatmap":
        return answer | charts.heat_of([each.expr for each in queries], series)
    return answer


@page("telemetry.view")
def dashboard_panel(request: PageRequest, name: str, number: int) -> HttpResponse:
    """GET ?start=&end=&points=&var-NAME=: what one panel shows; 4xx as problem+json."""
    check(request.actor, "telemetry.view")
    found = definition.parse(dashboard_reads.get(request.actor, name).definition)
    panel = found.panel(number)
    if panel is None:
        raise edit.no_panel(number)
    return JsonResponse(panel_data(found, panel, asked(request)), headers=NO_STORE)


@page("telemetry.view")
def dashboard_variables(request: PageRequest, name: str) -> HttpResponse:
    """GET ?start=&end=&var-NAME=: every variable with its options and what is chosen."""
    check(request.actor, "telemetry.view")
    found = definition.parse(dashboard_reads.get(request.actor, name).definition)
    about = asked(request)
    if any(each.kind == "query" for each in found.variables):
        telemetry_reads.require_store()
    source = dashboard_reads.StoreSource(about.start, about.end)
    chosen, options = choose.resolve(found, about.wanted, about.scope, source)
    shown = [_variable(chosen[each.name], options[each.name]) for each in found.variables]
    return JsonResponse({"variables": shown}, headers=NO_STORE)


def _variable(now: Chosen, options: choose.Options) -> dict[str, Any]:
    variable = now.variable
    return {
        "name": variable.name,
        "label": variable.label or variable.name,
        "kind": variable.kind,
        "multi": variable.multi,
        "all": variable.all,
        "hide": variable.hide or variable.kind == "constant",
        "value": [words.ALL] if now.every else list(now.values),
        "options": [list(each) for each in options.items],
        "count": options.count,
        "problem": str(options.problem.detail) if options.problem else "",
    }
