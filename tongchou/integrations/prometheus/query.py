"""The read half of the Prometheus HTTP API: query, query_range, labels, series, metadata, targets.

GET and POST (form) alike. Answers are Prometheus's envelope, refusals too, so that Grafana and promtool read both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou import __version__
from tongchou.core.problems import BadRequest
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.parameters import duration_ms, time_ms
from tongchou.integrations.prometheus.request import api, needed, value_of, values_of
from tongchou.telemetry import target_snapshot
from tongchou.telemetry.backend import backend, default_limits
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.promql.evaluate import instant, range_
from tongchou.telemetry.promql.parse import Selector, format_query, parse
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.target_health import TargetHealth
from tongchou.wire import go_time

DEFAULT_SPAN_MS = 6 * 3600 * 1000
_encode = msgspec.json.encode


def _limits(request: HttpRequest) -> Limits:
    limits = default_limits()
    text = value_of(request, "timeout")
    if not text:
        return limits
    wanted = max(0.001, duration_ms("timeout", text) / 1000)
    return replace(limits, timeout_seconds=min(wanted, limits.timeout_seconds))


def _lookback(request: HttpRequest) -> int:
    text = value_of(request, "lookback_delta")
    return duration_ms("lookback_delta", text) if text else 300_000


@api
def instant_query(request: HttpRequest) -> bytes:
    """Evaluate `query` at `time` (default: now)."""
    text = value_of(request, "time")
    at_ms = time_ms("time", text) if text else backend().clock()
    result = instant(
        needed(request, "query"), at_ms, backend=backend(), lookback_ms=_lookback(request), limits=_limits(request)
    )
    return answer.success(answer.instant(result), result.warnings, result.infos)


@api
def range_query(request: HttpRequest) -> bytes:
    """Evaluate `query` at every `step` from `start` to `end`."""
    start, end = (time_ms(name, needed(request, name)) for name in ("start", "end"))
    step = duration_ms("step", needed(request, "step"))
    limits = _limits(request)
    if end < start:
        raise BadRequest("telemetry.bad_parameter", _("end timestamp must not be before start time"), field="end")
    if step <= 0:
        raise BadRequest(
            "telemetry.bad_parameter",
            _("zero or negative query resolution step widths are not accepted. Try a positive integer"),
            field="step",
        )
    if (end - start) // step > limits.max_steps:
        raise BadRequest(
            "telemetry.too_many_steps",
            _("exceeded maximum resolution of %(count)d points per timeseries. Try decreasing the query resolution")
            % {"count": limits.max_steps},
            field="step",
        )
    result = range_(
        needed(request, "query"),
        start,
        end,
        step,
        backend=backend(),
        lookback_ms=_lookback(request),
        limits=limits,
    )
    return answer.success(answer.matrix(result), result.warnings, result.infos)


@api
def formatted_query(request: HttpRequest) -> bytes:
    """Give back `query` in its canonical layout."""
    return answer.success(_encode(format_query(needed(request, "query"))))


def _span(request: HttpRequest) -> tuple[int, int]:
    end_text, start_text = value_of(request, "end"), value_of(request, "start")
    end = time_ms("end", end_text) if end_text else backend().clock()
    start = time_ms("start", start_text) if start_text else end - DEFAULT_SPAN_MS
    if end < start:
        raise BadRequest("telemetry.bad_parameter", _("end timestamp must not be before start time"), field="end")
    return start, end


def _matcher_sets(request: HttpRequest) -> list[list[Matcher]]:
    sets: list[list[Matcher]] = []
    for text in values_of(request, "match[]"):
        node = parse(text)
        if not isinstance(node, Selector) or node.offset_ms or node.at is not None:
            raise BadRequest(
                "telemetry.bad_parameter", _("match[] must be a series selector"), field="match[]", value=text
            )
        sets.extend(list(each) for each in node.matcher_sets)
    return sets


def _cut(request: HttpRequest, count: int) -> tuple[int, list[str]]:
    """(how many to give, warnings) by the `limit` parameter."""
    text = value_of(request, "limit")
    if not text:
        return count, []
    if not text.isdigit():
        raise BadRequest("telemetry.bad_parameter", _("limit must be a whole number"), field="limit", value=text)
    limit = int(text)
    return (limit, ["results truncated due to limit"]) if 0 < limit < count else (count, [])


@api
def label_names(request: HttpRequest) -> bytes:
    """List label names, of the series `match[]` names or of all."""
    found = backend().label_names(_matcher_sets(request), *_span(request), limits=_limits(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode(found[:count]), warnings)


@api
def label_values(request: HttpRequest, name: str) -> bytes:
    """List the values of one label."""
    found = backend().label_values(name, _matcher_sets(request), *_span(request), limits=_limits(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode(found[:count]), warnings)


@api
def series(request: HttpRequest) -> bytes:
    """List the series that match any `match[]`; those with samples on the days of the interval."""
    sets = _matcher_sets(request)
    if not sets:
        raise BadRequest("telemetry.bad_parameter", _("no match[] parameter provided"), field="match[]")
    found = backend().series(sets, *_span(request), limits=_limits(request))
    count, warnings = _cut(request, len(found))
    return answer.success(_encode([dict(labels) for labels in found[:count]]), warnings)


@api
def exemplars(request: HttpRequest) -> bytes:
    """List exemplars: none, they are not stored. The parameters are checked as for a query, so that mistakes show."""
    parse(needed(request, "query"))
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


@api
def build_info(request: HttpRequest) -> bytes:
    """Say what answers here; clients choose features by the version, which is that of the API spoken."""
    return answer.success(
        _encode(
            {
                "version": "3.0.0",
                "revision": f"tongchou {__version__}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )
    )
