"""The read half of the Prometheus HTTP API: query, query_range, labels, series, metadata, targets.

GET and POST (form) alike. Answers are Prometheus's envelope, refusals too, so that Grafana and promtool read both.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import msgspec
import numpy as np
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou.core.problems import BadRequest, NotFound
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.parameters import bad, duration_ms, time_ms
from tongchou.integrations.prometheus.request import api, value_of, values_of
from tongchou.integrations.prometheus.running import Running, limits_of, running
from tongchou.telemetry import target_snapshot
from tongchou.telemetry.backend import backend, default_limits
from tongchou.telemetry.metrics import metrics
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.evaluate import MAX_STEPS_SETTING, instant, range_
from tongchou.telemetry.promql.grid import Result
from tongchou.telemetry.promql.parse import Node, Selector, format_query, parse
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.target_health import TargetHealth
from tongchou.wire import go_time

TRUNCATED = "results truncated due to limit"
_encode = msgspec.json.encode


def _lookback(request: HttpRequest) -> int:
    text = value_of(request, "lookback_delta")
    return duration_ms("lookback_delta", text) if text else 300_000


def _parsed(name: str, text: str) -> Node:
    """The tree of a query in a parameter; refused in Prometheus's words, which name the parameter."""
    try:
        return parse(text)
    except QueryError as error:
        error.detail = f'invalid parameter "{name}": {error.detail}'
        raise


def _answered(request: HttpRequest, query: Running, result: Result, write: answer.Writer) -> bytes:
    """The envelope around a result, cut to `limit` series, with `stats` when they are asked for.

    It is written while the query has its place: a long answer takes longer than what it says took to find out.
    """
    count, warnings = _cut(request, len(result.labels))
    if count < len(result.labels):
        result.labels = result.labels[:count]
        result.values, result.present = result.values[:count], result.present[:count]
    query.afford(int(np.count_nonzero(result.present)))
    query.statistics.total_seconds = time.monotonic() - query.started
    data = write(result, query.check)
    if query.statistics.wanted:
        stats = answer.stats(query.statistics, per_step=value_of(request, "stats") == "all")
        data = data[:-1] + b',"stats":' + stats + b"}"
    return answer.success(data, [*warnings, *result.warnings], result.infos)


@api
def instant_query(request: HttpRequest) -> bytes:
    """Evaluate `query` at `time` (default: now)."""
    text = value_of(request, "time")
    at_ms = time_ms("time", text) if text else backend().clock()
    lookback_ms = _lookback(request)
    with running(request) as query:
        result = instant(
            _parsed("query", value_of(request, "query")),
            at_ms,
            backend=metrics(),
            lookback_ms=lookback_ms,
            limits=query.limits,
            cancelled=query.cancelled,
            statistics=query.statistics,
        )
        return _answered(request, query, result, answer.instant)


@api
def range_query(request: HttpRequest) -> bytes:
    """Evaluate `query` at every `step` from `start` to `end`."""
    start, end = (time_ms(name, value_of(request, name)) for name in ("start", "end"))
    if end < start:
        raise bad("end", _("end timestamp must not be before start time"))
    step = duration_ms("step", value_of(request, "step"))
    if step <= 0:
        raise bad("step", _("zero or negative query resolution step widths are not accepted. Try a positive integer"))
    most = default_limits().max_steps
    if (end - start) // step > most:
        raise BadRequest(
            "telemetry.too_many_steps",
            _(
                "exceeded maximum resolution of %(count)s points per timeseries. Try decreasing the query resolution "
                "(?step=XX), or raise %(setting)s."
            )
            % {"count": f"{most:,}", "setting": MAX_STEPS_SETTING},
            field="step",
        )
    lookback_ms = _lookback(request)
    with running(request) as query:
        result = range_(
            _parsed("query", value_of(request, "query")),
            start,
            end,
            step,
            backend=metrics(),
            lookback_ms=lookback_ms,
            limits=query.limits,
            cancelled=query.cancelled,
            statistics=query.statistics,
        )
        return _answered(request, query, result, answer.matrix)


@api
def formatted_query(request: HttpRequest) -> bytes:
    """Give back `query` in its canonical layout."""
    text = value_of(request, "query")
    _parsed("query", text)
    return answer.success(_encode(format_query(text)))


def _span(request: HttpRequest) -> tuple[int, int]:
    """The interval asked for; all that is kept when none is, as in Prometheus."""
    end_text, start_text = value_of(request, "end"), value_of(request, "start")
    end = time_ms("end", end_text) if end_text else backend().clock()
    start = time_ms("start", start_text) if start_text else min(0, end)
    if end < start:
        raise bad("end", _("end timestamp must not be before start time"))
    return start, end


def _matcher_sets(request: HttpRequest) -> list[list[Matcher]]:
    sets: list[list[Matcher]] = []
    for text in values_of(request, "match[]"):
        node = _parsed("match[]", text)
        if not isinstance(node, Selector) or node.offset_ms or node.at is not None:
            raise bad("match[]", _("it must be a series selector"), text)
        sets.extend(list(each) for each in node.matcher_sets)
    return sets


def _cut(request: HttpRequest, count: int) -> tuple[int, list[str]]:
    """(how many to give, warnings) by the `limit` parameter."""
    text = value_of(request, "limit")
    if not text:
        return count, []
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadRequest("telemetry.bad_parameter", _("limit must be a number"), field="limit", value=text)
    limit = int(text)
    return (limit, [TRUNCATED]) if 0 < limit < count else (count, [])


@api
def label_names(request: HttpRequest) -> bytes:
    """List label names, of the series `match[]` names or of all."""
    found = metrics().label_names(_matcher_sets(request), *_span(request), limits=limits_of(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode(found[:count]), warnings)


_ESCAPED = re.compile(r"U__((?:[^_]|__|_[0-9a-fA-F]{1,6}_)*)")


def unescaped(name: str) -> str:
    """A label name from an address: `__` stands for `_`, `_2e_` for the character of that number, behind U__."""
    found = _ESCAPED.fullmatch(name)
    if found is None:
        return name
    try:
        return (
            re.sub(r"__|_([0-9a-fA-F]{1,6})_", lambda part: chr(int(part[1], 16)) if part[1] else "_", found[1])
            .encode()
            .decode()
        )
    except ValueError:  # no such character
        return name


@api
def label_values(request: HttpRequest, name: str) -> bytes:
    """List the values of one label; a name with other letters may be escaped, as U__k8s_2e_pod."""
    found = metrics().label_values(unescaped(name), _matcher_sets(request), *_span(request), limits=limits_of(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode(found[:count]), warnings)


@api
def series(request: HttpRequest) -> bytes:
    """List the series that match any `match[]`; those with samples on the days of the interval."""
    sets = _matcher_sets(request)
    if not sets:
        raise BadRequest("telemetry.bad_parameter", _("no match[] parameter provided"), field="match[]")
    found = metrics().series(sets, *_span(request), limits=limits_of(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode([dict(labels) for labels in found[:count]]), warnings)


@api
def unknown(request: HttpRequest, rest: str) -> bytes:
    """Refuse an address that is none, in the envelope that clients of this API read."""
    raise NotFound("telemetry.no_such_address", _("no such address: api/v1/%(rest)s") % {"rest": rest}, field="path")


@api
def exemplars(request: HttpRequest) -> bytes:
    """List exemplars: none, they are not stored. The parameters are checked as for a query, so that mistakes show."""
    _parsed("query", value_of(request, "query"))
    _span(request)
    return answer.success(b"[]")


@api
def metadata(request: HttpRequest) -> bytes:
    """List what scraped metrics say about themselves."""
    wanted = value_of(request, "metric")
    known = target_snapshot.metadata()
    names = [wanted] if wanted else sorted(known)
    count, _warnings = _cut(request, len(names))
    found = {
        name: [{"type": meta.type, "help": meta.help, "unit": meta.unit}]
        for name, meta in ((name, known.get(name)) for name in names[:count])
        if meta is not None
    }
    return answer.success(_encode(found))


@api
def targets(request: HttpRequest) -> bytes:
    """List the scraped targets and how the last scrape of each went."""
    wanted = value_of(request, "state")
    active = [_target(each) for each in target_snapshot.targets()] if wanted in ("", "any", "active") else []
    return answer.success(_encode({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}}))


def _target(health: TargetHealth) -> dict[str, object]:
    last = datetime.fromtimestamp(health.last_scrape_ms / 1000, UTC).isoformat() if health.last_scrape_ms else None
    return {
        "discoveredLabels": {"__address__": health.labels.get("instance", ""), **health.labels},
        "labels": health.labels,
        "scrapePool": health.labels.get("job", ""),
        "scrapeUrl": health.url,
        "globalUrl": health.url,
        "lastError": health.last_error,
        "lastScrape": last or go_time.ZERO,
        "lastScrapeDuration": health.last_duration_seconds,
        "health": health.state,
        "scrapeInterval": f"{health.interval_seconds:g}s",
        "scrapeTimeout": f"{health.timeout_seconds:g}s",
    }
